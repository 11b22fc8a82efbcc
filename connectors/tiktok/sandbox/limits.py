"""Who may call and how often: tokens, scopes, grants, and counters that never show in a header."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from connectors.tiktok.sandbox.wire import RefusalError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

READ, WRITE, SHARE, REPORT = 30, 31, 32, 44  # scopes: read audiences, create and update them, share them, consolidated report
LOCKED = 300.0  # seconds an app is suspended after its limit per minute


class Access:
    """Tokens. `grants` None takes every token; else token -> (advertisers, or None for all; scopes)."""

    def __init__(self) -> None:
        self.grants: dict[str, tuple[frozenset[str] | None, frozenset[int]]] | None = None
        self.revoked: set[str] = {"revoked"}

    def allow(self, token: str, scope: int, advertisers: Iterable[str]) -> None:
        """Nothing, or the refusal."""
        if not token:
            raise RefusalError(40104, "Access token is empty. Please set header Access-Token.")
        if token in self.revoked or (self.grants is not None and token not in self.grants):
            raise RefusalError(40105, "Access token is incorrect.")
        if self.grants is None:
            return
        granted, scopes = self.grants[token]
        if scope and scope not in scopes:
            raise RefusalError(40001, "No permission: the scope is not granted.")
        for advertiser in advertisers:
            if granted is not None and advertiser not in granted:
                raise RefusalError(40001, f"No permission to operate advertiser {advertiser}.")


class Limits:
    """Counters per app, endpoint and advertiser, by the sandbox's clock. `enabled` False lets everything pass."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self.enabled = True
        self.qps, self.qpm, self.advertiser_qps = 10, 600, 10
        self.streaming_qps, self.streaming_qpm = 10_000, 600_000  # counted in identifiers, the stricter reading
        self.task_qps, self.task_qpm, self.tasks_an_hour = 1, 60, 500
        self.event_qps, self.event_qpm = 1_000, 600_000
        self.qpd = 864_000
        self._days: dict[str, tuple[int, int]] = {}
        self._events: dict[str, deque[tuple[float, int]]] = {}
        self._locked: dict[str, float] = {}

    def count(self, app: str, path: str, advertisers: Iterable[str]) -> None:
        """Nothing, or 40100 and 40133 when a counter is full."""
        if not self.enabled:
            return
        if path == "/report/task/create/":
            for advertiser in advertisers:
                self._spend(f"{app} {advertiser} tasks", 1, 10**9, self.tasks_an_hour, 40100, span=3600)
            self._spend(f"{app} {path}", 1, self.task_qps, self.task_qpm, 40100)
        self._spend_day(app)
        self._spend(app, 1, self.qps, self.qpm, 40100)
        for advertiser in advertisers:
            self._spend(f"advertiser {advertiser}", 1, self.advertiser_qps, 10**9, 40133)

    def count_events(self, app: str) -> None:
        """Nothing, or 40100: the Events API has counters of its own."""
        if self.enabled:
            self._spend(f"{app} events", 1, self.event_qps, self.event_qpm, 40100)

    def count_stream(self, app: str, identifiers: int) -> None:
        """Nothing, or 40100: the streaming API has counters of its own."""
        if self.enabled:
            self._spend(f"{app} streaming", identifiers, self.streaming_qps, self.streaming_qpm, 40100)

    def _spend_day(self, app: str) -> None:
        day = int(self._now() // 86_400)
        seen, calls = self._days.get(app, (day, 0))
        calls = calls if seen == day else 0
        if calls >= self.qpd:
            raise RefusalError(40100, "Too many requests. The daily limit is reached. Please retry after 00:00 UTC.")
        self._days[app] = (day, calls + 1)

    def _spend(self, key: str, amount: int, per_second: int, per_minute: int, code: int, span: float = 60) -> None:
        """Nothing: the amount is counted; `per_minute` holds for `span` seconds."""
        now = self._now()
        if now < self._locked.get(key, 0):
            raise RefusalError(code, "Too many requests. Requests from this App have been temporarily restricted.")
        seen = self._events.setdefault(key, deque())
        while seen and seen[0][0] <= now - span:
            seen.popleft()
        if sum(n for at, n in seen) + amount > per_minute:
            self._locked[key] = now + LOCKED
            raise RefusalError(code, "Too many requests. Requests from this App have been temporarily restricted.")
        if sum(n for at, n in seen if at > now - 1) + amount > per_second:
            raise RefusalError(code, f"Too many requests. Current QPS is over {per_second}. Please retry later.")
        seen.append((now, amount))
