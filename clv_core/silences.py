"""Weeks without a single order in the whole shop: closed, or missing from the export."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clv_core.transactions import Transactions

LEAST_DAYS = 28
TIMES_USUAL = 12  # so many of the gaps around it in one: chance does not reach that far (e^-12 per gap)
_GAPS = f"""
    WITH days AS (SELECT DISTINCT day FROM {{relation}} WHERE orders > 0 AND day <= $as_of),
    gaps AS (SELECT lag(day) OVER (ORDER BY day) AS before, day AS after, day - lag(day) OVER (ORDER BY day) AS gap FROM days),
    usual AS (
      SELECT *, avg(gap) OVER (ORDER BY after ROWS BETWEEN 10 PRECEDING AND 1 PRECEDING) AS earlier,
        avg(gap) OVER (ORDER BY after ROWS BETWEEN 1 FOLLOWING AND 10 FOLLOWING) AS later FROM gaps)
    SELECT before, after FROM usual
    WHERE gap > {LEAST_DAYS} AND gap > {TIMES_USUAL} * greatest(earlier, later) AND earlier > 0 AND later > 0
    ORDER BY gap DESC, before"""


@dataclass(frozen=True, slots=True)
class Silence:
    """The last day with orders before it and the first one after it."""

    before: date
    after: date

    @property
    def days(self) -> int:
        """Days without an order."""
        return (self.after - self.before).days - 1

    def disturbs(self, cut: date, days: int) -> bool:
        """Whether the cut, or a quarter of the `days` after it, lies in the silence: that tells nothing of customers."""
        begin, end = max(cut, self.before), min(cut + timedelta(days=days), self.after)
        return self.before < cut < self.after or 4 * (end - begin).days > days


def silences(t: Transactions, as_of: date) -> list[Silence]:
    """The weeks in which nobody ordered, though somebody usually does; longest first."""
    found = t.connection.cursor().execute(_GAPS.format(relation=t.relation), {"as_of": as_of}).fetchall()
    return [Silence(before, after) for before, after in found]


def told_of(found: list[Silence]) -> list[str]:
    """A sentence about silences, and what to do; nothing when there are none."""
    if not found:
        return []
    longest = found[0]
    more = f", and {len(found) - 1} more times for over {LEAST_DAYS} days" if len(found) > 1 else ""
    return [
        f"nobody at all ordered for {longest.days} days between {longest.before} and {longest.after}{more}: if orders are "
        "missing there, export them; if the shop was closed, its customers look as if they had left, and totals are unsure "
        "for a while"
    ]
