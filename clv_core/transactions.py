"""The orders contract: any orders file or table -> checked purchase days, one row per customer and day.

What counts, and how:
- ids are text; blank ones are refused. Days are cut in the business's time zone (`order_lines.instant`).
- A row with an amount of 0 or more is a purchase; a negative amount is a refund, which lowers the customer's value on its own
  day but makes no purchase day (a row with orders = 0). So a refund never changes what was known before it.
- The value is the amount, or with `value="margin"` the margin column, or amount - cost. Amounts are summed as exact decimals.
- Several currencies need a dated rate table (`order_currency`); rows that share an order id: see `order_duplicates`.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import duckdb

from clv_core.findings import Finding, InputError, redacted
from clv_core.order_currency import checked_code, settle_currency
from clv_core.order_duplicates import settle_duplicates
from clv_core.order_lines import DEMANDS, MONEY, Demand, day, instant, money, text
from clv_core.order_source import OrderSource, open_source, unreadable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date
    from pathlib import Path

    import pyarrow as pa

__all__ = ["Finding", "InputError", "OrderRules", "Transactions", "check_orders"]

SHOWN = 20  # bad rows listed one by one


@dataclass(frozen=True, slots=True)
class OrderRules:
    """How orders are read: the wanted currency and its dated rates, the business's time zone, and what counts as value."""

    currency: str | None = None
    rates: pa.Table | None = None
    timezone: str = "UTC"
    value: Literal["revenue", "margin"] = "revenue"


@dataclass(frozen=True)
class Transactions:
    """Checked orders. `relation` is a table of `connection`: customer_id VARCHAR, day DATE, amount DOUBLE, orders INTEGER,
    exact_amount DECIMAL, product_category VARCHAR, channel VARCHAR (the first of the day, or null); a day with refunds only has
    orders = 0."""

    connection: duckdb.DuckDBPyConnection
    relation: str
    currency: str  # "" when the orders don't say
    findings: tuple[Finding, ...]
    first_day: date
    last_day: date
    customers: int
    orders: int
    refunds: bool = True  # whether any day has refunds only
    spill: tempfile.TemporaryDirectory[str] | None = field(default=None, repr=False, compare=False)


def check_orders(
    source: Path | pa.Table | pa.RecordBatchReader,
    rules: OrderRules = OrderRules(),
    *,
    columns: Mapping[str, str] | None = None,
    threads: int | None = None,
) -> Transactions:
    """The checked orders of a CSV, JSON lines or Parquet file, an Arrow table or stream.

    `columns` maps canonical names (customer_id, ordered_at, amount, ...) to the source's; common other names are recognised.
    Raises InputError for the first bad row or mistake (`problems` lists more). Larger than memory spills to a temporary folder.
    """
    spill = tempfile.TemporaryDirectory(prefix="clv_orders_")
    config: dict[str, str | bool | int | float | list[str]] = {"temp_directory": spill.name, "preserve_insertion_order": False}
    if threads is not None:
        config["threads"] = threads
    connection = duckdb.connect(":memory:", config=config)
    connection.execute("SET TimeZone = 'UTC'")
    _check_zone(connection, rules.timezone)
    opened = open_source(connection, source, columns)
    demands, extras = _load(connection, opened, rules)
    _refuse_bad(connection, opened, rules, demands)
    currency = checked_code(rules.currency) if rules.currency else ""
    if "currency" in extras:
        currency = settle_currency(connection, opened.file, currency or None, rules.rates)
    findings = settle_duplicates(connection) if "order_id" in extras else []
    return _gathered(connection, opened, extras, findings, currency, spill)


def _check_zone(connection: duckdb.DuckDBPyConnection, timezone: str) -> None:
    try:
        connection.execute("SELECT timezone(?, TIMESTAMPTZ '2024-01-01 00:00:00+00')", [timezone]).fetchall()
    except duckdb.Error:
        raise InputError(f"unknown time zone {timezone!r}", remedy="use a name such as Europe/Berlin or UTC") from None


def _load(connection: duckdb.DuckDBPyConnection, source: OrderSource, rules: OrderRules) -> tuple[list[Demand], set[str]]:
    """What each column must hold, and which optional columns `order_lines` has got."""
    value, demand = _value(source, rules)
    demands = [DEMANDS["customer_id"], DEMANDS["day"], DEMANDS["amount"]]
    at = instant(source, rules.timezone)
    amount = money(source, "amount")
    parts = [
        f"{text(source, 'customer_id')} AS customer_id",
        f"{day(at)} AS day",
        f"{value} AS value",
        f"{amount} >= 0 AS bought",
    ]
    extras: set[str] = {name for name in ("order_id", "product_category", "channel") if name in source.columns}
    if demand is not None:
        demands.append(demand)
    if "currency" in source.columns and _any(connection, source, "currency"):
        code = f"upper(trim(CAST({source.raw('currency')} AS VARCHAR)))"
        parts.append(f"CASE WHEN regexp_full_match({code}, '[A-Z]{{3}}') THEN {code} END AS currency")
        demands.append(DEMANDS["currency"])
        extras.add("currency")
    parts += [f"{text(source, name)} AS {name}" for name in sorted(extras - {"currency"})]
    if extras & {"product_category", "channel"}:
        parts.append(f"{at} AS at")
    if "order_id" in extras:
        every = ", ".join('"' + name.replace('"', '""') + '"' for name in source.names)
        parts.append(f"hash({every}) AS row_hash")
    try:
        connection.execute(f"CREATE TABLE order_lines AS SELECT {', '.join(parts)} FROM ({source.sql})")
    except duckdb.Error as error:
        raise unreadable(source.file, error) from None
    return demands, extras


