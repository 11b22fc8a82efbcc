"""Where orders come from: a file or an Arrow table as something DuckDB can select from, and which column is which."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

from clv_core.findings import InputError, redacted

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_ .()%-]{0,40}")
CANONICAL = ("customer_id", "order_id", "ordered_at", "amount", "currency", "margin", "cost", "product_category", "channel")
REQUIRED = ("customer_id", "ordered_at", "amount")
ALIASES: Mapping[str, tuple[str, ...]] = {
    "customer_id": ("customer", "customerid", "client_id", "user_id", "buyer_id", "cust_id", "customer_number", "customer_no"),
    "order_id": ("order", "orderid", "order_no", "order_number", "invoice_id", "invoice_no", "invoice", "transaction_id"),
    "ordered_at": (
        "date", "order_date", "orderdate", "order_time", "created_at", "purchased_at", "purchase_date", "invoice_date",
        "transaction_date", "timestamp", "datetime", "day",
    ),
    "amount": ("spend", "revenue", "value", "order_value", "total", "total_price", "sales", "net_amount", "amount_paid"),
    "currency": ("currency_code", "iso_currency"),
    "margin": ("gross_margin", "profit", "contribution"),
    "cost": ("cogs", "total_cost", "cost_of_goods"),
    "product_category": ("category", "department", "product_type"),
    "channel": ("sales_channel", "order_channel"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class OrderSource:
    """`sql` selects every row; `columns` maps canonical names to (quoted name, DuckDB type) of the source's columns."""

    sql: str
    file: str
    columns: Mapping[str, tuple[str, str]]
    names: tuple[str, ...]

    def raw(self, canonical: str) -> str:
        """The quoted name of the source's column."""
        return self.columns[canonical][0]

    def type(self, canonical: str) -> str:
        """The DuckDB type of the source's column."""
        return self.columns[canonical][1]

    def error(self, message: str, **more: object) -> InputError:
        """An InputError at this source."""
        return InputError(message, file=self.file, **more)  # type: ignore[arg-type]


def open_source(
    connection: duckdb.DuckDBPyConnection,
    source: Path | pa.Table | pa.RecordBatchReader,
    columns: Mapping[str, str] | None = None,
) -> OrderSource:
    """The source, its columns recognised. Raises InputError when it is missing, empty, unreadable or lacks a column.

    Paths: CSV, TSV, JSON lines or Parquet, by suffix (.gz too). `columns` maps canonical names to the source's own.
    """
    file = source.name if isinstance(source, Path) else "orders"
    if isinstance(source, Path):
        sql = _file_sql(connection, source)
    elif isinstance(source, pa.Table):
        connection.register("orders_given", source)
        sql = "SELECT * FROM orders_given"
    else:  # a stream can be read once: keep what it brings (spilled to disk when it is large)
        connection.register("orders_stream", source)
        connection.execute("CREATE TABLE orders_given AS SELECT * FROM orders_stream")
        sql = "SELECT * FROM orders_given"
    try:
        described = connection.execute(f"DESCRIBE {sql}").fetchall()
    except duckdb.Error as error:
        raise unreadable(file, error) from None
    types = {str(name): str(kind) for name, kind, *_ in described}
    found = _recognise(file, list(types), columns or {})
    return OrderSource(sql, file, {key: (_quoted(name), types[name]) for key, name in found.items()}, tuple(types))


def _file_sql(connection: duckdb.DuckDBPyConnection, path: Path) -> str:
    if not path.is_file():
        raise InputError("no such file", file=str(path.name), remedy="check the path")
    if path.stat().st_size == 0:
        raise InputError("the file is empty", file=path.name, remedy="export the orders again, with a header line")
    literal = "'" + str(path).replace("'", "''") + "'"
    suffix = next((s for s in reversed([s.lower() for s in path.suffixes]) if s not in (".gz", ".zst")), "")
    try:
        if suffix in (".parquet", ".pq"):
            return f"SELECT * FROM read_parquet({literal})"
        if suffix in (".jsonl", ".ndjson", ".json"):
            kind = "auto" if suffix == ".json" else "newline_delimited"
            keys = connection.execute(
                f"DESCRIBE SELECT * FROM read_json({literal}, format='{kind}', sample_size=-1)"
            ).fetchall()
            spec = ", ".join(f"'{str(name).replace(chr(39), chr(39) * 2)}': 'VARCHAR'" for name, *_ in keys)
            return f"SELECT * FROM read_json({literal}, format='{kind}', columns={{{spec}}})"
        return f"SELECT * FROM read_csv({literal}, header=true, skip=0, all_varchar=true, quote='\"', escape='\"')"
    except duckdb.Error as error:
        raise unreadable(path.name, error) from None


def unreadable(file: str, error: duckdb.Error) -> InputError:
    """The InputError for a file that DuckDB can't read; keeps the line number and nothing of the content."""
    text = str(error)
    line = next((word for word in text.split("Line: ")[1:2]), "").split("\n")[0].strip()
    row = int(line) - 1 if line.isdigit() and int(line) > 1 else None
    if "utf-8" in text.lower() or "unicode" in text.lower() or "encod" in text.lower():
        return InputError("is not UTF-8 text", file=file, row=row, remedy="export it as UTF-8")
    return InputError(
        "can't be read in the format its name says (a line with more or fewer fields, a broken quote or a cut-off file)",
        file=file,
        row=row,
        remedy="export it again as CSV with a header line, JSON lines or Parquet",
    )


def _recognise(file: str, names: list[str], mapped: Mapping[str, str]) -> dict[str, str]:
    unknown = sorted(set(mapped) - set(CANONICAL))
    if unknown:
        known = ", ".join(CANONICAL)
        raise InputError(f"orders have no column {unknown[0]!r} to map to", file=file, remedy=f"the names are {known}")
    plain = {name: name.strip().lstrip("\ufeff").lower().replace(" ", "_").replace("-", "_") for name in names}
    found: dict[str, str] = {}
    for canonical in CANONICAL:
        if canonical in mapped:
            found[canonical] = _given(file, canonical, mapped[canonical], names)
            continue
        free = [name for name in names if name not in mapped.values()]
        exact = [name for name in free if plain[name] == canonical]
        likely = exact or [name for name in free if plain[name] in ALIASES[canonical]]
        if len(likely) > 1 and canonical in REQUIRED:
            raise InputError(
                f"several columns may be {canonical}: {', '.join(likely)}", file=file, remedy=f"map {canonical} to one of them"
            )
        if len(likely) == 1:
            found[canonical] = likely[0]
    shown = ", ".join(name if _NAME.fullmatch(name) else redacted(name) for name in names[:20])
    missing = [canonical for canonical in REQUIRED if canonical not in found]
    if missing:
        raise InputError(
            f"no column for {' or '.join(missing)} among {shown}",
            file=file,
            column=missing[0],
            remedy=f"name it {missing[0]} (or {', '.join(ALIASES[missing[0]][:3])}) or map it to your own name",
        )
    return found


def _given(file: str, canonical: str, name: str, names: list[str]) -> str:
    if name in names:
        return name
    raise InputError(
        f"{canonical} is mapped to {name!r}, which isn't there",
        file=file,
        column=name,
        remedy=f"use one of {', '.join(names[:20])}",
    )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
