"""What a run tells the log: one event per step, with its numbers. Never an identifier, a digest, a token or a customer's id.

Fields: platform, account, audience, operation, rows, accepted, rejected, pending, unknown, undelivered, seconds, attempt, wait,
error (its class), code (the platform's), detail (redacted text). Events are INFO, or WARNING where something went wrong.
`connectors.logs` decides where they go; a program that configures no logging sees none.
"""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LOGGER = "clvsync.events"
_log = logging.getLogger(LOGGER)
_log.addHandler(logging.NullHandler())  # without any configuration, warnings would go to stderr


def tell(event: str, *, wrong: bool = False, **fields: Any) -> None:
    """Nothing: the event is in the log, with the fields that have something to say."""
    said = {name: value for name, value in fields.items() if value is not None and value != "" and value != {}}
    _log.log(logging.WARNING if wrong else logging.INFO, event, extra={"fields": said})


def failure(error: BaseException) -> dict[str, Any]:
    """The fields that describe an error: its class, and what our own errors say; others may hold anything."""
    found: dict[str, Any] = {"error": type(error).__name__, "wait": getattr(error, "retry_after", None)}
    if hasattr(error, "message") and hasattr(error, "code"):
        found |= {"code": error.code, "detail": error.message}
    return found


@contextmanager
def timed(event: str, **fields: Any) -> Iterator[dict[str, Any]]:
    """A dict to put what was found into: told with the seconds that the block took, or with what stopped it."""
    found: dict[str, Any] = dict(fields)
    started = time.monotonic()
    try:
        yield found
    except Exception as error:
        wrong = getattr(error, "exit_code", 1) != 0  # 0: a platform that is not ready yet
        tell(event, wrong=wrong, **{**found, **failure(error)}, seconds=round(time.monotonic() - started, 3))
        raise
    tell(event, wrong=bool(found.get("exit_code")), **found, seconds=round(time.monotonic() - started, 3))


def pause(platform: str, seconds: float, sleep: Callable[[float], None]) -> None:
    """Nothing: the client has waited, so that the platform's limits are kept."""
    tell("call paced", platform=platform, wait=round(seconds, 3))
    sleep(seconds)
