"""What status shows, with and without asking the platform."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from connectors.engine.status import status
from connectors.protocol import AudienceSpec
from tests.connectors.engine.platform import LIMITS, Shelf
from tests.connectors.engine.world import Person, World, person

if TYPE_CHECKING:
    from pathlib import Path


def test_status_tells_what_is_pending_and_how_large_the_audience_is(tmp_path: Path) -> None:
    world = World(tmp_path, Shelf(replace(LIMITS, settles=True)))
    world.push([person(number) for number in range(12)])
    offline = status(world.ledger)
    (line,) = offline["audiences"]
    assert (line["members"], line["pending"], line["state"], line["open_delivery"]) == (12, 12, "unknown", False)
    assert [run["exit_code"] for run in offline["runs"]] == [0]
    world.clock.advance(hours=30)
    world.shelf.settle_due()
    (told,) = status(world.ledger, [world.shelf.connect()])["audiences"]
    assert (told["state"], told["size_lower"]) == ("ready", 12)


def test_the_spec_of_an_audience_is_kept(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.push([person(1)])
    from connectors.engine.status import spec_of

    (row,) = world.ledger.audiences()
    assert spec_of(row) == AudienceSpec("all", "Customers")


def nights(world: World, crowd: list[Person], count: int = 1) -> dict[str, Any]:
    """What status says of the audience after so many nightly pushes."""
    for _ in range(count):
        world.clock.advance(hours=24)
        world.push(crowd)
    line: dict[str, Any] = status(world.ledger, [world.shelf.connect()])["audiences"][0]
    return line


def lose(world: World, count: int) -> None:
    """Nothing: so many members are gone at the platform, and nobody told us."""
    held = world.shelf.named("Customers")
    for member in sorted(held.members, key=str)[:count]:
        del held.members[member]


def test_members_that_the_platform_lost_are_told_until_a_refresh(tmp_path: Path) -> None:
    world = World(tmp_path)
    crowd = [person(number) for number in range(400)]
    assert nights(world, crowd, 3)["drift"] == ""
    lose(world, 55)
    assert nights(world, crowd)["drift"] == "", "less than a tenth and a half may be rounding"
    lose(world, 20)
    line = nights(world, crowd)
    assert line["drift"].startswith("325 people at most of 400 members, but 400 of 400 on ")
    assert "clvsync push --refresh" in line["drift"]
    (outcome,) = world.push(crowd).audiences
    assert line["drift"] in outcome["notes"]
    world.push(crowd, refresh=True)
    assert nights(world, crowd, 3)["drift"] == ""


def test_an_audience_that_shrinks_as_it_should_is_no_drift(tmp_path: Path) -> None:
    world = World(tmp_path)
    crowd = [person(number) for number in range(400)]
    nights(world, crowd, 3)
    assert nights(world, crowd[:250])["drift"] == ""
    assert nights(world, crowd[:250], 3)["drift"] == ""
    lose(world, 60)
    assert nights(world, crowd[:250])["drift"].startswith("190 people at most of 250 members, but 400 of 400 on ")
