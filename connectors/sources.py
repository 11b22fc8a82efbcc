"""Config's sources (files, SQL) -> tables under the product's own column names; values stay as they are, ids as text."""

from __future__ import annotations

import glob
import logging
import re
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clv_core.csv_files import csv_sql, data_suffix, matching, plain
from clv_core.findings import InputError
from connectors.columns import CONTACTS, ENGAGEMENT, RATES, SEVERAL
from connectors.contact_rows import ContactRows, completed
from connectors.errors import ConfigurationError, Place
from connectors.settings import reveal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import duckdb
    import pyarrow as pa

    from connectors.config.sources import TableSource
    from connectors.engine.contact_book import ContactBook
    from connectors.engine.ledger import Ledger

_log = logging.getLogger(__name__)
NAMELESS = "rows_without_customer_id"
BATCH_ROWS = 65_536


def contacts(source: TableSource, folder: Path) -> pa.Table:
    """One row per customer: `email` and `phone` as lists, everything else text (null where absent).

    Repeated rows of a customer are one person: identifiers are gathered, the first non-empty text wins, and consent is the
    least that any of the rows grants.
    """
    connection, rows, relation = _contact_rows(source, folder)
    numbered = f"(SELECT *, row_number() OVER () AS source_row FROM ({rows.raw(relation)}))"
    named = "customer_id IS NOT NULL AND trim(customer_id) <> ''"
    table = _arrow(connection, f"{rows.gathered(f'(SELECT * FROM {numbered} WHERE {named})')} ORDER BY customer_id")
    ids = f"(SELECT {rows.cells['customer_id']} AS customer_id FROM {relation})"
    left_out = _arrow(connection, f"SELECT count(*) AS n FROM {ids} WHERE NOT coalesce({named}, false)")["n"][0].as_py()
    _tell(left_out)
    return completed(table).replace_schema_metadata({NAMELESS: str(left_out)})


def contact_book(source: TableSource | None, folder: Path, ledger: Ledger, work: Path) -> ContactBook:
    """The contacts as `contacts` reads them, on disk in the folder `work`: memory doesn't grow with their number."""
    import duckdb
    import pyarrow as pa

    from connectors.engine.contact_book import BookWriter, book_of, different

    if source is None:
        return book_of(nobody(), work, ledger)
    connection, rows, relation = _contact_rows(source, folder, once=True)
    with duckdb.connect() as gathering:

        def gathered(found: pa.Table) -> pa.Table:
            gathering.register("found", found)
            query = rows.alone if different(found) == found.num_rows else rows.gathered
            return gathering.sql(query("found")).to_arrow_table()

        try:
            reader = connection.sql(rows.raw(relation)).to_arrow_reader(BATCH_ROWS)
            schema = reader.schema.append(pa.field("source_row", pa.int64()))
            book = BookWriter(work, schema, gathered).book(_numbered(reader, schema), ledger)
        except duckdb.Error as error:
            raise _unreadable(error) from None
    _tell(book.nameless)
    return book


