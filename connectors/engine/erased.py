"""Who was erased, and what of them is still kept because a platform has not confirmed their removal yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from connectors.engine.pieces import Pieces
from connectors.engine.snapshots import attach
from connectors.engine.tables import fetch, open_tables

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    import duckdb

    from connectors.engine.ledger import Ledger

_FILES = """
    SELECT DISTINCT audiences.platform, audiences.account, audiences.key AS audience, phases.file FROM phases
    JOIN deliveries ON deliveries.id = phases.delivery JOIN audiences ON audiences.id = deliveries.audience
    WHERE deliveries.state <> 'closed' OR EXISTS (SELECT 1 FROM batches WHERE batches.delivery = phases.delivery
        AND batches.phase = phases.phase AND batches.state = 'pending')
    UNION ALL SELECT platform, account, '' AS audience, file FROM erasures
"""


def bury(ledger: Ledger, ids: Sequence[str], now: datetime) -> list[str]:
    """The member keys (hex) of these customers, each of which has a tombstone now: no later run sends them."""
    keys = sorted({ledger.member_key(one).hex() for one in ids})
    with ledger.journal.transaction() as connection:
        rows = [(key, now.isoformat()) for key in keys]
        connection.executemany("INSERT OR IGNORE INTO tombstones (member, at) VALUES (?, ?)", rows)
        connection.executemany("UPDATE tombstones SET done_at = NULL WHERE member = ?", [(key,) for key in keys])
    return keys


def settle_tombstones(ledger: Ledger, now: datetime) -> list[dict[str, Any]]:
    """Where the state folder still keeps rows of erased customers: platform, account, audience ("": every list), customers.

    Who is in none of these places is done: their tombstone says since when.
    """
    lines = still_held(ledger)
    left = {key.hex() for line in lines for key in line.pop("keys")}
    done = [one for one in _open(ledger) if one not in left]
    with ledger.journal.transaction() as connection:
        connection.executemany("UPDATE tombstones SET done_at = ? WHERE member = ?", [(now.isoformat(), one) for one in done])
    return lines


def still_held(ledger: Ledger) -> list[dict[str, Any]]:
    """The same with `keys` (member keys); changes nothing. Quick when every erasure is done."""
    keys = _open(ledger)
    if not keys:
        return []
    known = pa.array([bytes.fromhex(one) for one in keys], pa.binary(16))
    found: dict[tuple[str, str, str], list[bytes]] = {}
    connection = open_tables(ledger.folder, memory="300MB")
    try:
        for row in ledger.audiences():
            if row["escalated"]:  # a replace under way has left them out of the snapshot, not yet out of the platform
                found.setdefault((row["platform"], row["account"], row["key"]), []).extend(known.to_pylist())
            held = _in_snapshot(connection, ledger.snapshot_path(row), ledger.key, keys)
            found.setdefault((row["platform"], row["account"], row["key"]), []).extend(held)
    finally:
        connection.close()
    for row in ledger.journal.rows(_FILES):
        place = (row["platform"], row["account"], row["audience"])
        found.setdefault(place, []).extend(_in_pieces(ledger.deliveries / row["file"], ledger.key, known))
    return [
        {
            "platform": place[0],
            "account": place[1],
            "audience": place[2],
            "customers": len(set(held)),
            "keys": set(held),
        }
        for place, held in sorted(found.items())
        if held
    ]


def of_keys(keys: Sequence[str]) -> str:
    """SQL: whether a row is one of these members' (hex)."""
    return f"member_key IN ({', '.join(f'CAST({chr(39)}{key}{chr(39)} AS UUID)' for key in keys)})"


def _open(ledger: Ledger) -> list[str]:
    return [row["member"] for row in ledger.journal.rows("SELECT member FROM tombstones WHERE done_at IS NULL")]


def _in_snapshot(
    connection: duckdb.DuckDBPyConnection, path: Path | None, key: bytes | None, keys: Sequence[str]
) -> list[bytes]:
    if path is None:
        return []
    attach(connection, "base", path, key)
    rows = fetch(connection, f"SELECT CAST(member_key AS VARCHAR) FROM base WHERE {of_keys(keys)}")
    return [bytes.fromhex(str(one).replace("-", "")) for (one,) in rows]


def _in_pieces(path: Path, key: bytes | None, known: pa.Array) -> list[bytes]:
    held: list[bytes] = []
    for piece in Pieces(path, key):
        keys = piece.column("member_key")
        keys = keys.storage if hasattr(keys, "storage") else keys
        held += keys.filter(pc.is_in(keys, known)).to_pylist()
    return held
