"""What a customer's days up to a cut add up to, batch by batch, for a base of which everybody has a place.

DuckDB takes several seconds to group millions of days by a text id, with what lies within 30 days of the first purchase on top.
Once every day carries its customer's place, each figure is one pass over an array, and no more than a batch is held.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

if TYPE_CHECKING:
    from clv_core.transactions import Transactions
    from clv_core.windows import Snapshot

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]
MONTH = 30  # days after the first purchase
BATCH = 1 << 19
NEVER = np.iinfo(np.int32).max
PLACES = "places_of_customers"
_SQL = "SELECT place, day, amount, orders > 0 AS bought FROM {relation} JOIN {places} USING (customer_id) WHERE day <= $cut"


@dataclass(slots=True)
class DayFigures:
    """Sums and extremes so far, one entry per customer of the base."""

    first: Ints  # day of the first purchase, since 1970
    second: Ints  # NEVER without a second one
    last: Ints  # last day of any kind
    orders30: Floats
    spend30: Floats
    last_value: Floats
    largest_value: Floats
    refunds: Floats

    @classmethod
    def of(cls, t: Transactions, past: Snapshot) -> DayFigures:
        """The figures of the snapshot's customers, from days up to its cut alone."""
        cut, n = (past.as_of - date(1970, 1, 1)).days, len(past)
        first = (cut - np.rint(7.0 * past.T)).astype(np.int32)
        most, least = np.full(n, NEVER, np.int32), np.full(n, -NEVER, np.int32)
        figures = cls(first, most, least, *(np.full(n, start) for start in (0.0, 0.0, 0.0, -np.inf, 0.0)))
        cursor = t.connection.cursor()
        cursor.register(PLACES, places(past))
        sql = _SQL.format(relation=t.relation, places=PLACES)
        for batch in cursor.sql(sql, params={"cut": past.as_of}).to_arrow_reader(BATCH):
            figures._add(*(batch.column(name) for name in ("place", "day", "amount", "bought")))
        return figures

    def columns(self) -> dict[str, Floats]:
        """The figures by the learner's names; second_gap in days, nan without a second purchase."""
        gap = np.where(self.second < NEVER, self.second - self.first.astype(np.float64), np.nan)
        names = ("orders30", "spend30", "last_value", "largest_value", "refunds")
        return {name: getattr(self, name) for name in names} | {"second_gap": gap}

    def _add(self, place: pa.Array, day: pa.Array, amount: pa.Array, bought: pa.Array) -> None:
        who, when, value = place.to_numpy(), day.cast(pa.int32()).to_numpy(), amount.to_numpy()
        buys, since = bought.to_numpy(zero_copy_only=False), when - self.first[who]
        size, early = len(self.first), since <= MONTH
        self.orders30 += np.bincount(who[early & buys], minlength=size)
        self.spend30 += np.bincount(who[early], value[early], minlength=size)
        self.refunds += np.bincount(who[value < 0], minlength=size)
        np.maximum.at(self.largest_value, who, value)
        later = buys & (since > 0)
        np.minimum.at(self.second, who[later], when[later])
        np.maximum.at(self.last, who, when)
        latest = when == self.last[who]  # a day is one row, so a later batch can only replace it by a later day
        self.last_value[who[latest]] = value[latest]


def places(past: Snapshot) -> pa.Table:
    """customer_id and place: where the customer stands in the snapshot."""
    return pa.table({"customer_id": past.customer_id, "place": pa.array(np.arange(len(past), dtype=np.int32))})
