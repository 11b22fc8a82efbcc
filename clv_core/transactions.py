"""The orders contract: any orders file or table -> checked purchase days, one row per customer and day.

What counts, and how:
- ids are text; blank ones are refused. Days are cut in the business's time zone (`order_lines.instant`).
- A row with an amount of 0 or more is a purchase; a negative amount is a refund, which lowers the customer's value on its own
  day but makes no purchase day (a row with orders = 0). So a refund never changes what was known before it.
- The value is the amount, or with `value="margin"` the margin column, or amount - cost. Amounts are summed as exact decimals.
- Several currencies need a dated rate table (`order_currency`); rows that share an order id: see `order_duplicates`.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

from clv_core.day_table import DayTable, Tables
from clv_core.findings import Finding, InputError
from clv_core.order_currency import checked_code, settle_currency
from clv_core.order_days import look, shortened, slices
from clv_core.order_duplicates import settle_duplicates
from clv_core.order_lines import OrderRules
from clv_core.order_loading import load_lines
from clv_core.order_source import open_source

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import date
    from pathlib import Path

__all__ = ["Finding", "InputError", "OrderRules", "Transactions", "check_orders"]


class Spill:
    """A temporary folder, gone with the last one who holds it."""

    def __init__(self) -> None:
        self.folder = tempfile.mkdtemp(prefix="clv_orders_")
        weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)


@dataclass(frozen=True)
class Transactions:
    """Checked orders. `relation` is a table of `connection`: customer_id VARCHAR, day DATE, amount DOUBLE, orders INTEGER,
    refunds INTEGER, exact_amount DECIMAL, product_category VARCHAR, channel VARCHAR (the first of the day, or null); a day with
    refunds only has orders = 0. `lines` has a day's lines apart: customer_id, day, amount, product_category, channel. Both are
    made when they are first asked for."""

    connection: duckdb.DuckDBPyConnection
    tables: Callable[[], Tables] = field(repr=False, compare=False)
    currency: str  # "" when the orders don't say
    findings: tuple[Finding, ...]
    first_day: date
    last_day: date
    customers: int
    orders: int
    refunds: bool = True  # whether any day has refunds only
    spill: Spill | None = field(default=None, repr=False, compare=False)
    totals: pa.Table | None = field(default=None, repr=False, compare=False)  # per customer over all days (`order_days.TOTALS`)

    @cached_property
    def relation(self) -> str:
        """The table of days."""
        return self.tables().days

    @cached_property
    def lines(self) -> str:
        """The table of lines; that of days where they tell no more."""
        return self.tables().lines

    def over(self, relation: str, *, customers: int, orders: int | None = None, lines: str | None = None) -> Transactions:
        """The same over other tables of the connection, with as many customers and orders as told."""
        tables = Tables(relation, lines or relation)
        return replace(
            self, tables=lambda: tables, totals=None, customers=customers, orders=self.orders if orders is None else orders
        )


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
        facts = look(connection)
        found = slices(connection, facts, threads or os.cpu_count() or 1)
        if not any(one.untidy for one in found):
            break
    known = pa.concat_tables([one.totals for one in found])
    if not len(known):
        raise opened.error("there are refunds but no purchases in it", remedy="export the orders that were refunded too")
    if cut := shortened(known["customer_id"]):
        message = f"holds {cut} ids cut to a few digits, such as 1.23E+11: several customers would be taken for one"
        raise opened.error(message, column=opened.raw("customer_id")[1:-1], remedy="export ids as text, not by a spreadsheet")
    tables = DayTable(connection, extras, pa.concat_tables([one.shared for one in found]), wide=facts.wide)
    return Transactions(
        connection, tables, currency, (*findings, *facts.findings), facts.first, facts.last, len(known), facts.bought,
        any(one.refunds for one in found), spill, None if facts.wide else known,
    )  # fmt: skip


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
