"""Predicted values: who gets one, each once whatever happens, four numbers that add up."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from connectors.engine.audience import Account
from connectors.engine.identified import identify_members
from connectors.engine.identity import IdentityRules
from connectors.engine.members import Members
from connectors.engine.values import send_values, wants_values
from connectors.errors import ConfigurationError, FatalError, OutcomeUnknownError, RetriableError
from connectors.protocol import Receipt, ValueBatch, ValueSignal
from tests.connectors.engine.platform import LIMITS, RECIPE, Client, Shelf
from tests.connectors.engine.world import Person, World, digest, person

EVENTS = replace(LIMITS, predicted_values=True, value_batch_rows=3, value_age_days=7)


@dataclass
class EventClient(Client):
    """A connector that takes predicted values too. `answers` are used up first: errors are raised, receipts given."""

    signal: ValueSignal | None = field(default_factory=lambda: ValueSignal("dataset-1", "Predicted", currency="USD"))
    calls: list[list[dict[str, Any]]] = field(default_factory=list)
    answers: list[Receipt | Exception] = field(default_factory=list)
    settled: list[Receipt | Exception] = field(default_factory=list)

    def send_values(self, batch: ValueBatch) -> Receipt:
        rows = [row for chunk in batch.chunks() for row in chunk.to_pylist()]
        assert len(rows) == batch.rows <= self.capabilities.value_batch_rows
        self.calls.append(rows)
        answer = self.answers.pop(0) if self.answers else Receipt(len(rows))
        if isinstance(answer, Exception):
            raise answer
        return answer

    def settle_values(self, reference: str, rows: int) -> Receipt:
        answer = self.settled.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def sent(self) -> list[dict[str, Any]]:
        return [row for call in self.calls for row in call]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    one = World(tmp_path, Shelf(EVENTS))
    yield one
    one.ledger.close()


@pytest.fixture
def client(world: World) -> EventClient:
    return EventClient(world.shelf, "1")


def first_orders(world: World, ages: dict[str, float]) -> pa.Table:
    """First orders so many days ago."""
    at = {one: world.clock() - timedelta(days=days) for one, days in ages.items()}
    return pa.table(
        {
            "customer_id": pa.array(list(ages), pa.string()),
            "order_id": pa.array([f"o{one}" for one in ages], pa.string()),
            "at": pa.array(list(at.values()), pa.timestamp("us", "UTC")),
            "day": pa.array([one.date() for one in at.values()], pa.date32()),
        }
    )


Send = Callable[..., dict[str, Any]]


@pytest.fixture
def send(world: World, client: EventClient) -> Send:
    def run(people: list[Person], ages: dict[str, float], members: Members | None = None, **options: Any) -> dict[str, Any]:
        known = members or world.members(people)
        before = sum(
            row["pending"] for row in world.ledger.journal.rows("SELECT * FROM signal_batches WHERE state = 'pending'")
        )
        account = Account(client, IdentityRules(), "shop")
        (line,) = send_values(world.ledger, known, first_orders(world, ages), [account], now=world.clock, **options)
        known.close()
        taken = line["accepted"] + sum(line["rejected"].values()) + line["unknown"] + line["pending"]
        assert taken == line["sent"] + before, line
        if not line["exit_code"]:
            assert line["customers"] == line["sent_before"] + sum(line["dropped"].values()) + line["sent"], line
        return line

    return run


def test_new_customers_get_their_value_once(world: World, client: EventClient, send: Send) -> None:
    people = [person(1, value=12.344), person(2, value=50.0, tier="low"), person(3), person(4)]
    line = send(people, {"1": 0.5, "2": 3, "3": 8, "9": 1})
    assert (line["customers"], line["sent"], line["accepted"], line["state"]) == (2, 2, 2, "done")
    assert (line["target"], line["event"], line["currency"]) == ("dataset-1", "Predicted", "USD")
    rows = {row["order_id"]: row for row in client.sent()}
    assert set(rows) == {"o1", "o2"}
    assert (rows["o1"]["value"], rows["o1"]["bucket"], rows["o2"]["bucket"]) == (Decimal("12.34"), "high", "low")
    assert rows["o1"]["EMAIL"] == digest("p1@example.com")
    assert rows["o1"]["external_id"] == hashlib.sha256(b"1").digest()
    assert rows["o1"]["at"] == world.clock() - timedelta(days=0.5)
    world.clock.advance(days=1)
    again = send([*people[:1], person(2, value=70.0), *people[2:]], {"1": 1.5, "2": 4, "3": 9, "4": 0.1})
    assert (again["sent_before"], again["sent"]) == (2, 1)
    assert [call[0]["order_id"] for call in client.calls[1:]] == ["o4"]


def test_a_new_process_remembers(world: World, client: EventClient, send: Send) -> None:
    send([person(1)], {"1": 1})
    world.reopen()
    assert send([person(1)], {"1": 1})["sent"] == 0
    assert len(client.calls) == 1


def test_consent_and_identifiers_as_for_audiences(world: World, client: EventClient, send: Send) -> None:
    people = [
        person(1, contact={"country": "DE"}),
        person(2, contact={"country": "US", "do_not_sell": "yes"}),
        person(3, emails=("not an address",)),
        person(4, contact={"country": "US", "region": "CA"}),
        person(5),
    ]
    line = send(people, dict.fromkeys("12345", 1.0))
    assert (line["customers"], line["dropped"], line["sent"]) == (3, {"no_identifier": 1}, 2)
    assert {row["order_id"]: row["limited"] for row in client.sent()} == {"o4": True, "o5": False}


def test_the_erased_are_never_sent(tmp_path: Path, world: World, send: Send) -> None:
    from connectors.engine.forget import forget

    forget(world.ledger, ["1"], [], work=tmp_path / "erasing", now=world.clock)
    assert send([person(1), person(2)], {"1": 1, "2": 1})["customers"] == 1


@pytest.mark.parametrize(
    ("value", "reason"), [(0.0, "no_value"), (-5.0, "no_value"), (float("nan"), "no_value"), (2e6, "value_too_large")]
)
def test_values_that_mean_nothing_stay(client: EventClient, send: Send, value: float, reason: str) -> None:
    line = send([person(1, value=value)], {"1": 1}, maximum=Decimal(1_000_000))
    assert (line["dropped"], line["sent"], client.calls) == ({reason: 1}, 0, [])


def test_orders_too_old_for_the_platform_stay(world: World, client: EventClient, send: Send) -> None:
    client.signal = ValueSignal("dataset-1", "Predicted", days=20)
    line = send([person(1), person(2), person(3)], {"1": 8, "2": 6.99, "3": 6.9})
    assert (line["dropped"], line["sent"]) == ({"too_old": 2}, 1)


def test_values_travel_in_the_accounts_currency(client: EventClient, send: Send) -> None:
    client.signal = ValueSignal("dataset-1", "Predicted", currency="EUR")
    line = send([person(1, value=110.0)], {"1": 1}, rates={"EUR": Decimal("1.10")})
    assert line["currency"] == "EUR"
    assert [(row["value"], row["currency"]) for row in client.sent()] == [(Decimal("100.00"), "EUR")]
    send([person(2, value=110.0)], {"2": 1})
    assert (client.sent()[-1]["value"], client.sent()[-1]["currency"]) == (Decimal("110.00"), "USD")


def test_batches_are_small_enough_and_rejected_rows_are_counted(client: EventClient, send: Send) -> None:
    client.answers = [Receipt(2, {"bad": 1}, {1: "bad"})]
    people = [person(number) for number in range(7)]
    line = send(people, {str(number): 1 for number in range(7)})
    assert [len(call) for call in client.calls] == [3, 3, 1]
    assert (line["sent"], line["accepted"], line["rejected"]) == (7, 6, {"bad": 1})
    assert send(people, {str(number): 1 for number in range(7)})["sent"] == 0


def test_what_the_platform_says_of_the_values_is_passed_on(client: EventClient, send: Send) -> None:
    client.answers = [Receipt(3, detail="too alike"), Receipt(1)]
    people = [person(number) for number in range(4)]
    assert send(people, {str(number): 1 for number in range(4)})["detail"] == "too alike"


def test_pending_events_are_settled_by_a_later_run(world: World, client: EventClient, send: Send) -> None:
    client.answers = [Receipt(0, pending=2, reference="r1")]
    line = send([person(1), person(2)], {"1": 1, "2": 1})
    assert (line["pending"], line["accepted"], line["state"]) == (2, 0, "pending")
    client.settled = [Receipt(0, pending=2, reference="r1"), RetriableError("busy"), Receipt(1, {"duplicate": 1})]
    assert send([person(1), person(2)], {"1": 1, "2": 1})["pending"] == 2
    busy = send([], {})
    assert (busy["pending"], busy["state"], busy["exit_code"], busy["detail"]) == (2, "pending", 0, "busy")
    done = send([person(1), person(2)], {"1": 1, "2": 1})
    assert (done["accepted"], done["rejected"], done["pending"], done["settled"]) == (1, {"duplicate": 1}, 0, 2)
    assert (done["sent"], done["sent_before"], len(client.calls)) == (0, 2, 1)


@pytest.mark.parametrize("lost", [OutcomeUnknownError("nobody knows"), Receipt(0, pending=1, reference="r")])
def test_answers_that_never_come_end_as_unknown(world: World, client: EventClient, send: Send, lost: Any) -> None:
    client.answers = [Receipt(0, pending=1, reference="r")]
    send([person(1)], {"1": 1})
    world.clock.advance(days=8)
    client.settled = [lost]
    line = send([], {})
    assert (line["unknown"], line["pending"], line["settled"]) == (1, 0, 1)


def test_a_lost_reply_is_unknown_and_goes_again_under_the_same_id(client: EventClient, send: Send) -> None:
    client.answers = [OutcomeUnknownError("no reply")]
    line = send([person(1), person(2)], {"1": 1, "2": 1})
    assert (line["unknown"], line["exit_code"], line["state"]) == (2, 4, "incomplete")
    again = send([person(1), person(2)], {"1": 1, "2": 1})
    assert (again["sent"], again["accepted"], again["sent_before"]) == (2, 2, 0)
    first, second = client.calls
    assert [row["event_id"] for row in first] == [row["event_id"] for row in second]
    assert send([person(1), person(2)], {"1": 1, "2": 1})["sent"] == 0


class Killed(BaseException):
    """The process is gone."""


def test_a_run_killed_in_the_middle_sends_the_same_ids_again(world: World, client: EventClient, send: Send) -> None:
    people, ages = [person(number) for number in range(5)], {str(number): 1.0 for number in range(5)}

    def fall(batch: ValueBatch) -> Receipt:
        if len(client.calls) == 1:
            client.calls.append([row for chunk in batch.chunks() for row in chunk.to_pylist()])
            raise Killed
        return EventClient.send_values(client, batch)

    client.send_values = fall  # type: ignore[method-assign]
    with pytest.raises(Killed):
        send(people, ages)
    del client.send_values
    world.reopen()
    line = send(people, ages)
    assert (line["sent_before"], line["sent"]) == (3, 2)
    assert [row["event_id"] for row in client.calls[1]] == [row["event_id"] for row in client.calls[2]]


@pytest.mark.parametrize(
    ("error", "code", "state"),
    [
        (FatalError("refused"), 1, "failed"),
        (ConfigurationError("wrong"), 2, "failed"),
        (RetriableError("busy"), 4, "incomplete"),
    ],
)
def test_a_refused_batch_goes_again_once_it_can(
    client: EventClient, send: Send, error: Exception, code: int, state: str
) -> None:
    client.answers = [error]
    line = send([person(1)], {"1": 1})
    assert (line["exit_code"], line["state"], line["sent"]) == (code, state, 0)
    assert str(error) in line["detail"]
    assert send([person(1)], {"1": 1})["accepted"] == 1


def test_one_account_costs_no_other(world: World, client: EventClient) -> None:
    other, third = EventClient(world.shelf, "2"), EventClient(world.shelf, "3")
    client.answers, third.signal = [FatalError("no")], None
    members = world.members([person(1)])
    accounts = [Account(one, IdentityRules()) for one in (client, other, third)]
    lines = send_values(world.ledger, members, first_orders(world, {"1": 1}), accounts, now=world.clock)
    members.close()
    assert [(one["account"], one["accepted"]) for one in lines] == [("1", 0), ("2", 1)]
    assert client.sent()[0]["event_id"] != other.sent()[0]["event_id"]


def test_a_platform_without_events_is_never_asked(world: World) -> None:
    plain = Account(Shelf(LIMITS).connect(), IdentityRules())
    assert wants_values(plain) is None


def test_further_identifier_rows_of_a_person_make_no_second_event(tmp_path: Path) -> None:
    spill = replace(EVENTS, recipe=replace(RECIPE, spill=True))
    world = World(tmp_path, Shelf(spill))
    client = EventClient(world.shelf, "1")
    members = world.members([person(1, emails=("a@example.com", "b@example.com"))])
    account = Account(client, IdentityRules())
    made = {account.mark: identify_members(members, spill.recipe, account.rules)}
    (line,) = send_values(world.ledger, members, first_orders(world, {"1": 1}), [account], identified=made, now=world.clock)
    members.close()
    world.ledger.close()
    assert line["sent"] == 1
    assert client.sent()[0]["EMAIL"] == digest("a@example.com")


def test_what_was_sent_long_ago_leaves_the_journal(world: World, send: Send) -> None:
    send([person(1)], {"1": 1})
    world.clock.advance(days=121)
    send([], {})
    assert world.ledger.journal.rows("SELECT * FROM signals") == []
    assert world.ledger.journal.rows("SELECT * FROM signal_batches") == []


def test_nothing_but_digests_in_the_journal(world: World, send: Send) -> None:
    send([person(1, id="jane@example.com", emails=("jane@example.com",))], {"jane@example.com": 1})
    held = str([world.ledger.journal.rows(f"SELECT * FROM {name}") for name in ("signals", "signal_batches")])
    for secret in ("jane", hashlib.sha256(b"jane@example.com").hexdigest()):
        assert secret not in held
