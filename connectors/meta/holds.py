"""Calls that are not made: after Meta has blocked the account, or named a wait that is too long for a run (fact sheet 6, 7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from connectors.errors import RetriableError
from connectors.meta.refusals import PLATFORM, tag_of
from connectors.retries import LONGEST_WAIT

if TYPE_CHECKING:
    from collections.abc import Callable

    from connectors.errors import SyncError

BLOCKED_FOR: Final = 3600.0  # seconds without a call after a block (368): a later run may try again
OF_ALL_CALLS: Final = ("4", "17", "32", "613")  # throttles of app, user and account; the others are of one kind of call


class Holds:
    """Until when insights calls (True) and all others (False) are not made, and why."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._held: dict[bool, tuple[float, SyncError]] = {}

    def respect(self, *, insights: bool) -> None:
        """Nothing; raises the error that began the hold while it lasts, with what is left of the wait."""
        if insights not in self._held:
            return
        until, why = self._held[insights]
        left = until - self._clock()
        if left <= 0:
            del self._held[insights]
        elif isinstance(why, RetriableError):
            raise RetriableError(why.message, retry_after=left, platform=PLATFORM, code=why.code)
        else:
            raise type(why)(why.message, remedy=why.remedy, platform=PLATFORM, code=why.code)

    def note(self, error: SyncError, *, insights: bool) -> None:
        """Nothing: calls that would meet the same throttle or block are held."""
        blocked = tag_of(error) == "block"
        wait = BLOCKED_FOR if blocked else getattr(error, "retry_after", None) or 0.0
        if wait <= LONGEST_WAIT:
            return  # waited for, within the run
        whole = blocked or error.code.partition("/")[0] in OF_ALL_CALLS
        for kind in (True, False) if whole else (insights,):
            self._held[kind] = (self._clock() + wait, error)
