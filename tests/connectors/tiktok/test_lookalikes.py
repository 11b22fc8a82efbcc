"""Lookalikes: only of a usable seed, found instead of made twice, all six fields, real location ids."""

from __future__ import annotations

from dataclasses import replace

import pytest

from connectors.errors import ConfigurationError, NotReadyError
from connectors.protocol import AudienceState, LookalikeSpec, Operation
from connectors.tiktok.connector import TikTokConnector
from connectors.tiktok.locations import LOCATIONS, location_ids

from .conftest import Connect, Recorded, batch, made, people, seed

SPEC = LookalikeSpec("l", "Like customers A", ("US", "GB"), size="balanced")


def test_not_before_the_seed_is_usable(sandbox: Recorded, tiktok: TikTokConnector) -> None:
    handle = tiktok.find_or_create(seed())
    with pytest.raises(NotReadyError, match="not made yet"):
        tiktok.find_or_create_lookalike(handle, SPEC)
    handle = replace(handle, remote_id=tiktok.send(handle, batch(Operation.ADD, people(range(1500)))).remote_id)
    with pytest.raises(NotReadyError, match="processing"):
        tiktok.find_or_create_lookalike(handle, SPEC)
    sandbox.clock.advance(hours=25)
    made_ = tiktok.find_or_create_lookalike(handle, SPEC)
    assert list(sandbox.state()["lookalikes"]) == [made_.remote_id]
    assert made_.spec.name == SPEC.name


def test_not_of_a_seed_that_is_too_small(sandbox: Recorded, tiktok: TikTokConnector) -> None:
    with pytest.raises(NotReadyError, match="too small"):
        tiktok.find_or_create_lookalike(made(tiktok, sandbox, range(900)), SPEC)


def test_found_instead_of_made_twice(sandbox: Recorded, connect: Connect) -> None:
    handle = made(connect(), sandbox)
    first, second = connect().find_or_create_lookalike(handle, SPEC), connect().find_or_create_lookalike(handle, SPEC)
    assert first.remote_id == second.remote_id
    assert len(sandbox.bodies("/lookalike/create/")) == 1


def test_found_also_while_the_seed_is_being_edited(sandbox: Recorded, tiktok: TikTokConnector) -> None:
    handle = made(tiktok, sandbox)
    first = tiktok.find_or_create_lookalike(handle, SPEC)
    tiktok.send(handle, batch(Operation.ADD, people(range(1500, 1600))))
    assert tiktok.find_or_create_lookalike(handle, SPEC).remote_id == first.remote_id


@pytest.mark.parametrize("kind", ["lost_reply", "reset"])
def test_a_lost_create_never_makes_a_second(kind: str, sandbox: Recorded, tiktok: TikTokConnector) -> None:
    handle = made(tiktok, sandbox)
    sandbox.faults.add(match="/lookalike/create/", kind=kind)
    found = tiktok.find_or_create_lookalike(handle, SPEC)
    assert list(sandbox.state()["lookalikes"]) == [found.remote_id]


def test_another_specification_is_another_lookalike(sandbox: Recorded, tiktok: TikTokConnector) -> None:
    handle = made(tiktok, sandbox)
    first = tiktok.find_or_create_lookalike(handle, SPEC)
    for other in (replace(SPEC, size="broad"), replace(SPEC, countries=("DE",))):
        assert tiktok.find_or_create_lookalike(handle, other).remote_id != first.remote_id


def test_sizes_grow(sandbox: Recorded, tiktok: TikTokConnector) -> None:
    handle = made(tiktok, sandbox)
    found = [
        tiktok.find_or_create_lookalike(handle, replace(SPEC, name=size, size=size)) for size in ("narrow", "balanced", "broad")
    ]
    assert tiktok.status(found[0]).state is AudienceState.PROCESSING
    sandbox.clock.advance(hours=25)
    sizes = [tiktok.status(one).lower or 0 for one in found]
    assert 0 < sizes[0] < sizes[1] < sizes[2]


def test_deleted(sandbox: Recorded, tiktok: TikTokConnector) -> None:
    found = tiktok.find_or_create_lookalike(made(tiktok, sandbox), SPEC)
    tiktok.delete(found)
    assert sandbox.state()["lookalikes"] == {}


