"""Seeds by file: made once, edited while usable, settled later, removals never reported as done when they are not."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from connectors.errors import FatalError, NotReadyError, OutcomeUnknownError, RemovalRefusedError
from connectors.protocol import AudienceSpec, AudienceState, Operation, Receipt
from connectors.tiktok.connector import TikTokConnector

from .conftest import ADVERTISER, Connect, Recorded, batch, digests, exclusion, held, made, people, seed


def test_an_audience_is_made_by_its_first_members(sandbox: Recorded, tiktok: TikTokConnector) -> None:
    handle = tiktok.find_or_create(seed())
    assert (handle.remote_id, handle.path) == ("", "file")
    assert tiktok.status(handle).state is AudienceState.MISSING
    assert sandbox.state()["audiences"] == {}
    receipt = tiktok.send(handle, batch(Operation.ADD, people(range(1500))))
    assert (receipt.accepted, receipt.pending) == (0, 1500)
    again = tiktok.find_or_create(seed())
    assert (again.remote_id, again.path) == (receipt.remote_id, "file")
    assert held(sandbox, again) == digests(people(range(1500)))


def test_the_48_hours(sandbox: Recorded, tiktok: TikTokConnector) -> None:
    handle = tiktok.find_or_create(seed())
    receipt = tiktok.send(handle, batch(Operation.ADD, people(range(1500))))
    handle = replace(handle, remote_id=receipt.remote_id)
    assert tiktok.status(handle).state is AudienceState.PROCESSING
    assert tiktok.settle(handle, receipt.reference, 1500).pending == 1500
    with pytest.raises(NotReadyError):
        tiktok.send(handle, batch(Operation.ADD, people(range(1500, 1600))))
    sandbox.clock.advance(hours=25)
    status = tiktok.status(handle)
    assert (status.state, status.lower, status.upper) == (AudienceState.READY, 1500, 1500)
    assert tiktok.settle(handle, receipt.reference, 1500) == Receipt(accepted=1500, remote_id=handle.remote_id)


@pytest.mark.parametrize(
    ("operation", "action", "numbers", "left"),
    [
        (Operation.ADD, "APPEND", range(1500, 1600), range(1600)),
        (Operation.REMOVE, "REMOVE", range(300), range(300, 1500)),
        (Operation.REPLACE, "REPLACE", range(200, 1400), range(200, 1400)),
    ],
)
def test_edits_are_explicit_and_settle_later(
    operation: Operation, action: str, numbers: range, left: range, sandbox: Recorded, tiktok: TikTokConnector
) -> None:
    handle = made(tiktok, sandbox)
    receipt = tiktok.send(handle, batch(operation, people(numbers)))
    assert receipt.pending == len(numbers)
    assert sandbox.bodies("/custom_audience/update/")[0]["action"] == action
    assert held(sandbox, handle) == digests(people(left))
    assert tiktok.settle(handle, receipt.reference, len(numbers)).pending == len(numbers)
    sandbox.clock.advance(hours=25)
    assert tiktok.settle(handle, receipt.reference, len(numbers)).accepted == len(numbers)
    assert tiktok.status(handle).lower == len(left)


def test_an_edit_while_processing_waits_for_a_later_run(sandbox: Recorded, tiktok: TikTokConnector) -> None:
    handle = made(tiktok, sandbox)
    tiktok.send(handle, batch(Operation.ADD, people(range(1500, 1600))))
    uploads = sandbox.paths().count("/dmp/custom_audience/file/upload/")
    with pytest.raises(NotReadyError):
        tiktok.send(handle, batch(Operation.REMOVE, people(range(10))))
    assert sandbox.paths().count("/dmp/custom_audience/file/upload/") == uploads  # nothing was uploaded for nothing


def test_a_second_replace_within_a_day_is_not_ready(sandbox: Recorded, tiktok: TikTokConnector) -> None:
    sandbox.audiences.validity_hours = 2
    handle = made(tiktok, sandbox)
    tiktok.send(handle, batch(Operation.REPLACE, people(range(1400))))
    sandbox.clock.advance(hours=3)
    with pytest.raises(NotReadyError, match="replace operation"):
        tiktok.send(handle, batch(Operation.REPLACE, people(range(1300))))
    sandbox.clock.advance(hours=22)
    assert tiktok.send(handle, batch(Operation.REPLACE, people(range(1300)))).pending == 1300


@pytest.mark.parametrize("operation", [Operation.REMOVE, Operation.REPLACE])
def test_a_removal_below_a_thousand_is_refused_not_done(
    operation: Operation, sandbox: Recorded, tiktok: TikTokConnector
) -> None:
    handle = made(tiktok, sandbox)
    receipt = tiktok.send(handle, batch(operation, people(range(900))))
    sandbox.clock.advance(hours=25)
    with pytest.raises(RemovalRefusedError, match="1,000"):
        tiktok.settle(handle, receipt.reference, 900)
    assert held(sandbox, handle) == digests(people(range(1500)))
    assert tiktok.status(handle).state is AudienceState.READY


@pytest.mark.parametrize(
    ("text", "none"),
    [
        ("The operation failed: the audience would have fewer than 1,000 matched users.", True),
        ("Update failed.", True),
        ("Rejected", True),
        ("Audience too small", True),
        ("less than 1000 users matched", True),
        ("Removed 10000 ids", False),
        ("3 rows failed to parse", False),
        ("Partially failed: invalid rows were skipped", False),
        ("12,000 lines read, 40 invalid lines rejected", False),
        ("", False),
    ],
)
@pytest.mark.parametrize("own_entry", [False, True], ids=["in its entry", "in a later entry"])
def test_a_history_text_decides_whether_an_operation_took_place(
    text: str, none: bool, own_entry: bool, sandbox: Recorded, tiktok: TikTokConnector
) -> None:
    """Rows that TikTok could not read are no refused removal; one that it refused is, wherever its history says so."""
    handle = made(tiktok, sandbox)
    receipt = tiktok.send(handle, batch(Operation.REMOVE, people(range(100))))
    sandbox.clock.advance(hours=25)
    audience = sandbox.audiences.held[handle.remote_id]
    tiktok.status(handle)
    if own_entry:
        audience.note("REMOVE", "result", sandbox.clock.now())
    audience.history[-1]["msg"] = text
    if none:
        with pytest.raises(RemovalRefusedError):
            tiktok.settle(handle, receipt.reference, 100)
    else:
        assert tiktok.settle(handle, receipt.reference, 100) == Receipt(100, remote_id=handle.remote_id, detail=text)


def test_replacing_everyone_by_nobody_is_refused(sandbox: Recorded, tiktok: TikTokConnector) -> None:
    with pytest.raises(RemovalRefusedError):
        tiktok.send(made(tiktok, sandbox), batch(Operation.REPLACE, []))


def test_too_small_from_the_start(sandbox: Recorded, tiktok: TikTokConnector) -> None:
    handle = tiktok.find_or_create(seed())
    receipt = tiktok.send(handle, batch(Operation.ADD, people(range(500))))
    handle = replace(handle, remote_id=receipt.remote_id)
    sandbox.clock.advance(hours=25)
    assert tiktok.status(handle).state is AudienceState.TOO_SMALL
    settled = tiktok.settle(handle, receipt.reference, 500)
    assert settled.accepted == 0
    assert sum(settled.rejected.values()) == 500
    for operation in Operation:  # nothing can be done with it any more: the engine deletes it and makes it anew
        with pytest.raises(RemovalRefusedError, match="made anew"):
            tiktok.send(handle, batch(operation, people(range(500, 600))))
    tiktok.delete(handle)
    assert tiktok.status(handle).state is AudienceState.MISSING


def test_a_blocked_audience_needs_a_person(sandbox: Recorded, tiktok: TikTokConnector) -> None:
    handle = made(tiktok, sandbox)
    audience = sandbox.audiences.held[handle.remote_id]
    assert tiktok.status(handle).state is AudienceState.READY
    audience.valid, audience.error = False, "The audience violates our policy."
    assert tiktok.status(handle).state is AudienceState.BLOCKED
    with pytest.raises(FatalError, match=r"violates our policy.*Audience Manager"):
        tiktok.send(handle, batch(Operation.ADD, people(range(5))))


def test_match_rates_decide_the_size(sandbox: Recorded, tiktok: TikTokConnector) -> None:
    sandbox.audiences.match_rates.update(EMAIL=0.5, PHONE=0.0)
    status = tiktok.status(made(tiktok, sandbox, range(4000)))
    assert status.lower is not None
    assert 1800 < status.lower < 2200


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "lost_reply"},
        {"kind": "http", "detail": {"status": 504, "body": "<html>504 Gateway Time-out</html>"}},
        {"kind": "error", "detail": {"code": 50002, "message": "processing error"}},
        {"kind": "error", "detail": {"code": 40050, "message": "duplicate request"}},
        {"kind": "reset"},
    ],
)
def test_a_lost_create_never_makes_a_second_audience(
    fault: dict[str, object], sandbox: Recorded, tiktok: TikTokConnector
) -> None:
    sandbox.faults.add(match="/custom_audience/create/", **fault)
    receipt = tiktok.send(tiktok.find_or_create(seed()), batch(Operation.ADD, people(range(1200))))
    audiences = sandbox.state()["audiences"]
    assert list(audiences) == [receipt.remote_id]
    assert audiences[receipt.remote_id]["member_count"] == receipt.pending == 1200


def test_a_create_lost_for_good_is_unknown_and_found_later(sandbox: Recorded, tiktok: TikTokConnector) -> None:
    handle = tiktok.find_or_create(seed())
    sandbox.faults.add(match="/custom_audience/create/", kind="lost_reply")
    sandbox.faults.add(match="/custom_audience/list/", kind="reset", times=6, skip=1)
    with pytest.raises(Exception, match="list") as caught:
        tiktok.send(handle, batch(Operation.ADD, people(range(1200))))
    assert getattr(caught.value, "exit_code", 0) == 4
    again = tiktok.find_or_create(seed())
    assert again.remote_id in sandbox.state()["audiences"]
    with pytest.raises(NotReadyError):  # the resumed batch waits until the audience is usable
        tiktok.send(handle, batch(Operation.ADD, people(range(1200))))
    assert len(sandbox.state()["audiences"]) == 1


def test_a_create_that_never_gets_through_is_unknown(sandbox: Recorded, tiktok: TikTokConnector) -> None:
    sandbox.faults.add(match="/custom_audience/create/", kind="reset", times=9)
    with pytest.raises(OutcomeUnknownError):
        tiktok.send(tiktok.find_or_create(seed()), batch(Operation.ADD, people(range(1200))))
    assert sandbox.state()["audiences"] == {}


@pytest.mark.parametrize("operation", [Operation.ADD, Operation.REMOVE, Operation.REPLACE])
def test_a_lost_update_is_read_in_the_history(operation: Operation, sandbox: Recorded, tiktok: TikTokConnector) -> None:
    handle = made(tiktok, sandbox)
    sandbox.faults.add(match="/custom_audience/update/", kind="lost_reply")
    receipt = tiktok.send(
        handle, batch(operation, people(range(200, 1500))[: 1300 if operation is not Operation.REMOVE else 50])
    )
    assert receipt.pending > 0
    assert len(sandbox.bodies("/custom_audience/update/")) == 1


def test_a_reading_that_fails_after_acceptance_loses_nothing(sandbox: Recorded, tiktok: TikTokConnector) -> None:
    sandbox.faults.add(match="/custom_audience/get/", kind="reset", times=6)
    receipt = tiktok.send(tiktok.find_or_create(seed()), batch(Operation.ADD, people(range(1200))))
    assert receipt.pending == 1200
    sandbox.clock.advance(hours=25)
    handle = tiktok.find_or_create(seed())
    assert tiktok.settle(handle, receipt.reference, 1200).accepted == 1200


def test_adding_twice_changes_nothing(sandbox: Recorded, tiktok: TikTokConnector) -> None:
    handle = made(tiktok, sandbox)
    tiktok.send(handle, batch(Operation.ADD, people(range(1500))))
    assert held(sandbox, handle) == digests(people(range(1500)))
    assert sandbox.state()["audiences"][handle.remote_id]["member_count"] == 1500


def test_found_by_id_then_by_exact_name_on_a_later_page(sandbox: Recorded, tiktok: TikTokConnector) -> None:
    handle = made(tiktok, sandbox)
    for number in range(120):
        sandbox.segments.audience({"custom_audience_name": f"Customers A {number}"}, ADVERTISER)
    assert tiktok.find_or_create(seed()).remote_id == handle.remote_id
    assert tiktok.find_or_create(seed("Renamed"), handle.remote_id).remote_id == handle.remote_id
    assert tiktok.find_or_create(seed("customers a")).remote_id == ""


def test_one_name_twice_means_the_oldest(sandbox: Recorded, tiktok: TikTokConnector) -> None:
    first = made(tiktok, sandbox)
    files = sandbox.bodies("/custom_audience/create/")[0]["file_paths"]
    sandbox.clock.advance(hours=-2)
    body = {"custom_audience_name": "Customers A", "calculate_type": "MULTIPLE_TYPES", "file_paths": files}
    sandbox.audiences.create(body, ADVERTISER)
    assert tiktok.find_or_create(seed()).remote_id == first.remote_id


def test_gone_at_the_platform(sandbox: Recorded, tiktok: TikTokConnector) -> None:
    handle = made(tiktok, sandbox)
    tiktok.delete(handle)
    tiktok.delete(handle)  # also when it was gone before
    assert tiktok.status(handle).state is AudienceState.MISSING
    assert tiktok.find_or_create(seed(), handle.remote_id).remote_id == ""
    with pytest.raises(FatalError, match="gone"):
        tiktok.send(handle, batch(Operation.ADD, people(range(10))))
    assert tiktok.settle(handle, "add|", 10).rejected == {"the audience is gone": 10}


def test_an_expired_audience_is_made_anew(sandbox: Recorded, tiktok: TikTokConnector) -> None:
    handle = made(tiktok, sandbox)
    sandbox.clock.advance(hours=24 * 320)
    assert "expires" in tiktok.status(handle).detail
    sandbox.clock.advance(hours=24 * 60)
    assert tiktok.status(handle).state is AudienceState.MISSING
    assert tiktok.find_or_create(seed(), handle.remote_id).remote_id == ""
    assert sandbox.state()["audiences"] == {}, "the expired one is deleted: nothing else may be done with it"


def test_not_usable_after_48_hours_without_a_word_is_too_small(sandbox: Recorded, connect: Connect) -> None:
    sandbox.audiences.validity_hours = 1000
    tiktok = connect()
    receipt = tiktok.send(tiktok.find_or_create(seed()), batch(Operation.ADD, people(range(1200))))
    handle = replace(tiktok.find_or_create(seed()), remote_id=receipt.remote_id)
    sandbox.clock.advance(hours=47)
    assert tiktok.status(handle).state is AudienceState.PROCESSING
    sandbox.clock.offset += timedelta(hours=2)
    assert tiktok.status(handle).state is AudienceState.TOO_SMALL


def test_an_audience_keeps_its_own_file_type(sandbox: Recorded, connect: Connect) -> None:
    handle = made(connect(file_type="email"), sandbox)
    connect(file_type="multiple").send(handle, batch(Operation.ADD, people(range(1500, 1600))))
    uploads = [one.body for one in sandbox.heard if one.path.endswith("/upload/")]
    assert b"EMAIL_SHA256" in uploads[-1]
    assert b"MULTIPLE_TYPES" not in uploads[-1]


def test_removing_from_an_audience_that_never_was(tiktok: TikTokConnector) -> None:
    assert tiktok.send(tiktok.find_or_create(seed()), batch(Operation.REMOVE, people(range(5)))).accepted == 5


def test_an_empty_batch_sends_nothing(sandbox: Recorded, tiktok: TikTokConnector) -> None:
    handle = tiktok.find_or_create(seed())
    calls = len(sandbox.heard)
    assert tiktok.send(handle, batch(Operation.ADD, [])).accepted == 0
    assert len(sandbox.heard) == calls


def test_an_audience_takes_a_new_name(sandbox: Recorded, tiktok: TikTokConnector) -> None:
    handle = made(tiktok, sandbox)
    tiktok.rename(replace(handle, spec=seed("Customers B")))
    assert sandbox.state()["audiences"][handle.remote_id]["name"] == "Customers B"
    assert held(sandbox, handle) == digests(people(range(1500)))
    tiktok.send(handle, batch(Operation.ADD, people(range(1500, 1510))))
    with pytest.raises(NotReadyError):  # while it is being built
        tiktok.rename(handle)


def test_a_streaming_audience_keeps_its_name(sandbox: Recorded, tiktok: TikTokConnector) -> None:
    handle = tiktok.find_or_create(exclusion())
    calls = len(sandbox.heard)
    with pytest.raises(FatalError, match="renames a streaming audience"):
        tiktok.rename(replace(handle, spec=exclusion("Everybody")))
    assert len(sandbox.heard) == calls


def test_an_audience_shared_by_others_is_never_taken_for_ours(sandbox: Recorded, connect: Connect) -> None:
    theirs = connect({"account_id": "7000000000000000002"})
    shared = made(theirs, sandbox)
    theirs.share(shared, [ADVERTISER])
    tiktok = connect()
    assert tiktok.count_audiences().audiences == 1
    assert tiktok.find_or_create(seed()).remote_id == ""


def test_eleven_accounts_are_two_calls(sandbox: Recorded, tiktok: TikTokConnector) -> None:
    handle = made(tiktok, sandbox)
    tiktok.share(handle, [str(7_000_000_000_000_000_010 + n) for n in range(11)])
    assert [len(one["shared_advertiser_ids"]) for one in sandbox.bodies("/share/")] == [10, 1]


@pytest.mark.parametrize("spec", [seed(), exclusion()])
def test_an_audience_that_ad_groups_use_is_kept_and_that_is_said(
    sandbox: Recorded, tiktok: TikTokConnector, spec: AudienceSpec
) -> None:
    handle = made(tiktok, sandbox) if not spec.exclusion else tiktok.find_or_create(spec)
    sandbox.audiences.applied = {handle.remote_id}
    with pytest.raises(FatalError, match=r"applied to ad groups.*disconnect the audience from its ad groups"):
        tiktok.delete(handle)
    assert handle.remote_id in sandbox.state()["audiences"]
    sandbox.audiences.applied = set()
    tiktok.delete(handle)
    assert sandbox.state()["audiences"] == {}
