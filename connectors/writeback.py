"""Scores, tiers and audience membership back to where CRM and support tools read: a file, a database's table, a warehouse.

One row per scored customer: the columns of scores and `audiences` (a list in Parquet, elsewhere text joined by `|`). Always the
whole table anew, so who was erased or left is gone from it too. Customers who may not be sent keep their scores and are in no
audience; erased ones are left out. A file or table that is not of this kind is never overwritten.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from connectors import tables, translate
from connectors.engine.selection import memberships
from connectors.errors import ConfigurationError
from connectors.settings import reveal

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    import pyarrow as pa

    from connectors.config import Settings
    from connectors.config.sources import WriteBack
    from connectors.engine.ledger import Ledger
    from connectors.engine.members import Members

OURS = {"customer_id", "seed_value", "audiences"}
SQLITE = (".sqlite", ".sqlite3", ".db")
_ROWS = 50_000


def write(settings: Settings, scores: pa.Table, members: Members, ledger: Ledger) -> dict[str, Any]:
    """What was written: `place`, `rows`, `exit_code` and `detail` (why not); empty where config asks for none."""
    wanted = settings.sources.write_back
    if wanted is None:
        return {}
    table = with_audiences(scores, memberships(members, translate.requests(settings), ledger), ledger)
    try:
        _put(settings, wanted, table)
    except ConfigurationError as error:
        return {"place": _place(wanted), "rows": 0, "exit_code": error.exit_code, "detail": str(error)}
    return {"place": _place(wanted), "rows": table.num_rows, "exit_code": 0, "detail": ""}


def with_audiences(scores: pa.Table, belonging: pa.Table, ledger: Ledger) -> pa.Table:
    """Scores with `audiences` (list of keys, empty for who is in none), without the erased; in the order of customer ids."""
    import pyarrow as pa
    import pyarrow.compute as pc

    scores = scores.sort_by("customer_id")
    keys = ledger.member_keys(scores["customer_id"].combine_chunks()).storage
    place = pc.index_in(keys, value_set=belonging["member_key"].combine_chunks().storage)
    lists = belonging["audiences"].combine_chunks().take(place)
    nobody = pa.array([[]], lists.type).take(pa.array([0] * len(lists)))
    erased = pa.array([bytes.fromhex(one) for one in ledger.tombstones()], keys.type)
    table = scores.append_column("audiences", pc.if_else(lists.is_valid(), lists, nobody))
    return table.filter(pc.invert(pc.is_in(keys, erased)))


def forget(settings: Settings, ids: Collection[str]) -> tuple[list[str], bool]:
    """A note on what was taken out of the table that the last run wrote back (none where config asks for no such table), and
    whether it could be."""
    wanted = settings.sources.write_back
    if wanted is None:
        return [], True
    try:
        erased = _erase(settings, wanted, ids)
    except ConfigurationError as error:
        return [f"their rows are still in {_place(wanted)} until the next run writes it anew: {error}"], False
    return [f"{erased} rows were taken out of {_place(wanted)}"], True


def _erase(settings: Settings, wanted: WriteBack, ids: Collection[str]) -> int:
    import pyarrow as pa
    import pyarrow.compute as pc

    held = _get(settings, wanted)
    if held is None:
        return 0
    kept = held.filter(pc.invert(pc.is_in(held["customer_id"], pa.array(list(ids), pa.string()))))
    if kept.num_rows < held.num_rows:
        _put(settings, wanted, kept)
    return int(held.num_rows - kept.num_rows)


def _place(wanted: WriteBack) -> str:
    return wanted.path or f"{wanted.database} {wanted.table}"


def _put(settings: Settings, wanted: WriteBack, table: pa.Table) -> None:
    if wanted.path is not None:
        _put_file(settings.path(wanted.path), table)
        return
    database, table = str(wanted.database), _plain(table)
    if database.startswith(("env:", "file:")):
        with _warehouse(database) as connection:
            _put_warehouse(connection, wanted.table, table)
        return
    path = _database(settings, database)
    with _told(database):
        if path.suffix.lower() in SQLITE:
            with closing(sqlite3.connect(path, isolation_level=None, timeout=30)) as file:
                _put_sqlite(file, wanted.table, table)
        else:
            import duckdb

            with duckdb.connect(str(path)) as connection:
                _put_duckdb(connection, wanted.table, table)


def _get(settings: Settings, wanted: WriteBack) -> pa.Table | None:
    """What the last run wrote, or None when it wrote nothing."""
    if wanted.path is not None:
        path = settings.path(wanted.path)
        return _read(path) if path.is_file() else None
    database = str(wanted.database)
    if database.startswith(("env:", "file:")):
        with _warehouse(database) as connection:
            return _get_warehouse(connection, wanted.table)
    path = _database(settings, database)
    if not path.is_file():
        return None
    with _told(database):
        if path.suffix.lower() in SQLITE:
            with closing(sqlite3.connect(path)) as file:
                return _get_sqlite(file, wanted.table)
        import duckdb

        with duckdb.connect(str(path)) as connection:
            return _get_duckdb(connection, wanted.table)


def columns(settings: Settings, wanted: WriteBack) -> list[str]:
    """The columns of what is there now, only read; empty when nothing is. Raises ConfigurationError where `write` would."""
    if wanted.path is not None or not str(wanted.database).startswith(("env:", "file:")):
        path = settings.path(wanted.path) if wanted.path is not None else _database(settings, str(wanted.database))
        if not path.is_file():
            return []
        if wanted.path is not None:
            found = _file_columns(path)
        elif path.suffix.lower() in SQLITE:
            with _told(str(path)), closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as file:
                found = _sqlite_columns(file, wanted.table)
        else:
            import duckdb

            with _told(str(path)), duckdb.connect(str(path), read_only=True) as connection:
                found = _duckdb_columns(connection, wanted.table)
    else:
        with _warehouse(str(wanted.database)) as connection:
            found = _warehouse_columns(connection, wanted.table)
    _check_ours(wanted.path or wanted.table, found)
    return found


def _database(settings: Settings, database: str) -> Path:
    path = settings.path(database)
    if not path.parent.is_dir():
        raise ConfigurationError(f"write_back: there is no folder {path.parent}", remedy="make it first")
    return path


def _read(path: Path) -> pa.Table:
    if path.suffix == ".parquet":
        return tables.read(path)
    import pyarrow as pa
    import pyarrow.csv as csv

    return csv.read_csv(path, convert_options=csv.ConvertOptions(column_types={"customer_id": pa.string()}))


def _put_file(path: Path, table: pa.Table) -> None:
    """Nothing: the file is there, whole, as open to others as the one that it replaces was (a new one: owner-only)."""
    tables.check_name(path)
    mode = 0o600
    if path.is_file():
        _check_ours(str(path), _file_columns(path))
        mode = path.stat().st_mode & 0o777
    with _told(str(path)):
        tables.write(_plain(table) if path.suffix == ".csv" else table, path)
        os.chmod(path, mode)


def _file_columns(path: Path) -> list[str]:
    if path.suffix == ".parquet":
        import pyarrow.parquet as parquet

        return list(parquet.read_schema(path).names)
    with path.open(encoding="utf-8") as handle:
        return [one.strip().strip('"') for one in handle.readline().split(",")]


def _plain(table: pa.Table) -> pa.Table:
    """The same with `audiences` as one text."""
    import pyarrow as pa
    import pyarrow.compute as pc

    place = table.schema.get_field_index("audiences")
    if not pa.types.is_list(table.schema.field(place).type):
        return table
    return table.set_column(place, "audiences", pc.binary_join(table["audiences"], "|"))


def _check_ours(place: str, columns: Sequence[str]) -> None:
    if columns and not set(columns) >= OURS:
        raise ConfigurationError(
            f"write_back: {place} is there already and holds something else; it was left as it is",
            remedy="give a name of its own in sources.yaml",
        )


def _parts(table: str) -> tuple[str | None, str]:
    schema, _, name = table.rpartition(".")
    return schema or None, name


def _quoted(table: str) -> str:
    return ".".join(f'"{one}"' for one in table.split("."))


def _sqlite_columns(connection: sqlite3.Connection, table: str) -> list[str]:
    return [str(row[1]) for row in connection.execute(f"PRAGMA table_info({_quoted(table)})")]


def _get_sqlite(connection: sqlite3.Connection, name: str) -> pa.Table | None:
    import pyarrow as pa

    names = _sqlite_columns(connection, name)
    rows = connection.execute(f"SELECT * FROM {_quoted(name)}").fetchall() if names else []
    return pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows]) if rows else None


def _put_sqlite(connection: sqlite3.Connection, name: str, table: pa.Table) -> None:
    _check_ours(name, _sqlite_columns(connection, name))
    import pyarrow as pa

    kinds = [
        "REAL" if pa.types.is_floating(one) else "INTEGER" if pa.types.is_integer(one) else "TEXT" for one in table.schema.types
    ]
    columns = ", ".join(f'"{one}" {kind}' for one, kind in zip(table.column_names, kinds, strict=True))
    marks = ", ".join("?" * table.num_columns)
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(f"DROP TABLE IF EXISTS {_quoted(name)}")
    connection.execute(f"CREATE TABLE {_quoted(name)} ({columns})")
    for batch in table.to_batches(_ROWS):
        texts = [one.cast(pa.string()) if pa.types.is_date(one.type) else one for one in batch.columns]
        connection.executemany(
            f"INSERT INTO {_quoted(name)} VALUES ({marks})", zip(*(one.to_pylist() for one in texts), strict=True)
        )
    connection.execute("COMMIT")


def _duckdb_columns(connection: Any, table: str) -> list[str]:
    schema, name = _parts(table)
    query = "SELECT column_name FROM information_schema.columns WHERE table_schema = ? AND table_name = ?"
    return [str(row[0]) for row in connection.execute(query, [schema or "main", name]).fetchall()]


def _get_duckdb(connection: Any, name: str) -> pa.Table | None:
    known = _duckdb_columns(connection, name)
    return connection.sql(f"SELECT * FROM {_quoted(name)}").to_arrow_table() if known else None


def _put_duckdb(connection: Any, name: str, table: pa.Table) -> None:
    _check_ours(name, _duckdb_columns(connection, name))
    connection.register("written_back", table)
    connection.execute("BEGIN")
    connection.execute(f"CREATE OR REPLACE TABLE {_quoted(name)} AS SELECT * FROM written_back")
    connection.execute("COMMIT")


def _get_warehouse(connection: Any, name: str) -> pa.Table | None:
    if connection.name == "duckdb":
        return _get_duckdb(connection.con, name)
    schema, bare = _parts(name)
    there = bare in connection.list_tables(database=schema)
    return connection.table(bare, database=schema).to_pyarrow() if there else None


def _warehouse_columns(connection: Any, name: str) -> list[str]:
    if connection.name == "duckdb":
        return _duckdb_columns(connection.con, name)
    schema, bare = _parts(name)
    return list(connection.table(bare, database=schema).columns) if bare in connection.list_tables(database=schema) else []


def _put_warehouse(connection: Any, name: str, table: pa.Table) -> None:
    """Nothing: the table is replaced: in one transaction where the warehouse has any, else as its backend of Ibis does it."""
    if connection.name == "duckdb":
        _put_duckdb(connection.con, name, table)
        return
    schema, bare = _parts(name)
    held = _warehouse_columns(connection, name)
    _check_ours(name, held)
    if not hasattr(connection, "begin"):
        connection.create_table(bare, table, database=schema, overwrite=True)
        return
    stage = f"{bare}_new"
    old, new = (_in_dialect(connection, schema, one) for one in (bare, stage))
    with connection.begin() as cursor:  # a run that was cut short may have left one
        cursor.execute(f"DROP TABLE IF EXISTS {new}")
    connection.create_table(stage, schema=table.schema, database=schema)
    connection.insert(stage, table, database=schema)
    with connection.begin() as cursor:
        if held == table.column_names:  # emptied and filled rather than dropped: grants and views on it stay
            cursor.execute(f"DELETE FROM {old}")
            cursor.execute(f"INSERT INTO {old} SELECT * FROM {new}")
            cursor.execute(f"DROP TABLE {new}")
            return
        cursor.execute(f"DROP TABLE IF EXISTS {old}")
        cursor.execute(f"ALTER TABLE {new} RENAME TO {_in_dialect(connection, None, bare)}")


def _in_dialect(connection: Any, schema: str | None, name: str) -> str:
    import sqlglot

    return str(sqlglot.exp.table_(name, db=schema, quoted=True).sql(connection.dialect))


def _warehouse(reference: str) -> AbstractContextManager[Any]:
    """An Ibis connection; errors say their kind only, since a driver's text may hold the URL with its password."""
    from connectors import warehouse

    url = reveal(reference, field="write_back.database")
    remedy = "check the URL, and that the account may make and replace the table"
    return warehouse.connected(url, "write_back: the warehouse refused", remedy)


@contextmanager
def _told(place: str) -> Iterator[None]:
    """What a file or database refuses becomes an error of ours; an open transaction ends with its connection, undone."""
    import duckdb

    try:
        yield
    except (OSError, sqlite3.Error, duckdb.Error) as error:
        reason = str(error).splitlines()[0][:200] if isinstance(error, OSError) else type(error).__name__
        remedy = "check that it can be written and that nobody else holds it"
        raise ConfigurationError(f"write_back: {place} can't be written ({reason})", remedy=remedy) from None
