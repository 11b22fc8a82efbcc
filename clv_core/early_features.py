"""What is known of each customer by a cut, for the early-life learner: first orders, first month, baskets, engagement.

Every query ends at the cut, and engagement must carry `at`: what has no date can't be shown to be of the past and is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from clv_core.day_figures import PLACES, DayFigures, places
from clv_core.engagement import dated

if TYPE_CHECKING:
    from clv_core.transactions import Transactions
    from clv_core.windows import Snapshot

Floats = NDArray[np.float64]

MONEY = ("first_value", "mean_value", "last_value", "largest_value", "spend30")
EVENTS = ("events", "events30", "clicks30")
PLAIN = ("orders30", "second_gap", "categories", "refunds", *EVENTS)
LABELS = ("first_category", "first_channel", "last_category")
_LABELS = """
    SELECT place, count(DISTINCT product_category)::DOUBLE AS categories,
      arg_min(product_category, day) AS first_category, arg_min(channel, day) AS first_channel,
      arg_max(product_category, day) AS last_category
    FROM {relation} JOIN {places} USING (customer_id)
    WHERE day <= $cut AND (product_category IS NOT NULL OR channel IS NOT NULL) GROUP BY place"""
_EVENTS = """
    WITH begun AS (SELECT customer_id, min(day) AS first FROM {relation} WHERE orders > 0 AND day <= $cut GROUP BY 1)
    SELECT place, count(*)::DOUBLE AS events, count(*) FILTER (WHERE "at"::DATE <= first + 30)::DOUBLE AS events30,
      count(*) FILTER (WHERE "at"::DATE <= first + 30 AND kind ILIKE '%click%')::DOUBLE AS clicks30
    FROM engagement JOIN begun USING (customer_id) JOIN {places} USING (customer_id) WHERE "at"::DATE <= $cut GROUP BY 1"""


@dataclass(frozen=True, slots=True)
class Features:
    """Columns known at a cut, aligned with its snapshot; labels are text with null where unknown."""

    numbers: dict[str, Floats]
    labels: dict[str, pa.Array]


def features(t: Transactions, past: Snapshot, engagement: pa.Table | None = None) -> Features:
    """What was known of the snapshot's customers at its cut. Raises LeakError for engagement without `at`."""
    numbers: dict[str, Floats] = {"first_value": past.first_value, "mean_value": past.mean_value}
    numbers |= DayFigures.of(t, past).columns()
    told = _ask(t, past, _LABELS)
    at = _rows(past, told)
    labels = {name: told[name].combine_chunks().cast(pa.string()).take(at) for name in LABELS}
    numbers["categories"] = _numbers(told["categories"], at)
    if engagement is not None:
        events = _ask(t, past, _EVENTS, dated(engagement))
        at = _rows(past, events)
        numbers |= {name: _numbers(events[name], at) for name in EVENTS}
    return Features(numbers, labels)


def _ask(t: Transactions, past: Snapshot, sql: str, engagement: pa.Table | None = None) -> pa.Table:
    cursor = t.connection.cursor()
    cursor.register(PLACES, places(past))
    if engagement is not None:
        cursor.register("engagement", engagement)
    return cursor.sql(sql.format(relation=t.relation, places=PLACES), params={"cut": past.as_of}).to_arrow_table()


def _rows(past: Snapshot, found: pa.Table) -> pa.Array:
    """For each customer the row of `found` that names the place, null where none does."""
    rows = np.full(len(past), -1, dtype=np.int64)
    rows[found["place"].to_numpy()] = np.arange(len(found))
    return pa.array(rows, mask=rows < 0)


def _numbers(column: pa.ChunkedArray, at: pa.Array) -> Floats:
    """The column at the rows, 0 where there is none."""
    return np.asarray(pc.fill_null(column.combine_chunks().take(at), 0.0), dtype=np.float64)
