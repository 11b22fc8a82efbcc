"""Each customer's first order with its id and time, read from the source once more: the scores know days only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connectors import scored, sources

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal

    import pyarrow as pa

    from connectors.config import Settings


def first_orders(settings: Settings, since: datetime) -> pa.Table:
    """customer_id, order_id (or null), at (timestamp, UTC) and day (of the business) of first orders from `since` on.

    Times without a zone and plain dates are of the business's time zone, as everywhere.
    """
    import duckdb

    from clv_core.order_lines import instant, money, text
    from clv_core.order_source import open_source

    rules, source = scored.order_rules(settings), settings.sources.orders
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        opened = open_source(connection, sources.orders(source, settings.folder), source.columns)
        order = text(opened, "order_id") if "order_id" in opened.columns else "CAST(NULL AS VARCHAR)"
        zone = rules.timezone.replace("'", "''")
        query = f"""WITH lines AS (SELECT {text(opened, "customer_id")} AS customer_id, {order} AS order_id,
                {instant(opened, rules.timezone)} AS moment, {money(opened, "amount")} AS amount FROM ({opened.sql})),
            firsts AS (SELECT customer_id, arg_min({{'id': order_id}}, moment).id AS order_id, min(moment) AS moment FROM lines
                WHERE amount >= 0 AND moment IS NOT NULL GROUP BY customer_id)
            SELECT customer_id, order_id, timezone('{zone}', moment) AS at, CAST(moment AS DATE) AS day FROM firsts
            WHERE timezone('{zone}', moment) >= $since"""
        return connection.sql(query, params={"since": since}).to_arrow_table()


def newest_rates(settings: Settings) -> dict[str, Decimal]:
    """The newest rate of each currency (one unit of it in the business's), from config's rates."""
    source = settings.sources.rates
    if source is None:
        return {}
    rows = sources.rates(source, settings.folder).sort_by("date").to_pylist()
    return {row["currency"]: row["rate"] for row in rows}
