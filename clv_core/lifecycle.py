"""Acquisition, retention and cross-sell by month of coming; the way from first notice to orders and to lapse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

if TYPE_CHECKING:
    from datetime import date

    import duckdb

SECOND_WITHIN = 90  # days
FUNNEL = pa.schema(
    [
        ("stage", pa.string()),
        ("customers", pa.int64()),
        ("share_of_previous", pa.float64()),
        ("days_from_previous", pa.float64()),
    ]
)
EVENTS = pa.schema([("customer_id", pa.string()), ("at", pa.date32())])


def prepare_people(connection: duckdb.DuckDBPyConnection, categories: bool) -> None:
    """Nothing; makes `person`: first and second order day of each customer, and how many product categories were bought.

    Reads `days_in`, `purchases` and `customer`.
    """
    counted = (
        "select customer_id, count(distinct product_category) categories from days_in where amount >= 0 group by customer_id"
    )
    connection.execute(f"""
        create temp table person as
        with again as (
            select customer_id, min(p.day) second_day from purchases p join customer c using (customer_id)
            where p.purchase and p.day > c.first_day group by customer_id),
        bought as ({counted if categories else "select cast(null as varchar) customer_id, 0 as categories where false"})
        select c.customer_id, c.cohort, c.source, c.first_day, second_day, c.first_value, c.order_days,
               coalesce(categories, 0) categories
        from customer c left join again using (customer_id) left join bought using (customer_id)""")


def kpis(connection: duckdb.DuckDBPyConnection, as_of: date) -> pa.Table:
    """Per cohort month: who came, from where, what the first order was worth, who came back, who bought across categories.

    Columns: cohort, customers, paid_share, organic_share, unknown_share, first_value_each, second_within_90 (share of those
    whose first order is 90 days old; null where none is), days_to_second (median), orders_each, cross_sell_share (two product
    categories or more; null where categories are not known).
    """
    old = f"cast($as_of as date) - first_day >= {SECOND_WITHIN}"
    return connection.sql(
        f"""
        select cohort, count(*) customers, count(*) filter (where source = 'paid') / count(*) paid_share,
               count(*) filter (where source = 'organic') / count(*) organic_share,
               count(*) filter (where source = 'unknown') / count(*) unknown_share,
               cast(avg(first_value) as double) first_value_each,
               count(*) filter (where {old} and second_day - first_day <= {SECOND_WITHIN})
                   / nullif(count(*) filter (where {old}), 0) second_within_90,
               cast(median(second_day - first_day) as double) days_to_second, avg(order_days) orders_each,
               case when max(categories) > 0 then count(*) filter (where categories > 1) / count(*) end cross_sell_share
        from person group by cohort order by cohort""",
        params={"as_of": as_of},
    ).to_arrow_table()


def funnel(connection: duckdb.DuckDBPyConnection, scores: pa.Table, engagement: pa.Table | None, as_of: date) -> pa.Table:
    """FUNNEL's rows: noticed (with engagement events alone), first order, second order, lapsed; days are medians."""
    connection.register("events", EVENTS.empty_table() if engagement is None else engagement.select(EVENTS.names))
    [row] = connection.execute(_FUNNEL, {"as_of": as_of}).fetchall()
    noticed, led, wait, first, second, between = row
    lapsed = scores.column("lifecycle_stage").to_pylist().count("lapsed") if "lifecycle_stage" in scores.column_names else None
    rows: list[dict[str, Any]] = [
        {"stage": "noticed", "customers": noticed},
        {"stage": "first order", "customers": first, "share_of_previous": _share(led, noticed), "days_from_previous": wait},
        {"stage": "second order", "customers": second, "share_of_previous": _share(second, first)}
        | {"days_from_previous": between},
        {"stage": "lapsed", "customers": lapsed, "share_of_previous": _share(lapsed, first)},
    ]
    return pa.Table.from_pylist([one for one in rows if one["customers"]], schema=FUNNEL)


def _share(part: int | None, whole: int) -> float | None:
    return part / whole if whole and part is not None else None


_FUNNEL = """
with notice as (
    select customer_id, min(cast("at" as date)) noticed from events where cast("at" as date) <= $as_of group by customer_id),
way as (select * from notice full join person using (customer_id))
select count(noticed), count(*) filter (where noticed <= first_day),
       median(first_day - noticed) filter (where noticed <= first_day),
       count(first_day), count(second_day), median(second_day - first_day)
from way"""
