"""What a sandbox's request log says about the pace of its client: exact, by the sandbox's own clock."""

from __future__ import annotations

from collections import deque
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def most(
    log: Iterable[dict[str, Any]], seconds: float, *, amount: Callable[[dict[str, Any]], float] = lambda one: 1.0
) -> float:
    """The largest sum of `amount` (requests, unless told otherwise) in any window of so many seconds, its start included."""
    window: deque[tuple[float, float]] = deque()
    held = largest = 0.0
    for one in log:
        at = datetime.fromisoformat(one["at"]).timestamp()
        while window and window[0][0] <= at - seconds:
            held -= window.popleft()[1]
        window.append((at, amount(one)))
        held += window[-1][1]
        largest = max(largest, held)
    return largest


def fullest(log: Iterable[dict[str, Any]], leak: float, *, amount: Callable[[dict[str, Any]], float]) -> float:
    """The highest level of a bucket that each request fills by `amount` and that loses `leak` a second."""
    level = highest = 0.0
    before: float | None = None
    for one in log:
        at = datetime.fromisoformat(one["at"]).timestamp()
        level = max(0.0, level - (at - (at if before is None else before)) * leak) + amount(one)
        highest, before = max(highest, level), at
    return highest
