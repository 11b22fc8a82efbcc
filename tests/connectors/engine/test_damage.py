"""A state folder with a flipped bit, a cut or a missing file: refused with a remedy before anything is sent, never rebuilt."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from connectors.engine.journal import MIGRATIONS
from connectors.engine.ledger import open_ledger
from connectors.engine.marks import MARKED
from connectors.errors import FatalError, RetriableError
from tests.connectors.engine.world import World, person

if TYPE_CHECKING:
    from pathlib import Path

    from connectors.protocol import Batch

PEOPLE = [person(number) for number in range(40)]
FILES = ("journal.sqlite", "salt", "snapshots/*.parquet", "deliveries/*-1.pieces", "deliveries/*-2.pieces")
DAMAGES = ("flipped", "cut", "empty", "missing")


def interrupted(tmp_path: Path) -> World:
    """A world with a snapshot, and a delivery of additions and removals that stopped after its first batch."""
    world = World(tmp_path)
    world.push(PEOPLE)
    calls: list[str] = []

    def fault(batch: Batch) -> Exception | None:
        calls.append(batch.id)
        return RetriableError("busy") if len(calls) > 1 else None

    world.shelf.faults = [fault]
    assert world.push([*PEOPLE[12:], *[person(number) for number in range(100, 115)]]).exit_code == 4
    world.shelf.faults = []
    world.ledger.close()
    return world


def damage(path: Path, how: str) -> None:
    """Nothing: the file is damaged so."""
    content = bytearray(path.read_bytes())
    if how == "missing":
        path.unlink()
        return
    if how == "flipped":
        place = 20 if path.name == "journal.sqlite" else len(content) // 2  # in the journal: how its pages are laid out
        content[place] ^= 0x41
    path.write_bytes({"flipped": bytes(content), "cut": bytes(content[: len(content) * 2 // 3]), "empty": b""}[how])


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """One for all: what is refused changes nothing."""
    return interrupted(tmp_path_factory.mktemp("damage"))


def go_on(world: World) -> int:
    """The exit code of a new process' run."""
    world.ledger = open_ledger(world.folder / "state")
    try:
        return world.push(PEOPLE).exit_code
    finally:
        world.ledger.close()


@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize("file", FILES)
def test_a_damaged_state_folder_is_refused_with_a_remedy(world: World, file: str, how: str) -> None:
    (path,) = (world.folder / "state").glob(file)
    whole, sent = path.read_bytes(), len(world.shelf.log)
    damage(path, how)
    with pytest.raises(FatalError) as refused:
        go_on(world)
    assert "restore" in refused.value.remedy
    assert len(world.shelf.log) == sent
    assert (path.read_bytes() if path.exists() else None) != whole, "it was not rebuilt"
    for left in path.parent.glob(f"{path.name}-*"):
        left.unlink()  # what SQLite lays beside a damaged journal
    path.write_bytes(whole)


def test_restored_it_goes_on(tmp_path: Path) -> None:
    world = interrupted(tmp_path)
    (path,) = (tmp_path / "state" / "snapshots").glob("*")
    whole = path.read_bytes()
    damage(path, "cut")
    with pytest.raises(FatalError):
        go_on(world)
    path.write_bytes(whole)
    assert go_on(world) == 0
    assert len(world.shelf.members("Customers")) == len(PEOPLE)


def flip(path: Path, place: int) -> None:
    """Nothing: one bit at this place is another."""
    with path.open("r+b") as file:
        file.seek(place)
        (byte,) = file.read(1)
        file.seek(place)
        file.write(bytes([byte ^ 1 << place % 8]))


def rows_of(path: Path) -> dict[str, list[Any]]:
    """What the tables that decide what is sent hold."""
    ledger = open_ledger(path.parent)
    try:
        return {table: ledger.journal.rows(f"SELECT rowid, * FROM {table} ORDER BY rowid") for table in MARKED}
    finally:
        ledger.close()


def test_a_bit_flipped_anywhere_in_the_journal_is_refused_or_changes_nothing(world: World) -> None:
    """Every 251st byte, and bytes of a few cells: SQLite itself doesn't look into them."""
    path = world.folder / "state" / "journal.sqlite"
    whole, held = path.read_bytes(), rows_of(path)
    (audience,), batch, phase = held["audiences"], held["batches"][0], held["phases"][0]
    cells = [audience["snapshot_digest"], batch["id"], phase["digest"]]
    places = {place for cell in cells for place in range(whole.index(cell.encode()), whole.index(cell.encode()) + len(cell), 7)}
    refused = set()
    for place in sorted(places | set(range(100, len(whole), 251))):
        path.write_bytes(whole)
        flip(path, place)
        try:
            told = rows_of(path)
        except FatalError as error:
            refused.add(place if "restore" in error.remedy else -1)
        else:
            assert told == held, f"a bit at {place} was taken for the truth"
        for left in path.parent.glob(f"{path.name}-*"):
            left.unlink()
    path.write_bytes(whole)
    assert places <= refused
    assert -1 not in refused


def test_a_journal_of_an_earlier_version_is_read_and_guarded_from_then_on(tmp_path: Path) -> None:
    world = interrupted(tmp_path)
    path = tmp_path / "state" / "journal.sqlite"
    with closing(sqlite3.connect(path)) as connection:  # as the version before rows had a digest left it
        for table in MARKED:
            connection.execute(f"DROP TRIGGER {table}_made")
            connection.execute(f"DROP TRIGGER {table}_changed")
            connection.execute(f"ALTER TABLE {table} DROP COLUMN mark")
        connection.execute("DROP TABLE tables")
        connection.execute("DROP TABLE sizes")
        connection.execute(f"PRAGMA user_version = {MIGRATIONS.index('')}")
    assert go_on(world) == 0
    assert len(world.shelf.members("Customers")) == len(PEOPLE)
    with closing(sqlite3.connect(path)) as connection:
        connection.create_function("row_mark", -1, lambda *values: "anything")
        connection.execute("UPDATE audiences SET rows = rows + 1")
        connection.commit()
    with pytest.raises(FatalError, match="a row of audiences is not as it was written"):
        go_on(world)
