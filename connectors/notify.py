"""A few lines to a webhook (Slack's format) when a run failed or was stopped: an unattended night is not a silent one."""

from __future__ import annotations

import json
import logging
import urllib.error
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from connectors.logs import redact
from connectors.settings import reveal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connectors.config import Settings
    from connectors.job import Outcome

SECONDS = 10
MEANINGS = {
    1: "failed",
    2: "stopped by a mistake in config or a source",
    3: "stopped by a guardrail or the model gate",
    4: "could not deliver everything; the next run resumes",
    5: "did not start: another run holds the lock",
}


@contextmanager
def watched(settings: Settings) -> Iterator[list[Outcome]]:
    """A list to put the run's outcome into; a failure, a stop or an exception is told to the webhook, if one is configured."""
    box: list[Outcome] = []
    try:
        yield box
    except Exception as error:
        tell(settings, getattr(error, "exit_code", 1), [str(error)], {})
        raise
    for outcome in box:
        if outcome.exit_code or settings.notify.always:
            tell(settings, outcome.exit_code, [*lines(outcome), *outcome.words.splitlines()], {"audiences": outcome.audiences})


def lines(outcome: Outcome) -> list[str]:
    """What a person must know: guardrails, undelivered batches, errors; then the totals."""
    said = [f"model gate: {reason}" for reason in outcome.refusals]
    for one in outcome.audiences:
        place = f"{one['platform']} {one['audience']}"
        if one["guardrail"]:
            said.append(f"{place}: {one['guardrail']}")
        elif one["exit_code"]:
            said.append(f"{place}: {one['state']}, {one['detail']}")
    said += [f"{one['platform']} {one['audience']}: {one['note']}" for one in outcome.unreachable if one["must_leave"]]
    counts = {
        name: sum(int(one[name]) for one in outcome.audiences) for name in ("accepted", "pending", "unknown", "undelivered")
    }
    rejected = sum(sum(one["rejected"].values()) for one in outcome.audiences)
    return [*said, f"accepted {counts['accepted']:,}, rejected {rejected:,}, pending {counts['pending']:,}, "
            f"unknown {counts['unknown']:,}, undelivered {counts['undelivered']:,}"]  # fmt: skip


def tell(settings: Settings, exit_code: int, said: list[str], facts: dict[str, Any]) -> bool:
    """Whether the webhook took the message; a webhook that fails never fails the run."""
    if settings.notify.webhook is None:
        return False
    head = f"clvsync {MEANINGS.get(exit_code, 'done')} (exit code {exit_code})"
    body = {"text": redact("\n".join([head, *(f"- {line}" for line in said)])), "exit_code": exit_code, **facts}
    try:
        address = reveal(settings.notify.webhook, field="notify.webhook")
        request = urllib.request.Request(
            address, json.dumps(body, default=str).encode(), {"Content-Type": "application/json"}, method="POST"
        )
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            return bool(200 <= answer.status < 300)
    except (urllib.error.URLError, OSError, ValueError) as error:
        # the address is a secret in itself: only the kind of fault is said
        logging.getLogger("clvsync.notify").warning("the webhook did not take the message (%s)", type(error).__name__)
        return False
