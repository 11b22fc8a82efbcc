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

from clv_core.engagement import dated

if TYPE_CHECKING:
    from clv_core.transactions import Transactions
    from clv_core.windows import Snapshot

Floats = NDArray[np.float64]

MONEY = ("first_value", "mean_value", "last_value", "largest_value", "spend30")
PLAIN = ("orders30", "second_gap", "categories", "refunds", "events", "events30", "clicks30")
LABELS = ("first_category", "first_channel", "last_category")
_SQL = """
    WITH seen AS (SELECT * FROM {relation} WHERE day <= $cut),
    begun AS (SELECT customer_id, min(day) AS first FROM seen WHERE orders > 0 GROUP BY 1)
    SELECT customer_id,
      count(*) FILTER (WHERE orders > 0 AND day <= first + 30)::DOUBLE AS orders30,
      sum(amount) FILTER (WHERE day <= first + 30)::DOUBLE AS spend30,
      (min(day) FILTER (WHERE orders > 0 AND day > first) - any_value(first))::DOUBLE AS second_gap,
      arg_max(amount, day)::DOUBLE AS last_value, max(amount)::DOUBLE AS largest_value,
      count(DISTINCT product_category)::DOUBLE AS categories,
      sum(refunds)::DOUBLE AS refunds,
      arg_min(product_category, day) AS first_category, arg_min(channel, day) AS first_channel,
      arg_max(product_category, day) AS last_category
    FROM seen JOIN begun USING (customer_id) GROUP BY 1"""
_EVENTS = """
    WITH begun AS (SELECT customer_id, min(day) AS first FROM {relation} WHERE orders > 0 AND day <= $cut GROUP BY 1)
    SELECT customer_id, count(*)::DOUBLE AS events, count(*) FILTER (WHERE "at"::DATE <= first + 30)::DOUBLE AS events30,
      count(*) FILTER (WHERE "at"::DATE <= first + 30 AND kind ILIKE '%click%')::DOUBLE AS clicks30
    FROM engagement JOIN begun USING (customer_id) WHERE "at"::DATE <= $cut GROUP BY 1"""


@dataclass(frozen=True, slots=True)
class Features:
    """Columns known at a cut, aligned with its snapshot; labels are text with null where unknown."""

    numbers: dict[str, Floats]
    labels: dict[str, pa.Array]


def features(t: Transactions, past: Snapshot, engagement: pa.Table | None = None) -> Features:
    """What was known of the snapshot's customers at its cut. Raises LeakError for engagement without `at`."""
    cursor = t.connection.cursor()
    found = cursor.sql(_SQL.format(relation=t.relation), params={"cut": past.as_of}).to_arrow_table()
    columns = _aligned(past, found)
    if engagement is not None:
        columns |= _aligned(past, _events(t, past, engagement), missing=0.0)
    numbers: dict[str, Floats] = {"first_value": past.first_value, "mean_value": past.mean_value}
    labels: dict[str, pa.Array] = {}
    for name, column in columns.items():
        if name in LABELS:
            labels[name] = column
        else:
            numbers[name] = np.asarray(column, dtype=np.float64)
    return Features(numbers, labels)


def _events(t: Transactions, past: Snapshot, engagement: pa.Table) -> pa.Table:
    cursor = t.connection.cursor()
    cursor.register("engagement", dated(engagement))
    return cursor.sql(_EVENTS.format(relation=t.relation), params={"cut": past.as_of}).to_arrow_table()


def _aligned(past: Snapshot, found: pa.Table, missing: float | None = None) -> dict[str, pa.Array]:
    """The columns of `found` in the snapshot's order; unknown customers get null (numbers: nan, or `missing`)."""
    at = pc.index_in(past.customer_id, found["customer_id"].combine_chunks())
    out: dict[str, pa.Array] = {}
    for name in found.column_names:
        if name == "customer_id":
            continue
        column = found[name].combine_chunks().take(at)
        fill = float("nan") if missing is None else missing
        out[name] = column.cast(pa.string()) if name in LABELS else pc.fill_null(column.cast(pa.float64()), fill)
    return out
