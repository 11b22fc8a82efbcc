"""A hundred thousand members and results with the documented throttles on: right, and never over the limit."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from connectors.google.pace import Pace
from connectors.protocol import Operation
from tests.connectors.google.conftest import TOP, batch, people

if TYPE_CHECKING:
    from tests.connectors.google.conftest import World

ROWS, PART = 100_000, 10_000


def test_pushing_100000_members_is_never_refused_for_its_pace(world: World) -> None:
    """With a limit of four calls a minute instead of 300, so that it is reached: our pace waits, Google never says 429."""
    store = world.sandbox.store
    store.per_minute = 4
    connector = world.connect("ads")
    waited: list[float] = []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        world.sandbox.clock.advance(seconds=seconds)

    connector.client._pace = Pace(4, clock=store.now, sleep=wait)
    handle = connector.find_or_create(TOP)
    receipts = [
        connector.send(handle, batch(Operation.ADD, people(range(start, start + PART)), sequence=start // PART + 1))
        for start in range(0, ROWS, PART)
    ]
    world.sandbox.clock.advance(hours=48)
    assert sum(connector.settle(handle, one.reference, one.pending).accepted for one in receipts) == ROWS
    assert connector.status(handle).upper == 80_000
    assert {one["code"] for one in world.sandbox.requests} == {""}
    assert [one["rows"] for one in world.calls("IngestAudienceMembers")] == [PART] * 10
    assert len(waited) >= 2


def test_reading_results_in_many_parts_adds_up(world: World) -> None:
    """One day of 12,000 campaigns comes as a stream of more than one part."""
    day = world.now().date() - timedelta(days=2)
    place = {"campaign_name": "C", "date": day.isoformat(), "impressions": 3, "clicks": 1, "conversions": "0.5"}
    world.sandbox.campaigns = [
        {**place, "campaign_id": str(one), "spend": "0.000001", "conversion_value": "0.1"} for one in range(1, 12_001)
    ]
    found = list(world.connect().campaign_days(day, day))
    assert len(found) == 12_000
    assert sum(one.spend for one in found) == Decimal("0.012")
    assert sum(one.conversion_value for one in found) == Decimal(1200)
