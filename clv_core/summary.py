"""Recency, frequency, age and value per customer, by one SQL expression over the purchase days.

One purchase per customer and day; weeks are exact days / 7. Refunds belong to the latest purchase day on or before them: those
before the second purchase day lower `first_value`, later ones `monetary_value`. All lower `value_to_date`.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from clv_core.transactions import Transactions

SCHEMA = pa.schema(
    [
        ("customer_id", pa.string()),
        ("frequency", pa.float64()),
        ("recency", pa.float64()),
        ("T", pa.float64()),
        ("monetary_value", pa.float64()),
        ("first_day", pa.date32()),
        ("last_day", pa.date32()),
        ("first_value", pa.float64()),
        ("value_to_date", pa.float64()),
        ("order_days", pa.int32()),
    ]
)


def summarise(t: Transactions, as_of: date, *, since: date | None = None) -> pa.Table:
    """One row per customer with a purchase day up to and including `as_of` (SCHEMA), in no particular order.

    frequency x: purchase days after the first; recency t_x and T: weeks from the first to the last of them and to `as_of`;
    monetary_value: mean value of the repeat days, 0 without any. Days before `since` are left out as if they hadn't been.
    """
    if t.totals is not None and since is None and as_of >= t.last_day:
        return _shown(t.totals, as_of)
    values = {"as_of": as_of} if since is None else {"as_of": as_of, "since": since}
    sql = summary_sql(t.relation, refunds=t.refunds, since=since is not None)
    return t.connection.sql(sql, params=values).to_arrow_table().cast(SCHEMA)


def _shown(totals: pa.Table, as_of: date) -> pa.Table:
    """The summary of totals per customer, as the expression below makes it of purchase days."""
    n, total, first = (totals[name].to_numpy() for name in ("n", "total", "first_value"))
    first_day, last_day = (totals[name].cast(pa.int32()).to_numpy() for name in ("first_day", "last_day"))
    repeats = n - 1
    columns = {
        "frequency": repeats.astype(np.float64),
        "recency": (last_day - first_day) / 7.0,
        "T": ((as_of - date(1970, 1, 1)).days - first_day) / 7.0,
        "monetary_value": (total - first) / 1e6 / np.maximum(repeats, 1),  # without repeats all is the first day's
        "first_value": first / 1e6,
        "value_to_date": total / 1e6,
        "order_days": n,
    }
    kept = ("customer_id", "first_day", "last_day")
    return pa.table([totals[one] if one in kept else pa.array(columns[one]) for one in SCHEMA.names], schema=SCHEMA)


def summary_sql(relation: str, *, refunds: bool = True, since: bool = False) -> str:
    """The expression itself, with parameters $as_of and, if asked for, $since; columns as in SCHEMA.

    `refunds` False promises that no day has refunds only, which spares the search for second purchase days.
    """
    seen = f"FROM {relation} WHERE day <= $as_of" + (" AND day >= $since" if since else "")
    found = _WITH_REFUNDS if refunds else _PLAIN
    return _SHOWN.format(found=found.format(seen=seen))


_SHOWN = """WITH found AS ({found})
SELECT customer_id, CAST(n - 1 AS DOUBLE) AS frequency, (last_day - first_day) / 7.0::DOUBLE AS recency,
    ($as_of - first_day) / 7.0::DOUBLE AS "T",
    CASE WHEN n > 1 THEN CAST(total - first_value AS DOUBLE) / (n - 1) ELSE 0 END AS monetary_value, first_day, last_day,
    CAST(first_value AS DOUBLE) AS first_value, CAST(total AS DOUBLE) AS value_to_date, CAST(n AS INTEGER) AS order_days
FROM found"""

_PLAIN = """SELECT customer_id, count(*) AS n, min(day) AS first_day, max(day) AS last_day, sum(exact_amount) AS total,
    arg_min(exact_amount, day) AS first_value {seen} GROUP BY customer_id"""

_WITH_REFUNDS = """SELECT customer_id, count(*) FILTER (orders > 0) AS n, min(day) FILTER (orders > 0) AS first_day,
    max(day) FILTER (orders > 0) AS last_day, sum(exact_amount) AS total,
    coalesce(sum(exact_amount) FILTER (day < second), sum(exact_amount)) AS first_value
FROM (SELECT customer_id, day, exact_amount, orders,
             nth_value(day, 2) OVER (PARTITION BY customer_id ORDER BY orders = 0, day
                                     ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS second_row,
             count(*) FILTER (orders > 0) OVER (PARTITION BY customer_id) AS bought,
             CASE WHEN bought > 1 THEN second_row ELSE DATE '9999-12-31' END AS second {seen})
GROUP BY customer_id HAVING n > 0"""
