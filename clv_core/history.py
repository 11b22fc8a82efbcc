"""Runs over time: what each predicted of a group beside what the group then brought, so that the model is held to account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa

from clv_core.acquired import days_table
from clv_core.attribution import SCHEMA as ACQUISITION

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from clv_core.returns import Returns

_NUMBERS = ("predicted_clv", "predicted_low", "predicted_high", "realised_value", "spend", "roas", "clv_roas")
SNAPSHOT = pa.schema(
    [
        ("run_id", pa.string()),
        ("as_of", pa.date32()),
        ("horizon_days", pa.int64()),
        ("grouping", pa.string()),
        ("key", pa.string()),
    ]
    + [("customers", pa.int64())]
    + [(name, pa.float64()) for name in _NUMBERS]
)
KEYS = {"cohorts": "cohort", "platforms": "platform", "creative": "creative", "totals": "scope"}
SETTLES = 28  # days after a run below which what came says little


def snapshot(found: Returns, run_id: str) -> pa.Table:
    """SNAPSHOT's rows of a run, small enough to keep for ever: cohorts, platforms, creative styles, totals and campaigns."""
    rows = [
        {"run_id": run_id, "as_of": found.as_of, "horizon_days": found.horizon_days, "grouping": name, "key": row[key] or ""}
        | {"customers": row["customers"]}
        | {number: None if row[number] is None else float(row[number]) for number in _NUMBERS}
        for name, key in KEYS.items()
        for row in getattr(found, name).to_pylist()
    ]
    rows += [
        {"run_id": run_id, "as_of": found.as_of, "horizon_days": found.horizon_days, "grouping": "campaigns"}
        | {"key": f"{row['platform']}/{row['account_id']}/{row['campaign_id']}", "customers": row["customers"]}
        | {number: None if row[number] is None else float(row[number]) for number in _NUMBERS}
        for row in found.campaigns.to_pylist()
    ]
    return pa.Table.from_pylist(rows, schema=SNAPSHOT)


def over_time(found: Returns, run_id: str, past: Sequence[pa.Table], days: Any, acquisition: pa.Table) -> dict[str, pa.Table]:
    """`snapshot` (to be kept with the run), `accountability` and `growth`, given the snapshots of earlier runs."""
    mine = snapshot(found, run_id)
    every = pa.concat_tables([*past, mine])
    return {"snapshot": mine, "accountability": accountability(every, days, acquisition, found.as_of), "growth": growth(every)}


def accountability(snapshots: pa.Table, days: Any, acquisition: pa.Table, as_of: date) -> pa.Table:
    """Per run and cohort (and for all): what was predicted for the days since, what came, and whether it lay in the range.

    Columns: run_id, run_as_of, grouping, key, customers, elapsed_days, expected, expected_low, expected_high, actual, ratio,
    judged (within, above, below, "too early" under 28 days). Only customers known at the run count; the prediction is spread
    evenly over its horizon.
    """
    with duckdb.connect() as connection:
        connection.register("snapshots", snapshots)
        connection.register("days_in", days_table(days))
        connection.register("acquisition_in", acquisition.select(ACQUISITION.names))
        return connection.sql(_ACCOUNT, params={"as_of": as_of}).to_arrow_table()


_ACCOUNT = f"""
with runs as (select distinct run_id, as_of, cast(horizon_days as integer) horizon_days from snapshots where as_of < $as_of),
bought as (select customer_id, day, cast(amount as decimal(18, 6)) amount from days_in where day <= $as_of),
first as (select customer_id, min(day) first_day from bought group by customer_id),
source as (select distinct on (customer_id) * from acquisition_in order by customer_id, campaign_id, ad_id),
who as (select f.customer_id, f.first_day, strftime(least(coalesce(a.acquired_at, f.first_day), f.first_day), '%Y-%m') cohort
        from first f left join source a using (customer_id)),
came as (
    select r.run_id, w.cohort, count(distinct w.customer_id) customers, sum(b.amount) actual
    from runs r join bought b on b.day > r.as_of and b.day <= r.as_of + r.horizon_days
         join who w on w.customer_id = b.customer_id and w.first_day <= r.as_of
    group by r.run_id, w.cohort),
each as (
    select run_id, 'cohorts' as grouping, cohort as key, cast(actual as double) actual from came
    union all select run_id, 'totals', 'all', cast(sum(actual) as double) from came group by run_id),
judged as (
    select s.run_id, s.as_of run_as_of, s.grouping, s.key, s.customers,
           least(cast($as_of as date) - s.as_of, s.horizon_days) elapsed_days, s.horizon_days, coalesce(e.actual, 0) actual,
           least(cast($as_of as date) - s.as_of, s.horizon_days) / s.horizon_days part, s.predicted_clv, s.predicted_low,
           s.predicted_high
    from snapshots s left join each e on e.run_id = s.run_id and e.grouping = s.grouping and e.key = s.key
    where s.as_of < $as_of and s.customers > 0 and (s.grouping = 'cohorts' or s.grouping = 'totals' and s.key = 'all'))
select run_id, run_as_of, grouping, key, customers, elapsed_days, predicted_clv * part expected,
       predicted_low * part expected_low, predicted_high * part expected_high, actual,
       actual / nullif(predicted_clv * part, 0) ratio,
       case when elapsed_days < {SETTLES} then 'too early' when actual < predicted_low * part then 'below'
            when actual > predicted_high * part then 'above' else 'within' end judged
from judged order by run_as_of, run_id, grouping desc, key"""


def growth(snapshots: pa.Table) -> pa.Table:
    """Per run, oldest first: customers, predicted value of the base with its range, per customer, and the change since."""
    with duckdb.connect() as connection:
        connection.register("snapshots", snapshots)
        return connection.sql("""
            select run_id, as_of, customers, predicted_clv, predicted_low, predicted_high, realised_value,
                   predicted_clv / nullif(customers, 0) predicted_each,
                   predicted_clv / nullif(lag(predicted_clv) over (order by as_of, run_id), 0) - 1 change
            from snapshots where grouping = 'totals' and key = 'all' order by as_of, run_id""").to_arrow_table()
