"""The orders contract: any orders file or table -> checked purchase days, one row per customer and day.

What counts, and how:
- ids are text; blank ones are refused. Days are cut in the business's time zone (`order_lines.instant`).
- A row with an amount of 0 or more is a purchase; a negative amount is a refund, which lowers the customer's value on its own
  day but makes no purchase day (a row with orders = 0). So a refund never changes what was known before it.
- The value is the amount, or with `value="margin"` the margin column, or amount - cost. Amounts are summed as exact decimals.
- Several currencies need a dated rate table (`order_currency`); rows that share an order id: see `order_duplicates`.
"""

from __future__ import annotations

import shutil
import tempfile
import weakref
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import duckdb

from clv_core.findings import Finding, InputError
from clv_core.order_currency import checked_code, settle_currency
from clv_core.order_duplicates import settle_duplicates
from clv_core.order_lines import MONEY, OrderRules
from clv_core.order_loading import LABELS, load_lines
from clv_core.order_source import OrderSource, open_source

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date
    from pathlib import Path

    import pyarrow as pa

__all__ = ["Finding", "InputError", "OrderRules", "Transactions", "check_orders"]

RELATION = "customer_days"
UNTIDY = "customer_id <> trim(customer_id) OR " + " OR ".join(f"contains(customer_id, chr({n}))" for n in (9, 10, 13))


class Spill:
    """A temporary folder, gone with the last one who holds it."""

    def __init__(self) -> None:
        self.folder = tempfile.mkdtemp(prefix="clv_orders_")
        weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)


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
    spill: Spill | None = field(default=None, repr=False, compare=False)

    @property
    def totals(self) -> str:
        """The table of totals per customer over all days, which spares a second pass; "" when there is none."""
        return "customer_totals" if self.relation == RELATION and not self.refunds else ""


def check_orders(
    source: Path | pa.Table | pa.RecordBatchReader,
    rules: OrderRules | None = None,
    *,
    columns: Mapping[str, str] | None = None,
    threads: int | None = None,
) -> Transactions:
    """The checked orders of a CSV, JSON lines or Parquet file, an Arrow table or stream.

    `columns` maps canonical names (customer_id, ordered_at, amount, ...) to the source's; common other names are recognised.
    Raises InputError for the first bad row or mistake (`problems` lists more). Larger than memory spills to a temporary folder.
    """
    rules = rules or OrderRules()
    spill = Spill()
    connection = _connect(spill.folder, threads)
    _check_zone(connection, rules.timezone)
    opened = open_source(connection, source, columns)
    for trim in (False, True):  # blanks around ids are rare, and looking for them customer by customer is cheap
        extras = load_lines(connection, opened, rules, trim=trim)
        currency = checked_code(rules.currency) if rules.currency else ""
        if "currency" in extras:
            currency = settle_currency(connection, opened.file, currency or None, rules.rates)
        findings = settle_duplicates(connection, opened) if "order_id" in extras else []
        findings += _find(connection)
        refunds = any(one.kind == "refunds" for one in findings)
        [[first, last]] = connection.execute("SELECT min(day), max(day) FROM order_lines").fetchall()
        _gather_days(connection, extras, refunds=refunds)
        alone = refunds and bool(connection.execute("SELECT 1 FROM order_days WHERE orders = 0 LIMIT 1").fetchall())
        customers, untidy = _gather_customers(connection, opened, refunds=alone)
        if not untidy:
            break
    [[orders]] = connection.execute("SELECT sum(orders) FROM order_days").fetchall()
    return Transactions(connection, RELATION, currency, tuple(findings), first, last, customers, int(orders), alone, spill)


def _connect(folder: str, threads: int | None) -> duckdb.DuckDBPyConnection:
    config: dict[str, str | bool | int | float | list[str]] = {"temp_directory": folder, "preserve_insertion_order": False}
    if threads is not None:
        config["threads"] = threads
    connection = duckdb.connect(":memory:", config=config)
    connection.execute("SET TimeZone = 'UTC'")
    return connection


def _check_zone(connection: duckdb.DuckDBPyConnection, timezone: str) -> None:
    try:
        connection.execute("SELECT timezone(?, TIMESTAMPTZ '2024-01-01 00:00:00+00')", [timezone]).fetchall()
    except duckdb.Error:
        raise InputError(f"unknown time zone {timezone!r}", remedy="use a name such as Europe/Berlin or UTC") from None


def _find(connection: duckdb.DuckDBPyConnection) -> list[Finding]:
    [[refunds, free]] = connection.execute(
        "SELECT count(*) FILTER (NOT bought), count(*) FILTER (bought AND value = 0) FROM order_lines"
    ).fetchall()
    findings = []
    if refunds:
        findings.append(Finding("refunds", int(refunds), "refunds lower their customer's value and make no purchase day"))
    if free:
        findings.append(Finding("free_orders", int(free), "orders with an amount of 0 count as purchases"))
    return findings


def _gather_days(connection: duckdb.DuckDBPyConnection, extras: set[str], *, refunds: bool) -> None:
    """Nothing; makes `order_days` and the view `customer_days` of `order_lines`, which it drops."""
    [[wide]] = connection.execute("SELECT sum(abs(value)) >= 9e11 FROM order_lines").fetchall()
    exact = "DECIMAL(38,6)" if wide else MONEY  # the narrow one is faster and holds any sum of these values
    orders = "count(*) FILTER (bought)" if refunds else "count(*)"
    labels = [name for name in LABELS if name in extras]
    firsts = "".join(f", arg_min({one}, {{'moment': moment, 'label': {one}}}) FILTER (bought) AS {one}" for one in labels)
    connection.execute(f"""CREATE OR REPLACE TABLE order_days AS SELECT customer_id, day,
        CAST(sum(value) AS {exact}) AS exact_amount, CAST({orders} AS INTEGER) AS orders{firsts}
        FROM order_lines GROUP BY customer_id, day""")
    connection.execute("DROP TABLE order_lines")
    shown = ", ".join(one if one in labels else f"CAST(NULL AS VARCHAR) AS {one}" for one in LABELS)
    connection.execute(f"""CREATE OR REPLACE VIEW {RELATION} AS SELECT customer_id, day,
        CAST(exact_amount AS DOUBLE) AS amount, orders, exact_amount, {shown} FROM order_days""")


def _gather_customers(connection: duckdb.DuckDBPyConnection, source: OrderSource, *, refunds: bool) -> tuple[int, bool]:
    """How many customers have bought and whether an id has blanks around it; makes `customer_totals`.

    `refunds`: days with refunds only exist; then it lacks the values, since these depend on the day that is asked for.
    """
    known = """count(*) AS n, min(day) AS first_day, max(day) AS last_day, sum(exact_amount) AS total,
        arg_min(exact_amount, day) AS first_value"""
    connection.execute(f"""CREATE OR REPLACE TABLE customer_totals AS
        SELECT customer_id, {"count(*) FILTER (orders > 0) AS n" if refunds else known} FROM order_days GROUP BY customer_id""")
    [[customers, untidy]] = connection.execute(
        f"SELECT count(*) FILTER (n > 0), coalesce(bool_or({UNTIDY}), false) FROM customer_totals"
    ).fetchall()
    if not customers:
        raise source.error("there are refunds but no purchases in it", remedy="export the orders that were refunded too")
    return int(customers), bool(untidy)
