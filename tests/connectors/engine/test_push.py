"""The whole thread on a platform in memory: plan, send, receipts, snapshot, and what happens when something goes wrong."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from connectors.engine.audience import AudienceRequest, Guardrails, ValueBand
from connectors.engine.ledger import open_ledger
from connectors.engine.push import push
from connectors.errors import (
    FatalError,
    LockedError,
    NotReadyError,
    OutcomeUnknownError,
    RetriableError,
    RowsRejectedError,
    UnreachableError,
)
from connectors.protocol import AudienceState, LookalikeSpec, Operation
from tests.connectors.engine.platform import LIMITS, Shelf
from tests.connectors.engine.world import LOOSE, Person, World, person, row

if TYPE_CHECKING:
    from pathlib import Path

    from connectors.protocol import Batch

EVERYBODY = [person(number) for number in range(35)]
VALUED = AudienceRequest("seed", "Seed", value_weighted=True, guardrails=LOOSE)


def rows(people: list[Person]) -> set[tuple[Any, ...]]:
    return {row(one) for one in people}


def test_first_push_sends_everybody_and_second_sends_nothing(tmp_path: Path) -> None:
    world = World(tmp_path)
    outcome = world.push(EVERYBODY)
    assert outcome.exit_code == 0
    assert outcome.audiences[0]["accepted"] == 35
    assert outcome.audiences[0]["state"] == "done"
    assert world.shelf.members("Customers") == rows(EVERYBODY)
    sent = len(world.shelf.log)
    again = world.push(EVERYBODY)
    assert again.exit_code == 0
    assert again.audiences[0]["state"] == "unchanged"
    assert again.changed == 0
    assert len(world.shelf.log) == sent


def test_only_the_difference_travels_adds_before_removals(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.push(EVERYBODY)
    before = len(world.shelf.writes())
    people = [*EVERYBODY[5:], person(100), person(101)]
    outcome = world.push(people)
    assert (outcome.audiences[0]["add"], outcome.audiences[0]["remove"]) == (2, 5)
    assert [(one["operation"], one["rows"]) for one in world.shelf.writes()[before:]] == [("add", 2), ("remove", 5)]
    assert world.shelf.members("Customers") == rows(people)


def test_new_identifiers_are_a_change_and_nobody_is_lost(tmp_path: Path) -> None:
    world = World(tmp_path, Shelf(by_person=True))
    people = [person(number, phones=(f"+1212555{number:04d}",)) for number in range(12)]
    world.push(people)
    moved = [person(0, emails=("new@example.com",), phones=people[0].phones), *people[1:]]
    outcome = world.push(moved)
    assert (outcome.audiences[0]["add"], outcome.audiences[0]["change"], outcome.audiences[0]["remove"]) == (0, 1, 0)
    assert world.shelf.members("Customers") == rows(moved)


def test_someone_who_shares_a_phone_with_a_leaver_stays(tmp_path: Path) -> None:
    world = World(tmp_path, Shelf(by_person=True))
    home = ("+12125550100",)
    people = [person(0, phones=home), person(1, phones=home), *EVERYBODY[2:]]
    world.push(people)
    world.push(people[1:])
    assert world.shelf.members("Customers") == rows(people[1:])


def test_people_with_the_same_identifiers_are_one_row(tmp_path: Path) -> None:
    world = World(tmp_path, requests=(VALUED,))
    twins = [person(1, value=5.0), person(2, emails=("p1@example.com",), value=8.0)]
    outcome = world.push(twins)
    assert world.shelf.values("Seed") == {row(twins[0]): Decimal("8.00")}
    assert outcome.audiences[0]["dropped"] == {"same_identifiers": 1}
    assert world.push(twins[1:]).audiences[0]["accepted"] == 0
    assert world.shelf.members("Seed") == {row(twins[0])}


def test_small_drift_of_values_is_not_sent_and_does_not_add_up(tmp_path: Path) -> None:
    request = replace(VALUED, value_band=ValueBand(share=0.10, amount=Decimal("0.50")))
    world = World(tmp_path, requests=(request,))
    world.push([person(1, value=100.0)])
    for value in (104.0, 108.0):
        assert world.push([person(1, value=value)]).changed == 0
    outcome = world.push([person(1, value=112.0)])
    assert outcome.audiences[0]["change"] == 1
    assert world.shelf.values("Seed") == {row(person(1)): Decimal("112.00")}


def test_changed_values_wait_for_the_periodic_replace(tmp_path: Path) -> None:
    world = World(tmp_path, Shelf(replace(LIMITS, value_updates="replace")), requests=(VALUED,))
    world.push([person(number, value=10.0) for number in range(25)])
    dearer = [person(number, value=20.0) for number in range(25)]
    waiting = world.push(dearer)
    assert waiting.changed == 0
    assert "next full replace" in waiting.audiences[0]["notes"][0]
    world.clock.advance(days=8)
    world.push(dearer)
    assert set(world.shelf.values("Seed").values()) == {Decimal("20.00")}
    assert {one["operation"] for one in world.shelf.writes()[3:]} == {"replace"}


def test_without_values_a_seed_becomes_one_audience_per_tier(tmp_path: Path) -> None:
    world = World(tmp_path, Shelf(replace(LIMITS, value_weighted=False)), requests=(VALUED,))
    people = [person(1, tier="high"), person(2, tier="middle"), person(3, tier="low"), person(4, tier="low")]
    outcome = world.push(people)
    assert [one["audience"] for one in outcome.audiences] == ["seed:high", "seed:middle", "seed:low"]
    assert world.shelf.members("Seed 3") == rows(people[2:])
    assert all("one audience per tier" in one["notes"][0] for one in outcome.audiences)


def test_a_guardrail_stops_the_audience_until_forced(tmp_path: Path) -> None:
    guarded = AudienceRequest("all", "Customers", guardrails=Guardrails(ignore_below=1, minimum_size=0))
    world = World(tmp_path, requests=(guarded,))
    world.push(EVERYBODY)
    sent = len(world.shelf.log)
    outcome = world.push(EVERYBODY[:3])
    assert outcome.exit_code == 3
    assert outcome.audiences[0]["state"] == "stopped"
    assert "91%" in outcome.audiences[0]["guardrail"]
    assert len(world.shelf.log) == sent
    assert world.push([]).exit_code == 3
    forced = world.push(EVERYBODY[:3], force="the rest were test accounts")
    assert forced.exit_code == 0
    assert world.shelf.members("Customers") == rows(EVERYBODY[:3])
    (record,) = world.ledger.journal.rows("SELECT * FROM overrides")
    assert record["reason"] == "the rest were test accounts"


def test_passing_faults_leave_a_delivery_that_the_next_run_finishes(tmp_path: Path) -> None:
    world = World(tmp_path)
    calls = []

    def third(batch: Batch) -> Exception | None:
        calls.append(batch.id)
        return RetriableError("server is busy") if len(calls) >= 3 else None

    world.shelf.faults = [third]
    outcome = world.push(EVERYBODY)
    assert outcome.exit_code == 4
    assert outcome.audiences[0]["accepted"] == 20
    assert outcome.audiences[0]["undelivered"] == 15
    world.shelf.faults = []
    world.reopen()
    again = world.push(EVERYBODY)
    assert again.exit_code == 0
    assert (again.audiences[0]["sent"], again.audiences[0]["accepted"]) == (15, 15)
    assert [one["rows"] for one in world.shelf.writes()] == [10, 10, 10, 5]
    assert world.shelf.members("Customers") == rows(EVERYBODY)


def test_an_account_out_of_reach_is_asked_once_and_not_for_every_audience(tmp_path: Path) -> None:
    both = tuple(AudienceRequest(key, key.title(), guardrails=LOOSE) for key in ("first", "second"))
    world = World(tmp_path, requests=both)
    world.shelf.other_faults = [UnreachableError("no connection")]
    outcome = world.push(EVERYBODY)
    assert [(one["state"], one["exit_code"]) for one in outcome.audiences] == [("incomplete", 4)] * 2
    assert world.shelf.writes() == []
    assert world.push(EVERYBODY).exit_code == 0
    assert world.shelf.members("First") == world.shelf.members("Second") == rows(EVERYBODY)


def test_an_interrupted_delivery_gives_way_to_what_is_wanted_now(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.shelf.faults = [lambda batch: RetriableError("busy") if batch.sequence == 3 else None]
    world.push(EVERYBODY)
    world.shelf.faults = []
    people = [*EVERYBODY[8:20], *EVERYBODY[25:]]
    world.push(people)
    assert world.shelf.members("Customers") == rows(people)
    assert world.push(people).changed == 0


def test_a_lost_reply_is_sent_again(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.shelf.lost_replies = [OutcomeUnknownError("connection lost")]
    outcome = world.push(EVERYBODY)
    assert outcome.exit_code == 0
    assert world.shelf.members("Customers") == rows(EVERYBODY)
    assert [one["rows"] for one in world.shelf.writes()] == [10, 10, 10, 10, 5]


def test_an_unknown_outcome_is_never_assumed(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.shelf.lost_replies = [OutcomeUnknownError("connection lost")] * 3
    outcome = world.push(EVERYBODY[:10])
    assert outcome.exit_code == 4
    assert outcome.audiences[0]["unknown"] == 10
    # what was sent without an answer may be there: nobody of them is wanted any more, so they are removed
    world.push(EVERYBODY[10:20])
    assert world.shelf.members("Customers") == rows(EVERYBODY[10:20])


def test_rejected_rows_go_alone_and_are_not_sent_every_night(tmp_path: Path) -> None:
    world = World(tmp_path)
    bad = row(person(13))

    def refuse(batch: Batch) -> Exception | None:
        place = 0
        for chunk in batch.chunks():
            for one in chunk.to_pylist():
                if one["EMAIL"] == bad[0]:
                    return RowsRejectedError("a bad row", rows={place: "invalid digest"})
                place += 1
        return None

    world.shelf.faults = [refuse]
    outcome = world.push(EVERYBODY)
    assert outcome.exit_code == 0
    assert outcome.audiences[0]["rejected"] == {"invalid digest": 1}
    assert outcome.audiences[0]["accepted"] == 34
    assert outcome.audiences[0]["snapshot"] == 34
    writes = len(world.shelf.writes())
    assert world.push(EVERYBODY).changed == 0
    assert len(world.shelf.writes()) == writes
    world.push([one for one in EVERYBODY if one.id != "13"])
    assert world.shelf.members("Customers") == rows(EVERYBODY) - {bad}


def test_not_ready_is_carried_to_the_next_run(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.shelf.faults = [lambda batch: NotReadyError("being processed")]
    outcome = world.push(EVERYBODY)
    assert (outcome.exit_code, outcome.audiences[0]["state"]) == (0, "pending")
    world.shelf.faults = []
    world.push(EVERYBODY)
    assert world.shelf.members("Customers") == rows(EVERYBODY)


def test_pending_rows_are_settled_by_a_later_run(tmp_path: Path) -> None:
    world = World(tmp_path, Shelf(replace(LIMITS, settles=True, mixed_operations=False)))
    first = world.push(EVERYBODY)
    assert (first.audiences[0]["accepted"], first.audiences[0]["pending"]) == (0, 35)
    early = world.push(EVERYBODY[5:])
    assert early.exit_code == 0
    assert early.audiences[0]["state"] == "pending"
    world.clock.advance(hours=30)
    late = world.push(EVERYBODY[5:])
    assert (late.audiences[0]["pending"], late.audiences[0]["accepted"], late.changed) == (5, 35, 5)
    world.clock.advance(hours=30)
    done = world.push(EVERYBODY[5:])
    assert done.audiences[0]["pending"] == 0
    assert world.shelf.members("Customers") == rows(EVERYBODY[5:])
    assert world.push(EVERYBODY[5:]).changed == 0


def test_rows_that_fail_late_are_known_as_refused(tmp_path: Path) -> None:
    world = World(tmp_path, Shelf(replace(LIMITS, settles=True)))
    world.push(EVERYBODY)
    world.shelf.fail_settle = {next(iter(world.shelf.waiting))}
    world.clock.advance(hours=30)
    outcome = world.push(EVERYBODY)
    assert outcome.changed == 0
    assert len(world.shelf.members("Customers")) == 25
    assert "10 rows that the platform refused" in outcome.audiences[0]["notes"][-1]
    world.shelf.fail_settle = set()
    world.push(EVERYBODY, refresh=True)
    world.clock.advance(hours=30)
    world.push(EVERYBODY)
    assert world.shelf.members("Customers") == rows(EVERYBODY)


def test_a_refused_removal_becomes_a_replace(tmp_path: Path) -> None:
    world = World(tmp_path, Shelf(replace(LIMITS, removal_floor=30)))
    world.push(EVERYBODY)
    people = [*EVERYBODY[10:], *[person(number) for number in range(100, 102)]]
    world.shelf.capabilities = replace(world.shelf.capabilities, removal_floor=27)
    world.push(people)
    assert world.shelf.members("Customers") == rows(people)
    assert "delete" not in [one["operation"] for one in world.shelf.log]


def test_a_refused_replace_ends_with_a_new_audience(tmp_path: Path) -> None:
    world = World(tmp_path, Shelf(replace(LIMITS, removal_floor=30)))
    world.push(EVERYBODY)
    outcome = world.push(EVERYBODY[20:])
    assert outcome.exit_code == 0
    assert [one["operation"] for one in world.shelf.log if one["operation"] in ("create", "delete")] == [
        "create",
        "delete",
        "create",
    ]
    assert world.shelf.members("Customers") == rows(EVERYBODY[20:])
    assert world.push(EVERYBODY[20:]).changed == 0


def test_nobody_left_deletes_the_audience(tmp_path: Path) -> None:
    world = World(tmp_path, Shelf(replace(LIMITS, removal_floor=30)))
    world.push(EVERYBODY)
    world.push([], force="everybody withdrew")
    assert world.shelf.audiences == {}


def test_an_audience_deleted_at_the_platform_is_made_and_filled_again(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.push(EVERYBODY)
    world.shelf.audiences.clear()
    outcome = world.push(EVERYBODY)
    assert outcome.exit_code == 0
    assert world.shelf.members("Customers") == rows(EVERYBODY)


def test_one_edit_a_day_turns_additions_and_removals_into_a_replace(tmp_path: Path) -> None:
    world = World(tmp_path, Shelf(replace(LIMITS, edit_interval_hours=24, replace_interval_hours=24, batch_rows=1000)))
    world.push(EVERYBODY)
    world.clock.advance(hours=2)
    assert world.push(EVERYBODY[1:]).audiences[0]["state"] == "pending"
    world.clock.advance(hours=23)
    people = [*EVERYBODY[1:], person(50)]
    world.push(people)
    assert [one["operation"] for one in world.shelf.writes()] == ["add", "replace"]
    assert world.shelf.members("Customers") == rows(people)


def test_lookalikes_are_made_once_by_the_run_that_finds_the_seed_ready(tmp_path: Path) -> None:
    request = replace(VALUED, lookalikes=(LookalikeSpec("us", "Seed lookalike US", ("US",)),))
    world = World(tmp_path, Shelf(replace(LIMITS, lookalike_minimum=3)), requests=(request,))
    assert world.push([person(1)]).audiences[0]["lookalikes"][0]["state"] == "waiting"
    people = [person(number) for number in range(5)]
    assert world.push(people).audiences[0]["lookalikes"][0]["state"] == "made"
    log = len(world.shelf.log)
    assert world.push(people).audiences[0]["lookalikes"][0]["state"] == "made"
    assert len(world.shelf.log) == log


def test_members_are_sent_again_before_they_expire(tmp_path: Path) -> None:
    world = World(tmp_path, Shelf(replace(LIMITS, membership_days=540)))
    world.push(EVERYBODY)
    world.clock.advance(days=500)
    assert world.push(EVERYBODY).changed == 0
    world.clock.advance(days=11)
    outcome = world.push(EVERYBODY)
    assert (outcome.audiences[0]["renew"], outcome.changed) == (35, 35)
    assert world.push(EVERYBODY).changed == 0


def test_a_refresh_repairs_drift(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.push(EVERYBODY)
    held = world.shelf.named("Customers").members
    held.pop(row(EVERYBODY[0]))
    held[row(person(999))] = None
    world.push(EVERYBODY, refresh=True)
    assert world.shelf.members("Customers") == rows(EVERYBODY)
    assert {one["operation"] for one in world.shelf.writes()[4:]} == {"replace"}


def test_a_fatal_error_stops_one_audience_only(tmp_path: Path) -> None:
    two = (AudienceRequest("a", "First", guardrails=LOOSE), AudienceRequest("b", "Second", guardrails=LOOSE))
    world = World(tmp_path, requests=two)
    world.shelf.faults = [lambda batch: FatalError("no permission", remedy="grant it") if len(world.shelf.log) == 1 else None]
    outcome = world.push(EVERYBODY)
    assert outcome.exit_code == 1
    assert [one["state"] for one in outcome.audiences] == ["failed", "done"]
    assert "grant it" in outcome.audiences[0]["detail"]


def test_a_blocked_audience_is_reported(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.push(EVERYBODY)
    world.shelf.named("Customers").state = AudienceState.BLOCKED
    outcome = world.push(EVERYBODY)
    assert (outcome.exit_code, outcome.audiences[0]["state"]) == (1, "blocked")


def test_two_runs_at_once_are_refused(tmp_path: Path) -> None:
    world = World(tmp_path)
    plan = world.plan(EVERYBODY)

    other = open_ledger(world.ledger.folder, world.ledger.key)
    with other.run("push", world.clock()), pytest.raises(LockedError) as caught:
        push(plan, world.ledger, now=world.clock)
    other.close()
    assert caught.value.exit_code == 5
    assert world.shelf.log == []


def test_held_out_people_never_travel(tmp_path: Path) -> None:
    request = AudienceRequest("all", "Customers", guardrails=LOOSE, holdout=0.3)
    world = World(tmp_path, requests=(request,))
    people = [person(number) for number in range(200)]
    outcome = world.push(people)
    held = outcome.audiences[0]["held_out"]
    assert 30 < held < 90
    assert len(world.shelf.members("Customers")) == 200 - held
    assert world.push(people).changed == 0


def test_sealed_state_works_the_same(tmp_path: Path) -> None:
    world = World(tmp_path, key=b"a key of thirty-two bytes or more")
    world.push(EVERYBODY)
    world.reopen()
    people = [*EVERYBODY[5:], person(50)]
    world.push(people)
    assert world.shelf.members("Customers") == rows(people)
    assert world.push(people).changed == 0
    files = [path for path in (tmp_path / "state").rglob("*") if path.is_file()]
    needle = row(EVERYBODY[10])[0]
    assert not any(needle in path.read_bytes() for path in files)


@pytest.mark.parametrize("operation", [Operation.ADD, Operation.REMOVE])
def test_batches_of_a_session_are_numbered(tmp_path: Path, operation: Operation) -> None:
    seen: list[Batch] = []
    world = World(tmp_path)
    world.push(EVERYBODY)
    world.shelf.faults = [lambda batch: seen.append(batch)]
    world.push([person(number) for number in range(100, 125)])
    session = [one for one in seen if one.operation is operation]
    assert [one.sequence for one in session] == list(range(1, len(session) + 1))
    assert [one.last for one in session] == [False] * (len(session) - 1) + [True]
    assert len({one.delivery for one in session}) == 1
    assert {one.total_rows for one in session} == {sum(one.rows for one in session)}
