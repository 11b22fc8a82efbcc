"""The past and the future of a base around a cut: what was known on a day, and what was spent in the days after it.

Everything that learns gets its tables here, so that one place keeps the future out: a window that would end after `as_of`
raises LeakError.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from clv_core.summary import summarise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clv_core.silences import Silence
    from clv_core.transactions import Transactions

Floats = NDArray[np.float64]
YEAR, QUARTER = 365, 91  # days


class LeakError(ValueError):
    """Something that is only known after the cut would have been used before it."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One row per customer as known at the end of `as_of`; weeks for t_x and T, money of the orders' currency."""

    as_of: date
    customer_id: pa.Array
    x: Floats
    t_x: Floats
    T: Floats
    m: Floats  # mean value of repeat days, 0 without
    first_value: Floats
    value_to_date: Floats

    @classmethod
    def of(cls, summary: pa.Table, as_of: date) -> Self:
        """The snapshot held by a table of `summarise`."""

        def column(name: str) -> Floats:
            return np.asarray(pc.fill_null(summary[name].cast(pa.float64()), 0.0).combine_chunks(), dtype=np.float64)

        ids = summary["customer_id"].combine_chunks()
        names = ("frequency", "recency", "T", "monetary_value", "first_value", "value_to_date")
        return cls(as_of, ids, *(column(name) for name in names))

    @classmethod
    def of_scores(cls, scores: pa.Table) -> Self:
        """The snapshot behind rows of a scores table (all of one as_of)."""
        first = pc.subtract(scores["value_to_date"], pc.multiply(scores["frequency"], scores["monetary_value"]))
        return cls.of(scores.append_column("first_value", first), scores["as_of"][0].as_py() if len(scores) else date.min)

    def __len__(self) -> int:
        return len(self.x)

    @property
    def mean_value(self) -> Floats:
        """Mean value over all order days, the first one included."""
        return (self.first_value + self.x * self.m) / (self.x + 1.0)

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> Self:
        """The snapshot of some customers."""
        at = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        arrays = {name: getattr(self, name)[at] for name in ("x", "t_x", "T", "m", "first_value", "value_to_date")}
        return replace(self, customer_id=self.customer_id.take(pa.array(at)), **arrays)


@dataclass(frozen=True, slots=True)
class Window:
    """A snapshot at a cut with what came after it: spend and order days in the `days` days after the cut."""

    past: Snapshot
    days: int
    spend: Floats
    orders: Floats
    year_ago: bool = False  # of the same season as the days that are to be predicted

    @property
    def weeks(self) -> float:
        """The length of the future part in weeks."""
        return self.days / 7.0


def snapshot(t: Transactions, as_of: date) -> Snapshot:
    """Everyone who had ordered by the end of `as_of`, from orders up to then alone."""
    return Snapshot.of(summarise(t, as_of), as_of)


def window(t: Transactions, cut: date, days: int, *, known_until: date) -> Window:
    """The window with the given cut; raises LeakError when it would look past `known_until`."""
    end = cut + timedelta(days=days)
    if end > known_until:
        raise LeakError(f"a window to {end} looks past {known_until}, the last day that may be known; shorten it")
    past = snapshot(t, cut)
    found = future(t, cut, end)
    at = pc.index_in(past.customer_id, found["customer_id"].combine_chunks())
    return Window(past, days, _aligned(found["spend"], at), _aligned(found["orders"], at))


def future(t: Transactions, cut: date, end: date) -> pa.Table:
    """customer_id, spend, orders (days with a purchase) after `cut` and up to `end`."""
    sql = f"""
        SELECT customer_id, sum(amount)::DOUBLE AS spend, (count(*) FILTER (WHERE orders > 0))::DOUBLE AS orders
        FROM {t.relation} WHERE day > ? AND day <= ? GROUP BY customer_id"""
    return t.connection.cursor().sql(sql, params=[cut, end]).to_arrow_table()


def begun(t: Transactions, as_of: date) -> date:
    """The day on which history begins: the first order's, or where more than half of the time since then had seen less than
    1% of all customers (a test order, a wrong date), the day by which 1% had come.
    """
    sql = f"""
        SELECT quantile_disc(first, 0.01) FROM
          (SELECT min(day) AS first FROM {t.relation} WHERE orders > 0 AND day <= ? GROUP BY customer_id)"""
    settled = t.connection.cursor().execute(sql, [as_of]).fetchall()[0][0]
    return settled if settled is not None and 2 * (as_of - settled) < as_of - t.first_day else t.first_day


def inner_windows(t: Transactions, as_of: date, horizon_days: int, quiet: Sequence[Silence] = ()) -> list[Window]:
    """Up to two windows inside the history, none longer than the horizon. The first ends at `as_of`, cut in mid-history at the
    earliest. The second is of the same days a year earlier, where the history holds them with a quarter before and the first is
    not nearly that; else a third of the history, or, where that is hardly shorter than the first, the time before the first.

    Windows of under two weeks, or in which nobody ordered again, are left out, and those that `quiet` disturbs; where it
    disturbs them all, the one from the middle of the time since it stands in for them.
    """
    history = (as_of - begun(t, as_of)).days + 1
    latest = min(horizon_days, history // 2)
    third = history // 3
    second = (third, third)  # days from the cut to as_of, days of the window
    if horizon_days <= YEAR <= history - QUARTER and latest < 0.8 * YEAR:
        second = (YEAR, horizon_days)
    elif third > 0.8 * latest:
        second = (2 * latest, latest)
    spans = [(latest, latest), second]
    if quiet:
        calm = [one for one in spans if not any(each.disturbs(as_of - timedelta(days=one[0]), one[1]) for each in quiet)]
        since = (as_of - max(each.after for each in quiet)).days // 2
        spans = calm or [(since, min(since, horizon_days))]
    out: list[Window] = []
    for back, days in spans:
        if days < 14:
            continue
        one = window(t, as_of - timedelta(days=back), days, known_until=as_of)
        if len(one.past) >= 2 and one.spend.sum() > 0:
            out.append(replace(one, year_ago=back % YEAR == 0))
    return out


def sampled(t: Transactions, customers: int) -> Transactions:
    """The transactions of about `customers` customers, the same ones each time; all of them when there are no more."""
    if t.customers <= customers:
        return t
    buckets = 1 << 20
    keep = max(1, round(buckets * customers / t.customers))
    name = f"sample_{t.relation}_{keep}".replace('"', "").replace(".", "_")
    sql = f"CREATE OR REPLACE TABLE {name} AS SELECT * FROM {t.relation} WHERE hash(customer_id) % {buckets} < {keep}"
    t.connection.execute(sql)
    counted = t.connection.execute(f"SELECT count(DISTINCT customer_id), count(*) FROM {name}").fetchall()[0]
    return t.over(name, customers=int(counted[0]), orders=int(counted[1]))


def _aligned(values: pa.ChunkedArray, at: pa.Array) -> Floats:
    return np.asarray(pc.fill_null(values.combine_chunks().take(at), 0.0), dtype=np.float64)
