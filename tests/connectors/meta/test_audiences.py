"""Audiences over the real SDK and real sockets: find, make, add, remove, replace, status, delete."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from connectors.errors import ConfigurationError, FatalError, NotReadyError, OutcomeUnknownError, RemovalRefusedError
from connectors.meta import CAPABILITIES
from connectors.protocol import AudienceHandle, AudienceSpec, AudienceState, Operation
from tests.connectors.meta.conftest import PLAIN, SEED, batch_of, digest, held

if TYPE_CHECKING:
    from collections.abc import Callable

    from connectors.meta.connector import MetaConnector
    from connectors.meta.sandbox import MetaSandbox
    from connectors.meta.sandbox.calls import Call
    from connectors.sandbox import Response


def operations(box: MetaSandbox, name: str) -> int:
    return sum(entry.get("operation") == name for entry in box.requests)


def test_an_audience_is_made_once(connector: MetaConnector, box: MetaSandbox) -> None:
    first = connector.find_or_create(SEED)
    assert connector.find_or_create(SEED) == first
    assert connector.find_or_create(SEED, first.remote_id) == first
    assert operations(box, "create") == 1
    assert box.state()["audiences"][first.remote_id]["value_based"] is True


def test_an_audience_is_found_behind_many_pages(connect: Callable[..., MetaConnector], box: MetaSandbox) -> None:
    connector = connect()
    for number in range(230):
        box.new_audience("111", f"Other {number}", "CUSTOM")
    wanted = box.new_audience("111", PLAIN.name, "CUSTOM")
    assert connector.find_or_create(PLAIN).remote_id == wanted.id
    assert operations(box, "list") == 3


def test_smaller_pages_are_asked_for_when_the_list_is_heavy(connector: MetaConnector, box: MetaSandbox) -> None:
    box.heavy_limit = 30
    for number in range(60):
        box.new_audience("111", f"Other {number}", "CUSTOM")
    wanted = box.new_audience("111", PLAIN.name, "CUSTOM")
    assert connector.find_or_create(PLAIN).remote_id == wanted.id


def test_names_are_compared_exactly_and_only_in_this_account(connector: MetaConnector, box: MetaSandbox) -> None:
    box.new_audience("111", "seed a", "CUSTOM")
    box.new_audience("222", SEED.name, "CUSTOM")
    made = connector.find_or_create(SEED)
    assert operations(box, "create") == 1
    assert box.audiences[made.remote_id].account == "111"


def test_two_audiences_of_one_name_are_not_guessed_between(connector: MetaConnector, box: MetaSandbox) -> None:
    ids = [box.new_audience("111", PLAIN.name, "CUSTOM").id for _ in range(2)]
    with pytest.raises(ConfigurationError, match=" and |".join(ids)):
        connector.find_or_create(PLAIN)


def test_a_deleted_audience_is_made_again(connector: MetaConnector, box: MetaSandbox) -> None:
    old = connector.find_or_create(SEED)
    connector.delete(old)
    connector.delete(old)
    assert connector.status(old).state is AudienceState.MISSING
    assert connector.find_or_create(SEED, old.remote_id).remote_id != old.remote_id


def test_an_audience_of_the_wrong_kind_is_refused(connector: MetaConnector) -> None:
    connector.find_or_create(PLAIN)
    with pytest.raises(ConfigurationError, match="not value-based"):
        connector.find_or_create(replace(PLAIN, value_weighted=True))


@pytest.mark.parametrize("name", ["High income buyers", "Diabetes supplies", "Top NET WORTH"])
def test_names_that_meta_blocks_are_refused_before_anything_is_made(
    connector: MetaConnector, box: MetaSandbox, name: str
) -> None:
    with pytest.raises(ConfigurationError, match="neutrally"):
        connector.find_or_create(AudienceSpec("x", name))
    with pytest.raises(ConfigurationError, match="neutrally"):
        connector.find_or_create(AudienceSpec("x", "Seed B", description=name))
    assert operations(box, "create") == 0


def test_value_terms_are_asked_for_with_the_accounts_own_link(connector: MetaConnector, box: MetaSandbox) -> None:
    box.account("111").value_tos = False
    with pytest.raises(FatalError, match=r"value_based/tos\.php\?act=111") as caught:
        connector.find_or_create(SEED)
    assert caught.value.exit_code == 1
    assert operations(box, "create") == 0
    assert connector.find_or_create(PLAIN).remote_id


def test_a_lost_reply_to_a_creation_is_cleared_up_by_name(connector: MetaConnector, box: MetaSandbox) -> None:
    box.faults.add(match="POST /v26.0/act_111/customaudiences", kind="lost_reply")
    made = connector.find_or_create(SEED)
    assert list(box.audiences) == [made.remote_id]


def test_a_creation_that_never_arrived_stays_unknown_and_the_next_run_makes_it(
    connector: MetaConnector, box: MetaSandbox
) -> None:
    box.faults.add(match="POST /v26.0/act_111/customaudiences", kind="reset")
    with pytest.raises(OutcomeUnknownError):
        connector.find_or_create(SEED)
    assert connector.find_or_create(SEED).remote_id
    assert len(box.audiences) == 1


@pytest.mark.parametrize(("code", "times", "ends"), [(2, 1, True), (1, 2, True), (2, 3, False)])
def test_a_creation_that_failed_for_now_is_looked_for_before_it_is_tried_again(
    connector: MetaConnector, box: MetaSandbox, sleeps: list[float], code: int, times: int, ends: bool
) -> None:
    box.faults.add(match="POST /v26.0/act_111/customaudiences", times=times, detail={"code": code})
    if ends:
        assert connector.find_or_create(SEED).remote_id
    else:
        with pytest.raises(OutcomeUnknownError, match="looked up by name"):
            connector.find_or_create(SEED)
    assert operations(box, "list") == 1 + times
    assert operations(box, "create") == int(ends)
    assert sleeps == [2.0, 10.0][:times]


def test_a_throttled_creation_waits_and_is_made_once(connector: MetaConnector, box: MetaSandbox, sleeps: list[float]) -> None:
    box.faults.add(match="POST /v26.0/act_111/customaudiences", detail={"code": 17})
    assert connector.find_or_create(SEED).remote_id
    assert (operations(box, "create"), sleeps) == (1, [60])


def test_members_are_added_changed_and_removed(connector: MetaConnector, box: MetaSandbox, seed: AudienceHandle) -> None:
    receipt = connector.send(seed, batch_of(connector, Operation.ADD, range(300)))
    assert (receipt.accepted, receipt.rejected, receipt.pending) == (300, {}, 0)
    rows = held(box, seed)
    assert len(rows) == 300
    sent = rows[digest("EMAIL7").hex()]
    assert (sent["LOOKALIKE_VALUE"], sent["DATA_PROCESSING_OPTIONS"]) == (7.5, ["LDU"])
    assert (sent["EMAIL"], sent["COUNTRY"]) == (digest("EMAIL7").hex(), digest("us").hex())
    removed = connector.send(seed, batch_of(connector, Operation.REMOVE, range(50), delivery=8))
    assert removed.accepted == 50
    assert set(held(box, seed)) == {digest(f"EMAIL{number}").hex() for number in range(50, 300)}


def test_ten_thousand_removals_travel_in_the_body(connector: MetaConnector, box: MetaSandbox, seed: AudienceHandle) -> None:
    connector.send(seed, batch_of(connector, Operation.ADD, range(10_000)))
    receipt = connector.send(seed, batch_of(connector, Operation.REMOVE, range(9_800), delivery=8))
    assert receipt.accepted == 9_800
    assert len(box.audiences[seed.remote_id].members) == 200
    assert operations(box, "dropped") == 0


def test_a_removal_below_the_floor_is_refused_and_nothing_changes(
    connector: MetaConnector, box: MetaSandbox, seed: AudienceHandle
) -> None:
    connector.send(seed, batch_of(connector, Operation.ADD, range(120)))
    with pytest.raises(RemovalRefusedError) as caught:
        connector.send(seed, batch_of(connector, Operation.REMOVE, range(30), delivery=8))
    assert caught.value.code == "200/1870047"
    assert len(held(box, seed)) == 120


def test_batches_of_a_delivery_share_a_session(connector: MetaConnector, box: MetaSandbox, seed: AudienceHandle) -> None:
    for sequence, numbers in ((1, range(100)), (2, range(100, 200))):
        batch = batch_of(connector, Operation.ADD, numbers, sequence=sequence, last=sequence == 2, total=200)
        assert connector.send(seed, batch).accepted == 100
    (session,) = box.sessions.values()
    assert (session.id, session.received, session.closed) == (7, 200, "finished")


@pytest.mark.parametrize("kind", ["reset", "lost_reply"])
@pytest.mark.parametrize("operation", [Operation.ADD, Operation.REMOVE])
def test_a_lost_reply_to_members_is_sent_again(
    connector: MetaConnector, box: MetaSandbox, seed: AudienceHandle, kind: str, operation: Operation
) -> None:
    connector.send(seed, batch_of(connector, Operation.ADD, range(300)))
    box.faults.add(match=f"POST /v26.0/{seed.remote_id}/users", kind=kind)
    assert connector.send(seed, batch_of(connector, operation, range(100), delivery=9)).accepted == 100
    assert len(held(box, seed)) == (300 if operation is Operation.ADD else 200)


def test_a_session_that_timed_out_is_no_reason_to_lose_a_batch(
    connector: MetaConnector, box: MetaSandbox, seed: AudienceHandle
) -> None:
    connector.send(seed, batch_of(connector, Operation.ADD, range(100), last=False, total=200))
    box.clock.advance(hours=2)
    assert connector.send(seed, batch_of(connector, Operation.ADD, range(100, 200), sequence=2, total=200)).accepted == 100
    assert len(held(box, seed)) == 200


def test_replies_lost_for_good_leave_the_outcome_unknown(
    connector: MetaConnector, box: MetaSandbox, seed: AudienceHandle
) -> None:
    box.faults.add(match="/users", kind="reset", times=99)
    with pytest.raises(OutcomeUnknownError, match="run again"):
        connector.send(seed, batch_of(connector, Operation.ADD, range(10)))


def test_a_replace_swaps_the_members_in_at_the_last_batch(
    connector: MetaConnector, box: MetaSandbox, seed: AudienceHandle
) -> None:
    connector.send(seed, batch_of(connector, Operation.ADD, range(300)))
    first = batch_of(connector, Operation.REPLACE, range(200, 400), delivery=9, last=False, total=300)
    connector.send(seed, first)
    assert len(held(box, seed)) == 300
    assert connector.status(seed).state is AudienceState.PROCESSING
    with pytest.raises(NotReadyError, match="in progress"):
        connector.send(seed, batch_of(connector, Operation.ADD, range(5), delivery=10))
    connector.send(seed, batch_of(connector, Operation.REPLACE, range(400, 500), delivery=9, sequence=2, total=300))
    assert set(held(box, seed)) == {digest(f"EMAIL{number}").hex() for number in range(200, 500)}
    box.clock.advance(hours=2)
    assert connector.status(seed).state is AudienceState.READY


@pytest.mark.parametrize("said", [None, True, False])
def test_consent_is_said_only_where_it_is_switched_on(
    connect: Callable[..., MetaConnector], box: MetaSandbox, seed: AudienceHandle, said: bool | None
) -> None:
    """On adds and replaces, never on removals."""
    told: list[Any] = []
    answer = box.answer

    def listen(call: Call) -> Response:
        told.append((call.method, call.params.get("customer_consent")))
        return answer(call)

    box.answer = listen  # type: ignore[method-assign]
    connector = connect(account={"customer_consent": said})
    connector.send(seed, batch_of(connector, Operation.ADD, range(300)))
    connector.send(seed, batch_of(connector, Operation.REMOVE, range(9), delivery=10))
    connector.send(seed, batch_of(connector, Operation.REPLACE, range(300), delivery=11))
    text = None if said is None else str(said).lower()
    assert told == [("POST", text), ("DELETE", None), ("POST", text)]


def test_a_second_replace_waits(connector: MetaConnector, box: MetaSandbox, seed: AudienceHandle) -> None:
    connector.send(seed, batch_of(connector, Operation.REPLACE, range(100), delivery=9, last=False, total=200))
    with pytest.raises(NotReadyError) as caught:
        connector.send(seed, batch_of(connector, Operation.REPLACE, range(100), delivery=10))
    assert caught.value.code == "2650/1870145"


def test_a_replace_that_runs_out_of_time_is_left_to_the_next_run(
    connector: MetaConnector, box: MetaSandbox, seed: AudienceHandle
) -> None:
    connector.send(seed, batch_of(connector, Operation.REPLACE, range(100), delivery=9, last=False, total=200))
    box.clock.advance(hours=2)
    with pytest.raises(NotReadyError) as caught:
        connector.send(seed, batch_of(connector, Operation.REPLACE, range(100, 200), delivery=9, sequence=2, total=200))
    assert caught.value.code == "2650/1870158"
    assert len(held(box, seed)) == 100  # Meta puts in place what has arrived


@pytest.mark.parametrize("kind", ["reset", "lost_reply"])
@pytest.mark.parametrize("last", [True, False])
def test_the_first_batch_of_a_replace_is_never_sent_blindly_again(
    connector: MetaConnector, box: MetaSandbox, seed: AudienceHandle, kind: str, last: bool
) -> None:
    box.faults.add(match="/usersreplace", kind=kind)
    batch = batch_of(connector, Operation.REPLACE, range(150), delivery=9, last=last, total=300)
    assert connector.send(seed, batch).accepted == 150
    assert operations(box, "replace") == 1
    assert operations(box, "sessions") == 1


@pytest.mark.parametrize("kind", ["reset", "lost_reply"])
@pytest.mark.parametrize("lost", [2, 3])
def test_a_later_batch_of_a_replace_is_sent_again(
    connector: MetaConnector, box: MetaSandbox, seed: AudienceHandle, kind: str, lost: int
) -> None:
    box.faults.add(match="/usersreplace", kind=kind, skip=lost - 1)
    for sequence in (1, 2, 3):
        rows = range(100 * sequence, 100 * sequence + 100)
        batch = batch_of(connector, Operation.REPLACE, rows, delivery=9, sequence=sequence, last=sequence == 3, total=300)
        assert connector.send(seed, batch).accepted == 100
    assert set(held(box, seed)) == {digest(f"EMAIL{number}").hex() for number in range(100, 400)}


def test_a_last_batch_that_came_too_late_is_not_taken_for_arrived(
    connector: MetaConnector, box: MetaSandbox, seed: AudienceHandle
) -> None:
    connector.send(seed, batch_of(connector, Operation.REPLACE, range(100), delivery=9, total=300, last=True))
    box.clock.advance(hours=1)
    with pytest.raises(NotReadyError, match="1870159"):
        connector.send(seed, batch_of(connector, Operation.REPLACE, range(100, 300), delivery=9, sequence=2, total=300))


def test_rows_that_meta_finds_invalid_are_counted_not_shown(
    connector: MetaConnector, box: MetaSandbox, seed: AudienceHandle
) -> None:
    box.faults.add(
        match="/users",
        kind="http",
        detail={
            "status": 200,
            "headers": {"Content-Type": "application/json"},
            "body": '{"audience_id":"1","session_id":"7","num_received":10,"num_invalid_entries":3,'
            '"invalid_entry_samples":{"someone@example.com":"Invalid hash","x":"Invalid hash","y":"someone@example.com"}}',
        },
    )
    receipt = connector.send(seed, batch_of(connector, Operation.ADD, range(10)))
    assert (receipt.accepted, receipt.rejected) == (7, {"Invalid hash (Meta)": 2, "invalid entry (Meta)": 1})
    assert "someone" not in repr(receipt)


def test_sizes_and_states_follow_the_clock(connector: MetaConnector, box: MetaSandbox, seed: AudienceHandle) -> None:
    assert connector.status(seed).state is AudienceState.TOO_SMALL
    connector.send(seed, batch_of(connector, Operation.ADD, range(1_000)))
    fresh = connector.status(seed)
    assert (fresh.state, fresh.lower) == (AudienceState.READY, None)
    box.clock.advance(hours=2)
    ready = connector.status(seed)
    assert (ready.state, ready.lower, ready.upper) == (AudienceState.READY, 800, 950)


def test_opt_outs_leave_every_list_of_the_account(connector: MetaConnector, box: MetaSandbox, seed: AudienceHandle) -> None:
    other = connector.find_or_create(PLAIN)
    connector.send(seed, batch_of(connector, Operation.ADD, range(200)))
    connector.send(other, batch_of(connector, Operation.ADD, range(200), delivery=8, values=False))
    connector.remove_everywhere(batch_of(connector, Operation.REMOVE, range(3)))
    assert len(held(box, seed)) == len(held(box, other)) == 197


def test_external_ids_travel_only_when_opted_in(connect: Callable[..., MetaConnector], box: MetaSandbox) -> None:
    assert "EXTERN_ID" not in connect().capabilities.recipe.columns()
    connector = connect(external_id=True)
    audience = connector.find_or_create(PLAIN)
    batch = batch_of(connector, Operation.ADD, range(200), values=False, filled=("EXTERN_ID", "EMAIL"))
    assert connector.send(audience, batch).accepted == 200
    assert held(box, audience)[digest("EMAIL5").hex()]["EXTERN_ID"] == "EXTERN_ID5"
    gone = batch_of(connector, Operation.REMOVE, range(9), delivery=8, filled=("EXTERN_ID",))
    connector.send(audience, gone)
    assert len(held(box, audience)) == 191


def test_an_audience_takes_a_new_name_and_keeps_its_members(connector: MetaConnector, box: MetaSandbox) -> None:
    audience = connector.find_or_create(PLAIN)
    connector.send(audience, batch_of(connector, Operation.ADD, range(200), values=False))
    connector.rename(replace(audience, spec=replace(PLAIN, name="Customers B", description="since May")))
    (held_now,) = box.audiences.values()
    assert (held_now.name, held_now.description, len(held_now.members)) == ("Customers B", "since May", 200)
    assert connector.find_or_create(replace(PLAIN, name="Customers B")).remote_id == audience.remote_id


def test_a_name_that_meta_would_block_is_never_given(connector: MetaConnector, box: MetaSandbox) -> None:
    audience = connector.find_or_create(PLAIN)
    with pytest.raises(ConfigurationError, match="neutrally"):
        connector.rename(replace(audience, spec=replace(PLAIN, name="Big debts")))
    assert box.audiences[audience.remote_id].name == PLAIN.name


def test_a_seed_of_lookalikes_keeps_its_name(connector: MetaConnector, box: MetaSandbox) -> None:
    audience = connector.find_or_create(PLAIN)
    box.new_audience("111", "Look", "LOOKALIKE").origin = audience.remote_id
    with pytest.raises(FatalError, match="lookalikes are built on it"):
        connector.rename(replace(audience, spec=replace(PLAIN, name="Customers B")))


def test_a_lifetime_of_members_is_metas_retention(connector: MetaConnector, box: MetaSandbox) -> None:
    audience = connector.find_or_create(replace(PLAIN, membership_days=180))
    assert box.audiences[audience.remote_id].extra["retention_days"] == 180
    assert CAPABILITIES.longest_membership == 180
    assert "retention_days" not in box.audiences[connector.find_or_create(SEED).remote_id].extra
