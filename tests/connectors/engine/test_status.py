"""What status shows, with and without asking the platform."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from connectors.engine.status import status
from connectors.protocol import AudienceSpec
from tests.connectors.engine.platform import LIMITS, Shelf
from tests.connectors.engine.world import World, person

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
