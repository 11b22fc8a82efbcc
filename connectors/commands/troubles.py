"""What a person at the terminal must know beside the table: why something stopped, and what to do about it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from connectors.job import Outcome

_NUMBER = re.compile(r" \[(?:request|trace) [^\]]*\]")
"""The platform's number of a call: in the log and in --json, for its support; here it would tell equal things apart."""


def left_out(found: Outcome) -> list[str]:
    """How many customers are in no audience, and why; nothing when everybody may be sent."""
    from connectors.engine.page.words import reasons

    return [f"In no audience: {reasons(found.left_out)}."] if any(found.left_out.values()) else []


def guardrails(audiences: Sequence[Mapping[str, Any]], refusals: Sequence[str] = ()) -> list[str]:
    """What stops audiences, with their names: `stopped: meta tier_high, google winback: the source ends 9 days ago, ...`.

    `refusals`: the model gate's reasons, which are told also when no audience has anything to change.
    """
    met: dict[tuple[str, str], list[str]] = {}
    for one in audiences:
        verdict = "sent all the same" if one.get("forced") else "stopped"
        if one["guardrail"]:
            met.setdefault((verdict, one["guardrail"]), []).append(f"{one['platform']} {one['audience']}")
    quiet = [f"model gate: {one}" for one in refusals if not any(one in reason for _, reason in met)]
    return quiet + [f"{verdict}: {', '.join(names)}: {reason}" for (verdict, reason), names in met.items()]


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
