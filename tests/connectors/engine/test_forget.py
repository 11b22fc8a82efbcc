"""Erasing customers: gone from the audience and from every file of the state folder, and kept out for good."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from connectors.engine.audience import Account
from connectors.engine.forget import forget
from tests.connectors.engine.platform import LIMITS, Shelf
from tests.connectors.engine.world import World, person, row

if TYPE_CHECKING:
    from pathlib import Path

PEOPLE = [person(number, phones=(f"+1212555{number:04d}",)) for number in range(35)]


def erase(world: World, *ids: str) -> dict[str, Any]:
    return forget(
        world.ledger, ids, [Account(world.shelf.connect(), world.rules)], work=world.folder / "forget", now=world.clock
    )


def traces(world: World, one: Any) -> list[str]:
    """Files of the state folder that hold an identifier of the person or their id's member key."""
    world.ledger.journal.scrub()
    needles = [part for part in row(one) if isinstance(part, bytes)]
    needles += [part.hex().encode() for part in needles]
    files = [path for path in (world.folder / "state").rglob("*") if path.is_file()]
    return [path.name for path in files if any(needle in path.read_bytes() for needle in needles)]


def test_forgotten_customers_leave_no_trace_and_do_not_come_back(tmp_path: Path) -> None:
    world = World(tmp_path, Shelf(by_person=True))
    world.push(PEOPLE)
    assert traces(world, PEOPLE[3])
    outcome = erase(world, "3", "7")
    assert (outcome["exit_code"], outcome["left"], outcome["audiences"][0]["removed"]) == (0, 0, 2)
    kept = [one for one in PEOPLE if one.id not in ("3", "7")]
    assert world.shelf.members("Customers") == {row(one) for one in kept}
    assert traces(world, PEOPLE[3]) == []
    assert traces(world, PEOPLE[4])
    again = world.push(PEOPLE)
    assert again.changed == 0
    assert world.shelf.members("Customers") == {row(one) for one in kept}


def test_members_who_are_left_out_for_it_are_counted(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.push(PEOPLE)
    erase(world, "3")
    assert world.plan(PEOPLE).dropped == {"forgotten": 1}


def test_a_removal_that_the_platform_still_works_on_is_not_reported_as_done(tmp_path: Path) -> None:
    world = World(tmp_path, Shelf(replace(LIMITS, settles=True, mixed_operations=False)))
    world.push(PEOPLE)
    first = erase(world, "3")
    assert first["left"] >= 1
    assert "not yet confirmed" in first["notes"][1]
    for _ in range(3):
        world.clock.advance(hours=30)
        world.push(PEOPLE)
    assert world.shelf.members("Customers") == {row(one) for one in PEOPLE if one.id != "3"}
    assert traces(world, PEOPLE[3]) == []
    assert erase(world, "3")["left"] == 0


def test_a_refused_removal_escalates(tmp_path: Path) -> None:
    world = World(tmp_path, Shelf(replace(LIMITS, removal_floor=35)))
    world.push(PEOPLE)
    outcome = erase(world, "3")
    assert outcome["left"] == 0
    assert world.shelf.members("Customers") == {row(one) for one in PEOPLE if one.id != "3"}
    assert "delete" in [one["operation"] for one in world.shelf.log]


def test_an_account_that_is_not_configured_is_a_failure(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.push(PEOPLE)
    outcome = forget(world.ledger, ["3"], [], work=tmp_path / "forget", now=world.clock)
    assert (outcome["exit_code"], outcome["left"]) == (1, 1)
    assert "not configured" in outcome["notes"][1]


def test_unknown_ids_are_only_remembered(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.push(PEOPLE)
    before = len(world.shelf.log)
    outcome = erase(world, "nobody")
    assert (outcome["exit_code"], outcome["audiences"]) == (0, [])
    assert len(world.shelf.log) == before
