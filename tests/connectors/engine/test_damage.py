"""A state folder with a flipped bit, a cut or a missing file: refused with a remedy before anything is sent, never rebuilt."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from connectors.engine.ledger import open_ledger
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
