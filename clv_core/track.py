"""A model's track record per campaign: what its customers were to bring in a window that has passed, beside what they brought.

The models see one population. A campaign whose customers differ from it is predicted too close to the average, so each
campaign's prediction is moved by its own record, as far as the record is beyond noise (empirical Bayes, gamma-Poisson:
the factor's posterior is Gamma(o + k, e + k) with o, e the actual and expected value in units of their noise and 1/k the
variance of true factors between campaigns).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from clv_core.uncertainty import Uncertainty

if TYPE_CHECKING:
    from datetime import date

    import duckdb

Floats = NDArray[np.float64]
SHORTEST = 56  # days of a window below which there is too little to learn
SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("source", "platform", "account_id", "campaign_id")]
    + [("customers", pa.int64())]
    + [(name, pa.float64()) for name in ("predicted", "actual", "factor", "factor_error")]
    + [("window_days", pa.int64())]
)
LARGEST_SPREAD = 4.0  # variance of true factors above which data, not campaigns, must differ


@dataclass(frozen=True, slots=True)
class Record:
    """Per campaign: customers of the window, predicted and actual value, the factor and its variance."""

    keys: pa.Table  # source, platform, account_id, campaign_id
    customers: NDArray[np.int64]
    predicted: Floats
    actual: Floats
    factor: Floats
    variance: Floats
    window_days: int

    @classmethod
    def rows(cls, record: Record | None) -> pa.Table:
        """SCHEMA's table: one row per campaign and source; empty without a record."""
        if record is None:
            return SCHEMA.empty_table()
        columns = [record.customers, record.predicted, record.actual, record.factor, np.sqrt(record.variance)]
        window = pa.array([record.window_days] * len(record.factor))
        return pa.table([*record.keys.columns, *(pa.array(v) for v in columns), window], names=SCHEMA.names).cast(SCHEMA)


def track(connection: duckdb.DuckDBPyConnection, scores: pa.Table, as_of: date, horizon_days: int) -> Record | None:
    """The record over the latest window, of customers known before it; None without fitted models or enough history.

    Reads `purchases` and `customer`. The window is a third of the history, at most the horizon.
    """
    document = Uncertainty.of(scores)
    [[first]] = connection.execute("select min(day) from purchases").fetchall()
    if document is None or first is None:
        return None
    days = min(horizon_days, (as_of - first).days // 3)
    if days < SHORTEST:
        return None
    return _record(connection, document, as_of - timedelta(days=days), days)


def _record(connection: duckdb.DuckDBPyConnection, document: Uncertainty, cut: date, days: int) -> Record | None:
    from clv_core.forecast import forecast
    from clv_core.intervals import spread
    from clv_core.windows import Snapshot

    known = connection.sql(_KNOWN, params={"cut": cut}).to_arrow_table()
    if not len(known):
        return None
    s, (model, basket) = Snapshot.of(known, cut), document.models()
    view = forecast(model, basket, s, days / 7)
    own = spread(view.value, view, basket, model, s).variance
    codes = known["campaign_no"].to_numpy().astype(np.intp)
    keys = connection.sql(
        "select source, platform, account_id, campaign_id from campaign_keys order by campaign_no"
    ).to_arrow_table()
    sums: list[Floats] = [
        np.bincount(codes, v, minlength=len(keys)).astype(np.float64) for v in (view.value, known["later"].to_numpy(), own)
    ]
    factor, variance = factors(*sums)
    return Record(keys, np.bincount(codes, minlength=len(keys)), sums[0], sums[1], factor, variance, days)


# The customers of the cut as the models see them (weeks of exact days), and what they spent after it.
_KNOWN = """
with past as (
    select customer_id, min(day) first_day, max(day) last_day, count(*) - 1 frequency, sum(amount) value_to_date
    from purchases where day <= $cut and purchase group by customer_id),
first_order as (select customer_id, amount first_value from purchases join past using (customer_id) where day = first_day),
later as (select customer_id, cast(sum(amount) as double) later from purchases where day > $cut group by customer_id)
select p.customer_id, cast(frequency as double) frequency, (p.last_day - p.first_day) / 7 recency,
       (cast($cut as date) - p.first_day) / 7 "T",
       case when frequency > 0 then cast(p.value_to_date - f.first_value as double) / frequency else 0 end monetary_value,
       cast(f.first_value as double) first_value, cast(p.value_to_date as double) value_to_date,
       coalesce(later, 0) later, campaign_no
from past p join first_order f using (customer_id) join customer c using (customer_id) left join later using (customer_id)"""


def factors(predicted: Floats, actual: Floats, noise: Floats) -> tuple[Floats, Floats]:
    """(factor, its variance) per campaign, the level of all together taken out; 1 and the spread where nothing is known.

    `noise`: the variance that the actual value has around a right prediction.
    """
    total = predicted.sum()
    if total <= 0 or actual.sum() <= 0:
        return np.ones_like(predicted), np.zeros_like(predicted)
    level = actual.sum() / total
    expected, noise = predicted * level, np.maximum(noise * level**2, 1e-12)
    between = _between(expected, actual, noise)
    if between <= 0:
        return np.ones_like(predicted), np.zeros_like(predicted)
    weight = np.where(expected > 0, expected / noise, 0.0)
    o, e, k = np.maximum(actual, 0.0) * weight, expected * weight, 1.0 / between
    return (o + k) / (e + k), (o + k) / (e + k) ** 2


def _between(expected: Floats, actual: Floats, noise: Floats) -> float:
    """The variance of true factors at which the deviations are as large as noise and it explain (Paule and Mandel, 1982)."""
    seen = expected > 0
    square, mean, noise = (actual[seen] - expected[seen]) ** 2, expected[seen] ** 2, noise[seen]
    wanted = len(square) - 1
    if wanted < 1 or (square / noise).sum() <= wanted:
        return 0.0
    low, high = 0.0, LARGEST_SPREAD
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if (square / (noise + middle * mean)).sum() > wanted else (low, middle)
    return high