def _numbered(reader: pa.RecordBatchReader, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    import numpy as np
    import pyarrow as pa

    start = 0
    for batch in reader:
        numbers = pa.array(np.arange(start, start + batch.num_rows))
        yield pa.RecordBatch.from_arrays([*batch.columns, numbers], schema=schema)
        start += batch.num_rows


def _contact_rows(
    source: TableSource, folder: Path, *, once: bool = False
) -> tuple[duckdb.DuckDBPyConnection, ContactRows, str]:
    connection, relation = _open(source, folder, once=once)
    types = {name: kind for name, kind, *_ in connection.execute(f"DESCRIBE {relation}").fetchall()}
    names = _match(types, CONTACTS, source, needed=("customer_id",))
    csv_lists = bool(source.path) and data_suffix(Path(str(source.path))) in (".csv", ".tsv", ".txt")
    return connection, ContactRows.of(types, names, csv_lists=csv_lists), relation


def _tell(left_out: int) -> None:
    if left_out:
        _log.warning("%d rows of the contacts have no customer_id and are left out", left_out)


def nameless(table: pa.Table) -> int:
    """How many rows of the contacts' source were left out because they have no customer_id."""
    return int((table.schema.metadata or {}).get(NAMELESS.encode(), b"0"))


def nobody() -> pa.Table:
    """Contacts of no one: scores still work, audiences stay empty."""
    import pyarrow as pa

    kinds = {name: pa.list_(pa.string()) if name in SEVERAL else pa.string() for name in CONTACTS}
    return pa.table({name: pa.array([], kind) for name, kind in kinds.items()})


def table(source: TableSource, folder: Path, columns: Mapping[str, tuple[str, ...]], needed: Sequence[str]) -> pa.Table:
    """The source under our column names, all text; raises ConfigurationError naming a column that is missing."""
    connection, relation = _open(source, folder)
    types = {name: kind for name, kind, *_ in connection.execute(f"DESCRIBE {relation}").fetchall()}
    names = _match(types, columns, source, needed)
    if not names:
        raise _missing(next(iter(columns)), types, source)
    chosen = ", ".join(f'CAST("{theirs}" AS VARCHAR) AS {ours}' for ours, theirs in names.items())
    return _arrow(connection, f"SELECT {chosen} FROM {relation}")


def engagement(source: TableSource, folder: Path) -> pa.Table:
    """Engagement events: customer_id, at, kind (and tactic, message where given)."""
    return table(source, folder, ENGAGEMENT, ("customer_id", "at", "kind"))


def rates(source: TableSource, folder: Path) -> pa.Table:
    """Dated rates: date (date32), currency, rate (decimal)."""
    import pyarrow as pa

    text = table(source, folder, RATES, ("date", "currency", "rate"))
    try:
        return pa.table(
            {
                "date": text["date"].cast(pa.date32()),
                "currency": text["currency"],
                "rate": text["rate"].cast(pa.decimal128(18, 9)),
            }
        )
    except pa.ArrowInvalid as error:
        raise ConfigurationError(
            f"rates are not readable: {error}", remedy="date as YYYY-MM-DD, rate as a plain number", place=_place(source)
        ) from None


def orders(source: TableSource, folder: Path) -> Path | pa.Table:
    """The orders: a file's path, read later in a stream, or the result of a query."""
    if source.path is not None:
        return _file(source, folder)
    connection, relation = _open(source, folder)
    return _arrow(connection, f"SELECT * FROM {relation}")


def _open(source: TableSource, folder: Path, *, once: bool = False) -> tuple[duckdb.DuckDBPyConnection, str]:
    """A connection and the relation of the source's rows; `once`: they are read a single time, and need not fit in memory."""
    import duckdb

    connection = duckdb.connect(config={"autoinstall_known_extensions": "false"})
    if source.path is None:
        queried = _query(source, folder)
        connection.register("queried", queried if once or not hasattr(queried, "read_all") else queried.read_all())
        return connection, "queried"
    path = str(_file(source, folder)).replace("'", "''")
    suffix = data_suffix(Path(path))
    try:
        reader = {
            ".parquet": f"read_parquet('{path}')",
            ".pq": f"read_parquet('{path}')",
            ".jsonl": f"read_json('{path}', format='newline_delimited')",
            ".ndjson": f"read_json('{path}', format='newline_delimited')",
            ".json": f"read_json('{path}', format='auto')",
        }.get(suffix) or _csv_reader(source, folder)
        connection.execute(f"CREATE VIEW source AS SELECT * FROM {reader}")
    except InputError as error:
        where = f"row {error.row}: " if error.row else ""
        raise ConfigurationError(where + error.message, remedy=error.remedy, place=_place(source)) from None
    except duckdb.Error:  # its text may repeat the row
        raise ConfigurationError(
            "can't be read", remedy="CSV with a header, JSON lines or Parquet", place=_place(source)
        ) from None
    return connection, "source"


def _csv_reader(source: TableSource, folder: Path) -> str:
    """The call that reads a CSV, or several of one form."""
    known = {plain(name) for columns in (CONTACTS, ENGAGEMENT, RATES) for name in _names(columns)}
    return csv_sql(matching(_file(source, folder)), known | {plain(one) for one in source.columns.values()}, lenient=True)


def _names(columns: Mapping[str, tuple[str, ...]]) -> set[str]:
    return {*columns, *(name for names in columns.values() for name in names)}


def _query(source: TableSource, folder: Path) -> Any:
    """The rows of the source's query: a table, or a reader of one."""
    database, sql = str(source.database), str(source.sql)
    if database.startswith(("env:", "file:")):
        return _warehouse(reveal(database, field="database"), sql, source)
    path = folder / Path(database).expanduser()
    if not path.is_file():
        raise ConfigurationError(f"there is no database file {database}", place=_place(source))
    import duckdb

    if path.suffix in (".sqlite", ".sqlite3", ".db"):
        return _sqlite(path, sql, source)
    try:
        return duckdb.connect(str(path), read_only=True).sql(sql).to_arrow_reader(BATCH_ROWS)
    except duckdb.Error as error:
        raise ConfigurationError(f"the query failed: {str(error).splitlines()[0][:200]}", place=_place(source)) from None


def _sqlite(path: Path, sql: str, source: TableSource) -> Any:
    import sqlite3

    import pyarrow as pa

    try:
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, check_same_thread=False)
        cursor = connection.execute(sql)
    except sqlite3.Error as error:
        raise ConfigurationError(f"the query failed: {str(error)[:200]}", place=_place(source)) from None
    schema = pa.schema([(str(one[0]), pa.string()) for one in cursor.description])

    def batches() -> Iterator[pa.RecordBatch]:
        with closing(connection):
            try:
                while rows := cursor.fetchmany(BATCH_ROWS):
                    columns = [pa.array(map(_text, column), pa.string()) for column in zip(*rows, strict=True)]
                    yield pa.RecordBatch.from_arrays(columns, schema=schema)
            except sqlite3.Error as error:
                raise ConfigurationError(f"the query failed: {str(error)[:200]}", place=_place(source)) from None

    return pa.RecordBatchReader.from_batches(schema, batches())


