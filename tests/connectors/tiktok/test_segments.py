"""Exclusions by stream: the path fixed when made, several values per person, small calls, refusals told."""

from __future__ import annotations

import pytest

from connectors.errors import ConfigurationError, RemovalRefusedError, RetriableError
from connectors.protocol import AudienceState, Operation
from connectors.tiktok.connector import TikTokConnector

from .conftest import Connect, Recorded, batch, digest, digests, exclusion, held, made, people, seed


def test_made_at_once_and_only_once(sandbox: Recorded, tiktok: TikTokConnector) -> None:
    handle = tiktok.find_or_create(exclusion())
    assert handle.path == "stream"
    assert handle.remote_id
    assert tiktok.find_or_create(exclusion()).remote_id == handle.remote_id
    assert tiktok.find_or_create(exclusion(), handle.remote_id) == handle
    assert sandbox.state()["audiences"][handle.remote_id]["type"] == "Partner"


@pytest.mark.parametrize("kind", ["lost_reply", "reset"])
def test_a_lost_create_never_makes_a_second(kind: str, sandbox: Recorded, tiktok: TikTokConnector) -> None:
    sandbox.faults.add(match="/segment/audience/", kind=kind)
    handle = tiktok.find_or_create(exclusion())
    assert list(sandbox.state()["audiences"]) == [handle.remote_id]


def test_members_are_accepted_at_once(sandbox: Recorded, tiktok: TikTokConnector) -> None:
    handle = tiktok.find_or_create(exclusion())
    assert tiktok.send(handle, batch(Operation.ADD, people(range(2500)))).accepted == 2500
    assert held(sandbox, handle) == digests(people(range(2500)))
    assert tiktok.send(handle, batch(Operation.REMOVE, people(range(700)))).accepted == 700
    assert held(sandbox, handle) == digests(people(range(700, 2500)))
    tiktok.send(handle, batch(Operation.REMOVE, people(range(700))))  # unknown ids are a silent ok
    assert held(sandbox, handle) == digests(people(range(700, 2500)))


def test_usable_after_a_day(sandbox: Recorded, tiktok: TikTokConnector) -> None:
    handle = tiktok.find_or_create(exclusion())
    tiktok.send(handle, batch(Operation.ADD, people(range(2500))))
    assert tiktok.status(handle).state is AudienceState.PROCESSING
    sandbox.clock.advance(hours=25)
    assert tiktok.status(handle).state is AudienceState.READY


def test_calls_stay_small(sandbox: Recorded, tiktok: TikTokConnector) -> None:
    rows = [{"EMAIL": digest(f"e{n}"), "PHONE": digest(f"p{n}"), "MAID": digest(f"m{n}")} for n in range(2300)]
    tiktok.send(tiktok.find_or_create(exclusion()), batch(Operation.ADD, rows))
    calls = [one for one in sandbox.heard if one.path.endswith("/mapping/")]
    assert [len(one.json()["batch_data"]) for one in calls] == [1000, 1000, 300]
    assert all(len(one.body) <= 1_000_000 for one in calls)


def test_several_values_of_a_person_become_rows(sandbox: Recorded, tiktok: TikTokConnector) -> None:
    row = {"EMAIL": digest("a"), "EMAIL#2": digest("b"), "EMAIL#3": digest("c"), "PHONE": digest("p"), "MAID": digest("m")}
    handle = tiktok.find_or_create(exclusion())
    tiktok.send(handle, batch(Operation.ADD, [row]))
    (call,) = sandbox.bodies("/mapping/")
    assert call["id_schema"] == ["EMAIL_SHA256", "PHONE_SHA256", "IDFA_SHA256", "AAID_SHA256"]
    ids = [[cell.get("id") for cell in cells] for cells in call["batch_data"]]
    a, b, c, p, m = (digest(one).hex() for one in "abcpm")
    assert ids == [[a, p, m, m], [b, None, None, None], [c, None, None, None]]
    assert held(sandbox, handle) == digests([row])


def test_a_kind_that_nobody_has_is_not_in_the_schema(sandbox: Recorded, tiktok: TikTokConnector) -> None:
    tiktok.send(tiktok.find_or_create(exclusion()), batch(Operation.ADD, [{"PHONE": digest("p")}]))
    assert sandbox.bodies("/mapping/")[0]["id_schema"] == ["PHONE_SHA256"]


def test_the_path_stays_what_it_was_when_made(sandbox: Recorded, tiktok: TikTokConnector) -> None:
    handle = made(tiktok, sandbox)
    found = tiktok.find_or_create(exclusion(seed().name))
    assert (found.remote_id, found.path) == (handle.remote_id, "file")
    stream = tiktok.find_or_create(exclusion())
    assert tiktok.find_or_create(seed(exclusion().name)).path == stream.path == "stream"


def test_a_name_that_tiktok_would_cut_is_refused(tiktok: TikTokConnector) -> None:
    with pytest.raises(ConfigurationError, match="shorten the name"):
        tiktok.find_or_create(exclusion("x" * 71))


def test_a_stream_cannot_be_replaced(tiktok: TikTokConnector) -> None:
    with pytest.raises(RemovalRefusedError, match="cannot replace"):
        tiktok.send(tiktok.find_or_create(exclusion()), batch(Operation.REPLACE, people(range(5))))


def test_a_fault_in_the_middle_is_resumed_by_sending_again(sandbox: Recorded, connect: Connect) -> None:
    tiktok = connect()
    handle = tiktok.find_or_create(exclusion())
    sandbox.faults.add(match="/mapping/", kind="reset", times=6, skip=2)
    with pytest.raises(RetriableError):
        tiktok.send(handle, batch(Operation.ADD, people(range(3500))))
    assert tiktok.send(handle, batch(Operation.ADD, people(range(3500)))).accepted == 3500
    assert held(sandbox, handle) == digests(people(range(3500)))


def test_deleted(sandbox: Recorded, tiktok: TikTokConnector) -> None:
    handle = tiktok.find_or_create(exclusion())
    tiktok.delete(handle)
    tiktok.delete(handle)
    assert sandbox.state()["audiences"] == {}
    assert sandbox.bodies("/segment/audience/")[1]["action"] == "delete"


def test_a_call_done_in_part_leaves_its_rows_unknown(sandbox: Recorded, tiktok: TikTokConnector) -> None:
    handle = tiktok.find_or_create(exclusion())
    sandbox.faults.add(match="/mapping/", skip=1, detail={"code": 20001, "message": f"3 rows failed, {'ab' * 32} is one"})
    receipt = tiktok.send(handle, batch(Operation.ADD, people(range(2500))))
    assert (receipt.accepted, receipt.unknown) == (1500, 1000)
    assert "done in part: 3 rows failed" in receipt.detail
    assert "ab" * 32 not in receipt.detail
