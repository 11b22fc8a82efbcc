"""A column, a list or a file that went missing from the export: stopped though the number of members hardly changes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from connectors.engine.audience import AudienceRequest, Guardrails
from connectors.engine.seen import Seen
from tests.connectors.engine.world import Person, World, person

if TYPE_CHECKING:
    from pathlib import Path

USUAL = [AudienceRequest("all", "Customers", guardrails=Guardrails(minimum_size=0))]
NO = {"country": "US", "consent_ad_user_data": "denied"}
SOLD = {"country": "US", "do_not_sell": "yes"}


def phone(number: int) -> tuple[str, ...]:
    return (f"+1212{5550000 + number}",)


CROWD = [
    *[person(n, phones=phone(n)) for n in range(60)],
    *[person(n, contact=NO) for n in range(60, 80)],
    *[person(n, contact=SOLD) for n in range(80, 95)],
]
STRANGERS = [str(n) for n in range(95, 107)]


def without(people: list[Person], column: str) -> list[Person]:
    """The people as an export without this column has them."""
    if column in ("emails", "phones"):
        nothing: dict[str, Any] = {column: ()}
        return [replace(one, **nothing) for one in people]
    return [replace(one, contact={key: value for key, value in one.contact.items() if key != column}) for one in people]


@pytest.mark.parametrize(
    ("column", "said"),
    [
        ("consent_ad_user_data", "only 0 customers are left out as consent denied, 20 at the last push"),
        ("do_not_sell", "only 0 customers are left out as do not sell, 15 at the last push"),
        ("phones", "only 0 values of phone can be used, 60 at the last push"),
    ],
)
def test_a_column_that_went_missing_stops_the_audience(tmp_path: Path, column: str, said: str) -> None:
    world = World(tmp_path, requests=USUAL)
    world.push(CROWD)
    writes = len(world.shelf.writes())
    outcome = world.push(without(CROWD, column))
    assert outcome.exit_code == 3
    assert said in outcome.audiences[0]["guardrail"]
    assert said in world.plan(without(CROWD, column)).rows()[0]["guardrail"]
    assert world.push(without(CROWD, column)).exit_code == 3, "the next night it is still missing"
    assert len(world.shelf.writes()) == writes
    assert world.push(CROWD).exit_code == 0
    forced = world.push(without(CROWD, column), force="the shop no longer asks for it")
    assert forced.exit_code == 0
    (override,) = world.ledger.journal.rows("SELECT * FROM overrides")
    assert (override["reason"], said in override["guardrail"]) == ("the shop no longer asks for it", True)
    assert world.push(without(CROWD, column)).exit_code == 0, "what was forced is the usual from now on"


def test_a_suppression_list_that_was_emptied_stops_the_audience(tmp_path: Path) -> None:
    world = World(tmp_path, requests=USUAL)
    everybody = [*CROWD, *[person(int(one)) for one in STRANGERS]]
    world.plan(everybody, members=world.members(everybody, suppressed=STRANGERS))
    push_with(world, everybody, STRANGERS)
    assert "left out as suppressed, 12 at the last push" in push_with(world, everybody, ()).audiences[0]["guardrail"]


def push_with(world: World, people: list[Person], suppressed: Any) -> Any:
    from connectors.engine.push import push

    return push(world.plan(people, members=world.members(people, suppressed=suppressed)), world.ledger, now=world.clock)


def test_what_went_missing_while_nobody_was_to_be_added_is_not_forgotten(tmp_path: Path) -> None:
    world = World(tmp_path, requests=[replace(USUAL[0], tiers=("high",))])
    low = [replace(one, tier="low") if one.contact == NO else one for one in CROWD]
    world.push(low)
    assert world.push(without(low, "consent_ad_user_data")).exit_code == 0
    assert world.push([*without(low, "consent_ad_user_data"), person(500)]).exit_code == 3


def test_a_person_who_says_yes_again_is_no_missing_column(tmp_path: Path) -> None:
    world = World(tmp_path, requests=USUAL)
    world.push(CROWD)
    yes = [person(n) if 60 <= n < 69 else one for n, one in enumerate(CROWD)]
    outcome = world.push(yes)
    assert (outcome.exit_code, outcome.audiences[0]["add"]) == (0, 9)


def test_a_source_that_is_smaller_as_a_whole_lacks_nothing() -> None:
    before = Seen(1000, {"do_not_sell": 100, "suppressed": 9}, {"email": 900})
    assert list(Seen(500, {"do_not_sell": 50}, {"email": 450}).lacks(before, 0.5)) == []
    assert list(Seen(1000, {"do_not_sell": 50, "suppressed": 0}, {"email": 450}).lacks(before, 0.5)) == []
    assert list(Seen(1000, {"do_not_sell": 49}, {"email": 449}).lacks(before, 0.5)) == [
        ("refusal", "do_not_sell", 100, 49),
        ("identifier", "email", 900, 449),
    ]
    assert list(Seen(1000).lacks(Seen(), 0.5)) == []
    assert list(Seen(5000, {"do_not_sell": 100}, {"email": 800}).lacks(before, 0.5)) == [], "many newcomers without an e-mail"


def test_another_form_of_nearly_everybody_travels_as_a_replace(tmp_path: Path) -> None:
    """Removed and added again, half of the audience would be gone until the platform has worked it off."""
    world = World(tmp_path, requests=USUAL)
    people = [person(n) for n in range(150)]
    world.push(people)
    moved = [person(n, emails=(f"new{n}@example.com",)) if n < 120 else person(n) for n in range(150)]
    outcome = world.push(moved)
    assert outcome.audiences[0]["mode"] == "replace"
    assert "120 of 150 members have other identifiers now" in outcome.audiences[0]["notes"][0]
    assert {one["operation"] for one in world.shelf.writes()[15:]} == {"replace"}
    assert len(world.shelf.members("Customers")) == 150
