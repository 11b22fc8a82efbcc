"""What `forget` does beyond audiences: every list of an account, events, tombstones that know whether they are done, words."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date
from typing import TYPE_CHECKING, Any

from connectors.engine.audience import Account, AudienceRequest
from connectors.engine.erased import still_held
from connectors.engine.forget import forget
from connectors.engine.signals import Signals, event_id
from connectors.engine.status import status
from connectors.errors import RetriableError
from connectors.protocol import Batch, LookalikeSpec, Receipt
from tests.connectors.engine.platform import LIMITS, Client, Shelf
from tests.connectors.engine.world import LOOSE, World, digest, person, row

if TYPE_CHECKING:
    from pathlib import Path

    from tests.connectors.engine.world import Person

WIDE = replace(LIMITS, removes_everywhere=True, after_removal="the shelf keeps a log for 30 days")
PEOPLE = [person(number, phones=(f"+1212555{number:04d}",)) for number in range(35)]


@dataclass
class Wide(Client):
    """A client of a platform that removes people from every list of an account."""

    asked: list[dict[str, Any]] = field(default_factory=list)
    down: bool = False

    def remove_everywhere(self, batch: Batch) -> Receipt:
        """Kept, so that the test can see it."""
        if self.down:
            raise RetriableError("the shelf is down")
        self.asked += [row for chunk in batch.chunks() for row in chunk.to_pylist()]
        return Receipt(batch.rows)


def erase(world: World, client: Client, *ids: str) -> dict[str, Any]:
    return forget(world.ledger, ids, [Account(client, world.rules)], work=world.folder / "forget", now=world.clock)


def traces(world: World, one: Person) -> list[str]:
    world.ledger.journal.scrub()
    needles = [part for part in row(one) if isinstance(part, bytes)]
    needles += [part.hex().encode() for part in needles]
    files = [path for path in (world.folder / "state").rglob("*") if path.is_file()]
    return [path.name for path in files if any(needle in path.read_bytes() for needle in needles)]


def test_they_leave_every_list_by_what_the_account_was_sent(tmp_path: Path) -> None:
    world = World(tmp_path, Shelf(WIDE, by_person=True))
    client = Wide(world.shelf, "1")
    world.push(PEOPLE)
    outcome = erase(world, client, "3", "nobody")
    assert [(one["EMAIL"], one["PHONE"]) for one in client.asked] == [(digest("p3@example.com"), digest("+12125550003"))]
    assert (outcome["exit_code"], outcome["left"]) == (0, 0)
    assert "every other list of shelf 1: asked to remove 1 rows" in outcome["notes"]
    assert "the shelf keeps a log for 30 days" in outcome["notes"]
    assert traces(world, PEOPLE[3]) == []


def test_an_identifier_of_somebody_else_stays_in_their_lists(tmp_path: Path) -> None:
    world = World(tmp_path, Shelf(WIDE, by_person=True))
    client = Wide(world.shelf, "1")
    other = person(99, emails=PEOPLE[3].emails)
    world.push([*PEOPLE, other])
    erase(world, client, "3")
    assert [(one["EMAIL"], one["PHONE"]) for one in client.asked] == [(None, digest("+12125550003"))]
    assert row(other) in world.shelf.members("Customers")


def test_nothing_is_told_of_people_who_were_never_sent(tmp_path: Path) -> None:
    world = World(tmp_path, Shelf(WIDE))
    client = Wide(world.shelf, "1")
    world.push(PEOPLE)
    assert erase(world, client, "nobody")["everywhere"] == []
    assert client.asked == []


def test_what_the_platform_did_not_take_is_queued_and_done_by_the_next_run(tmp_path: Path) -> None:
    world = World(tmp_path, Shelf(WIDE))
    client = Wide(world.shelf, "1", down=True)
    world.push(PEOPLE)
    world.shelf.faults.append(lambda batch: RetriableError("the shelf is down"))
    outcome = erase(world, client, "3")
    assert outcome["exit_code"] == 4
    assert outcome["left"] == 1
    assert any("not asked yet" in one for one in outcome["notes"])
    assert [(one["audience"], one["customers"]) for one in status(world.ledger)["erasing"]] == [("", 1), ("all", 1)]
    assert world.ledger.tombstones(), "at once, whatever the platform says"
    world.shelf.faults.clear()
    world.shelf.connect = lambda account="1": replace(client, down=False)  # type: ignore[method-assign]
    assert world.push(PEOPLE).exit_code == 0
    assert world.shelf.members("Customers") == {row(one) for one in PEOPLE if one.id != "3"}
    assert client.asked, "the queued removal was sent"
    assert status(world.ledger)["erasing"] == []
    assert traces(world, PEOPLE[3]) == []
    assert world.ledger.journal.one("SELECT count(*) AS n FROM tombstones WHERE done_at IS NULL") == {"n": 0}


def test_a_removal_that_has_to_wait_is_pending_and_not_done(tmp_path: Path) -> None:
    world = World(tmp_path, Shelf(replace(LIMITS, edit_interval_hours=24)))
    world.push(PEOPLE)
    outcome = erase(world, world.shelf.connect(), "3")
    assert (outcome["exit_code"], outcome["left"]) == (0, 1)
    assert any("not yet confirmed" in one for one in outcome["notes"])
    assert status(world.ledger)["erasing"]
    world.clock.advance(hours=25)
    assert erase(world, world.shelf.connect(), "3")["left"] == 0
    assert row(PEOPLE[3]) not in world.shelf.members("Customers")


def test_the_last_member_may_be_forgotten(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.push(PEOPLE[:1])
    assert erase(world, world.shelf.connect(), "0")["exit_code"] == 0
    assert world.shelf.members("Customers") == set()


def test_forget_while_a_push_is_half_way(tmp_path: Path) -> None:
    world = World(tmp_path)
    calls: list[int] = []
    world.shelf.faults.append(lambda batch: calls.append(1) or (RetriableError("down") if len(calls) > 2 else None))  # type: ignore[func-returns-value]
    assert world.push(PEOPLE).exit_code == 4
    world.shelf.faults.clear()
    assert erase(world, world.shelf.connect(), *(str(number) for number in range(15)))["exit_code"] == 0
    assert still_held(world.ledger) == []
    assert all(traces(world, one) == [] for one in PEOPLE[:15])
    world.push(PEOPLE)
    assert world.shelf.members("Customers") == {row(one) for one in PEOPLE[15:]}


def test_a_person_with_several_ids_and_addresses(tmp_path: Path) -> None:
    world = World(tmp_path, Shelf(by_person=True))
    twin = person(98, emails=("p3@example.com", "second@example.com"))
    third = person(97, emails=("third@example.com", "p3@example.com"))
    world.push([*PEOPLE, twin, third])
    assert erase(world, world.shelf.connect(), "3", "98", "97")["exit_code"] == 0
    assert world.shelf.members("Customers") == {row(one) for one in PEOPLE if one.id != "3"}
    for one in (PEOPLE[3], twin, third):
        assert traces(world, one) == []


def test_events_that_were_sent_are_named_and_no_longer_remembered(tmp_path: Path) -> None:
    world = World(tmp_path)
    signals, key = Signals(world.ledger, "shelf", "1"), world.ledger.member_key("3")
    other = event_id(("shelf", "1"), world.ledger.member_key("4"), date(2026, 11, 20))
    signals.intend("batch", [event_id(("shelf", "1"), key, date(2026, 9, 1)), other], world.clock())
    signals.answered("batch", Receipt(2))
    outcome = erase(world, world.shelf.connect(), "3")
    assert outcome["events"] == [{"platform": "shelf", "account": "1", "events": 1}]
    assert any("1 events of predicted value were sent to shelf 1" in one for one in outcome["notes"])
    assert world.ledger.journal.rows("SELECT event FROM signals") == [{"event": other}]


def test_lookalikes_built_with_them_are_named(tmp_path: Path) -> None:
    like = LookalikeSpec("us", "Like 1", ("US",))
    world = World(tmp_path, requests=(AudienceRequest("all", "Customers", guardrails=LOOSE, lookalikes=(like,)),))
    world.push(PEOPLE)
    outcome = erase(world, world.shelf.connect(), "3")
    assert [one["name"] for one in outcome["lookalikes"]] == ["Like 1"]
    assert any("built with them in its seed" in one for one in outcome["notes"])


def test_forget_renews_and_adds_nobody_on_the_way(tmp_path: Path) -> None:
    world = World(tmp_path, Shelf(replace(LIMITS, membership_days=100)))
    world.push(PEOPLE)
    world.clock.advance(hours=24 * 90)
    before = len(world.shelf.log)
    erase(world, world.shelf.connect(), "3")
    assert [one["operation"] for one in world.shelf.log[before:]] == ["remove"]


def test_an_audience_that_is_gone_is_not_made_again_by_forgetting(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.push(PEOPLE)
    world.shelf.audiences.clear()
    outcome = erase(world, world.shelf.connect(), "3")
    assert (outcome["exit_code"], outcome["left"]) == (0, 0)
    assert world.shelf.audiences == {}
    world.push(PEOPLE)
    assert world.shelf.members("Customers") == {row(one) for one in PEOPLE if one.id != "3"}


def test_a_replace_that_fails_after_it_was_taken_leaves_nobody_behind(tmp_path: Path) -> None:
    """While a replace is pending the snapshot no longer holds whom it leaves out: when it fails, they are still there."""
    limits = replace(LIMITS, settles=True, edit_interval_hours=24, replace_interval_hours=24, batch_rows=100)
    world = World(tmp_path, Shelf(limits))
    world.push(PEOPLE)
    world.clock.advance(hours=30)
    today = [*PEOPLE[1:], person(90)]
    assert world.push(today).audiences[0]["mode"] == "replace"
    world.shelf.fail_settle = set(world.shelf.waiting)
    assert erase(world, world.shelf.connect(), "2")["exit_code"] == 4
    world.clock.advance(hours=30)
    world.push(today)
    world.shelf.fail_settle = set()
    for _ in range(3):
        world.clock.advance(hours=30)
        outcome = world.push(today)
    assert outcome.changed == 0
    world.shelf.settle_due()
    assert world.shelf.members("Customers") == {row(one) for one in today if one.id != "2"}
    assert status(world.ledger)["erasing"] == []
