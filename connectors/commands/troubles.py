"""What a person at the terminal must know beside the table: why something stopped, and what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from connectors.job import Outcome


def troubles(found: Outcome) -> list[str]:
    """What stopped audiences and results, with the remedy: once per account, however many audiences met it."""
    met: dict[tuple[str, str, str, str], list[str]] = {}
    for one in found.audiences:
        if one["detail"] and (one["exit_code"] or one["state"] == "pending") and not one["guardrail"]:
            met.setdefault((one["platform"], one["account"], one["state"], one["detail"]), []).append(one["audience"])
    lines = [
        f"{platform} {account}: {', '.join(names)} {state}: {why}" for (platform, account, state, why), names in met.items()
    ]
    lines += [
        f"{one['platform']} {one['account']}: results could not be pulled: {one['detail']}"
        for one in found.pulled.get("accounts", ())
        if one["detail"]
    ]
    for one in found.audiences:
        failed = [like for like in one["lookalikes"] if like["state"] == "failed"]
        lines += [f"{one['platform']} {one['account']}: {like['name']}: {like['detail']}" for like in failed]
    return lines
