"""Times that an earlier run wrote down, read by a machine whose clock may have been put back or forward since.

A stamp that lies ahead of now was written by a clock that was wrong: it says nothing, and nothing waits for it.
"""

from __future__ import annotations

from datetime import datetime, timedelta

SKEW = timedelta(hours=1)
"""How far clocks of one machine may differ from run to run without a doubt about their stamps."""


def age(stamp: str | None, now: datetime) -> timedelta | None:
    """How long ago the stamp (ISO 8601) was written; None when there is none, or when it lies in the future."""
    if not stamp:
        return None
    passed = now - datetime.fromisoformat(stamp)
    return passed if passed >= -SKEW else None


def opens(stamp: str | None, hours: float, now: datetime) -> datetime | None:
    """When the next operation is allowed, `hours` after the last one's stamp; None: now."""
    passed = age(stamp, now)
    if not stamp or not hours or passed is None or passed >= timedelta(hours=hours):
        return None
    return datetime.fromisoformat(stamp) + timedelta(hours=hours)
