"""Encryption at rest: no key, a wrong key, another key, from none to one and back; nothing readable is left on disk."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from connectors import remains, tables
from connectors.engine import seals
from connectors.engine.ledger import open_ledger
from connectors.errors import ConfigurationError
from tests.connectors.engine.platform import LIMITS, Shelf
from tests.connectors.engine.world import World, person, row

if TYPE_CHECKING:
    from pathlib import Path

PEOPLE = [person(number) for number in range(25)]
FIRST, SECOND = b"thirty-two bytes of a secret key", b"another key of thirty-two bytes!"


def readable(folder: Path) -> list[str]:
    """Files in which a digest of somebody's address can be read (binary or hex), or a customer id of the kept table."""
    digests = [part for one in PEOPLE for part in row(one) if isinstance(part, bytes)]
    needles = [*digests, *(one.hex().encode() for one in digests), b"customer-of-the-shop"]
    files = [path for path in (folder / "state").rglob("*") if path.is_file()]
    return sorted(path.name for path in files if any(needle in path.read_bytes() for needle in needles))


def keep_scores(world: World) -> None:
    table = pa.table({"customer_id": ["customer-of-the-shop"] * 3, "clv": [1.0, 2.0, 3.0]})
    (world.ledger.folder / "runs" / "a").mkdir(parents=True, exist_ok=True)
    tables.keep(table, world.ledger.folder / "runs" / "a" / "scores", world.ledger.key)


def with_keys(world: World, key: bytes | None, old: bytes | None = None) -> None:
    """Nothing: a new process opened the folder with these keys."""
    world.ledger.close()
    state = world.folder / "state"
    world.ledger = open_ledger(state, key, old=old, also=lambda one, two: remains.reseal(state, one, two))


def test_a_folder_needs_the_key_it_is_sealed_with(tmp_path: Path) -> None:
    world = World(tmp_path, key=FIRST)
    world.push(PEOPLE)
    keep_scores(world)
    assert readable(tmp_path) == []
    with pytest.raises(ConfigurationError, match="no key is configured"):
        open_ledger(tmp_path / "state")
    with pytest.raises(ConfigurationError, match="another key") as wrong:
        open_ledger(tmp_path / "state", SECOND)
    assert wrong.value.exit_code == 2
    with_keys(world, FIRST)
    assert world.push(PEOPLE).changed == 0


@pytest.mark.parametrize("pending", [False, True])
@pytest.mark.parametrize(("before", "after"), [(None, FIRST), (FIRST, SECOND), (FIRST, None)])
def test_a_folder_passes_to_another_key_whole(tmp_path: Path, before: bytes | None, after: bytes | None, pending: bool) -> None:
    world = World(tmp_path, Shelf(replace(LIMITS, settles=pending)), key=before)
    world.push(PEOPLE)
    keep_scores(world)
    assert bool(readable(tmp_path)) == (before is None)
    with_keys(world, after, before)
    assert world.push(PEOPLE).changed == 0
    assert bool(readable(tmp_path)) == (after is None)
    kept = tables.kept(tmp_path / "state" / "runs" / "a" / "scores", after)
    assert kept is not None
    assert kept["clv"].to_pylist() == [1.0, 2.0, 3.0]
    with_keys(world, after)
    world.clock.advance(hours=30)
    world.push(PEOPLE[3:])
    world.clock.advance(hours=30)
    world.push(PEOPLE[3:])
    world.shelf.settle_due()
    assert world.shelf.members("Customers") == {row(one) for one in PEOPLE[3:]}
    assert bool(readable(tmp_path)) == (after is None)


def test_a_change_of_keys_that_was_killed_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path, Shelf(replace(LIMITS, settles=True)), key=FIRST)
    world.push(PEOPLE)
    keep_scores(world)
    with_keys(world, SECOND, FIRST)
    monkeypatch.setattr(seals, "settle_mark", lambda folder, key: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        world.push(PEOPLE)
    monkeypatch.undo()
    with_keys(world, SECOND, FIRST)
    with world.ledger.run("job", world.clock()):  # as the job does: everything happens inside one run
        assert world.push(PEOPLE).changed == 0
    with_keys(world, SECOND)
    world.clock.advance(hours=30)
    assert world.push(PEOPLE).exit_code == 0
    assert readable(tmp_path) == []


def test_what_a_killed_run_left_in_its_work_folder_goes(tmp_path: Path) -> None:
    world = World(tmp_path)
    left = tmp_path / "state" / "work-4242"
    left.mkdir()
    (left / "members.pieces").write_bytes(b"half")
    world.push(PEOPLE)
    assert not left.exists()
