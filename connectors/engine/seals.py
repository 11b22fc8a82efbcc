"""With which key a state folder is sealed, told without opening a file; and how everything passes from one key to another."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from connectors.engine.files import file_digest, spare_name, write_private
from connectors.engine.pieces import Pieces, PieceWriter
from connectors.engine.snapshots import attach, write_snapshot
from connectors.engine.tables import open_tables
from connectors.errors import ConfigurationError, FatalError

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from connectors.engine.ledger import Ledger

FILE = "seal"


def mark(key: bytes) -> bytes:
    """What is written of a key: enough to know it again, nothing to open a file with."""
    return hashlib.blake2b(b"clvsync seal", key=key[:64], digest_size=16).digest()


def key_in_use(folder: Path, key: bytes | None, old: bytes | None) -> bytes | None:
    """Which of the two keys (None: no key) the folder is sealed with now.

    Raises ConfigurationError when it is neither: nothing could be read, so nothing may be sent.
    """
    path = folder / FILE
    held = path.read_bytes() if path.is_file() else b""
    if not held and not any((folder / "snapshots").glob("*.pieces")):
        return None
    for one in (key, old):
        if one is not None and (_opens(folder, one) if not held else mark(one) == held):
            return one
    if key is None and old is None:
        raise ConfigurationError(
            "the state folder is encrypted and no key is configured",
            remedy="set encryption_key to the key it was written with",
        )
    raise ConfigurationError(
        "the state folder is encrypted with another key than the configured one",
        remedy="set encryption_key to the key it was written with; to change keys, give that one as old_encryption_key",
    )


def _opens(folder: Path, key: bytes) -> bool:
    """Whether the key opens a snapshot of a folder that says nothing of its key."""
    try:
        Pieces(next((folder / "snapshots").glob("*.pieces")), key)
    except FatalError:
        return False
    return True


def pass_on(ledger: Ledger, key: bytes | None, now: datetime) -> None:
    """Nothing: snapshots, deliveries and erasures are sealed with `key` (None: not). Goes on where a killed run stopped."""
    old = ledger.key
    for row in ledger.audiences():
        _snapshot(ledger, row, old, key, now)
    for table in ("phases", "erasures"):
        for row in ledger.journal.rows(f"SELECT * FROM {table}"):
            path = ledger.deliveries / str(row["file"])
            if path.is_file() and not sealed_with(path, key):
                _pieces(ledger, table, path, old, key)


def settle_mark(folder: Path, key: bytes | None) -> None:
    """Nothing: the folder says which key it is sealed with."""
    if key is None:
        (folder / FILE).unlink(missing_ok=True)
    else:
        write_private(folder / FILE, mark(key))


def _snapshot(ledger: Ledger, row: dict[str, Any], old: bytes | None, key: bytes | None, now: datetime) -> None:
    path = ledger.snapshot_path(row)
    if path is None or (path.suffix == ".parquet" and key is None):
        return
    if path.suffix == ".pieces" and sealed_with(path, key):
        return
    connection = open_tables(ledger.folder, memory="700MB")
    try:
        attach(connection, "base", path, old)
        spare, rows = write_snapshot(connection, "SELECT * FROM base", ledger.snapshots, f"resealed-{row['id']}", key)
    finally:
        connection.close()
    ledger.commit_snapshot(row, spare, rows, now)


def sealed_with(path: Path, key: bytes | None) -> bool:
    """Whether the key opens a piece file."""
    try:
        Pieces(path, key)
    except FatalError:
        return False
    return True


def _pieces(ledger: Ledger, table: str, path: Path, old: bytes | None, key: bytes | None) -> None:
    """Nothing: the file's rows, cut as before, are in a new file, and the journal names that one."""
    source = Pieces(path, old)
    fresh = path.with_name(f"{path.stem}-r.pieces")
    spare_name(fresh).unlink(missing_ok=True)
    with PieceWriter(fresh, source.schema, key) as writer:
        for piece in source:
            writer.write(piece)
    digest = ", digest = ?" if table == "phases" else ""
    values = (fresh.name, *((file_digest(fresh),) if digest else ()), path.name)
    ledger.journal.write(f"UPDATE {table} SET file = ?{digest} WHERE file = ?", values)
    path.unlink()
