"""Orders into `order_lines`, one typed row each; refused as a whole, with the first bad rows named, if any row is bad."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb

from clv_core.findings import InputError, redacted
from clv_core.order_hints import hint
from clv_core.order_lines import OrderRules, code, day, instant, money, text
from clv_core.order_source import OrderSource, unreadable

if TYPE_CHECKING:
    from collections.abc import Sequence

SHOWN = 20  # bad rows listed one by one
YEARS = "BETWEEN DATE '1900-01-01' AND DATE '2199-12-31'"  # not `infinity`, two-digit years or wrong units
LABELS = ("product_category", "channel")


@dataclass(frozen=True, slots=True)
class Demand:
    """What a source's column must hold: SQL that is null where it doesn't, where that landed, the message and the remedy."""

    source: str  # canonical name
    sql: str
    column: str  # of order_lines
    message: str
    remedy: str
    within: str = "IS NOT NULL"

    def broken(self, value: str) -> str:
        """SQL that tells whether a value doesn't hold."""
        return f"(({value}) {self.within}) IS NOT TRUE"

    def whole(self) -> str:
        """SQL that tells whether all values of the column hold: none is null, and the least and the largest hold."""
        ends = (
            ""
            if self.within == "IS NOT NULL"
            else f" AND min({self.column}) {self.within} AND max({self.column}) {self.within}"
        )
        return f"(count({self.column}) = count(*){ends})"


def load_lines(connection: duckdb.DuckDBPyConnection, source: OrderSource, rules: OrderRules, *, trim: bool) -> set[str]:
    """The optional columns that `order_lines` has got, besides customer_id, day, value and bought.

    Raises InputError when there is no row or a row doesn't hold what it must.
    """
    demands = _demands(connection, source, rules, trim=trim)
    extras = {name for name in ("order_id", *LABELS) if name in source.columns}
    extras |= {one.source for one in demands if one.source == "currency"}
    parts = {one.column: one.sql for one in demands}
    parts["value"] = _value(source, rules)
    parts["bought"] = f"{money(source, 'amount')} >= 0"
    parts |= {name: text(source, name) for name in sorted(extras - {"currency"})}
    if extras & set(LABELS):
        parts["moment"] = instant(source, rules.timezone)
    if "order_id" in extras:
        parts["row_hash"] = "hash(" + ", ".join('"' + name.replace('"', '""') + '"' for name in source.names) + ")"
    columns = ", ".join(f"{sql} AS {name}" for name, sql in parts.items())
    try:
        connection.execute(f"CREATE OR REPLACE TABLE order_lines AS SELECT {columns} FROM ({source.sql})")
    except duckdb.Error as error:
        raise unreadable(source.file, error) from None
    _refuse_bad(connection, source, demands)
    return extras


def _demands(connection: duckdb.DuckDBPyConnection, source: OrderSource, rules: OrderRules, *, trim: bool) -> list[Demand]:
    guests = "give every order its customer, or leave guest orders out"
    dates = "write dates as YYYY-MM-DD or YYYY-MM-DD HH:MM:SS+00:00"
    number, amounts = "is not a finite number", "write plain numbers such as 12.50, negative for refunds"
    found = [
        Demand("customer_id", text(source, "customer_id", trim=trim), "customer_id", "is no id", guests),
        Demand("ordered_at", day(source, rules.timezone), "day", "is not a date that can be read", dates, YEARS),
        Demand("amount", money(source, "amount"), "bought", number, amounts),
    ]
    if rules.value == "margin":
        name = next((one for one in ("margin", "cost") if one in source.columns), "")
        if not name:
            remedy = "add a column margin or cost, or score by revenue"
            raise source.error("value by margin needs a margin or a cost", column="margin", remedy=remedy)
        found.append(Demand(name, money(source, name), "value", number, f"give every order its {name}, or score by revenue"))
    if "currency" in source.columns and _any(connection, source, "currency"):
        message = "is no three-letter currency code"
        found.append(Demand("currency", code(source), "currency", message, "write ISO codes such as USD"))
    return found


def _value(source: OrderSource, rules: OrderRules) -> str:
    if rules.value == "revenue":
        return money(source, "amount")
    return money(source, "margin") if "margin" in source.columns else f"{money(source, 'amount')} - {money(source, 'cost')}"


def _any(connection: duckdb.DuckDBPyConnection, source: OrderSource, canonical: str) -> bool:
    """Whether the column has any value."""
    try:
        sql = f"SELECT 1 FROM ({source.sql}) WHERE {text(source, canonical)} IS NOT NULL LIMIT 1"
        return bool(connection.execute(sql).fetchall())
    except duckdb.Error as error:
        raise unreadable(source.file, error) from None


def _refuse_bad(connection: duckdb.DuckDBPyConnection, source: OrderSource, demands: Sequence[Demand]) -> None:
    whole = " AND ".join(one.whole() for one in demands)  # three times as fast as looking at every row
    [[rows, good]] = connection.execute(f"SELECT count(*), {whole} FROM order_lines").fetchall()
    if rows == 0:
        raise source.error("there are no orders in it", remedy="export at least one order below the header")
    if good:
        return
    broken = " OR ".join(one.broken(one.column) for one in demands)
    [[bad]] = connection.execute(f"SELECT count(*) FILTER ({broken}) FROM order_lines").fetchall()
    connection.execute("SET preserve_insertion_order = true")
    problems: list[tuple[int, InputError]] = []
    for one in demands:
        found = connection.execute(f"""SELECT row, raw FROM (SELECT row_number() OVER () AS row,
            {source.raw(one.source)} AS raw, {one.sql} AS good FROM ({source.sql}))
            WHERE {one.broken("good")} ORDER BY row LIMIT {SHOWN}""").fetchall()
        problems += [(row, _problem(source, one, row, raw)) for row, raw in found]
    problems.sort(key=lambda pair: pair[0])
    first = problems[0][1]
    first.others, first.problems = int(bad) - 1, tuple(error for _, error in problems[:SHOWN])
    raise first


def _problem(source: OrderSource, demand: Demand, row: int, raw: object) -> InputError:
    blank = raw is None or not str(raw).strip()
    return source.error(
        "is empty" if blank else demand.message,
        row=row,
        column=source.raw(demand.source)[1:-1].replace('""', '"'),
        value=None if blank else redacted(raw),
        remedy=("" if blank else hint(demand.source, raw)) or demand.remedy,
    )
