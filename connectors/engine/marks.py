"""A digest on each journal row that decides what is sent: SQLite checks how its pages hang together, not what is in a cell.

Triggers write the digest in the same transaction as the row, so a row without the right one was changed by something else: a
disk that flipped a bit, or a hand.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sqlite3

MARKED = ("audiences", "deliveries", "phases", "batches", "lookalikes", "tombstones", "holdouts", "erasures")
COLUMN = "mark"
_FUNCTION = "row_mark"
_SCHEMA = "tables"


def teach(connection: sqlite3.Connection) -> None:
    """Nothing: the connection knows the digest of a row."""
    connection.create_function(_FUNCTION, -1, _mark, deterministic=True)
    connection.execute("PRAGMA trusted_schema = ON")  # triggers may call it


def _mark(*values: Any) -> str:
    return hashlib.blake2b(repr(values).encode(), digest_size=8).hexdigest()


def put(connection: sqlite3.Connection) -> None:
    """Nothing: in the open transaction, every row has its digest and triggers that renew it. After a change of columns, too."""
    for table in MARKED:
        columns = _columns(connection, table)
        if COLUMN not in columns:
            connection.execute(f"ALTER TABLE {table} ADD COLUMN {COLUMN} TEXT NOT NULL DEFAULT ''")
        held = ", ".join(one for one in columns if one != COLUMN)
        renew = f"UPDATE {table} SET {COLUMN} = {_FUNCTION}({held})"
        for event, name in (("INSERT", "made"), (f"UPDATE OF {held}", "changed")):
            connection.execute(f"DROP TRIGGER IF EXISTS {table}_{name}")
            connection.execute(
                f"CREATE TRIGGER {table}_{name} AFTER {event} ON {table} BEGIN {renew} WHERE rowid = NEW.rowid; END"
            )
        connection.execute(renew)
    connection.execute(f"CREATE TABLE IF NOT EXISTS {_SCHEMA} (digest TEXT NOT NULL)")
    connection.execute(f"DELETE FROM {_SCHEMA}")
    connection.execute(f"INSERT INTO {_SCHEMA} VALUES (?)", (_schema(connection),))


def wrong(connection: sqlite3.Connection) -> str:
    """The first table with a row that isn't as it was written, or the table of tables; "" when all are."""
    if [one[0] for one in connection.execute(f"SELECT digest FROM {_SCHEMA}")] != [_schema(connection)]:
        return _SCHEMA
    for table in MARKED:
        held = ", ".join(one for one in _columns(connection, table) if one != COLUMN)
        if connection.execute(f"SELECT 1 FROM {table} WHERE {COLUMN} IS NOT {_FUNCTION}({held}) LIMIT 1").fetchone():
            return table
    return ""


def _schema(connection: sqlite3.Connection) -> str:
    """A digest of the tables, indexes and triggers as SQLite keeps them: in text, which it believes."""
    rows = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY name, type").fetchall()
    return _mark(*(tuple(row) for row in rows))


def _columns(connection: sqlite3.Connection, table: str) -> list[str]:
    return [str(row[1]) for row in connection.execute(f"PRAGMA table_info({table})")]
