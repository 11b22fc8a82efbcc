"""The state folder: owner-only, refused when damaged, never rebuilt in silence, sealed when a key is given."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from connectors.engine.ledger import open_ledger
from connectors.engine.pieces import Pieces, PieceWriter
from connectors.errors import FatalError
from tests.connectors.engine.world import World, person

if TYPE_CHECKING:
    from pathlib import Path

PEOPLE = [person(number) for number in range(25)]
KEY = b"thirty-two bytes of a secret key"


def test_everything_belongs_to_its_owner_alone(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.push(PEOPLE)
    state = tmp_path / "state"
    for path in [state, *state.rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, path.name


def test_a_damaged_snapshot_is_refused_and_nothing_is_sent(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.push(PEOPLE)
    sent = len(world.shelf.log)
    (snapshot,) = (tmp_path / "state" / "snapshots").glob("*.parquet")
    content = bytearray(snapshot.read_bytes())
    content[len(content) // 2] ^= 1
    snapshot.write_bytes(content)
    with pytest.raises(FatalError, match=r"snapshot .* is missing or damaged"):
        world.push(PEOPLE[:20])
    snapshot.unlink()
    with pytest.raises(FatalError, match="restore the state folder"):
        world.push(PEOPLE[:20])
    assert len(world.shelf.log) == sent


def test_a_damaged_journal_is_refused(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.push(PEOPLE)
    world.ledger.close()
    journal = tmp_path / "state" / "journal.sqlite"
    content = bytearray(journal.read_bytes())
    content[0:64] = b"\xff" * 64
    journal.write_bytes(content)
    with pytest.raises(FatalError, match="can't be trusted"):
        open_ledger(tmp_path / "state")


def test_a_lost_or_emptied_journal_is_never_rebuilt_in_silence(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.push(PEOPLE)
    world.ledger.close()
    state = tmp_path / "state"
    for path in state.glob("journal.sqlite*"):
        path.unlink()
    with pytest.raises(FatalError, match="no journal"):
        open_ledger(state)
    (state / "journal.sqlite").touch()
    with pytest.raises(FatalError, match="it is empty"):
        open_ledger(state)


def test_a_lost_salt_is_refused(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.push(PEOPLE)
    world.ledger.close()
    (tmp_path / "state" / "salt").unlink()
    with pytest.raises(FatalError, match="no salt"):
        open_ledger(tmp_path / "state")


def test_a_newer_journal_is_refused(tmp_path: Path) -> None:
    open_ledger(tmp_path / "state").close()
    with sqlite3.connect(tmp_path / "state" / "journal.sqlite") as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(FatalError, match="newer version"):
        open_ledger(tmp_path / "state")


def test_files_left_by_a_crash_are_swept_by_the_next_run(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.push(PEOPLE)
    left = [tmp_path / "state" / "deliveries" / "5-1.pieces", tmp_path / "state" / "snapshots" / ".next-1.tmp"]
    for path in left:
        path.write_bytes(b"half")
    world.push(PEOPLE)
    assert not any(path.exists() for path in left)


@pytest.mark.parametrize("key", [None, KEY])
def test_pieces_come_back_as_they_went(tmp_path: Path, key: bytes | None) -> None:
    batches = [pa.record_batch({"n": pa.array(range(start, start + 7))}) for start in (0, 7)]
    with PieceWriter(tmp_path / "x.pieces", batches[0].schema, key) as writer:
        for batch in batches:
            writer.write(batch)
    pieces = Pieces(tmp_path / "x.pieces", key)
    assert (pieces.count, pieces.rows) == (2, 14)
    assert pieces.reader().read_all().column("n").to_pylist() == list(range(14))
    assert pieces.read(1).equals(batches[1])


def test_sealed_pieces_can_not_be_swapped_or_changed(tmp_path: Path) -> None:
    batches = [pa.record_batch({"n": pa.array([start])}) for start in (0, 7)]
    path = tmp_path / "x.pieces"
    with PieceWriter(path, batches[0].schema, KEY) as writer:
        for batch in batches:
            writer.write(batch)
    good = path.read_bytes()
    pieces = Pieces(path, KEY)
    first, second = pieces._offsets[1], pieces._offsets[2]
    size = second - first
    path.write_bytes(good[:first] + good[second : second + size] + good[first:second] + good[second + size :])
    with pytest.raises(FatalError, match="damaged"):
        Pieces(path, KEY).read(0)
    path.write_bytes(good[: len(good) // 2])
    with pytest.raises(FatalError, match="damaged"):
        Pieces(path, KEY)


def test_a_writer_that_fails_leaves_no_file(tmp_path: Path) -> None:
    schema = pa.schema([pa.field("n", pa.int64())])
    with pytest.raises(ZeroDivisionError), PieceWriter(tmp_path / "x.pieces", schema) as writer:
        writer.write(pa.record_batch({"n": pa.array([1 // 0])}))
    assert list(tmp_path.iterdir()) == []
