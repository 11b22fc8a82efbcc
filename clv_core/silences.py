"""Weeks without a single order in the whole shop: closed, or missing from the export."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date

    from clv_core.transactions import Transactions

LEAST_DAYS = 28
TIMES_USUAL = 12  # so many of the gaps around it in one: chance does not reach that far (e^-12 per gap)
_GAPS = f"""
    WITH days AS (SELECT DISTINCT day FROM {{relation}} WHERE orders > 0 AND day <= $as_of),
    gaps AS (SELECT lag(day) OVER (ORDER BY day) AS before, day AS after, day - lag(day) OVER (ORDER BY day) AS gap FROM days),
    usual AS (
      SELECT *, avg(gap) OVER (ORDER BY after ROWS BETWEEN 10 PRECEDING AND 1 PRECEDING) AS earlier,
        avg(gap) OVER (ORDER BY after ROWS BETWEEN 1 FOLLOWING AND 10 FOLLOWING) AS later FROM gaps)
    SELECT before, after, gap FROM usual
    WHERE gap > {LEAST_DAYS} AND gap > {TIMES_USUAL} * greatest(earlier, later) AND earlier > 0 AND later > 0
    ORDER BY gap DESC, before"""


def silences(t: Transactions, as_of: date) -> list[str]:
    """A sentence when there are weeks in which nobody ordered, though somebody usually does; nothing otherwise."""
    found = t.connection.cursor().execute(_GAPS.format(relation=t.relation), {"as_of": as_of}).fetchall()
    if not found:
        return []
    before, after, gap = found[0]
    more = f", and {len(found) - 1} more times for over {LEAST_DAYS} days" if len(found) > 1 else ""
    return [
        f"nobody at all ordered for {gap - 1} days between {before} and {after}{more}: if orders are missing there, "
        "export them; if the shop was closed, its customers look as if they had left, and totals are unsure until about a year "
        "has passed"
    ]
