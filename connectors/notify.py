"""A few lines to a webhook (Slack's format) when a run failed or was stopped: an unattended night is not a silent one."""

from __future__ import annotations

import http.client
import json
import logging
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from connectors.errors import SyncError
from connectors.logs import redact
from connectors.settings import reveal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from connectors.config import Settings
    from connectors.job import Outcome

SECONDS = 10
WAITS = (1.0, 5.0)  # seconds between attempts
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
        ours = isinstance(error, SyncError) or type(error).__module__.startswith("clv_core")
        # the text of an unexpected exception may repeat a row of somebody's data
        said = str(error) if ours else f"unexpected {type(error).__name__}; the log says where"
        tell(settings, getattr(error, "exit_code", 2 if ours else 1), [said], {})
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


def tell(
    settings: Settings,
    exit_code: int,
    said: list[str],
    facts: dict[str, Any],
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Whether the webhook took the message, tried again after a passing fault; one that fails never fails the run."""
    if settings.notify.webhook is None:
        return False
    head = f"clvsync {MEANINGS.get(exit_code, 'done')} (exit code {exit_code})"
    body = {"text": "\n".join([head, *(f"- {line}" for line in said)]), "exit_code": exit_code, **facts}
    content = redact(json.dumps(body, default=str)).encode()
    fault = _post(settings, content)
    for wait in WAITS:
        if fault is None or not fault.passing:
            break
        sleep(wait)
        fault = _post(settings, content)
    if fault is None:
        return True
    # the address is a secret in itself: only the kind of fault is said
    logging.getLogger("clvsync.notify").warning("the webhook did not take the message (%s)", fault.name)
    return False


@dataclass(frozen=True)
class _Fault:
    name: str
    passing: bool


def _post(settings: Settings, content: bytes) -> _Fault | None:
    """What went wrong, and whether it may pass; None when the message was taken."""
    try:
        address = reveal(settings.notify.webhook, field="notify.webhook") if settings.notify.webhook else ""
        request = urllib.request.Request(address, content, {"Content-Type": "application/json"}, method="POST")
        with urllib.request.urlopen(request, timeout=SECONDS):
            return None
    except urllib.error.HTTPError as error:
        return _Fault(f"HTTP {error.code}", error.code >= 500 or error.code in (408, 429))
    except (ValueError, SyncError) as error:
        return _Fault(type(error).__name__, passing=False)
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        return _Fault(type(error).__name__, passing=True)
