"""What audiences cause: customers who were held out, beside those who were not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
from scipy.stats import norm

from clv_core.acquired import days_table

if TYPE_CHECKING:
    from datetime import date

SCHEMA = pa.schema(
    [("audience", pa.string()), ("treated", pa.int64()), ("held_out", pa.int64()), ("days", pa.int64())]
    + [(name, pa.float64()) for name in ("treated_each", "held_out_each", "lift_each", "lift_low", "lift_high", "lift_total")]
    + [("sentence", pa.string())]
)
MINIMUM = 30  # customers on either side below which nothing is said

_SQL = """
with member as (
    select cast(audience as varchar) audience, customer_id, bool_or(held_out) held_out, min(cast(since as date)) since
    from holdouts where cast(since as date) < $as_of group by all),
spent as (
    select m.audience, m.customer_id, m.held_out, m.since, coalesce(sum(d.amount), 0) amount
    from member m left join days_in d on d.customer_id = m.customer_id and d.day > m.since and d.day <= $as_of group by all)
select audience, held_out, count(*) n, avg(cast(amount as double)) mean, var_samp(cast(amount as double)) variance,
       max(cast($as_of as date) - since) as "days"
from spent group by audience, held_out order by audience, held_out"""


def lift(holdouts: pa.Table, days: Any, as_of: date, confidence: float = 0.90) -> pa.Table:
    """Per audience (SCHEMA): value per customer since they entered, treated and held out, their difference with its range.

    `holdouts`: customer_id, audience, held_out (bool), since (date). The range is that of a difference of means; below 30
    customers on a side nothing is claimed (nulls).
    """
    with duckdb.connect() as connection:
        connection.register("holdouts", holdouts)
        connection.register("days_in", days_table(days))
        rows = connection.execute(_SQL, {"as_of": as_of}).fetchall()
    sides: dict[str, dict[bool, tuple[Any, ...]]] = {}
    for audience, held, *figures in rows:
        sides.setdefault(audience, {})[held] = tuple(figures)
    z = float(norm.ppf((1 + confidence) / 2))
    return pa.Table.from_pylist([_row(name, found, z) for name, found in sides.items()], schema=SCHEMA)


def _row(audience: str, found: dict[bool, tuple[Any, ...]], z: float) -> dict[str, Any]:
    treated, held = (found.get(side, (0, None, None, 0)) for side in (False, True))
    out = {
        "audience": audience, "treated": treated[0], "held_out": held[0], "days": max(treated[3], held[3]),
        "treated_each": treated[1], "held_out_each": held[1],
    }  # fmt: skip
    if min(treated[0], held[0]) < MINIMUM:
        return {**out, "sentence": f"Too few customers on one side to tell (at least {MINIMUM} each)."}
    each = treated[1] - held[1]
    half = z * float(treated[2] / treated[0] + held[2] / held[0]) ** 0.5
    out |= {"lift_each": each, "lift_low": each - half, "lift_high": each + half, "lift_total": each * treated[0]}
    if each - half > 0:
        return {**out, "sentence": f"The audience adds about {each:,.2f} per customer, beyond noise."}
    if each + half < 0:
        return {**out, "sentence": f"Customers in the audience bring {-each:,.2f} less than those held out, beyond noise."}
    return {**out, "sentence": "No difference beyond noise yet."}