def _value(source: OrderSource, rules: OrderRules) -> tuple[str, Demand | None]:
    """SQL of the value, and what it demands beyond the amount."""
    if rules.value == "revenue":
        return money(source, "amount"), None
    if "margin" in source.columns:
        return money(source, "margin"), DEMANDS["margin"]
    if "cost" in source.columns:
        return f"{money(source, 'amount')} - {money(source, 'cost')}", DEMANDS["cost"]
    raise source.error("value by margin needs a column margin or cost", column="margin", remedy="add one, or score by revenue")


def _any(connection: duckdb.DuckDBPyConnection, source: OrderSource, canonical: str) -> bool:
    """Whether the column has any value."""
    try:
        sql = f"SELECT 1 FROM ({source.sql}) WHERE {text(source, canonical)} IS NOT NULL LIMIT 1"
        return bool(connection.execute(sql).fetchall())
    except duckdb.Error as error:
        raise unreadable(source.file, error) from None


def _refuse_bad(connection: duckdb.DuckDBPyConnection, source: OrderSource, rules: OrderRules, demands: list[Demand]) -> None:
    """Nothing, or InputError when there are no rows or a row doesn't hold what it must."""
    checks = {"customer_id": "customer_id", "ordered_at": "day", "amount": "bought", "currency": "currency"}
    columns = [checks.get(one.source, one.column) for one in demands]
    holes = ", ".join(f"count(*) - count({name})" for name in columns)
    missing = " OR ".join(f"{name} IS NULL" for name in columns)
    [[rows, bad, *counts]] = connection.execute(
        f"SELECT count(*), count(*) FILTER ({missing}), {holes} FROM order_lines"
    ).fetchall()
    if rows == 0:
        raise source.error("there are no orders in it", remedy="export at least one order below the header")
    if bad:
        raise _bad_rows(connection, source, rules, [one for one, n in zip(demands, counts, strict=True) if n], int(bad))


def _bad_rows(
    connection: duckdb.DuckDBPyConnection, source: OrderSource, rules: OrderRules, demands: list[Demand], bad: int
) -> InputError:
    """The error for the first bad row; its `problems` are the errors of the first rows, `others` how many there are besides."""
    typed = {
        "customer_id": text(source, "customer_id"),
        "ordered_at": day(instant(source, rules.timezone)),
        **{name: money(source, name) for name in ("amount", "margin", "cost") if name in source.columns},
    }
    if "currency" in source.columns:
        typed["currency"] = f"regexp_extract(upper(trim(CAST({source.raw('currency')} AS VARCHAR))), '^[A-Z]{{3}}$')"
    connection.execute("SET preserve_insertion_order = true")
    problems: list[tuple[int, InputError]] = []
    for one in demands:
        found = connection.execute(f"""SELECT row, raw FROM (SELECT row_number() OVER () AS row, {source.raw(one.source)} AS raw,
            {typed[one.source]} AS good FROM ({source.sql})) WHERE good IS NULL OR CAST(good AS VARCHAR) = ''
            ORDER BY row LIMIT {SHOWN}""").fetchall()
        for row, raw in found:
            blank = raw is None or not str(raw).strip()
            message = "is empty" if blank and one.source != "customer_id" else one.message
            shown = None if blank else redacted(raw)
            name = source.raw(one.source).strip('"')
            problems.append((row, source.error(message, row=row, column=name, value=shown, remedy=one.remedy)))
    problems.sort(key=lambda pair: pair[0])
    first = problems[0][1]
    first.others, first.problems = bad - 1, tuple(error for _, error in problems[:SHOWN])
    return first


def _gathered(
    connection: duckdb.DuckDBPyConnection,
    source: OrderSource,
    extras: set[str],
    findings: list[Finding],
    currency: str,
    spill: tempfile.TemporaryDirectory[str],
) -> Transactions:
    """The purchase days, made from `order_lines`."""
    [[first, last, refunds, free, wide]] = connection.execute("""SELECT min(day), max(day), count(*) FILTER (NOT bought),
        count(*) FILTER (bought AND value = 0), sum(abs(value)) >= 9e11 FROM order_lines""").fetchall()
    exact = "DECIMAL(38,6)" if wide else MONEY  # the narrow one is faster and holds any sum of these values
    orders = "count(*) FILTER (bought)" if refunds else "count(*)"
    labels = [name for name in ("product_category", "channel") if name in extras]
    firsts = "".join(f", arg_min({one}, {{'at': at, 'label': {one}}}) FILTER (bought) AS {one}" for one in labels)
    connection.execute(f"""CREATE TABLE order_days AS SELECT customer_id, day, CAST(sum(value) AS {exact}) AS exact_amount,
        CAST({orders} AS INTEGER) AS orders{firsts} FROM order_lines GROUP BY customer_id, day""")
    connection.execute("DROP TABLE order_lines")
    absent = "".join(f", CAST(NULL AS VARCHAR) AS {one}" for one in ("product_category", "channel") if one not in labels)
    connection.execute(f"""CREATE VIEW customer_days AS SELECT customer_id, day, CAST(exact_amount AS DOUBLE) AS amount, orders,
        exact_amount{"".join(", " + one for one in labels)}{absent} FROM order_days""")
    [[customers, count]] = connection.execute(
        "SELECT count(DISTINCT customer_id) FILTER (orders > 0), coalesce(sum(orders), 0) FROM order_days"
    ).fetchall()
    if not customers:
        raise source.error("there are refunds but no purchases in it", remedy="export the orders that were refunded too")
    if refunds:
        findings.append(Finding("refunds", int(refunds), "refunds lower their customer's value and make no purchase day"))
    if free:
        findings.append(Finding("free_orders", int(free), "orders with an amount of 0 count as purchases"))
    return Transactions(
        connection, "customer_days", currency, tuple(findings), first, last, int(customers), int(count), bool(refunds), spill
    )
