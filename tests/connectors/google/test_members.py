"""Members in, out and replaced; one bad member never costs the others; outcomes by reason."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from connectors.errors import ConfigurationError, FatalError, OutcomeUnknownError, RetriableError
from connectors.protocol import Operation
from tests.connectors.google.conftest import TOP, batch, digest, people

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.connectors.google.conftest import World

ADDRESS: dict[str, dict[int, Any]] = {
    "given_name": {0: digest("ada")},
    "family_name": {0: digest("lovelace")},
    "region_code": {0: "GB"},
    "postal_code": {0: "EC1A 1BB"},
}


def test_all_identifiers_of_a_person_travel_in_one_member(world: World, transport: str) -> None:
    connector = world.connect(transport)
    handle = connector.find_or_create(TOP)
    rows = people([0, 1], email_2={0: digest("second")}, phone={0: digest("+44")}, **ADDRESS)
    receipt = connector.send(handle, batch(Operation.ADD, rows))
    assert (receipt.accepted, receipt.pending, dict(receipt.rejected)) == (0, 2, {})
    first, second = world.members(handle)
    address = {
        "givenName": digest("ada").hex(),
        "familyName": digest("lovelace").hex(),
        "regionCode": "GB",
        "postalCode": "EC1A 1BB",
    }
    assert {tuple(one) for one in first} == {("emailAddress",), ("phoneNumber",), ("address",)}
    assert {"address": address} in first
    assert {"emailAddress": digest("second").hex()} in first
    assert second == [{"emailAddress": digest("1@example.com").hex()}]


def test_an_address_without_all_four_parts_never_travels(world: World) -> None:
    connector = world.connect()
    handle = connector.find_or_create(TOP)
    parts = {name: values for name, values in ADDRESS.items() if name != "postal_code"}
    connector.send(handle, batch(Operation.ADD, people([0], **parts)))
    assert world.members(handle) == [[{"emailAddress": digest("0@example.com").hex()}]]


def test_named_bad_members_are_left_out_and_the_rest_sent_once(world: World, transport: str) -> None:
    connector = world.connect(transport)
    handle = connector.find_or_create(TOP)
    same = {name: dict.fromkeys((7, 30), values[0]) for name, values in ADDRESS.items()}
    same["postal_code"] = {7: " blank ", 30: "x" * 20}
    receipt = connector.send(handle, batch(Operation.ADD, people(range(50), **same)))
    assert receipt.rejected_rows == {7: "INVALID_POSTAL_CODE", 30: "INVALID_POSTAL_CODE"}
    assert (receipt.rejected, receipt.pending) == ({"INVALID_POSTAL_CODE": 2}, 48)
    assert len(world.members(handle)) == 48
    assert [one["rows"] for one in world.calls("IngestAudienceMembers")] == [50, 48]


def test_a_bad_member_that_google_does_not_name_is_found_by_halving(world: World, transport: str) -> None:
    connector = world.connect(transport)
    handle = connector.find_or_create(TOP)
    guilty = digest("77@example.com")
    honest = world.sandbox.data_manager.methods["IngestAudienceMembers"]

    def silent(request: Any, headers: Mapping[str, str]) -> Any:
        """Refuses without saying which member: a shape that other Google services answer with."""
        from connectors.google.sandbox.refusals import DataManagerError

        texts = {one.email_address for member in request.audience_members for one in _identifiers(member)}
        if guilty.hex() in texts:
            raise DataManagerError("INVALID_ARGUMENT")
        return honest(request, headers)

    world.sandbox.data_manager.methods["IngestAudienceMembers"] = silent
    receipt = connector.send(handle, batch(Operation.ADD, people(range(100))))
    assert receipt.rejected_rows == {77: "INVALID_ARGUMENT"}
    assert len(world.calls("IngestAudienceMembers")) <= 15, "two per halving of 100, and the first"
    assert receipt.pending == 99
    assert len(world.members(handle)) == 99
    settled = world.settled(connector, handle, receipt)
    assert (settled.accepted, settled.pending) == (99, 0)


def _identifiers(member: Any) -> Any:
    return member.composite_data.user_data.user_identifiers


def test_a_request_that_is_wrong_as_a_whole_is_not_halved_for_ever(world: World) -> None:
    connector = world.connect()
    handle = connector.find_or_create(TOP)
    world.sandbox.faults.add(match="audienceMembers:ingest", times=10_000, detail={"reason": "INVALID_ARGUMENT"})
    with pytest.raises(FatalError, match="every part"):
        connector.send(handle, batch(Operation.ADD, people(range(500))))


def test_a_row_without_identifiers_is_rejected_here(world: World) -> None:
    connector = world.connect()
    handle = connector.find_or_create(TOP)
    empty = pa.record_batch({"email": pa.array([None, digest("a")], pa.binary(32))})
    receipt = connector.send(handle, batch(Operation.ADD, empty))
    assert (receipt.rejected_rows, receipt.pending) == ({0: "NO_IDENTIFIERS"}, 1)
    nothing = connector.send(handle, batch(Operation.ADD, empty.slice(0, 1)))
    assert (nothing.pending, nothing.reference) == (0, "")


def test_more_rows_than_google_takes_go_in_several_requests(world: World) -> None:
    connector = world.connect("ads")
    handle = connector.find_or_create(TOP)
    receipt = connector.send(handle, batch(Operation.ADD, people(range(10_050))))
    assert [one["rows"] for one in world.calls("IngestAudienceMembers")] == [10_000, 50]
    assert world.settled(connector, handle, receipt).accepted == 10_050


def test_removal_takes_the_same_people_out(world: World, transport: str) -> None:
    connector = world.connect(transport)
    handle = world.filled(connector, range(20))
    receipt = connector.send(handle, batch(Operation.REMOVE, people(range(5))))
    assert len(world.members(handle)) == 15
    assert world.settled(connector, handle, receipt).accepted == 5


def test_whoever_shares_an_identifier_leaves_too(world: World, transport: str) -> None:
    """Google matches people: a row with one of their identifiers takes them out, whatever else it held."""
    connector = world.connect(transport)
    handle = connector.find_or_create(TOP)
    same = digest("+44")
    connector.send(handle, batch(Operation.ADD, people([1, 2, 3], phone={1: same, 2: same})))
    connector.send(handle, batch(Operation.REMOVE, people([1], phone={1: same})))
    assert world.members(handle) == [[{"emailAddress": digest("3@example.com").hex()}]]


def test_a_replacement_waits_until_the_new_members_are_in(world: World, transport: str) -> None:
    connector = world.connect(transport)
    handle = world.filled(connector, range(30))
    start = world.now()
    options = {"delivery": 5, "replace_before": start}
    first = connector.send(handle, batch(Operation.REPLACE, people(range(20, 40)), last=False, **options))
    last = connector.send(handle, batch(Operation.REPLACE, people(range(40, 50)), sequence=2, **options))
    assert len(world.members(handle)) == 50, "nobody left before the new ones were processed"
    assert connector.settle(handle, last.reference, last.pending).pending == 10
    world.sandbox.clock.advance(hours=1)
    assert connector.settle(handle, first.reference, first.pending).accepted == 20
    assert connector.settle(handle, last.reference, last.pending).accepted == 10
    assert len(world.members(handle)) == 30
    assert len(world.calls("RemoveAllAudienceMembers")) == 1


def test_a_replacement_of_which_google_took_nobody_empties_nothing(world: World) -> None:
    connector = world.connect()
    handle = world.filled(connector, range(30))
    empty = pa.record_batch({"email": pa.array([None], pa.binary(32))})
    receipt = connector.send(handle, batch(Operation.REPLACE, empty, replace_before=world.now()))
    assert (receipt.pending, receipt.rejected) == (0, {"NO_IDENTIFIERS": 1})
    assert len(world.members(handle)) == 30


def test_a_replacement_whose_last_batch_is_refused_still_ends(world: World) -> None:
    connector = world.connect()
    handle = world.filled(connector, range(30))
    options = {"delivery": 5, "replace_before": world.now()}
    connector.send(handle, batch(Operation.REPLACE, people(range(20, 40)), last=False, **options))
    empty = pa.record_batch({"email": pa.array([None], pa.binary(32))})
    assert connector.send(handle, batch(Operation.REPLACE, empty, sequence=2, **options)).pending == 0
    assert len(world.members(handle)) == 20


def test_a_replacement_needs_its_time(world: World) -> None:
    connector = world.connect()
    handle = connector.find_or_create(TOP)
    with pytest.raises(FatalError, match="time"):
        connector.send(handle, batch(Operation.REPLACE, people([1])))


def test_processing_errors_are_counted_by_reason(world: World, transport: str) -> None:
    """People in Europe without consent are taken and dropped later, as Google does."""
    connector = world.connect(transport)
    handle = connector.find_or_create(TOP)
    honest = world.sandbox.data_manager.methods["IngestAudienceMembers"]

    def without_consent(request: Any, headers: Mapping[str, str]) -> Any:
        request.ClearField("consent")
        return honest(request, headers)

    world.sandbox.data_manager.methods["IngestAudienceMembers"] = without_consent
    receipt = connector.send(handle, batch(Operation.ADD, people(range(3), **ADDRESS)))
    settled = world.settled(connector, handle, receipt)
    assert (settled.accepted, settled.rejected) == (2, {"NO_CONSENT": 1})
    only = connector.send(handle, batch(Operation.ADD, people([0], **ADDRESS)))
    assert world.settled(connector, handle, only).rejected == {"NO_CONSENT": 1}


def test_a_fault_inside_google_is_no_rejection(world: World, transport: str) -> None:
    """Rows dropped for it, or for no reason at all, are unknown and so sent again; the others have their outcome."""
    connector = world.connect(transport)
    handle = connector.find_or_create(TOP)
    for errors, numbers in (({13: 2, 5: 1}, (3, 1, 2)), ({13: 6}, (0, 0, 6)), ({}, (6, 0, 0))):
        receipt = connector.send(handle, batch(Operation.ADD, people(range(6))))
        world.sandbox.store.requests[receipt.reference].errors = errors
        settled = world.settled(connector, handle, receipt)
        assert (settled.accepted, sum(settled.rejected.values()), settled.unknown) == numbers
        assert ("sent again" in settled.detail) == bool(settled.unknown)


def test_an_outcome_that_google_forgot_is_unknown(world: World) -> None:
    connector = world.connect()
    handle = connector.find_or_create(TOP)
    receipt = connector.send(handle, batch(Operation.ADD, people([1, 2])))
    world.sandbox.clock.advance(hours=51 * 24)
    settled = connector.settle(handle, receipt.reference, receipt.pending)
    assert (settled.unknown, settled.accepted) == (2, 0)
    assert connector.settle(handle, "never-given", 3).unknown == 3


def test_settling_tells_the_match_rate(world: World) -> None:
    connector = world.connect()
    handle = connector.find_or_create(TOP)
    receipt = connector.send(handle, batch(Operation.ADD, people([1])))
    assert world.settled(connector, handle, receipt).detail == "match rate 71-80%"


def test_without_accepted_terms_nothing_is_sent(world: World) -> None:
    connector = world.connect(terms_accepted=False)
    handle = connector.find_or_create(TOP)
    with pytest.raises(ConfigurationError, match="terms_accepted: true"):
        connector.send(handle, batch(Operation.ADD, people([1])))
    assert world.calls("IngestAudienceMembers") == []
    assert [one.ok for one in connector.check()] == [False, True, True]


def test_the_minutes_quota_is_waited_out_and_the_days_is_not(world: World, transport: str) -> None:
    connector = world.connect(transport)
    handle = connector.find_or_create(TOP)
    world.sandbox.store.per_minute = 0
    with pytest.raises(RetriableError) as caught:
        connector.send(handle, batch(Operation.ADD, people([1])))
    assert (caught.value.code, caught.value.retry_after) == ("RESOURCE_EXHAUSTED", 20.0)
    assert world.waits == [20.0] * 5
    world.sandbox.store.per_minute = 300
    world.sandbox.store.per_day = {"Ingestion": 0, "Management": 50_000}
    with pytest.raises(RetriableError) as caught:
        connector.send(handle, batch(Operation.ADD, people([1])))
    assert caught.value.retry_after == 3600.0
    assert len(world.waits) == 5, "a day's limit ends the run at once"


def test_a_lost_answer_to_an_ingest_is_sent_again(world: World, transport: str) -> None:
    connector = world.connect(transport)
    handle = connector.find_or_create(TOP)
    match = "ngest"
    world.sandbox.faults.add(match=match, kind="lost_reply")
    receipt = connector.send(handle, batch(Operation.ADD, people([1, 2])))
    assert (receipt.pending, len(world.members(handle))) == (2, 2)
    world.sandbox.faults.add(match=match, kind="reset", times=100)
    with pytest.raises(OutcomeUnknownError):
        connector.send(handle, batch(Operation.ADD, people([3])))


def test_a_foreign_list_is_refused_with_its_remedy(world: World) -> None:
    connector = world.connect()
    handle = replace(connector.find_or_create(TOP), remote_id="4711")
    with pytest.raises(FatalError, match="made anew"):
        connector.send(handle, batch(Operation.ADD, people([1])))


def test_members_vanish_when_their_time_is_over(world: World) -> None:
    connector = world.connect()
    handle = world.filled(connector, range(200), replace(TOP, membership_days=30))
    assert connector.status(handle).upper == 160
    world.sandbox.clock.advance(hours=31 * 24)
    assert connector.status(handle).upper == 0


def test_a_removal_time_in_the_future_is_an_error_about_the_clock(world: World) -> None:
    connector = world.connect()
    handle = world.filled(connector, range(5))
    late = world.now() + timedelta(hours=2)
    receipt = connector.send(handle, batch(Operation.REPLACE, people([9]), replace_before=late))
    world.sandbox.clock.advance(hours=1)
    with pytest.raises(FatalError, match="clock"):
        connector.settle(handle, receipt.reference, receipt.pending)
