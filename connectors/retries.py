"""One retry policy for every platform client: tenacity, with the platform's own wait when it gives one."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

import tenacity

from connectors import events
from connectors.errors import RetriableError

if TYPE_CHECKING:
    from collections.abc import Callable

Result = TypeVar("Result")

LONGEST_WAIT = 120.0  # seconds; a longer wait asked for by the platform ends the attempt: the next run resumes


def _wait(state: tenacity.RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, RetriableError) and error.retry_after is not None:
        return max(0.0, error.retry_after)
    return float(tenacity.wait_exponential_jitter(multiplier=0.5, max=60, jitter=0.5)(state))


def _told(state: tenacity.RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, RetriableError):
        wait = round(state.upcoming_sleep, 3)
        told = {**events.failure(error), "wait": wait}
        events.tell("call tried again", platform=error.platform, attempt=state.attempt_number, **told)


def _worth_waiting(error: BaseException) -> bool:
    return isinstance(error, RetriableError) and (error.retry_after or 0.0) <= LONGEST_WAIT


def retrying(call: Callable[[], Result], *, attempts: int = 6, sleep: Callable[[float], None] = time.sleep) -> Result:
    """The result of `call`, tried again on RetriableError; the last error is raised as it is."""
    policy = tenacity.Retrying(
        retry=tenacity.retry_if_exception(_worth_waiting),
        wait=_wait,
        stop=tenacity.stop_after_attempt(attempts),
        sleep=sleep,
        before_sleep=_told,
        reraise=True,
    )
    return policy(call)
