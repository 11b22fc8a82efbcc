"""How groups of customers keep buying: share active and value per customer by month since they came."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

MONTH_DAYS = 30


def prepare_activity(connection: duckdb.DuckDBPyConnection) -> None:
    """Nothing; makes the table `activity`: what each customer did in each 30-day month since coming."""
    connection.execute(f"""
        create temp table activity as
        select customer_no, age // {MONTH_DAYS} as "month", sum(amount) amount, bool_or(purchase) active
        from flow group by all""")


def retention(connection: duckdb.DuckDBPyConnection, grouping: str, key: str, months: int) -> pa.Table:
    """`grouping, key, month, customers, active, share_active, value_per_customer` for each full 30-day month since coming.

    Only customers who have lived a month to its end count in it. `value_per_customer` cumulates monthly means, refunds
    included. `grouping` names the kind of group, `key` is the SQL column that tells them apart.
    """
    return connection.sql(f"""
        with size as (select {key} k, (age + 1) // {MONTH_DAYS} lived, count(*) n from customer group by all),
        spans as (select unnest(range({months})) as "month"),
        risk as (select k, month, cast(sum(n) filter (where lived > month) as bigint) customers from size cross join spans
                 group by k, month),
        done as (select {key} k, month, count(*) filter (where active) active, cast(sum(amount) as double) amount
                 from activity join customer using (customer_no) where (customer.age + 1) // {MONTH_DAYS} > month group by all)
        select '{grouping}' as grouping, cast(k as varchar) as key, month, customers, coalesce(active, 0) active,
               coalesce(active, 0) / customers share_active,
               sum(coalesce(amount, 0) / customers) over (partition by k order by month) value_per_customer
        from risk left join done using (k, month) where customers > 0 order by k, month""").to_arrow_table()


def curves(connection: duckdb.DuckDBPyConnection, groupings: Sequence[tuple[str, str]], months: int) -> pa.Table:
    """The retention of several groupings, one below the other."""
    return pa.concat_tables([retention(connection, name, key, months) for name, key in groupings])
