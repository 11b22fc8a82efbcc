"""Audiences that left config: their members are cared for until the audience is retired; what no guardrail may hold up."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from connectors.engine.audience import Account, AudienceRequest, Guardrails
from connectors.engine.forget import forget
from connectors.engine.leftover import Lifecycle
from connectors.engine.status import status
from connectors.errors import FatalError, NotReadyError, RetriableError
from connectors.protocol import LookalikeSpec
from tests.connectors.engine.platform import LIMITS, Shelf
from tests.connectors.engine.world import LOOSE, World, person, row

if TYPE_CHECKING:
    from pathlib import Path

    from connectors.engine.outcome import PushOutcome
    from tests.connectors.engine.world import Person

PEOPLE = [person(number) for number in range(40)]
OLD = AudienceRequest("old", "Group 1", guardrails=LOOSE)
NEW = AudienceRequest("new", "Group 2", guardrails=LOOSE)
NO: dict[str, str | None] = {"country": "US", "consent_ad_user_data": "denied"}


def saying_no(people: list[Person], *ids: str) -> list[Person]:
    return [replace(one, contact=NO) if one.id in ids else one for one in people]


def config(*asked: AudienceRequest, retired: tuple[str, ...] = (), accounts: tuple[str, ...] = ("1",)) -> Lifecycle:
    return Lifecycle(asked, retired=frozenset(retired), accounts=frozenset(("shelf", one) for one in accounts))


def left(tmp_path: Path, people: list[Person] = PEOPLE, **shelf: Any) -> World:
    """A world whose audience "old" was pushed and is in config no longer."""
    world = World(tmp_path, Shelf(**shelf), requests=(OLD, NEW))
    assert world.push(people, lifecycle=config(OLD, NEW)).exit_code == 0
    world.requests = (NEW,)
    return world


def line_of(outcome: PushOutcome, audience: str = "old") -> dict[str, Any]:
    (found,) = [one for one in outcome.audiences if one["audience"] == audience]
    return found


def test_who_says_no_later_still_leaves_and_nobody_joins(tmp_path: Path) -> None:
    world = left(tmp_path)
    outcome = world.push([*saying_no(PEOPLE, "3"), person(99)], lifecycle=config(NEW))
    stay = {row(one) for one in PEOPLE if one.id != "3"}
    assert world.shelf.members("Group 1") == stay
    assert world.shelf.members("Group 2") == stay | {row(person(99))}
    line = line_of(outcome)
    assert (line["care"], line["state"], line["remove"], line["add"], outcome.exit_code) == ("keep", "done", 1, 0, 0)
    assert "no longer in config: still on shelf with 40 members" in line["notes"][0]
    assert "list old under `retired`" in line["notes"][0]
    assert world.push([*saying_no(PEOPLE, "3"), person(99)], lifecycle=config(NEW)).changed == 0


def test_who_is_gone_from_the_source_leaves_too(tmp_path: Path) -> None:
    world = left(tmp_path)
    world.push(PEOPLE[2:], lifecycle=config(NEW))
    assert world.shelf.members("Group 1") == {row(one) for one in PEOPLE[2:]}


def test_without_the_whole_config_nothing_is_taken_as_left(tmp_path: Path) -> None:
    world = left(tmp_path)
    outcome = world.push(saying_no(PEOPLE, "3"))
    assert [one["audience"] for one in outcome.audiences] == ["new"]


def test_a_cut_source_empties_no_audience_that_left_config_but_those_who_said_no_leave(tmp_path: Path) -> None:
    people = [person(number) for number in range(400)]
    world = left(tmp_path, people)
    outcome = world.push(saying_no(people[:100], "3", "4"), lifecycle=config(NEW))
    line = line_of(outcome)
    assert (line["state"], line["exit_code"]) == ("stopped", 3)
    assert "300 members (76% of 400)" in line["guardrail"] or "302 members (76% of 400)" in line["guardrail"]
    assert world.shelf.members("Group 1") == {row(one) for one in people if one.id not in ("3", "4")}


@pytest.mark.parametrize("gate", [(), ("the model missed the totals",)])
def test_a_guardrail_holds_back_everything_but_those_who_said_no(tmp_path: Path, gate: tuple[str, ...]) -> None:
    limits = replace(LOOSE, largest_share_added=0.1, ignore_below=0)
    world = World(tmp_path, requests=(replace(NEW, guardrails=limits),))
    world.push(PEOPLE)
    more = [*saying_no(PEOPLE, "3", "7"), *[person(number) for number in range(50, 90)]]
    outcome = world.push(more, gate=gate)
    line = line_of(outcome, "new")
    assert (line["state"], outcome.exit_code) == ("stopped", 3)
    assert "2 members who said no are removed all the same" in line["notes"]
    assert world.shelf.members("Group 2") == {row(one) for one in PEOPLE if one.id not in ("3", "7")}
    assert world.push(more, gate=gate).changed == 0
    assert world.push(more, force="checked by hand").exit_code == 0
    assert world.shelf.members("Group 2") == {row(one) for one in more if one.id not in ("3", "7")}


def test_a_consent_column_gone_wrong_empties_nothing(tmp_path: Path) -> None:
    people = [person(number) for number in range(400)]
    world = World(tmp_path, requests=(replace(NEW, guardrails=Guardrails(minimum_size=0)),))
    world.push(people)
    before = len(world.shelf.writes())
    assert world.push(saying_no(people, *[str(number) for number in range(300)])).exit_code == 3
    assert len(world.shelf.writes()) == before


def test_half_of_a_small_audience_stops_it_but_not_those_of_it_who_said_no(tmp_path: Path) -> None:
    people = [person(number) for number in range(200)]
    world = World(tmp_path, requests=(replace(NEW, guardrails=Guardrails(minimum_size=0)),))
    world.push(people)
    (line,) = world.push(people[:100]).audiences
    assert (line["exit_code"], line["guardrail"]) == (3, "100 members (50% of 200) would be removed, more than 25%")
    said_no = [str(number) for number in range(40, 100)]
    (line,) = world.push(saying_no(people, *said_no)).audiences
    assert line["exit_code"] == 3
    assert world.shelf.members("Group 2") == {row(one) for one in people if one.id not in said_no}


def test_everybody_may_say_no(tmp_path: Path) -> None:
    world = left(tmp_path, PEOPLE[:3])
    world.push(saying_no(PEOPLE[:3], "0", "1", "2"), lifecycle=config(NEW))
    assert world.shelf.members("Group 1") == set()
    assert world.shelf.members("Group 2") == set()


def test_forget_reaches_it(tmp_path: Path) -> None:
    world = left(tmp_path)
    account = Account(world.shelf.connect(), world.rules)
    assert forget(world.ledger, ["3"], [account], work=tmp_path / "forget", now=world.clock)["exit_code"] == 0
    assert world.shelf.members("Group 1") == {row(one) for one in PEOPLE if one.id != "3"}


def test_a_retired_audience_goes_with_its_lookalikes_and_everything_kept_of_it(tmp_path: Path) -> None:
    world = World(tmp_path, requests=(replace(OLD, lookalikes=(LookalikeSpec("us", "Like 1", ("US",)),)), NEW))
    world.push(PEOPLE)
    assert {one.spec.name for one in world.shelf.audiences.values()} == {"Group 1", "Group 2", "Like 1"}
    world.requests = (NEW,)
    plan = world.plan(PEOPLE, lifecycle=config(NEW, retired=("old",)))
    assert [(one["audience"], one["mode"], one["remove"]) for one in plan.rows()] == [
        ("new", "nothing", 0),
        ("old", "retire", 40),
    ]
    outcome = world.push(PEOPLE, lifecycle=config(NEW, retired=("old",)))
    assert (line_of(outcome)["state"], outcome.exit_code) == ("gone", 0)
    assert {one.spec.name for one in world.shelf.audiences.values()} == {"Group 2"}
    assert [one["key"] for one in world.ledger.audiences()] == ["new"]
    for folder in ("snapshots", "deliveries"):
        files = [one for one in (tmp_path / "state" / folder).iterdir() if one.is_file()]
        assert len(files) == (1 if folder == "snapshots" else 0)
    assert len(world.push(PEOPLE, lifecycle=config(NEW, retired=("old",))).audiences) == 1


def test_what_config_asks_for_is_never_retired(tmp_path: Path) -> None:
    world = left(tmp_path)
    world.push(PEOPLE, lifecycle=config(NEW, retired=("new", "old:high")))
    assert len(world.shelf.members("Group 2")) == 40
    assert len(world.shelf.members("Group 1")) == 40


def test_another_name_with_the_same_title_goes_on_with_what_was_sent(tmp_path: Path) -> None:
    world = left(tmp_path)
    renamed = replace(OLD, key="renamed")
    world.requests = (renamed, NEW)
    outcome = world.push(PEOPLE[1:], lifecycle=config(renamed, NEW))
    assert [one["audience"] for one in outcome.audiences] == ["renamed", "new"]
    assert line_of(outcome, "renamed")["remove"] == 1
    assert world.shelf.members("Group 1") == {row(one) for one in PEOPLE[1:]}
    assert len(world.shelf.audiences) == 2


def test_an_audience_has_one_writer(tmp_path: Path) -> None:
    world = World(tmp_path, requests=(OLD, replace(NEW, title="Group 1")))
    outcome = world.push(PEOPLE)
    assert [one["exit_code"] for one in outcome.audiences] == [0, 2]
    assert "kept as old" in outcome.audiences[1]["detail"]


def test_an_audience_wanted_again_goes_on_where_it_was(tmp_path: Path) -> None:
    world = left(tmp_path)
    world.push(PEOPLE, lifecycle=config(NEW))
    assert world.ledger.audiences()[1]["left_at"]
    world.requests = (OLD, NEW)
    outcome = world.push([*PEOPLE[1:], person(99)], lifecycle=config(OLD, NEW))
    assert (line_of(outcome)["add"], line_of(outcome)["remove"]) == (1, 1)
    assert not world.ledger.audiences()[1]["left_at"]


def test_a_first_push_that_broke_off_leaves_no_one_uncared_for(tmp_path: Path) -> None:
    world = World(tmp_path, requests=(OLD,))
    calls: list[int] = []

    def third(batch: Any) -> Exception | None:
        calls.append(1)
        return RetriableError("down") if len(calls) > 2 else None

    world.shelf.faults.append(third)
    assert world.push(PEOPLE).exit_code == 4
    world.shelf.faults.clear()
    world.requests = (NEW,)
    world.push(saying_no(PEOPLE, "0"), lifecycle=config(NEW))
    held = world.shelf.members("Group 1")
    assert row(PEOPLE[0]) not in held
    assert held < {row(one) for one in PEOPLE}


def test_an_account_that_left_config_is_never_silent(tmp_path: Path) -> None:
    world = left(tmp_path)
    with world.ledger.journal.transaction() as connection:
        connection.execute("UPDATE audiences SET account = '2' WHERE key = 'old'")
    (one,) = world.plan(saying_no(PEOPLE, "3"), lifecycle=config(NEW)).unreachable
    assert (one["account"], one["members"], one["must_leave"]) == ("2", 40, 1)
    assert "no longer in platforms.yaml" in one["note"]
    assert world.plan(PEOPLE, lifecycle=config(NEW, accounts=("1", "2"))).unreachable == [], "only left out of this run"


def test_status_says_what_config_no_longer_asks_for_and_what_drifted(tmp_path: Path) -> None:
    world = left(tmp_path)
    account = Account(world.shelf.connect(), world.rules)
    known = config(NEW)
    world.shelf.named("Group 2").members.update({(bytes([one]) * 32, None, None, None): None for one in range(200)})
    told = status(world.ledger, [account.connector], lambda row: known.told(world.ledger, row, [account]))["audiences"]
    new, old = sorted(told, key=lambda one: one["audience"])
    assert (new["left"], old["drift"]) == ("", "")
    assert old["left"].startswith("no longer in config: still on shelf with 40 members")
    assert "only 40 were sent" in new["drift"]
    world.shelf.audiences.clear()
    assert "gone" in status(world.ledger, [account.connector])["audiences"][0]["drift"]
    paused = Lifecycle((NEW,), paused=frozenset({"old"}), accounts=known.accounts)
    assert paused.told(world.ledger, world.ledger.audiences()[1], [account]).startswith("switched off in config")
    lost = Lifecycle((NEW,))
    assert "no longer in platforms.yaml" in lost.told(world.ledger, world.ledger.audiences()[0], [account])


def test_a_platform_that_refuses_the_removal_loses_the_whole_audience(tmp_path: Path) -> None:
    world = left(tmp_path, capabilities=replace(LIMITS, removal_floor=40))
    outcome = world.push(saying_no(PEOPLE, "3"), lifecycle=config(NEW))
    assert [one.spec.name for one in world.shelf.audiences.values()] == ["Group 2"]
    assert line_of(outcome)["state"] == "gone"


@pytest.mark.parametrize(("fault", "code"), [(NotReadyError("busy for hours"), 3), (FatalError("no permission"), 1)])
def test_a_stopped_audience_stays_stopped_when_the_removal_of_those_who_said_no_has_to_wait(
    tmp_path: Path, fault: Exception, code: int
) -> None:
    limits = replace(LOOSE, largest_share_added=0.1, ignore_below=0)
    world = World(tmp_path, requests=(replace(NEW, guardrails=limits),))
    world.push(PEOPLE)
    more = [*saying_no(PEOPLE, "3", "7"), *[person(number) for number in range(50, 90)]]
    world.shelf.faults.append(lambda batch: fault)
    outcome = world.push(more)
    line = line_of(outcome, "new")
    assert (line["state"], line["exit_code"], outcome.exit_code) == ("stopped", code, code)
    assert line["guardrail"]
    assert str(fault) in line["detail"]
    assert not line["forced"]
    world.shelf.faults.clear()
    outcome = world.push(more, force="checked by hand")
    assert (line_of(outcome, "new")["forced"], outcome.exit_code) == (True, 0)


def test_dropping_an_audience_leaves_files_alone_that_others_are_writing(tmp_path: Path) -> None:
    """Platforms are worked on side by side: what one writes is in no journal yet when another's audience is retired."""
    world = left(tmp_path)
    ledger = world.ledger
    old, new = sorted(ledger.audiences(), key=lambda one: str(one["key"]), reverse=True)
    being_written = [ledger.snapshots / f".next-{new['id']}.parquet.parquet", ledger.deliveries / "9-1.parquet"]
    for path in being_written:
        path.write_bytes(b"half")
    ledger.drop_audience(old)
    assert all(path.exists() for path in being_written)
    assert [one.name for one in ledger.snapshots.iterdir() if one not in being_written] == [new["snapshot"]]
    assert [one["key"] for one in ledger.audiences()] == ["new"]
