"""Orders that a platform reports as its own -> which customers it says it brought: the claims on their first orders.

Conversions exported from a platform carry the order id that the shop sent along (Google's order id, Meta's and TikTok's
`order_id`), or orders came through the platform's own shop. Later orders of a customer say nothing of who brought them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from connectors import scored, sources

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from connectors.config import Settings
    from connectors.config.sources import PlatformOrders

COLUMNS: dict[str, tuple[str, ...]] = {
    "order_id": ("transaction_id", "platform_order_id", "order", "orderid"),
    "platform": ("source", "source_platform", "network"),
    "account_id": ("account", "ad_account_id", "advertiser_id", "source_account_id"),
    "campaign_id": ("campaign", "source_campaign_id"),
    "adset_id": ("ad_group_id", "adgroup_id", "ad_set_id", "source_adset_id"),
    "ad_id": ("source_ad_id",),
}
SEVERAL = 0.05  # share of reported orders unknown to the shop above which the two tables hardly belong together


@dataclass(frozen=True, slots=True)
class Claims:
    """`table`: customer_id, platform, account_id, campaign_id, adset_id, ad_id; `warnings`: what doesn't fit."""

    table: pa.Table
    reported: int
    warnings: tuple[str, ...] = ()


def read(settings: Settings, links: pa.Table | None = None) -> Claims | None:
    """The claims on first orders; None unless config names `platform_orders`. `links`: customers joined to people."""
    source = settings.sources.platform_orders
    if source is None:
        return None
    import duckdb
    import pyarrow as pa

    reported = sources.table(source, settings.folder, COLUMNS, ("order_id", "platform"))
    for missing in (name for name in COLUMNS if name not in reported.column_names):
        reported = reported.append_column(missing, pa.nulls(len(reported), pa.string()))
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("reported", reported)
        people = pa.schema([("customer_id", pa.string()), ("person_id", pa.string())])
        connection.register("links", people.empty_table() if links is None else links)
        _orders(connection, settings, source)
        table = connection.sql(_FIRST).to_arrow_table()
        [[unknown]] = connection.execute(_UNKNOWN).fetchall()
    return Claims(table, len(reported), _warnings(len(reported), int(unknown)))


def _orders(connection: duckdb.DuckDBPyConnection, settings: Settings, source: PlatformOrders) -> None:
    """Nothing; makes `bought`: customer_id, key (what a platform may know the order by), day, purchase."""
    from clv_core.order_lines import day, money, text
    from clv_core.order_source import open_source

    place = settings.sources.orders
    opened = open_source(connection, sources.orders(place, settings.folder), place.columns)
    column = source.order_column
    if column not in opened.names if column else "order_id" not in opened.columns:
        raise opened.error(
            f"no column {column or 'order_id'!r} to find the orders of platform_orders by",
            remedy="set platform_orders.order_column to the column of the orders that holds the platform's order id",
        )
    name = column.replace('"', '""')
    key = f'trim(CAST("{name}" AS VARCHAR))' if column else text(opened, "order_id")
    connection.execute(f"""
        CREATE TEMP TABLE bought AS
        SELECT coalesce(l.person_id, o.customer_id) AS customer_id, key, day, amount >= 0 AS purchase FROM (
            SELECT {text(opened, "customer_id")} AS customer_id, {key} AS key,
                   {day(opened, scored.order_rules(settings).timezone)} AS day, {money(opened, "amount")} AS amount
            FROM ({opened.sql})) o LEFT JOIN links l ON l.customer_id = o.customer_id
        WHERE day IS NOT NULL""")


_FIRST = f"""
WITH first AS (SELECT customer_id, min(day) AS day FROM bought WHERE purchase GROUP BY customer_id)
SELECT DISTINCT customer_id, {", ".join(f"coalesce(trim(r.{name}), '') AS {name}" for name in COLUMNS if name != "order_id")}
FROM bought JOIN first USING (customer_id, day) JOIN reported r ON trim(r.order_id) = key WHERE purchase
ORDER BY ALL"""
_UNKNOWN = "SELECT count(*) FROM reported WHERE trim(order_id) NOT IN (SELECT key FROM bought WHERE key IS NOT NULL)"


def _warnings(reported: int, unknown: int) -> tuple[str, ...]:
    if not reported or unknown <= SEVERAL * reported:
        return ()
    return (
        f"{unknown:,} of {reported:,} orders in platform_orders are not among the orders: do both hold the same order ids? "
        "(platform_orders.order_column names the orders' column)",
    )
