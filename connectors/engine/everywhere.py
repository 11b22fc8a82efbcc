"""Removal from every list of an account, also lists that others made: after the audiences' own removals, where a platform can.

Only identifiers go out that this account was sent before: who was never uploaded is not told to a platform for being forgotten.
Identifiers that other customers share stay, since the platform would take those customers along.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, cast

import pyarrow as pa

from connectors.engine.diff import identifying
from connectors.engine.erased import of_keys
from connectors.engine.pieces import Pieces
from connectors.engine.snapshots import aligned, attach, recipe_fields
from connectors.engine.tables import even, fetch, name, number, open_tables, stream, write_pieces
from connectors.errors import SyncError
from connectors.protocol import Batch, Operation

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    import duckdb

    from connectors.engine.audience import Account
    from connectors.engine.ledger import Ledger
    from connectors.protocol import ErasingConnector


def intend(ledger: Ledger, account: Account, keys: Sequence[str], work: Path, now: datetime) -> None:
    """Nothing: what the account was sent of these members (hex keys) is kept, sealed like deliveries, until it was sent off."""
    if not account.capabilities.removes_everywhere or not keys:
        return
    columns = recipe_fields(account.capabilities.recipe)
    connection = open_tables(work)
    try:
        connection.execute(_empty(columns))
        for row in _audiences(ledger, account):
            attach(connection, "base", ledger.snapshot_path(row), ledger.key)
            held = ", ".join(["member_key", *(name(one.name) for one in columns)])
            source = aligned(connection, "base", columns)
            attach(connection, "base", ledger.snapshot_path(row), ledger.key)
            connection.execute(f"INSERT INTO gone SELECT DISTINCT {held} FROM ({source}) WHERE {of_keys(keys)}")
        if not number(connection, "SELECT count(*) FROM gone"):
            return
        content = hashlib.blake2b("\n".join((*account.place, *sorted(keys), now.isoformat())).encode(), digest_size=8)
        path = ledger.deliveries / f"erasure-{content.hexdigest()}.pieces"
        rows = write_pieces(path, stream(connection, "SELECT DISTINCT * FROM gone"), ledger.key)
    finally:
        connection.close()
    ledger.journal.write(
        "INSERT INTO erasures (platform, account, file, rows, at) VALUES (?, ?, ?, ?, ?)",
        (*account.place, path.name, rows, now.isoformat()),
    )


def finish(ledger: Ledger, account: Account, work: Path) -> list[dict[str, Any]]:
    """One line per erasure of the account that was open: rows, state (done or open), detail, exit_code."""
    lines = []
    query = "SELECT * FROM erasures WHERE platform = ? AND account = ? ORDER BY id"
    for row in ledger.journal.rows(query, account.place):
        line = {"platform": row["platform"], "account": row["account"], "rows": row["rows"], "state": "done", "detail": ""}
        try:
            _send(ledger, account, ledger.deliveries / row["file"], work)
        except SyncError as error:
            ledger.journal.write("UPDATE erasures SET detail = ? WHERE id = ?", (error.message, row["id"]))
            lines.append({**line, "state": "open", "detail": str(error), "exit_code": error.exit_code or 4})
            continue
        ledger.journal.write("DELETE FROM erasures WHERE id = ?", (row["id"],))
        (ledger.deliveries / row["file"]).unlink(missing_ok=True)
        lines.append({**line, "exit_code": 0})
    return lines


def _audiences(ledger: Ledger, account: Account) -> list[dict[str, Any]]:
    return [row for row in ledger.audiences() if (row["platform"], row["account"]) == account.place]


def _empty(columns: Sequence[pa.Field]) -> str:
    kinds = ", ".join(f"{name(one.name)} {'VARCHAR' if pa.types.is_string(one.type) else 'BLOB'}" for one in columns)
    return f"CREATE TEMP TABLE gone (member_key UUID, {kinds})"


def _send(ledger: Ledger, account: Account, path: Path, work: Path) -> None:
    columns, recipe = recipe_fields(account.capabilities.recipe), account.capabilities.recipe
    connection = open_tables(work)
    try:
        connection.register("kept", Pieces(path, ledger.key).reader())
        connection.execute("CREATE TEMP TABLE gone AS SELECT * FROM kept")
        connection.unregister("kept")
        _leave_shared(connection, ledger, account, columns)
        finding = " OR ".join(f"{one} IS NOT NULL" for one in identifying(recipe))
        held = ", ".join(name(one.name) for one in columns)
        found = stream(connection, f"SELECT DISTINCT {held} FROM gone WHERE {finding}")
        schema = pa.schema(columns)
        pieces = [_typed(piece, schema) for piece in even(iter(found), found.schema, account.capabilities.batch_rows)]
    finally:
        connection.close()
    for position, piece in enumerate(pieces):
        mark = hashlib.blake2b(f"{path.name} {position}".encode(), digest_size=16).hexdigest()

        def chunks(piece: pa.RecordBatch = piece) -> Iterator[pa.RecordBatch]:
            yield piece

        batch = Batch(mark, Operation.REMOVE, piece.num_rows, chunks, total_rows=piece.num_rows)
        cast("ErasingConnector", account.connector).remove_everywhere(batch)


def _typed(piece: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([piece.column(one.name).cast(one.type) for one in schema], schema=schema)


def _leave_shared(connection: duckdb.DuckDBPyConnection, ledger: Ledger, account: Account, columns: Sequence[pa.Field]) -> None:
    """Nothing: identifiers that other customers of this account have too are taken out of `gone`."""
    keys = [str(one[0]).replace("-", "") for one in fetch(connection, "SELECT DISTINCT member_key FROM gone")]
    for row in _audiences(ledger, account):
        for field in account.capabilities.recipe.fields:
            for column in field.columns() if field.identifies and not field.requires else ():
                if column not in {one.name for one in columns}:
                    continue
                attach(connection, "base", ledger.snapshot_path(row), ledger.key)
                source = aligned(connection, "base", columns)
                attach(connection, "base", ledger.snapshot_path(row), ledger.key)
                other = f"SELECT {name(column)} FROM ({source}) WHERE NOT ({of_keys(keys)}) AND {name(column)} IS NOT NULL"
                connection.execute(f"UPDATE gone SET {name(column)} = NULL WHERE {name(column)} IN ({other})")
