"""Demand Gen lookalikes: of ready seeds only, found instead of made twice, never changed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from connectors.errors import ConfigurationError, FatalError, NotReadyError
from connectors.protocol import AudienceHandle, AudienceState, LookalikeSpec
from tests.connectors.google.conftest import TOP

if TYPE_CHECKING:
    from tests.connectors.google.conftest import World

LOOK = LookalikeSpec("look", "Like the top", ("US", "CA"))


def test_a_seed_of_fewer_than_100_matched_people_is_not_ready(world: World) -> None:
    connector = world.connect()
    seed = world.filled(connector, range(100))
    with pytest.raises(NotReadyError, match="100 matched"):
        connector.find_or_create_lookalike(seed, LOOK)
    assert world.calls("MutateUserLists") == []


def test_a_seed_that_is_gone_is_not_ready(world: World) -> None:
    connector = world.connect()
    seed = connector.find_or_create(TOP)
    connector.delete(seed)
    with pytest.raises(NotReadyError):
        connector.find_or_create_lookalike(seed, LOOK)


def test_the_same_configuration_is_found_whatever_its_name_or_order(world: World, transport: str) -> None:
    connector = world.connect(transport)
    seed = world.filled(connector, range(200))
    made = connector.find_or_create_lookalike(seed, LOOK)
    again = replace(LOOK, name="Another name", countries=("CA", "us"))
    assert connector.find_or_create_lookalike(seed, again).remote_id == made.remote_id
    held = world.sandbox.state()["lookalikes"][made.remote_id]
    assert (held["name"], held["seeds"], held["level"]) == ("Like the top", [seed.remote_id], 2)


@pytest.mark.parametrize(("size", "level"), [("narrow", 2), ("balanced", 3), ("broad", 4)])
def test_sizes_are_expansion_levels(world: World, size: str, level: int) -> None:
    connector = world.connect()
    seed = world.filled(connector, range(200))
    made = connector.find_or_create_lookalike(seed, replace(LOOK, size=size))
    assert world.sandbox.store.lists[int(made.remote_id)].level == level


def test_another_configuration_of_the_same_name_is_a_list_of_its_own(world: World) -> None:
    """Lookalikes can't be changed: a new country means a new list, found again by what it is."""
    connector = world.connect()
    seed = world.filled(connector, range(200))
    first = connector.find_or_create_lookalike(seed, LOOK)
    more = replace(LOOK, countries=("US", "CA", "MX"))
    second = connector.find_or_create_lookalike(seed, more)
    assert second.remote_id != first.remote_id
    assert connector.find_or_create_lookalike(seed, more).remote_id == second.remote_id
    assert len(world.sandbox.state()["lookalikes"]) == 2


def test_a_duplicate_that_was_made_meanwhile_is_used(world: World) -> None:
    """The first look finds nothing, the creation says DUPLICATE_LOOKALIKE, the second look finds it."""
    connector, other = world.connect(), world.connect()
    seed = world.filled(connector, range(200))
    honest = connector.client.query
    made: list[AudienceHandle] = []

    def late(gaql: str, customer_id: str = "") -> list[Any]:
        found = honest(gaql, customer_id)
        if not made and "LOOKALIKE" in gaql:
            made.append(other.find_or_create_lookalike(seed, LOOK))
        return found

    connector.client.query = late  # type: ignore[method-assign]
    assert connector.find_or_create_lookalike(seed, LOOK).remote_id == made[0].remote_id
    assert [one["code"] for one in world.calls("MutateUserLists")] == ["", "DUPLICATE_LOOKALIKE"]


def test_a_duplicate_that_can_not_be_seen_is_fatal(world: World) -> None:
    connector = world.connect()
    seed = world.filled(connector, range(200))
    world.sandbox.faults.add(match="MutateUserLists", detail={"source": "user_list_error", "code": "DUPLICATE_LOOKALIKE"})
    with pytest.raises(FatalError, match="manager account"):
        connector.find_or_create_lookalike(seed, LOOK)


def test_countries_and_sizes_are_checked(world: World) -> None:
    connector = world.connect()
    seed = world.filled(connector, range(200))
    for wrong in (replace(LOOK, size="huge"), replace(LOOK, countries=()), replace(LOOK, countries=("USA",))):
        with pytest.raises(ConfigurationError):
            connector.find_or_create_lookalike(seed, wrong)


def test_status_and_deletion(world: World) -> None:
    connector = world.connect()
    made = connector.find_or_create_lookalike(world.filled(connector, range(200)), LOOK)
    assert connector.status(made).state is AudienceState.PROCESSING
    world.sandbox.clock.advance(hours=48)
    assert connector.status(made).state is AudienceState.READY
    connector.delete(made)
    connector.delete(made)
    assert connector.status(made).state is AudienceState.MISSING
