"""How large platforms said an audience is, night by night: a fall that what was sent doesn't explain is loss at the platform.

Platforms tell how many people they matched, rounded and days late, so only the trend against the ledger says anything:
retention and changes by hand show as a matched share that falls while the members stay.
"""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from connectors.protocol import AudienceState

if TYPE_CHECKING:
    from datetime import datetime

    from connectors.engine.ledger import Ledger
    from connectors.protocol import AudienceStatus

KEPT = timedelta(days=200)
STEADY = 0.05
"""A reading counts when the members have moved by no more than this since the one before: sizes follow edits days later."""
FALL, LEAST = 0.15, 50
"""A smaller fall (as a share, and in people) is what rounding and another mix of members make."""


def note(ledger: Ledger, row: dict[str, Any], status: AudienceStatus, now: datetime) -> None:
    """Nothing: the size that the platform told before anything was sent today is kept beside the members of the ledger."""
    if status.state is not AudienceState.READY or not status.lower or not row["rows"]:
        return
    with ledger.journal.transaction() as connection:
        connection.execute("DELETE FROM sizes WHERE audience = ? AND day < ?", (row["id"], (now - KEPT).date().isoformat()))
        connection.execute(
            "INSERT OR REPLACE INTO sizes (audience, day, remote_id, members, lower) VALUES (?, ?, ?, ?, ?)",
            (row["id"], now.date().isoformat(), row["remote_id"], row["rows"], status.lower),
        )


def fell(ledger: Ledger, row: dict[str, Any], status: AudienceStatus) -> str:
    """What can be said of members that the platform has lost since all were sent last; "" when nothing can."""
    most = status.upper if status.upper is not None else status.lower
    if most is None or status.state not in (AudienceState.READY, AudienceState.TOO_SMALL):
        return ""
    since = str(row["last_replace_at"] or "")[:10]
    readings = ledger.journal.rows(
        "SELECT day, members, lower FROM sizes WHERE audience = ? AND remote_id = ? AND day > ? ORDER BY day",
        (row["id"], row["remote_id"], since),
    )
    pairs = pairwise(readings)
    steady = [late for early, late in pairs if _near(early["members"], late["members"])]
    if not steady or not _near(readings[-1]["members"], row["rows"]):
        return ""
    best = max(steady, key=lambda one: one["lower"] / one["members"])
    expected = best["lower"] * min(1.0, row["rows"] / best["members"])
    if expected - most <= max(FALL * expected, LEAST):
        return ""
    return (
        f"{most:,} people at most of {row['rows']:,} members, but {best['lower']:,} of {best['members']:,} on {best['day']}: "
        "the platform may have lost some, by its retention or by hand: clvsync push --refresh sends all of them again"
    )


def _near(first: int, second: int) -> bool:
    return abs(first - second) <= STEADY * max(first, second)
