"""Consent is declared for those who gave it and for nobody else: in members, events and upload jobs, and night after night."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from connectors.commands.check import describe
from connectors.engine.audience import Account, AudienceRequest
from connectors.engine.identity import IdentityRules
from connectors.engine.members import build_members
from connectors.engine.plan import make_plan
from connectors.engine.push import push
from connectors.google import RECIPE, platform
from connectors.protocol import Operation
from tests.connectors.engine.identity.recipes import hashed
from tests.connectors.engine.world import LOOSE, Person, contacts, person, scores
from tests.connectors.engine.world import World as Nights
from tests.connectors.google.conftest import TOP, batch, digest, people

if TYPE_CHECKING:
    from pathlib import Path

    from connectors.engine.plan import Plan
    from connectors.google.connector import GoogleConnector
    from tests.connectors.google.conftest import World

YES = {"adUserData": "CONSENT_GRANTED", "adPersonalization": "CONSENT_GRANTED"}
LONDON = {"given_name": "ada", "family_name": "lovelace", "region_code": "GB", "postal_code": "EC1A 1BB"}


def marked(numbers: list[int], *without: int, **columns: dict[int, Any]) -> pa.RecordBatch:
    """People, of whom those in `without` did not grant both consents."""
    return people(numbers, consent_unrecorded=dict.fromkeys(without, "yes"), **columns)


def london(*numbers: int) -> dict[str, dict[int, Any]]:
    """Columns of an address in London for these people."""
    hashed = {"given_name", "family_name"}
    return {name: dict.fromkeys(numbers, digest(text) if name in hashed else text) for name, text in LONDON.items()}


def hexed(number: int | str) -> str:
    return digest(f"{number}@example.com").hex()


def shown(world: World) -> dict[str, dict[str, str]]:
    """Every member's consent by the first e-mail, from the sandbox's state."""
    found = {}
    for audience in world.sandbox.state()["audiences"].values():
        for one in audience["members"]:
            (email, *_) = [held["emailAddress"] for held in one["userIdentifiers"] if "emailAddress" in held]
            found[email] = one["consent"]
    return found


def heard(world: World, method: str) -> list[Any]:
    """The requests of this method from now on."""
    found: list[Any] = []
    honest = world.sandbox.data_manager.methods[method]

    def listening(request: Any, headers: Any) -> Any:
        found.append(type(request).FromString(request.SerializeToString()))
        return honest(request, headers)

    world.sandbox.data_manager.methods[method] = listening
    return found


def said(request: Any) -> tuple[bool, list[bool]]:
    """Whether the request has consent of its own, and which of its members or events have."""
    rows = request.audience_members if "audience_members" in request.DESCRIPTOR.fields_by_name else request.events
    return request.HasField("consent"), [one.HasField("consent") for one in rows]


@pytest.mark.parametrize(
    ("without", "of_all", "alone"),
    [((), True, [False] * 3), ((1,), False, [True, False, True]), ((0, 1, 2), False, [False] * 3)],
    ids=["all granted", "one did not", "nobody did"],
)
def test_members_who_did_not_grant_are_not_said_to_have(
    world: World, transport: str, without: tuple[int, ...], of_all: bool, alone: list[bool]
) -> None:
    connector = world.connect(transport)
    requests = heard(world, "IngestAudienceMembers")
    receipt = connector.send(connector.find_or_create(TOP), batch(Operation.ADD, marked([0, 1, 2], *without)))
    assert [said(one) for one in requests] == [(of_all, alone)]
    assert shown(world) == {hexed(one): {} if one in without else YES for one in (0, 1, 2)}
    assert receipt.pending == 3


def test_rows_that_say_nothing_of_consent_declare_none(world: World) -> None:
    """Also when only one chunk of a batch says nothing."""
    connector = world.connect()
    handle = connector.find_or_create(TOP)
    bare = people([0]).drop_columns(["consent_unrecorded"])
    connector.send(handle, replace(batch(Operation.ADD, bare), chunks=lambda: iter([bare, people([1])]), rows=2))
    connector.send(handle, replace(batch(Operation.ADD, bare), chunks=lambda: iter([people([2]), bare]), rows=2))
    assert shown(world) == {hexed(0): {}, hexed(1): YES, hexed(2): YES}


def test_a_request_of_those_who_granted_says_so_once_the_others_are_refused(world: World) -> None:
    connector = world.connect()
    requests = heard(world, "IngestAudienceMembers")
    rows = marked([0, 1, 2], 1, **{**london(1), "postal_code": {1: "x" * 20}})
    receipt = connector.send(connector.find_or_create(TOP), batch(Operation.ADD, rows))
    assert receipt.rejected_rows == {1: "INVALID_POSTAL_CODE"}
    assert [said(one) for one in requests] == [(False, [True, False, True]), (True, [False, False])]


def test_a_removal_carries_no_consent(world: World) -> None:
    connector = world.connect()
    requests = heard(world, "RemoveAudienceMembers")
    connector.send(connector.find_or_create(TOP), batch(Operation.REMOVE, marked([0, 1], 1)))
    assert [one.HasField("consent") for one in requests[0].audience_members] == [False, False]


def test_europeans_without_consent_fall_out_of_a_mixed_request_alone(world: World, transport: str) -> None:
    connector = world.connect(transport)
    handle = connector.find_or_create(TOP)
    receipt = connector.send(handle, batch(Operation.ADD, marked([0, 1, 2], 1, 2, **london(0, 1))))
    settled = world.settled(connector, handle, receipt)
    assert (settled.accepted, settled.rejected) == (2, {"NO_CONSENT": 1})
    assert shown(world) == {hexed(0): YES, hexed(2): {}}


@pytest.mark.parametrize(("without", "of_all", "alone"), [((), True, [False, False]), ((0,), False, [False, True])])
def test_events_likewise(world: World, transport: str, without: tuple[int, ...], of_all: bool, alone: list[bool]) -> None:
    world.sandbox.store.actions = {"777001"}
    connector = world.connect(transport, predicted_value_action="777001")
    requests = heard(world, "IngestEvents")
    rows = marked([0, 1], *without)
    events = {
        "event_id": ["a", "b"],
        "at": pa.array([datetime.now(UTC) - timedelta(hours=1)] * 2, pa.timestamp("us", "UTC")),
        "value": pa.array([Decimal("12.50")] * 2, pa.decimal128(18, 2)),
        "currency": ["USD"] * 2,
    }
    held = dict(zip(rows.schema.names, rows.columns, strict=True))
    connector.send_predicted_values([pa.record_batch({**events, **held})])
    assert [said(one) for one in requests] == [(of_all, alone)]
    told = {one["transaction_id"]: one["consent"] for one in world.sandbox.state()["events"]}
    assert told == {"a": {} if without else YES, "b": YES}


def test_upload_jobs_take_people_of_unknown_consent_apart(world: World) -> None:
    """Consent is said of a job as a whole; the batch is settled when both jobs are."""
    world.sandbox.ads.allowlisted = True
    connector = world.connect(members_api="ads_jobs")
    handle = connector.find_or_create(TOP)
    receipt = connector.send(handle, batch(Operation.ADD, marked([0, 1, 2], 1)))
    assert [one["granted"] for one in world.sandbox.store.jobs.values()] == [True, False]
    assert shown(world) == {hexed(0): YES, hexed(1): {}, hexed(2): YES}
    assert connector.settle(handle, receipt.reference, 3).pending == 3
    first, second = world.sandbox.store.jobs.values()
    first["state"] = "FAILED"
    assert connector.settle(handle, receipt.reference, 3).pending == 3, "the other one runs"
    settled = world.settled(connector, handle, receipt)
    assert (settled.accepted, settled.rejected) == (1, {"JOB_FAILED": 2})
    world.sandbox.store.jobs.pop(next(iter(world.sandbox.store.jobs)))
    settled = connector.settle(handle, receipt.reference, 3)
    assert (settled.accepted, settled.unknown, settled.rejected) == (1, 2, {})
    assert second["granted"] is False
    connector.send(handle, batch(Operation.REMOVE, marked([0, 1], 1)))
    assert len(world.sandbox.store.jobs) == 2, "who leaves needs no consent: one job more"


# --- from night to night: with other words of consent the row is another one, out first and in once that is settled

OUT, IN = [("RemoveAudienceMembers", 1)], [("IngestAudienceMembers", 1)]


def living(number: int, word: str | None, country: str = "US") -> Person:
    flags = {"consent_ad_user_data": word, "consent_ad_personalization": word}
    return person(number, contact={"country": country, **flags})


def planned(world: World, nights: Nights, connector: GoogleConnector, crowd: list[Person]) -> Plan:
    nights.count += 1
    members = build_members(scores(crowd), contacts(crowd), ledger=nights.ledger, work=nights.folder / f"work{nights.count}")
    requests = [AudienceRequest("all", "Customers", guardrails=LOOSE)]
    return make_plan(nights.ledger, members, requests, [Account(connector, IdentityRules())], now=world.now())


def night(world: World, nights: Nights, connector: GoogleConnector, crowd: list[Person]) -> list[tuple[str, int]]:
    """What was sent: calls and rows."""
    world.sandbox.clock.advance(hours=24)
    before = len(world.sandbox.requests)
    assert push(planned(world, nights, connector, crowd), nights.ledger, now=world.now).exit_code == 0
    calls = [(str(one.get("method")), int(one.get("rows", 0))) for one in world.sandbox.requests[before:]]
    return [(name, rows) for name, rows in calls if name.endswith("AudienceMembers")]


def email(number: int) -> str:
    return digest(f"p{number}@example.com").hex()


def test_who_grants_consent_is_sent_again_once(world: World, tmp_path: Path) -> None:
    nights, connector = Nights(tmp_path), world.connect()
    crowd = [living(0, "granted"), living(1, None), living(2, "granted", "DE"), living(3, None, "DE")]
    assert night(world, nights, connector, crowd) == [("IngestAudienceMembers", 3)]
    assert shown(world) == {email(0): YES, email(1): {}, email(2): YES}
    crowd[1] = living(1, "granted")
    assert night(world, nights, connector, crowd) == OUT
    assert night(world, nights, connector, crowd) == IN
    assert shown(world) == {email(0): YES, email(1): YES, email(2): YES}
    assert night(world, nights, connector, crowd) == []
    crowd[0] = living(0, None)
    assert night(world, nights, connector, crowd) == OUT
    assert night(world, nights, connector, crowd) == IN
    assert shown(world) == {email(0): {}, email(1): YES, email(2): YES}


def test_lists_sent_before_consent_was_known_per_person_are_corrected_only_where_wrong(world: World, tmp_path: Path) -> None:
    """Snapshots without the column: those who granted are not sent again."""
    nights, connector = Nights(tmp_path), world.connect()
    crowd = [living(0, "granted"), living(1, None)]
    known = connector.capabilities
    older = replace(RECIPE, fields=tuple(one for one in RECIPE.fields if not one.note))
    connector.capabilities = replace(known, recipe=older)
    assert night(world, nights, connector, crowd) == [("IngestAudienceMembers", 2)]
    connector.capabilities = known
    assert night(world, nights, connector, crowd) == OUT
    assert night(world, nights, connector, crowd) == IN
    assert night(world, nights, connector, crowd) == []


def test_consent_is_no_identifier_in_what_people_read(world: World, tmp_path: Path) -> None:
    """Not in a plan's report, not in `clvsync hash` (whatever a file's columns), not in `clvsync connectors`."""
    nights, connector = Nights(tmp_path), world.connect()
    plan = planned(world, nights, connector, [living(0, "granted"), living(1, None)])
    (made,) = plan.identified.values()
    assert not [name for name in made.report.fields if "consent" in name]
    (tmp_path / "contacts.csv").write_text("email,consent_unrecorded\na@example.com,yes\n")
    ((row,), report) = hashed(tmp_path / "contacts.csv", "google")
    assert (list(row), list(report.fields)) == (["email"], ["email"])
    assert "consent_unrecorded" not in describe("google")["identifiers"]


def test_the_sandbox_keeps_consents_over_a_restart(world: World) -> None:
    connector = world.connect()
    handle = connector.find_or_create(TOP)
    connector.send(handle, batch(Operation.ADD, marked([0, 1], 1)))
    other = platform.sandbox()
    other.load(json.loads(json.dumps(world.sandbox.dump())))
    assert other.state()["audiences"] == world.sandbox.state()["audiences"]
    connector.send(handle, batch(Operation.ADD, marked([0, 1], 0)))
    assert shown(world) == {hexed(0): {}, hexed(1): YES}
