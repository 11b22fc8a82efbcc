"""Lookalikes from night to night: tended, refreshed, made again; seeds that they hold; what is foreseen."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import pytest

from connectors.commands.sync import told
from connectors.engine.audience import Account, AudienceRequest
from connectors.engine.forget import forget
from connectors.engine.identity import IdentityRules
from connectors.engine.page import words
from connectors.engine.status import status
from connectors.errors import RemovalRefusedError
from connectors.protocol import AudienceSpec, AudienceState, LookalikeSpec, Operation
from tests.connectors.engine.platform import LIMITS, Shelf
from tests.connectors.engine.world import LOOSE, World, person

if TYPE_CHECKING:
    from pathlib import Path

    from connectors.protocol import Batch, Connector

LOOK = LookalikeSpec("us", "Seed lookalike US", ("US",))
REQUEST = AudienceRequest("seed", "Seed", guardrails=LOOSE, lookalikes=(LOOK,))
PEOPLE = [person(number) for number in range(20)]


def made(tmp_path: Path, request: AudienceRequest = REQUEST, **limits: Any) -> World:
    """A world whose seed and lookalike are there."""
    world = World(tmp_path, Shelf(replace(LIMITS, lookalike_minimum=3, **limits)), requests=(request,))
    assert world.push(PEOPLE).audiences[0]["lookalikes"][0]["state"] == "made"
    return world


def line(world: World, people: Any = PEOPLE, **options: Any) -> dict[str, Any]:
    """The first lookalike after another run."""
    return dict(world.push(people, **options).audiences[0]["lookalikes"][0])


def count(world: World, operation: str) -> int:
    return sum(one["operation"] == operation for one in world.shelf.log)


def test_the_platforms_word_on_a_lookalike_is_shown(tmp_path: Path) -> None:
    world = made(tmp_path)
    world.shelf.named(LOOK.name).state = AudienceState.BLOCKED
    shown = line(world)
    assert (shown["state"], shown["platform_state"], shown["size_lower"]) == ("made", "blocked", 0)
    assert shown["remote_id"] == world.shelf.named(LOOK.name).id
    (told,) = status(world.ledger, [cast("Connector", world.shelf.connect())])["lookalikes"]
    assert (told["name"], told["audience"], told["state"], told["follows"]) == (LOOK.name, "seed", "blocked", True)
    (offline,) = status(world.ledger)["lookalikes"]
    assert offline["state"] == "unknown"


def test_a_plan_says_what_will_become_of_lookalikes(tmp_path: Path) -> None:
    world = World(tmp_path, requests=(REQUEST,))
    with_nothing = world.plan(PEOPLE).rows()[0]["lookalikes"]
    assert [(one["name"], one["state"], one["countries"], one["size"]) for one in with_nothing] == [
        (LOOK.name, "waiting", ["US"], "narrow")
    ]
    world.push(PEOPLE)
    assert world.plan(PEOPLE).rows()[0]["lookalikes"][0]["state"] == "made"
    world.requests = (replace(REQUEST, lookalikes=(replace(LOOK, size="broad"),)),)
    assert world.plan(PEOPLE).rows()[0]["lookalikes"][0]["state"] == "to be made anew"


def test_one_that_is_gone_from_the_platform_is_made_again(tmp_path: Path) -> None:
    world = made(tmp_path)
    old = world.shelf.named(LOOK.name).id
    del world.shelf.audiences[old]
    shown = line(world)
    assert (shown["state"], "made again" in shown["detail"]) == ("made", True)
    assert shown["remote_id"] == world.shelf.named(LOOK.name).id != old


def test_only_platforms_that_are_asked_get_it(tmp_path: Path) -> None:
    elsewhere = replace(
        REQUEST, lookalikes=(replace(LOOK, platforms=("other",)), replace(LOOK, key="b", name="B", platforms=("shelf",)))
    )
    world = World(tmp_path, requests=(elsewhere,))
    assert [one["name"] for one in world.push(PEOPLE).audiences[0]["lookalikes"]] == ["B"]


def test_it_is_refreshed_after_its_seed_has_changed_and_not_too_often(tmp_path: Path) -> None:
    world = made(tmp_path, lookalike_refresh_days=3)
    world.clock.advance(days=4)
    assert line(world)["refreshed_at"] == ""  # nothing changed
    more = [*PEOPLE, person(99)]
    shown = line(world, more)
    assert shown["refreshed_at"] == world.clock().isoformat()
    assert count(world, "refresh") == 1
    world.clock.advance(days=2)
    again = [*more, person(100)]
    assert line(world, again)["refreshed_at"] != world.clock().isoformat()
    assert count(world, "refresh") == 1
    world.clock.advance(days=1)
    assert line(world, again)["refreshed_at"] == world.clock().isoformat()
    assert count(world, "refresh") == 2
    world.clock.advance(days=9)
    line(world, again)
    assert count(world, "refresh") == 2
    assert status(world.ledger)["lookalikes"][0]["refreshed_at"]


def test_where_the_platform_does_it_itself_nothing_is_refreshed(tmp_path: Path) -> None:
    world = made(tmp_path)
    world.clock.advance(days=30)
    line(world, [*PEOPLE, person(99)])
    assert count(world, "refresh") == 0


def refuse_removals(world: World) -> None:
    def fault(batch: Batch) -> Exception | None:
        return RemovalRefusedError("too few") if batch.operation is not Operation.ADD else None

    world.shelf.faults.append(fault)


def test_an_audience_made_anew_takes_its_own_lookalikes_along(tmp_path: Path) -> None:
    world = made(tmp_path)
    world.shelf.holds_seeds = True
    old = {one.spec.name: one.id for one in world.shelf.audiences.values()}
    refuse_removals(world)
    outcome = world.push(PEOPLE[1:])
    assert outcome.exit_code == 0
    assert any("deleted, since its seed could not be otherwise" in one for one in outcome.audiences[0]["notes"])
    assert world.shelf.named("Seed").id != old["Seed"]
    assert len(world.shelf.members("Seed")) == 19
    shown = line(world, PEOPLE[1:])
    assert shown["state"] == "made"
    assert world.shelf.audiences[shown["remote_id"]].lookalike_of == world.shelf.named("Seed").id
    assert old[LOOK.name] not in world.shelf.audiences


def test_a_stranger_s_lookalike_holds_the_audience_and_that_is_not_called_done(tmp_path: Path) -> None:
    world = made(tmp_path)
    world.shelf.holds_seeds = True
    client = world.shelf.connect()
    seed = client.find_or_create(AudienceSpec("seed", "Seed"))
    theirs = client.find_or_create_lookalike(seed, replace(LOOK, key="x", name="Theirs"))
    refuse_removals(world)
    outcome = world.push(PEOPLE[1:])
    assert outcome.exit_code == 1
    assert outcome.audiences[0]["state"] == "failed"
    assert "lookalikes are built on it" in outcome.audiences[0]["detail"]
    assert {LOOK.name, "Theirs", "Seed"} == {one.spec.name for one in world.shelf.audiences.values()}, (
        "nothing is deleted for nothing"
    )
    account = Account(cast("Connector", client), IdentityRules())
    erased = forget(world.ledger, ["0"], [account], work=tmp_path / "erase", now=world.clock)
    assert (erased["exit_code"], erased["left"]) == (1, 1)
    client.delete(theirs)
    world.push(PEOPLE[1:])
    assert len(world.shelf.members("Seed")) == 19


def test_a_seed_that_was_deleted_by_hand_leaves_word_of_its_old_lookalike(tmp_path: Path) -> None:
    world = made(tmp_path)
    old = world.shelf.named(LOOK.name)
    del world.shelf.audiences[world.shelf.named("Seed").id]
    old.spec = replace(old.spec, name="Kept by somebody")
    shown = line(world)
    assert shown["remote_id"] not in ("", old.id)
    assert f"{old.id} was made of one that is gone" in shown["detail"]


def test_a_new_title_is_shown_by_the_platform(tmp_path: Path) -> None:
    world = World(tmp_path, Shelf(replace(LIMITS, renames=True)), requests=(replace(REQUEST, lookalikes=()),))
    world.push(PEOPLE)
    made_id = world.shelf.named("Seed").id
    world.requests = (replace(REQUEST, title="Seed B", lookalikes=()),)
    outcome = world.push(PEOPLE)
    assert world.shelf.named("Seed B").id == made_id
    assert "before: 'Seed'" in outcome.audiences[0]["notes"][-1]
    assert count(world, "rename") == 1
    world.push(PEOPLE)
    assert count(world, "rename") == 1
    world.requests = (replace(REQUEST, title="Seed B", description="what it is", lookalikes=()),)
    world.push(PEOPLE)
    assert world.shelf.named("Seed B").spec.description == "what it is"


def test_where_nothing_can_be_renamed_nothing_is_said_to_be(tmp_path: Path) -> None:
    world = World(tmp_path, requests=(replace(REQUEST, lookalikes=()),))
    world.push(PEOPLE)
    world.requests = (replace(REQUEST, title="Seed B", lookalikes=()),)
    assert world.push(PEOPLE).audiences[0]["notes"] == []
    assert world.shelf.named("Seed")
    assert count(world, "rename") == 0


@pytest.mark.parametrize(("there", "stopped"), [(0, []), (2, ["b"]), (9, ["seed", "b"])])
def test_more_audiences_than_the_account_may_hold_are_stopped(tmp_path: Path, there: int, stopped: list[str]) -> None:
    requests = (replace(REQUEST, lookalikes=()), replace(REQUEST, key="b", title="B", lookalikes=()))
    world = World(tmp_path, Shelf(replace(LIMITS, maximum_audiences=3)), requests=requests)
    for number in range(there):
        world.shelf.connect().find_or_create(AudienceSpec(f"old {number}", f"Old {number}"))
    rows = world.plan(PEOPLE).rows()
    assert [one["audience"] for one in rows if one["guardrail"]] == stopped
    assert not stopped or f"holds {there} audiences of 3 and 2 are to be made" in rows[-1]["guardrail"]
    outcome = world.push(PEOPLE)
    assert outcome.exit_code == (3 if stopped else 0)
    assert len(world.shelf.audiences) == there + 2 - len(stopped)


def test_an_account_that_is_full_of_ours_goes_on(tmp_path: Path) -> None:
    world = World(tmp_path, Shelf(replace(LIMITS, maximum_audiences=1)), requests=(replace(REQUEST, lookalikes=()),))
    world.push(PEOPLE)
    assert world.push([*PEOPLE, person(77)]).exit_code == 0
    assert len(world.shelf.members("Seed")) == 21


def test_too_many_lookalikes_are_told(tmp_path: Path) -> None:
    world = World(tmp_path, Shelf(replace(LIMITS, maximum_audiences=1)), requests=(REQUEST,))
    (row,) = world.plan(PEOPLE).rows()
    assert row["guardrail"] == ""
    assert "1 lookalikes are to be made, and the account has room for 0" in row["notes"]


def test_names_that_the_platform_refuses_are_told_before_anything_is_made(tmp_path: Path) -> None:
    request = replace(REQUEST, title="Bad seed")
    world = World(tmp_path, Shelf(replace(LIMITS, foresees=True)), requests=(request,))
    world.shelf.refused_words = ("Bad", "lookalike")
    (row,) = world.plan(PEOPLE).rows()
    assert row["guardrail"] == "no audience may be named Bad"
    assert "no audience may be named lookalike" in row["notes"]
    assert world.push(PEOPLE).exit_code == 3
    assert world.shelf.audiences == {}


def test_accounts_that_config_names_may_use_a_ready_audience(tmp_path: Path) -> None:
    world = World(tmp_path, Shelf(replace(LIMITS, shares=True)), requests=(replace(REQUEST, lookalikes=()),))

    def shared() -> list[tuple[str, list[str]]]:
        return [(one["operation"], one["accounts"]) for one in world.shelf.log if "share" in one["operation"]]

    world.push(PEOPLE)
    assert shared() == []
    world.shelf.share_with = ("7", "5")
    assert "shared with 5, 7" in world.push(PEOPLE).audiences[0]["notes"]
    world.push(PEOPLE)
    assert shared() == [("share", ["5", "7"])]
    world.shelf.share_with = ("7", "9")
    world.push(PEOPLE)
    assert shared()[1:] == [("share", ["9"]), ("unshare", ["5"])]
    del world.shelf.audiences[world.shelf.named("Seed").id]
    world.push(PEOPLE)
    assert shared()[3:] == [("share", ["7", "9"])], "one made anew is shared again"
    world.shelf.share_with = ()
    assert "no longer shared" in world.push(PEOPLE).audiences[0]["notes"]


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ({"name": "L", "countries": ["US", "CA"], "size": "narrow", "state": "waiting"}, "L (US, CA; narrow): waiting"),
        (
            {"name": "L", "countries": ["US"], "size": 0.01, "state": "made", "platform_state": "too_small", "detail": "why"},
            "L (US; 0.01): made, too small there; why",
        ),
        (
            {
                "name": "L",
                "state": "made",
                "size_lower": 2_000_000,
                "size_upper": 2_200_000,
                "refreshed_at": "2026-11-20T03:00:00",
            },
            "L: made, 2,000,000 to 2,200,000 people, refreshed 2026-11-20",
        ),
    ],
)
def test_the_page_says_it_in_words(row: dict[str, Any], text: str) -> None:
    assert words.lookalike(row) == text


def test_a_push_tells_notes_and_lookalikes(tmp_path: Path) -> None:
    world = World(tmp_path, Shelf(replace(LIMITS, renames=True)), requests=(REQUEST,))
    world.push(PEOPLE)
    world.requests = (replace(REQUEST, title="Seed B"),)
    lines = told(world.push(PEOPLE).audiences)
    assert "shelf seed: renamed at the platform, before: 'Seed'" in lines
    assert lines[-1].startswith("shelf seed: lookalike Seed lookalike US (US; narrow): made, ready there")
