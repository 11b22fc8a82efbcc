"""Acquisition, retention and cross-sell by month of coming, and the way from first notice to first, second order and lapse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa

from clv_core.acquired import days_table

if TYPE_CHECKING:
    from datetime import date

SECOND_WITHIN = 90  # days


def kpis(days: Any, acquisition: pa.Table, as_of: date) -> pa.Table:
    """Per cohort month: new customers, their sources' shares, first order value, came back within 90 days, orders each.

    Columns: cohort, customers, organic_share, paid_share, unknown_share, first_value_each, lived_90, second_within_90 (share of
    those who have lived 90 days; null where none has), days_to_second (median), cross_sell_share (bought from two or more
    categories; null without categories).
    """
    table = days_table(days, categories=True)
    with duckdb.connect() as connection:
        connection.register("days_in", table)
        connection.register("acquisition_in", acquisition)
        category = "product_category" if "product_category" in table.column_names else "cast(null as varchar)"
        return connection.sql(_KPIS.format(category=category), params={"as_of": as_of}).to_arrow_table()


_KPIS = f"""
with bought as (select customer_id, day, sum(amount) amount, any_value({{category}}) category
                from days_in where day <= $as_of and amount >= 0 group by customer_id, day),
turns as (select *, row_number() over (partition by customer_id order by day) turn from bought),
person as (
    select t.customer_id, min(day) first_day, min(day) filter (where turn = 2) second_day, count(*) orders,
           any_value(amount) filter (where turn = 1) first_value, count(distinct category) categories,
           any_value(a.source) source
    from turns t left join (select distinct on (customer_id) customer_id, source from acquisition_in order by customer_id) a
         using (customer_id) group by t.customer_id)
select strftime(first_day, '%Y-%m') cohort, count(*) customers,
       count(*) filter (where source = 'organic') / count(*) organic_share,
       count(*) filter (where source = 'paid') / count(*) paid_share,
       count(*) filter (where coalesce(source, 'unknown') = 'unknown') / count(*) unknown_share,
       cast(avg(first_value) as double) first_value_each,
       count(*) filter (where cast($as_of as date) - first_day >= {SECOND_WITHIN}) lived_90,
       count(*) filter (where cast($as_of as date) - first_day >= {SECOND_WITHIN} and second_day - first_day <= {SECOND_WITHIN})
           / nullif(count(*) filter (where cast($as_of as date) - first_day >= {SECOND_WITHIN}), 0) second_within_90,
       median(second_day - first_day) days_to_second, avg(orders) orders_each,
       case when max(categories) > 0 then count(*) filter (where categories > 1) / count(*) end cross_sell_share
from person group by 1 order by 1"""


def funnel(days: Any, scores: pa.Table, engagement: pa.Table | None, as_of: date) -> pa.Table:
    """stage, customers, share_of_previous, days_from_previous (median): noticed, first order, second order; then lapsed.

    "noticed" needs engagement events (customer_id, at); without them the way starts at the first order.
    """
    events = pa.schema([("customer_id", pa.string()), ("at", pa.date32())]).empty_table() if engagement is None else engagement
    with duckdb.connect() as connection:
        connection.register("days_in", days_table(days))
        connection.register("events", events.select(["customer_id", "at"]))
        connection.register("scores", scores.select(["customer_id", "lifecycle_stage"]))
        [row] = connection.execute(_FUNNEL, {"as_of": as_of}).fetchall()
    noticed, led, wait, first, second, between, lapsed = row
    rows: list[dict[str, Any]] = [
        {"stage": "noticed", "customers": noticed},
        {"stage": "first order", "customers": first, "share_of_previous": _share(led, noticed), "days_from_previous": wait},
        {"stage": "second order", "customers": second, "share_of_previous": _share(second, first)}
        | {"days_from_previous": between},
        {"stage": "lapsed", "customers": lapsed, "share_of_previous": _share(lapsed, first)},
    ]
    schema = pa.schema(
        [
            ("stage", pa.string()),
            ("customers", pa.int64()),
            ("share_of_previous", pa.float64()),
            ("days_from_previous", pa.float64()),
        ]
    )
    return pa.Table.from_pylist(rows if noticed else rows[1:], schema=schema)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


_FUNNEL = """
with bought as (select distinct customer_id, day from days_in where day <= $as_of and amount >= 0),
turns as (select *, row_number() over (partition by customer_id order by day) turn from bought),
person as (select customer_id, min(day) first_day, min(day) filter (where turn = 2) second_day from turns group by customer_id),
notice as (select customer_id, min(cast(at as date)) noticed from events where cast(at as date) <= $as_of group by customer_id),
way as (select * from notice full join person using (customer_id))
select count(noticed), count(*) filter (where noticed <= first_day),
       median(first_day - noticed) filter (where noticed <= first_day),
       count(first_day), count(second_day), median(second_day - first_day),
       (select count(*) from scores where lifecycle_stage = 'lapsed')
from way"""