def test_an_unknown_country_is_named(sandbox: Recorded, connect: Connect) -> None:
    handle = made(connect(), sandbox)
    with pytest.raises(ConfigurationError, match=r"ZZ.*location_ids"):
        connect().find_or_create_lookalike(handle, replace(SPEC, countries=("US", "ZZ")))
    options = {"location_ids": {"ZZ": "42"}}
    connect(lookalike=options).find_or_create_lookalike(handle, replace(SPEC, countries=("US", "ZZ")))
    assert sandbox.bodies("/lookalike/create/")[0]["lookalike_spec"]["location_ids"] == ["42", "6252001"]


def test_locations_are_ids_of_countries() -> None:
    assert LOCATIONS["US"] == "6252001"  # TikTok's own example
    assert len(set(LOCATIONS.values())) == len(LOCATIONS)
    assert all(len(code) == 2 and code.isupper() and place.isdigit() for code, place in LOCATIONS.items())
    assert location_ids(["us", "US"], {}) == ["6252001"]


def test_found_under_whatever_name_it_has(sandbox: Recorded, tiktok: TikTokConnector) -> None:
    handle = made(tiktok, sandbox)
    first = tiktok.find_or_create_lookalike(handle, SPEC)
    assert tiktok.find_or_create_lookalike(handle, replace(SPEC, name="Another title")).remote_id == first.remote_id


def test_found_by_name_where_no_specification_is_told(sandbox: Recorded, tiktok: TikTokConnector) -> None:
    handle = made(tiktok, sandbox)
    first = tiktok.find_or_create_lookalike(handle, SPEC)
    sandbox.audiences.held[first.remote_id].lookalike = {"size": 1_000_000}
    assert tiktok.find_or_create_lookalike(handle, SPEC).remote_id == first.remote_id


@pytest.mark.parametrize("change", [{"mobile_os": "IOS"}, {"placements": ["TikTok", "Pangle"]}, {"include_source": True}])
def test_another_setting_is_another_lookalike(change: dict[str, object], sandbox: Recorded, connect: Connect) -> None:
    handle = made(connect(), sandbox)
    first = connect().find_or_create_lookalike(handle, SPEC)
    other = connect(lookalike=change).find_or_create_lookalike(handle, SPEC)
    assert other.remote_id != first.remote_id
    assert connect(lookalike=change).find_or_create_lookalike(handle, SPEC).remote_id == other.remote_id


@pytest.mark.parametrize(
    "told", [{"include_source": "false"}, {"include_source": 0}, {"placements": ["TIKTOK"]}, {"mobile_os": "All"}]
)
def test_how_tiktok_writes_a_setting_back_makes_no_second(
    told: dict[str, object], sandbox: Recorded, tiktok: TikTokConnector
) -> None:
    handle = made(tiktok, sandbox)
    first = tiktok.find_or_create_lookalike(handle, SPEC)
    sandbox.audiences.held[first.remote_id].lookalike.update(told)
    assert tiktok.find_or_create_lookalike(handle, SPEC).remote_id == first.remote_id


def test_a_new_seed_gets_a_lookalike_of_its_own(sandbox: Recorded, tiktok: TikTokConnector) -> None:
    handle = made(tiktok, sandbox)
    first = tiktok.find_or_create_lookalike(handle, SPEC)
    tiktok.delete(handle)  # TikTok lets it go: the lookalike is frozen
    second = made(tiktok, sandbox)
    assert tiktok.find_or_create_lookalike(second, SPEC).remote_id != first.remote_id


def test_a_refresh_keeps_it_usable(sandbox: Recorded, tiktok: TikTokConnector) -> None:
    found = tiktok.find_or_create_lookalike(made(tiktok, sandbox), SPEC)
    sandbox.clock.advance(hours=25)
    before = tiktok.status(found)
    sandbox.clock.advance(hours=80)
    tiktok.refresh_lookalike(found)
    after = tiktok.status(found)
    assert after.state is AudienceState.READY
    assert before.updated is not None
    assert after.updated is not None
    assert after.updated > before.updated
