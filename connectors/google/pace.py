"""Google's limit of calls per minute, kept from our side so that it is never run into."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from connectors import events

if TYPE_CHECKING:
    from collections.abc import Callable

WINDOW = 60.5  # seconds: a minute, and a little for the way there
PER_MINUTE = 300  # Data Manager: ingestion and management, reads and writes, counted apart


class Pace:
    """At most `limit` calls in any 60 seconds, per name."""

    def __init__(
        self,
        limit: int = PER_MINUTE,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._limit, self._clock, self._sleep = limit, clock, sleep
        self._calls: dict[str, deque[float]] = {}
        self._lock = threading.Lock()

    def wait(self, name: str) -> None:
        """Nothing: returns when one more call fits."""
        with self._lock:
            calls = self._calls.setdefault(name, deque())
            now = self._clock()
            while calls and now - calls[0] >= WINDOW:
                calls.popleft()
            pause = WINDOW - (now - calls[0]) if len(calls) >= self._limit else 0.0
            if pause:
                calls.popleft()
            calls.append(now + pause)
        if pause:
            events.pause("google", pause, self._sleep)
