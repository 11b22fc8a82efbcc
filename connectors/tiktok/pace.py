"""Pacing without headers: TikTok never says how much is left, so the client stays below the documented rates."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from connectors import events
from connectors.errors import RetriableError

if TYPE_CHECKING:
    from collections.abc import Callable

MINUTE_LOCK = 300.0  # seconds an app is suspended after its per-minute limit (rate-limits page)


class Pacer:
    """A token bucket shared by all calls of one app; thread-safe. `suspend` stops everything for a while."""

    def __init__(
        self,
        rate: float,
        burst: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.rate, self.burst = rate, burst
        self._clock, self._sleep = clock, sleep
        self._tokens, self._seen = burst, clock()
        self._suspended_until = float("-inf")
        self._lock = threading.Lock()

    def take(self, amount: float = 1.0) -> None:
        """Nothing, once `amount` may be sent; raises RetriableError while the app is suspended."""
        with self._lock:
            now = self._clock()
            if now < self._suspended_until:
                raise RetriableError(
                    "TikTok has suspended this app for passing its limit per minute",
                    retry_after=self._suspended_until - now,
                    platform="tiktok",
                    code="40100",
                )
            self._tokens = min(self.burst, self._tokens + (now - self._seen) * self.rate)
            self._seen = now
            self._tokens -= amount
            wait = -self._tokens / self.rate
        if wait > 0:
            events.pause("tiktok", wait, self._sleep)

    def suspend(self, seconds: float = MINUTE_LOCK) -> None:
        """Nothing: calls fail at once until the time is over."""
        with self._lock:
            self._suspended_until = self._clock() + seconds