def _text(value: Any) -> str | None:
    """A value of SQLite as text; a whole number stays one, also in a column where other rows have none."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return None if value is None else str(value)


def _warehouse(url: str, sql: str, source: TableSource) -> Any:
    from connectors import warehouse

    try:
        with warehouse.connected(url, "the query failed", "check the URL and the SQL") as connection:
            return warehouse.query(connection, sql)
    except ConfigurationError as error:
        raise ConfigurationError(error.message, remedy=error.remedy, place=_place(source)) from None


def _file(source: TableSource, folder: Path) -> Path:
    path = Path(str(source.path)).expanduser()
    path = path if path.is_absolute() else folder / path
    if not glob.glob(str(path)):
        raise ConfigurationError(f"there is no file {path}", remedy="correct `path` in sources.yaml", place=_place(source))
    return path


def _match(
    types: Mapping[str, str], wanted: Mapping[str, tuple[str, ...]], source: TableSource, needed: Sequence[str]
) -> dict[str, str]:
    present = {name.lower().strip().replace(" ", "_").replace("-", "_"): name for name in types}
    found: dict[str, str] = {}
    for ours, aliases in wanted.items():
        if ours in source.columns:
            if source.columns[ours] not in types:
                raise _missing(source.columns[ours], types, source)
            found[ours] = source.columns[ours]
            continue
        theirs = next((present[name] for name in (ours, *aliases) if name in present), None)
        if theirs is not None and theirs not in found.values():
            found[ours] = theirs
    for name in needed:
        if name not in found:
            raise _missing(name, types, source)
    return found


def _missing(name: str, types: Mapping[str, str], source: TableSource) -> ConfigurationError:
    known = {one for columns in (CONTACTS, ENGAGEMENT, RATES) for one in _names(columns)}
    # without one name that we know, the first line may be a person's row: it is not repeated
    headed = any(one.lower().strip() in known for one in types)
    has = f"the table has: {', '.join(types)}" if headed else "no column name is known: is the first line a header?"
    return ConfigurationError(
        f"column {name!r} is missing; {has}",
        remedy="name it under `columns` in sources.yaml, as  our_name: your_name",
        place=_place(source),
    )


def _place(source: TableSource) -> Place:
    return Place(file=str(source.path or source.database or ""))


def _arrow(connection: duckdb.DuckDBPyConnection, query: str) -> pa.Table:
    import duckdb

    try:
        return connection.sql(query).to_arrow_table()
    except duckdb.Error as error:
        raise _unreadable(error) from None


def _unreadable(error: Exception) -> ConfigurationError:
    line = re.search(r"[Ll]ine:? (\d+)", str(error))  # the rest of DuckDB's text repeats the row
    where = f" in line {line.group(1)}" if line else ""
    return ConfigurationError(f"a source can't be read{where}", remedy="correct that row or export the file again")
