"""Where orders come from: a file or an Arrow table as something DuckDB can select from, and which column is which."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from clv_core.csv_files import csv_sql, data_suffix, listed, matching, not_text, twice
from clv_core.csv_files import plain as as_plain
from clv_core.findings import InputError, redacted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_ .()%-]{0,40}")
CANONICAL = ("customer_id", "order_id", "ordered_at", "amount", "currency", "margin", "cost", "product_category", "channel")
JSON = (".jsonl", ".ndjson", ".json")
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

    Paths: CSV, TSV, JSON lines or Parquet, by suffix (.gz too); patterns such as `orders-*.csv` are files alike. `columns` maps
    canonical names to the source's own.
    """
    file = source.name if isinstance(source, Path) else "orders"
    try:
        if isinstance(source, Path):
            sql = _file_sql(connection, source, columns or {})
        else:
            sql = _given_sql(connection, source, columns or {})
        described = connection.execute(f"DESCRIBE {sql}").fetchall()
    except (duckdb.Error, pa.ArrowInvalid) as error:
        raise unreadable(file, error) from None
    types = {str(name): str(kind) for name, kind, *_ in described}
    found = _recognise(file, list(types), columns or {})
    nested = _nested(connection, source, found) if isinstance(source, Path) and data_suffix(source) in JSON else set()
    for key, name in found.items():
        if name in nested or types[name].endswith("]") or types[name].startswith(("STRUCT", "MAP", "UNION")):
            remedy = f"give each order one {key}, as text or a number"
            raise InputError("holds lists or objects, not single values", file=file, column=name, remedy=remedy)
        if types[name] == "BOOLEAN":
            raise InputError("holds yes and no", file=file, column=name, remedy=f"map {key} to another column")
    return OrderSource(sql, file, {key: (_quoted(name), types[name]) for key, name in found.items()}, tuple(types))


def _nested(connection: duckdb.DuckDBPyConnection, path: Path, found: Mapping[str, str]) -> set[str]:
    """The columns of a JSON file in which a value is a list or an object: as text, each might be another customer."""
    literal = listed(matching(path))
    kind = "auto" if data_suffix(path) == ".json" else "newline_delimited"
    spec = ", ".join(f"{_literal(name)}: 'JSON'" for name in found.values())
    tests = ", ".join(f"coalesce(bool_or(json_type({_quoted(name)}) IN ('ARRAY', 'OBJECT')), false)" for name in found.values())
    [row] = connection.execute(f"SELECT {tests} FROM read_json({literal}, format='{kind}', columns={{{spec}}})").fetchall()
    return {name for name, one in zip(found.values(), row, strict=True) if one}


def _given_sql(
    connection: duckdb.DuckDBPyConnection, source: pa.Table | pa.RecordBatchReader, mapped: Mapping[str, str]
) -> str:
    _refuse_twice(source.schema.names, mapped, "orders")
    if isinstance(source, pa.Table):
        connection.register("orders_given", source)
    else:  # a stream can be read once: keep what it brings (spilled to disk when it is large)
        connection.register("orders_stream", source)
        connection.execute("CREATE TABLE orders_given AS SELECT * FROM orders_stream")
    return "SELECT * FROM orders_given"


def _file_sql(connection: duckdb.DuckDBPyConnection, path: Path, mapped: Mapping[str, str]) -> str:
    files = matching(path)
    if not files:
        raise InputError("no such file", file=str(path.name), remedy="check the path")
    for one in files:
        if one.stat().st_size == 0:
            raise InputError("the file is empty", file=one.name, remedy="export the orders again, with a header line")
    literal = listed(files)
    suffix = data_suffix(path)
    if suffix in (".parquet", ".pq"):
        for one in files:
            _refuse_twice(pq.read_schema(one).names, mapped, one.name)
        return f"SELECT * FROM read_parquet({literal})"
    if suffix in JSON:
        kind = "auto" if suffix == ".json" else "newline_delimited"
        keys = connection.execute(f"DESCRIBE SELECT * FROM read_json({literal}, format='{kind}', sample_size=-1)").fetchall()
        spec = ", ".join(f"{_literal(str(name))}: 'VARCHAR'" for name, *_ in keys)
        return f"SELECT * FROM read_json({literal}, format='{kind}', columns={{{spec}}})"
    return f"SELECT * FROM {csv_sql(files, _known(mapped))}"


def _known(mapped: Mapping[str, str]) -> set[str]:
    """The names that orders' columns may have."""
    return {*CANONICAL, *(name for names in ALIASES.values() for name in names), *map(as_plain, mapped.values())}


def _refuse_twice(names: Sequence[str], mapped: Mapping[str, str], file: str) -> None:
    """Nothing, unless a name of orders' columns is there twice: DuckDB would take the first without a word."""
    known, seen = _known(mapped), set()
    for name in names:
        if name.lower() in seen and as_plain(name) in known:
            raise twice(name, file)
        seen.add(name.lower())


def unreadable(file: str, error: Exception) -> InputError:
    """The InputError for a file that can't be read; keeps the line number and nothing of the content."""
    text = str(error)
    line = next((word for word in text.split("Line: ")[1:2]), "").split("\n")[0].strip()
    row = int(line) - 1 if line.isdigit() and int(line) > 1 else None
    if "utf-8" in text.lower() or "unicode" in text.lower() or "encod" in text.lower():
        return not_text(file, row)
    return InputError(
        "can't be read in the format its name says (a line with more or fewer fields, a broken quote, two kinds of "
        "line ends or a cut-off file)",
        file=file,
        row=row,
        remedy="export it again as CSV with a header line, JSON lines or Parquet",
    )


def _recognise(file: str, names: list[str], mapped: Mapping[str, str]) -> dict[str, str]:
    unknown = sorted(set(mapped) - set(CANONICAL))
    if unknown:
        known = ", ".join(CANONICAL)
        raise InputError(f"orders have no column {unknown[0]!r} to map to", file=file, remedy=f"the names are {known}")
    plain = {name: as_plain(name) for name in names}
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
    missing = [canonical for canonical in REQUIRED if canonical not in found]
    if missing:
        raise InputError(
            f"no column for {' or '.join(missing)} {_among(names, mapped, file)}",
            file=file,
            column=missing[0],
            remedy=f"name it {missing[0]} (or {', '.join(ALIASES[missing[0]][:3])}) or map it to your own name",
        )
    return found


def _among(names: list[str], mapped: Mapping[str, str], file: str) -> str:
    """What there is instead; nothing of it when no name is known, since the first line may then be a customer's."""
    if not _known(mapped).intersection(map(as_plain, names)):
        if file.lower().endswith(JSON):
            return "among the keys, none of a known name: is there one object per order, not inside another?"
        return f"among {len(names)} columns, none of a known name: is the first line a header?"
    return "among " + ", ".join(name if _NAME.fullmatch(name) else redacted(name) for name in names[:20])


def _given(file: str, canonical: str, name: str, names: list[str]) -> str:
    if name in names:
        return name
    message = f"{canonical} is mapped to {name!r}, which isn't there {_among(names, {}, file)}"
    raise InputError(message, file=file, column=name, remedy=f"map {canonical} to a column that is there")


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
