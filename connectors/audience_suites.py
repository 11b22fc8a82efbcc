"""The suites about audiences and faults: parts of the contract in `connectors.testing`, which says how to use them."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import pytest

from connectors.errors import (
    FatalError,
    NotReadyError,
    OutcomeUnknownError,
    RemovalRefusedError,
    RetriableError,
    RowsRejectedError,
    SyncError,
)
from connectors.protocol import AudienceState, LookalikeSpec, Operation
from connectors.rig import Rig, digest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connectors.powers import CountingConnector, ForeseeingConnector, RenamingConnector


class Suite:
    """The base of all: where the rig comes from."""

    @pytest.fixture
    def rig(self) -> Iterator[Rig]:
        """The connector under test; a subclass gives it."""
        raise TypeError("a subclass of a suite gives the fixture `rig`")


class AudienceSuite(Suite):
    """Making, filling, emptying, reading and deleting an audience."""

    def test_capabilities_make_sense(self, rig: Rig) -> None:
        """Columns are named once, limits are positive, adding and removing are possible."""
        columns = rig.limits.recipe.columns()
        assert len(columns) == len(set(columns)) > 0
        assert rig.limits.batch_rows > 0
        assert {Operation.ADD, Operation.REMOVE} <= rig.limits.operations
        assert any(one.identifies for one in rig.limits.recipe.fields)

    def test_a_check_finds_all_in_order_and_changes_nothing(self, rig: Rig) -> None:
        """`check` reads only."""
        assert [one for one in rig.connector.check() if not one.ok] == []
        written = {entry.get("operation") for entry in rig.sandbox.requests} - {None} - rig.reads
        assert written == set()

    def test_an_audience_is_made_once(self, rig: Rig) -> None:
        """Found by name or by id, never made twice; other names are other audiences."""
        handle = rig.filled(range(rig.floor))
        assert rig.connector.find_or_create(rig.spec()).remote_id == handle.remote_id
        assert rig.connector.find_or_create(rig.spec(), handle.remote_id).remote_id == handle.remote_id
        assert rig.connector.find_or_create(rig.spec("Suite B")).remote_id != handle.remote_id
        assert _named(rig, "Suite A") == 1

    def test_members_come_and_go(self, rig: Rig) -> None:
        """What was added is held, what was removed is not."""
        handle, totals = rig.deliver(rig.connector.find_or_create(rig.spec()), rig.batch(Operation.ADD, range(rig.floor)))
        assert totals == Counter(accepted=rig.floor, rejected=0)
        assert rig.held(handle) == rig.floor
        rig.rest()
        _, gone = rig.deliver(handle, rig.batch(Operation.REMOVE, range(20)))
        assert gone["accepted"] == 20
        assert rig.held(handle) == rig.floor - 20

    def test_sending_twice_changes_nothing(self, rig: Rig) -> None:
        """Members are a set."""
        handle = rig.filled(range(rig.floor))
        rig.deliver(handle, rig.batch(Operation.ADD, range(rig.floor), delivery=99))
        assert rig.held(handle) == rig.floor

    def test_a_replace_leaves_exactly_the_new_members(self, rig: Rig) -> None:
        """Where the platform can replace: the old members are gone, the new ones are there."""
        if Operation.REPLACE not in rig.limits.operations:
            return
        handle = rig.filled(range(rig.floor))
        _, totals = rig.deliver(handle, rig.batch(Operation.REPLACE, range(50, rig.floor + 10)))
        rig.rest()
        assert totals["accepted"] == rig.floor - 40
        assert rig.held(handle) == rig.floor - 40

    def test_a_bad_row_costs_nobody_else(self, rig: Rig) -> None:
        """A row without identifiers is rejected and counted; all others are held."""
        people: list[int | None] = [*range(rig.floor), None]
        handle, batch = rig.connector.find_or_create(rig.spec()), rig.batch(Operation.ADD, people)
        try:
            handle, totals = rig.deliver(handle, batch)
            assert totals == Counter(accepted=rig.floor, rejected=1)
        except RowsRejectedError as error:
            assert set(error.rows) == {rig.floor}  # noqa: PT017 - rejecting by name is one of two allowed answers
            handle, totals = rig.deliver(handle, rig.batch(Operation.ADD, people[:-1]))
        assert rig.held(handle) == rig.floor

    def test_a_removal_below_the_floor_is_said_to_be_refused(self, rig: Rig) -> None:
        """Members who must stay are never reported as gone."""
        if not rig.limits.removal_floor:
            return
        handle = rig.filled(range(rig.floor))
        with pytest.raises(RemovalRefusedError):
            rig.deliver(handle, rig.batch(Operation.REMOVE, range(rig.floor - 10)))
        assert rig.held(handle) == rig.floor

    def test_status_goes_from_filled_to_ready_to_missing(self, rig: Rig) -> None:
        """Size bounds hold the matched members; a deleted audience is missing, and deleting twice is no error."""
        handle = rig.filled(range(rig.floor))
        status = rig.ready(handle)
        assert status.state is AudienceState.READY
        assert status.lower is None or status.upper is None or status.lower <= status.upper
        assert status.lower is None or status.lower <= rig.floor
        rig.connector.delete(handle)
        rig.connector.delete(handle)
        assert rig.connector.status(handle).state is AudienceState.MISSING

    def test_an_audience_of_another_life_is_made_anew(self, rig: Rig) -> None:
        """A remembered id that is gone leads to a new audience, not to an error."""
        handle = rig.filled(range(rig.floor))
        rig.connector.delete(handle)
        again = rig.connector.find_or_create(rig.spec(), handle.remote_id)
        assert again.remote_id != handle.remote_id

    def test_a_new_name_changes_nothing_else(self, rig: Rig) -> None:
        """Where an audience known by its id can be renamed: same id, same members, found by the new name."""
        if not rig.limits.renames or rig.exclusion:
            return
        handle = rig.filled(range(rig.floor))
        cast("RenamingConnector", rig.connector).rename(replace(handle, spec=rig.spec("Suite R")))
        assert (_named(rig, "Suite A"), _named(rig, "Suite R"), rig.held(handle)) == (0, 1, rig.floor)
        assert rig.connector.find_or_create(rig.spec("Suite R")).remote_id == handle.remote_id

    def test_audiences_are_counted_where_their_number_is_limited(self, rig: Rig) -> None:
        """One more after one is made."""
        if not rig.limits.maximum_audiences:
            return
        connector = cast("CountingConnector", rig.connector)
        before = connector.count_audiences().audiences
        rig.filled(range(rig.floor))
        assert connector.count_audiences().audiences == before + 1

    def test_what_is_foreseen_is_about_the_name_alone(self, rig: Rig) -> None:
        """Where refusals are foreseen: none for a plain name, and nothing is asked or changed."""
        if not rig.limits.foresees:
            return
        calls = len(rig.sandbox.requests)
        assert cast("ForeseeingConnector", rig.connector).objection(rig.spec()) == ""
        assert cast("ForeseeingConnector", rig.connector).objection(LookalikeSpec("look", "Suite look", ("US",))) == ""
        assert len(rig.sandbox.requests) == calls

    def test_closing_twice_is_no_error(self, rig: Rig) -> None:
        """`close` can always be called."""
        rig.connector.close()
        rig.connector.close()

    def test_nothing_secret_is_logged(self, rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
        """Neither digests nor tokens reach any log, at any level."""
        caplog.set_level(logging.DEBUG)
        rig.filled(range(rig.floor))
        text = "\n".join(record.getMessage() for record in caplog.records)
        assert not [one for one in (*rig.secrets, digest(1).hex(), digest(2).hex()) if one in text]


class FaultSuite(Suite):
    """Throttles, refusals, lost replies, pages that are no answers."""

    def test_a_throttle_is_waited_for(self, rig: Rig) -> None:
        """The batch arrives after a wait."""
        handle = rig.filled(range(rig.floor))
        rig.sandbox.faults.add(match=rig.writes, kind="error", detail=dict(rig.throttle))
        waited = len(rig.waits)
        try:
            rig.deliver(handle, rig.batch(Operation.ADD, range(rig.floor, rig.floor + 5)))
        except RetriableError as error:
            assert error.retry_after, "a wait too long for this run says how long"  # noqa: PT017
            rig.deliver(handle, rig.batch(Operation.ADD, range(rig.floor, rig.floor + 5)))
        else:
            assert len(rig.waits) > waited
        assert rig.held(handle) == rig.floor + 5

    def test_a_refusal_is_not_tried_again(self, rig: Rig) -> None:
        """What only a person can mend is raised at once, with a remedy."""
        handle = rig.filled(range(rig.floor))
        rig.sandbox.faults.add(match=rig.writes, kind="error", times=2, detail=dict(rig.refusal))
        with pytest.raises(SyncError) as caught:
            rig.connector.send(handle, rig.batch(Operation.ADD, range(3)))
        assert isinstance(caught.value, FatalError) or caught.value.exit_code == 2
        assert caught.value.remedy
        assert rig.sandbox.faults.take(rig.writes) is not None, "the second fault is still there: one request was made"

    def test_an_unknown_code_is_fatal(self, rig: Rig) -> None:
        """A code that the fact sheet doesn't know is never success and never retried."""
        handle = rig.filled(range(rig.floor))
        detail = {"code": 987_654, "message": "Something new", "status": 400}
        rig.sandbox.faults.add(match=rig.writes, kind="error", detail=detail)
        with pytest.raises(SyncError):
            rig.connector.send(handle, rig.batch(Operation.ADD, range(rig.floor, rig.floor + 3)))
        assert rig.held(handle) == rig.floor

    def test_a_page_is_no_answer(self, rig: Rig) -> None:
        """HTML, with whatever status, never counts as success."""
        if not rig.http:
            return
        handle = rig.filled(range(rig.floor))
        for status in (200, 502):
            rig.sandbox.faults.add(
                match=rig.writes, kind="http", times=99, detail={"status": status, "body": "<html>ok</html>"}
            )
            with pytest.raises(SyncError):
                rig.connector.send(handle, rig.batch(Operation.ADD, range(rig.floor, rig.floor + 3), delivery=status))
            rig.sandbox.faults.clear()
        assert rig.held(handle) == rig.floor

    @pytest.mark.parametrize("kind", ["reset", "lost_reply"])
    def test_a_lost_reply_is_never_taken_for_success_or_failure(self, rig: Rig, kind: str) -> None:
        """It is cleared up at once, or said to be unknown; sent again, every member is there once."""
        handle, batch = rig.filled(range(rig.floor)), rig.batch(Operation.ADD, range(rig.floor, rig.floor + 7))
        rig.sandbox.faults.add(match=rig.writes, kind=kind)
        try:
            rig.deliver(handle, batch)
        except (OutcomeUnknownError, NotReadyError, RetriableError):
            rig.sandbox.faults.clear()
            rig.rest()
            rig.deliver(handle, batch)
        assert rig.held(handle) == rig.floor + 7

    def test_a_platform_that_is_gone_is_no_success(self, rig: Rig) -> None:
        """With every call lost there is an error of ours, and no receipt."""
        handle = rig.filled(range(rig.floor))
        rig.sandbox.faults.add(kind="reset", times=10_000)
        with pytest.raises(SyncError) as caught:
            rig.connector.send(handle, rig.batch(Operation.ADD, range(rig.floor, rig.floor + 3)))
        assert caught.value.exit_code == 4
        assert digest(rig.floor).hex() not in str(caught.value)

    @pytest.mark.parametrize("kind", ["reset", "lost_reply"])
    def test_a_lost_reply_to_a_creation_makes_no_second_audience(self, rig: Rig, kind: str) -> None:
        """The next call finds what was made."""
        rig.sandbox.faults.add(match=rig.creates, kind=kind)
        for _ in range(3):
            try:
                rig.filled(range(rig.floor), "Suite C")
                break
            except (OutcomeUnknownError, RetriableError, NotReadyError):
                rig.rest()
        assert _named(rig, "Suite C") == 1


def _named(rig: Rig, name: str) -> int:
    return sum(one["name"] == name for one in rig.sandbox.state(members=False)["audiences"].values())
