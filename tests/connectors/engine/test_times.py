"""A machine's clock that was wrong for a night: nothing waits for what it wrote down, and nobody's membership runs out."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from connectors.engine.times import age, opens
from connectors.errors import RetriableError
from tests.connectors.engine.platform import LIMITS, Shelf
from tests.connectors.engine.world import World, person, row

if TYPE_CHECKING:
    from pathlib import Path

    from connectors.protocol import Batch

NOW = datetime(2026, 11, 22, 3, tzinfo=UTC)
PEOPLE = [person(number) for number in range(25)]
YEAR = 24 * 366


def test_a_stamp_of_the_future_says_nothing() -> None:
    assert age(None, NOW) is None
    assert age((NOW - timedelta(days=2)).isoformat(), NOW) == timedelta(days=2)
    assert age((NOW + timedelta(minutes=59)).isoformat(), NOW) == -timedelta(minutes=59)
    assert age((NOW + timedelta(hours=2)).isoformat(), NOW) is None
    assert opens((NOW - timedelta(hours=23)).isoformat(), 24, NOW) == NOW + timedelta(hours=1)
    assert opens((NOW - timedelta(hours=24)).isoformat(), 24, NOW) is None
    assert opens((NOW + timedelta(days=366)).isoformat(), 24, NOW) is None
    assert opens((NOW - timedelta(hours=1)).isoformat(), 0, NOW) is None


@pytest.mark.parametrize("refresh", [False, True])
def test_an_edit_stamped_a_year_ahead_closes_nothing_for_a_year(tmp_path: Path, refresh: bool) -> None:
    limits = replace(LIMITS, edit_interval_hours=24, replace_interval_hours=24, batch_rows=100)
    world = World(tmp_path, Shelf(limits))
    world.push(PEOPLE)
    world.clock.advance(hours=YEAR)
    world.push(PEOPLE[1:], refresh=refresh)
    world.clock.advance(hours=30 - YEAR)
    outcome = world.push(PEOPLE[2:], refresh=refresh)
    assert outcome.audiences[0]["state"] == "done"
    assert world.shelf.members("Customers") == {row(one) for one in PEOPLE[2:]}


def test_a_replace_begun_a_year_ahead_is_begun_again(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.push(PEOPLE)
    world.clock.advance(hours=YEAR)
    calls: list[Batch] = []

    def fault(batch: Batch) -> Exception | None:
        calls.append(batch)
        return RetriableError("busy") if len(calls) > 1 else None

    world.shelf.faults = [fault]
    assert world.push(PEOPLE, refresh=True).exit_code == 4
    world.shelf.faults = []
    world.clock.advance(hours=-YEAR)
    sessions = {one["session"] for one in world.shelf.writes()}
    assert world.push(PEOPLE).exit_code == 0
    assert {one["session"] for one in world.shelf.writes()[-1:]}.isdisjoint(sessions)
    assert world.shelf.members("Customers") == {row(one) for one in PEOPLE}


def test_members_stamped_a_year_ahead_are_renewed_before_they_run_out(tmp_path: Path) -> None:
    world = World(tmp_path, Shelf(replace(LIMITS, membership_days=60)))
    world.clock.advance(hours=YEAR)
    world.push(PEOPLE)
    world.clock.advance(hours=24 - YEAR)
    outcome = world.push(PEOPLE)
    assert outcome.audiences[0]["renew"] == len(PEOPLE)
    assert world.push(PEOPLE).changed == 0


def test_rows_count_from_the_day_on_which_their_delivery_began(tmp_path: Path) -> None:
    """An interrupted delivery that is finished weeks later doesn't push their renewal out."""
    world = World(tmp_path, Shelf(replace(LIMITS, membership_days=60)))
    calls: list[Batch] = []

    def fault(batch: Batch) -> Exception | None:
        calls.append(batch)
        return RetriableError("busy") if len(calls) > 1 else None

    world.shelf.faults = [fault]
    world.push(PEOPLE)
    world.shelf.faults = []
    world.clock.advance(hours=24 * 40)
    world.push(PEOPLE)
    world.clock.advance(hours=24 * 10)
    assert world.push(PEOPLE).audiences[0]["renew"] == len(PEOPLE)


def test_patience_with_rows_stamped_a_year_ahead_begins_when_the_clock_is_right(tmp_path: Path) -> None:
    shelf = Shelf(replace(LIMITS, settles=True, mixed_operations=False))
    shelf.delay = timedelta(days=10_000)
    world = World(tmp_path, shelf)
    world.clock.advance(hours=YEAR)
    world.push(PEOPLE)
    world.clock.advance(hours=-YEAR)
    assert world.push(PEOPLE).audiences[0]["pending"] == len(PEOPLE)
    world.clock.advance(hours=24 * 6)
    assert world.push(PEOPLE).audiences[0]["pending"] == len(PEOPLE)
    world.clock.advance(hours=24 * 2)
    writes = len(shelf.writes())
    world.push(PEOPLE)
    assert len(shelf.writes()) > writes, "no answer in a week: sent again"
