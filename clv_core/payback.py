"""The day on which a group's customers have brought back what they cost: observed, else predicted, else not in sight."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from clv_core.measures import floats

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

SCHEMA = [
    ("payback_kind", pa.string()),
    ("payback_days", pa.int64()),
    ("payback_earliest", pa.int64()),
    ("payback_latest", pa.int64()),
]


def observed(connection: duckdb.DuckDBPyConnection, keys: Sequence[str], minimum: int) -> pa.Table:
    """`keys`, `observed_days` (first age in days at which mean cumulative value reaches the cost per customer), `mean_age`.

    Value at an age is averaged over the customers who have reached it, so young customers neither drag nor flatter it; only
    ages that `minimum` customers and a tenth of the group have reached count. Reads `customer`, `flow` and `spend_facts`.
    """
    by = ", ".join(keys)
    connection.execute(f"""
        create or replace temp table groups as
        select row_number() over () group_no, {by}, count(*) n, avg(age) mean_age from customer group by {by}""")
    connection.execute(f"""
        create or replace temp table member as
        select customer_no, group_no, age from customer join groups using ({by})""")
    return connection.sql(f"""
        with cost as (select group_no, cast(sum(spend) as double) / any_value(n) cac
                      from spend_facts join groups using ({by}) group by group_no having sum(spend) > 0),
        steps as (
            select group_no, f.age, cast(sum(f.amount) as double) amount, 0 gone from flow f join member m using (customer_no)
            where f.age <= m.age group by group_no, f.age
            union all select group_no, age + 1, 0, count(*) from member group by group_no, age),
        ages as (select group_no, age, sum(amount) amount, sum(gone) gone from steps group by group_no, age),
        risk as (select *, n - sum(gone) over (partition by group_no order by age) at_risk
                 from ages join groups using (group_no)),
        path as (select group_no, age, n, at_risk, sum(case when at_risk > 0 then amount / at_risk else 0 end)
                     over (partition by group_no order by age) paid from risk),
        t as (select group_no, min(age) observed_days from path join cost using (group_no)
              where paid >= cac and at_risk >= greatest({minimum}, n / 10.0) group by group_no)
        select {by}, observed_days, mean_age from groups left join t using (group_no)""").to_arrow_table()


def with_payback(table: pa.Table, found: pa.Table, keys: Sequence[str], *, horizon_days: int, minimum: int) -> pa.Table:
    """`table` with `payback_kind` and the days since customers came.

    Kinds: observed, predicted, beyond the horizon, no spend, too few customers.
    A predicted day spreads the predicted value evenly over the horizon (late rather than early); its interval follows from
    the interval of the predicted value, open (null) where the pessimistic value never pays back within the horizon.
    """
    joined = table.select([*keys, "customers", "spend", "realised_value", "predicted_clv", "predicted_low", "predicted_high"])
    index = {tuple(row[key] for key in keys): row for row in found.to_pylist()}
    rows = [
        _judge(row, index.get(tuple(row[key] for key in keys), {}), horizon_days, minimum) for row in _as_floats(joined, keys)
    ]
    extra = pa.Table.from_pylist(
        [dict(zip((n for n, _ in SCHEMA), row, strict=True)) for row in rows], schema=pa.schema(SCHEMA)
    )
    for name in extra.column_names:
        table = table.append_column(name, extra.column(name))
    return table


def _as_floats(table: pa.Table, keys: Sequence[str]) -> list[dict[str, object]]:
    plain = {name: floats(table, name) for name in table.column_names if name not in keys}
    return [
        {**key, **{name: values[i] for name, values in plain.items()}}
        for i, key in enumerate(table.select(list(keys)).to_pylist())
    ]


def _judge(
    row: dict[str, object], found: dict[str, object], horizon: int, minimum: int
) -> tuple[str, int | None, int | None, int | None]:
    spend, customers, realised, future, low, high = (
        float(row[name])  # type: ignore[arg-type]
        for name in ("spend", "customers", "realised_value", "predicted_clv", "predicted_low", "predicted_high")
    )
    if spend <= 0:
        return "no spend", None, None, None
    if customers < minimum:
        return "too few customers", None, None, None
    if found.get("observed_days") is not None:
        return "observed", int(found["observed_days"]), None, None  # type: ignore[call-overload]
    age = float(found.get("mean_age") or 0.0)  # type: ignore[arg-type]
    days = [_reach(spend - realised, value, age, horizon) for value in (future, high, low)]
    if days[0] is None:
        return "beyond the horizon", None, days[1], None
    return "predicted", days[0], days[1], days[2]


def _reach(short: float, future: float, age: float, horizon: int) -> int | None:
    if short <= 0:
        return int(np.ceil(age))
    return int(np.ceil(age + horizon * short / future)) if 0 < short <= future else None
