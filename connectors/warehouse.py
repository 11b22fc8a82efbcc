"""A warehouse behind a URL (extra `warehouse`): an Ibis connection, and a query's rows as an Arrow table.

Where a driver has plain cursors (PostgreSQL, MySQL, SQL Server, SQLite ...) the query is run as it is written: Ibis would make
a view of it first, which needs the right to make one and fails on read-only replicas.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from connectors.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

ROWS_AT_ONCE = 50_000
PLAIN = "bool int float str bytes Decimal datetime date time timedelta NoneType list".split()
EXTRAS = {"postgresql": "postgres", "mssql+pyodbc": "mssql"}


@contextmanager
def connected(url: str, what: str, remedy: str) -> Iterator[Any]:
    """An Ibis connection. Raises ConfigurationError with the kind of an error alone: a driver's text may hold the password.

    `what` begins the message, `remedy` ends it.
    """
    try:
        import ibis
    except ImportError:
        raise ConfigurationError(
            f"{what}: a warehouse needs the extra `warehouse`", remedy="pip install 'clv-audience-sync[warehouse]'"
        ) from None
    try:
        connection = ibis.connect(url)
        try:
            yield connection
        finally:
            connection.disconnect()
    except ConfigurationError:
        raise
    except ImportError:
        kind = url.partition("://")[0]
        driver = f"pip install 'ibis-framework[{EXTRAS.get(kind, kind)}]'"
        raise ConfigurationError(f"{what}: the driver for {kind} is not installed", remedy=driver) from None
    except Exception as error:
        raise ConfigurationError(f"{what} ({type(error).__name__})", remedy=remedy) from None


def query(connection: Any, sql: str) -> pa.Table:
    """The rows of a query."""
    if connection.name == "duckdb":  # Ibis reads it through a method that DuckDB 2 no longer has
        found: pa.Table = connection.con.sql(sql).to_arrow_table()
        return found
    if not hasattr(connection, "begin"):
        return connection.sql(sql).to_pyarrow()
    import pyarrow as pa

    with connection.begin() as cursor:
        cursor.execute(sql)
        names = [str(one[0]) for one in cursor.description]
        parts = [_table(names, rows) for rows in iter(lambda: cursor.fetchmany(ROWS_AT_ONCE), [])]
    empty = pa.table({name: pa.array([], pa.string()) for name in names})
    return pa.concat_tables(parts, promote_options="permissive") if parts else empty


def _table(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> pa.Table:
    import pyarrow as pa

    columns = [[_plain(value) for value in column] for column in zip(*rows, strict=True)]
    return pa.Table.from_arrays([_array(column) for column in columns], names=list(names))


def _array(column: list[Any]) -> pa.Array:
    """Values of one kind keep it; anything else is text."""
    import pyarrow as pa

    try:
        return pa.array(column)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        return pa.array([None if one is None else str(one) for one in column], pa.string())


def _plain(value: Any) -> Any:
    """The value as Arrow can hold it: UUIDs and the like as text, JSON as JSON."""
    if type(value).__name__ in PLAIN:
        return value
    if isinstance(value, (dict, tuple)):
        import json

        return json.dumps(value, default=str)
    return bytes(value) if isinstance(value, memoryview) else str(value)
