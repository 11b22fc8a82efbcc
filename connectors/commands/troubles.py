"""What a person at the terminal must know beside the table: why something stopped, and what to do about it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from connectors.job import Outcome

_NUMBER = re.compile(r" \[(?:request|trace) [^\]]*\]")
"""The platform's number of a call: in the log and in --json, for its support; here it would tell equal things apart."""


def troubles(found: Outcome) -> list[str]:
    """What stopped audiences and results, with the remedy: once per account, however many audiences met it."""
    met: dict[tuple[str, str, str, str], list[str]] = {}
    for one in found.audiences:
        if one["detail"] and (one["exit_code"] or one["state"] == "pending") and not one["guardrail"]:
            why = _NUMBER.sub("", one["detail"])
            met.setdefault((one["platform"], one["account"], one["state"], why), []).append(one["audience"])
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
