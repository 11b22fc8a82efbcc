"""How orders thin out over customers' lives, when the horizon is longer than any window the history can hold.

Drop-out models fitted to a young base see customers leave faster than they later do (CDNOW: predicted totals fall from 1.0 of
the realised ones over 6 weeks to 0.75 over a year). Seen in multiples of a customer's own age, repeat orders follow a power law
closely: cumulative orders grow as age^g. The exponent is read off the last two halvings of every life and carried on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from clv_core.models.base import OrderModel
    from clv_core.transactions import Transactions
    from clv_core.windows import Snapshot

LEAST_WEEKS = 4.0  # younger lives say nothing of how orders thin out
LEAST_ORDERS = 50
MODEL_ERROR = 0.12  # relative error of an order model's total over a horizon longer than its history, as of the law's own
_LIVES = """
    WITH begun AS (SELECT customer_id, min(day) AS first FROM {relation} WHERE orders > 0 AND day <= $as_of GROUP BY 1),
    lived AS (
      SELECT o.day - first AS age, $as_of::DATE - first AS life FROM {relation} o JOIN begun USING (customer_id)
      WHERE o.orders > 0 AND o.day > first AND o.day <= $as_of AND $as_of::DATE - first >= $least)
    SELECT count(*) FILTER (WHERE age * 4 <= life), count(*) FILTER (WHERE age * 2 <= life), count(*) FROM lived"""


def exponent(t: Transactions, s: Snapshot) -> tuple[float, float] | None:
    """The exponent expected of coming doublings of age, and its standard error; None with too few orders to tell."""
    least = int(LEAST_WEEKS * 7)
    found = t.connection.cursor().execute(_LIVES.format(relation=t.relation), {"as_of": s.as_of, "least": least}).fetchall()[0]
    quarter, half, whole = (float(n) for n in found)
    if quarter < LEAST_ORDERS:
        return None
    before, last = np.log2(half / quarter), np.log2(whole / half)
    # The exponent itself drifts (up on CDNOW, down on apparel): half of the last drift is taken to go on.
    drift = 0.5 * (last - before)
    error = np.sqrt(1 / half + 1 / max(whole - half, 0.5) + 0.25 / quarter) / np.log(2)
    return float(np.clip(last + drift, 0.1, 1.1)), float(error)


def expected_orders(s: Snapshot, g: float, weeks: float) -> float:
    """Orders that the law expects in the coming `weeks` of the customers old enough for it."""
    old = s.T >= LEAST_WEEKS
    return float(s.x[old] @ np.expm1(g * np.log1p(weeks / s.T[old])))


@dataclass(frozen=True, slots=True)
class Outlook:
    """An order model at `as_of`: orders expected of customers old enough for the law, and its log level on inner windows."""

    expected: float
    inner: float

    @property
    def levelled(self) -> float:
        """The log of the expected orders, brought to the level of the inner windows."""
        return float(np.log(self.expected)) + self.inner


def corrections(
    t: Transactions, s: Snapshot, outlooks: dict[str, Outlook], weeks: float, seen_weeks: float
) -> dict[str, float]:
    """Per order model the factor by which its total, already levelled on inner windows, is still to be moved.

    Totals beyond the longest inner window (`seen_weeks`) are a matter of extrapolation, in which models differ by 20% and more:
    there the mean of all models and of the law counts, the law by its likely error. What a window has shown stays.
    """
    beyond = 1.0 - seen_weeks / weeks
    if beyond <= 0 or not outlooks:
        return dict.fromkeys(outlooks, 1.0)
    common = float(np.mean([one.levelled for one in outlooks.values()]))
    found = exponent(t, s)
    old = s.T >= LEAST_WEEKS
    if found is not None and old.any() and (law := expected_orders(s, found[0], weeks)) > 0:
        stretch = float(np.log1p(weeks / np.average(s.T[old], weights=s.x[old] + 1e-9)))
        disagreement = float(np.var([one.levelled for one in outlooks.values()]))
        models, aging = MODEL_ERROR**2 + disagreement, MODEL_ERROR**2 + (found[1] * stretch) ** 2
        share = models / (models + aging)
        common += share * (float(np.log(law)) - common)
    return {name: float(np.clip(np.exp(beyond * (common - one.levelled)), 1 / 3, 3.0)) for name, one in outlooks.items()}


def outlook(model: OrderModel, s: Snapshot, weeks: float, inner: float) -> Outlook:
    """The order model's outlook on customers old enough for the law (all, where none is)."""
    old = s.T >= LEAST_WEEKS
    rows = old if old.any() else np.ones(len(s), dtype=np.bool_)
    return Outlook(max(float(model.expected_orders(weeks, s.x[rows], s.t_x[rows], s.T[rows]).sum()), 1e-9), inner)
