"""A hundred thousand members and as many results with the documented throttles on: right, and never over the limit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from connectors.google.pace import PER_MINUTE, Pace
from connectors.protocol import Operation
from connectors.sandbox import Clock
from tests.connectors.google.conftest import TOP, batch, digest, people
from tests.rates import most

if TYPE_CHECKING:
    from collections.abc import Callable

    from connectors.google.connector import GoogleConnector
    from tests.connectors.google.conftest import World

ROWS = 100_000
MINUTE = 60.0


@pytest.fixture
def paced(world: World, monkeypatch: pytest.MonkeyPatch) -> Callable[[], GoogleConnector]:
    """A connector that paces itself in the sandbox's time, which only waiting moves; over gRPC."""
    start = datetime.now(UTC)
    monkeypatch.setattr(Clock, "now", lambda clock: start + clock.offset)

    def build() -> GoogleConnector:
        connector = world.connect("ads")

        def wait(seconds: float) -> None:
            world.sandbox.clock.advance(seconds=seconds)

        connector.client._pace = Pace(clock=world.sandbox.store.now, sleep=wait)
        connector.client._sleep = wait
        return connector

    return build


def test_pushing_100000_members_is_never_refused_for_its_pace(world: World, paced: Callable[[], GoogleConnector]) -> None:
    """In requests so small that the documented 300 a minute are reached: our pace waits, Google never says 429."""
    connector, part = paced(), 250
    handle = connector.find_or_create(TOP)
    receipts = [
        connector.send(handle, batch(Operation.ADD, people(range(start, start + part)), sequence=start // part + 1))
        for start in range(0, ROWS, part)
    ]
    world.sandbox.clock.advance(hours=48)
    assert sum(connector.settle(handle, one.reference, one.pending).accepted for one in receipts) == ROWS
    connector.send(handle, batch(Operation.REMOVE, people(range(5_000))))
    calls = [*world.calls("IngestAudienceMembers"), *world.calls("RemoveAudienceMembers")]
    assert [one["rows"] for one in calls] == [part] * 400 + [5_000]
    assert most(calls, MINUTE) == PER_MINUTE
    assert most(world.calls("RetrieveRequestStatus"), MINUTE) == PER_MINUTE
    assert {one["code"] for one in world.sandbox.requests} == {""}
    held = {one[0]["emailAddress"] for one in world.members(handle)}
    assert held == {digest(f"{number}@example.com").hex() for number in range(5_000, ROWS)}


def test_a_quota_that_others_use_too_is_waited_for(world: World, paced: Callable[[], GoogleConnector]) -> None:
    """The project may take four requests a minute only: Google says 429, and everybody is in all the same."""
    world.sandbox.store.per_minute = 4
    connector, part = paced(), 10_000
    handle = connector.find_or_create(TOP)
    for start in range(0, ROWS, part):
        connector.send(handle, batch(Operation.ADD, people(range(start, start + part)), sequence=start // part + 1))
    calls = world.calls("IngestAudienceMembers")
    taken = [one for one in calls if not one["code"]]
    assert {one["code"] for one in calls} == {"", "RESOURCE_EXHAUSTED"}
    assert sum(one["rows"] for one in taken) == ROWS
    assert most(taken, MINUTE) == 4
    assert len(world.members(handle)) == ROWS


def test_pulling_100000_results_adds_up_in_flat_memory(world: World, paced: Callable[[], GoogleConnector]) -> None:
    """Ten months of 10,000 campaign days: a month is asked for when the one before has been read."""
    first = (world.sandbox.clock.now().date().replace(day=1) - timedelta(days=290)).replace(day=1)
    starts = [first]
    while len(starts) < 10:
        starts.append((starts[-1] + timedelta(days=32)).replace(day=1))
    place = {"campaign_name": "C", "impressions": 3, "clicks": 1, "conversions": "0.5"}
    place |= {"spend": "0.000001", "conversion_value": "0.1"}
    world.sandbox.campaigns = [
        {**place, "campaign_id": str(one % 500 + 1), "date": (start + timedelta(days=one // 500)).isoformat()}
        for start in starts
        for one in range(10_000)
    ]
    found, spend, value = set(), Decimal(), Decimal()
    for number, day in enumerate(paced().campaign_days(first, starts[-1] + timedelta(days=25))):
        if number % 10_000 == 0:
            assert len(world.calls("SearchStream")) == number // 10_000 + 1
        found.add((day.campaign_id, day.date))
        spend, value = spend + day.spend, value + day.conversion_value
    assert (len(found), number + 1) == (ROWS, ROWS)
    assert (spend, value) == (Decimal("0.1"), Decimal(10_000))
