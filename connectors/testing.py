"""The contract that every connector earns, its author's own too: subclass a suite, give it a `Rig`, run pytest.

```
class TestMine(ConnectorSuite):
    @pytest.fixture
    def rig(self) -> Iterator[Rig]:
        sandbox = platform.sandbox()
        address = sandbox.start()["address"]
        settings = platform.settings(api_base=address, credentials="anonymous", accounts=[{"account_id": "1"}])
        waits: list[float] = []
        connector = platform.connect(settings, settings.accounts[0], now=sandbox.clock.now, sleep=waits.append)
        yield Rig(connector, sandbox, writes="/users", creates="POST /customaudiences", waits=waits,
                  throttle={"code": 80003}, refusal={"code": 190})
        connector.close()
        sandbox.stop()
```
`ConnectorSuite` is made of four parts; take only those that fit: `AudienceSuite` (no faults, also for platforms without a
network), `FaultSuite`, `LookalikeSuite`, `ResultSuite`. A connector that takes predicted values earns `ValueSuite` too. Needs
pytest (extra `test`).
"""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
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
    from datetime import date

    from connectors.protocol import EventConnector, ValueBatch

__all__ = ["AudienceSuite", "ConnectorSuite", "FaultSuite", "LookalikeSuite", "ResultSuite", "Rig", "ValueSuite"]


class _Suite:
    @pytest.fixture
    def rig(self) -> Iterator[Rig]:
        """The connector under test; a subclass gives it."""
        raise TypeError("a subclass of a suite gives the fixture `rig`")


class AudienceSuite(_Suite):
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


class FaultSuite(_Suite):
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


class LookalikeSuite(_Suite):
    """Lookalikes of a seed."""

    LOOK = LookalikeSpec("look", "Suite look", ("US",))

    def test_a_lookalike_waits_for_its_seed_and_is_made_once(self, rig: Rig) -> None:
        """Not ready, then made, then found."""
        look = replace(self.LOOK, value_based=rig.limits.value_weighted)
        empty = rig.connector.find_or_create(rig.spec("Suite small"))
        if empty.remote_id:
            with pytest.raises(NotReadyError):
                rig.connector.find_or_create_lookalike(empty, look)
        seed = rig.filled(range(2 * rig.floor))
        rig.ready(seed)
        made = rig.connector.find_or_create_lookalike(seed, look)
        assert made.remote_id not in ("", seed.remote_id)
        assert rig.connector.find_or_create_lookalike(seed, look).remote_id == made.remote_id
        assert list(rig.sandbox.state()["lookalikes"]) == [made.remote_id]


class ResultSuite(_Suite):
    """Campaign results."""

    def test_results_add_up_to_the_platforms_own(self, rig: Rig) -> None:
        """Days at both ends are in; money is exact; nothing is counted twice."""
        today = rig.sandbox.clock.now().date()
        rig.sandbox.campaigns = _campaigns(today)  # type: ignore[attr-defined]
        since, until = today - timedelta(days=9), today - timedelta(days=2)
        wanted = [row for row in _campaigns(today) if since.isoformat() <= row["date"] <= until.isoformat()]
        found = list(rig.connector.campaign_days(since, until))
        assert len(found) == len({(one.date, one.campaign_id, one.adset_id, one.ad_id) for one in found})
        for name in ("spend", "impressions", "clicks", "conversions", "conversion_value"):
            assert sum(Decimal(getattr(one, name)) for one in found) == sum(Decimal(row[name]) for row in wanted), name
        assert {one.date.isoformat() for one in found} == {row["date"] for row in wanted}
        assert {one.campaign_id for one in found} == {row["campaign_id"] for row in wanted}
        assert all(isinstance(one.spend, Decimal) and one.currency and one.pulled_at.tzinfo for one in found)
        assert {one.account_id for one in found} == {rig.connector.account_id}

    def test_a_time_without_results_is_empty(self, rig: Rig) -> None:
        """No rows, no error."""
        today = rig.sandbox.clock.now().date()
        rig.sandbox.campaigns = _campaigns(today)  # type: ignore[attr-defined]
        before = today - timedelta(days=30)
        assert list(rig.connector.campaign_days(before, before + timedelta(days=3))) == []


class ValueSuite(_Suite):
    """Predicted values as events of their own; the rig's account has them switched on, and `state()` tells `events`."""

    def test_events_count_once_and_numbers_add_up(self, rig: Rig) -> None:
        """Sent again, an event is there once; what is pending is settled."""
        assert _valued(rig, rig.values(range(12))) == Counter(accepted=12, rejected=0)
        again = _valued(rig, rig.values(range(10, 15)))
        assert again["accepted"] in (3, 5), "doubles are taken in silence, or rejected by name"
        assert sum(again.values()) == 5
        assert len(rig.sandbox.state()["events"]) == 15

    def test_a_row_without_value_costs_nobody_else(self, rig: Rig) -> None:
        """It is rejected and counted."""
        assert _valued(rig, rig.values(range(9), without=[4])) == Counter(accepted=8, rejected=1)
        assert len(rig.sandbox.state()["events"]) == 8

    def test_predictions_are_no_purchases(self, rig: Rig) -> None:
        """They have a target, and a name that no platform counts as a purchase."""
        signal = _events(rig).signal
        assert signal is not None
        assert signal.target
        assert signal.event.lower() not in ("", "purchase", "completepayment", "placeanorder", "order")
        assert rig.limits.predicted_values
        assert rig.limits.value_batch_rows > 0

    def test_a_lost_reply_counts_nobody_twice(self, rig: Rig) -> None:
        """It is tried again, or said to be unknown; in the end everyone is there once."""
        rig.sandbox.faults.add(match=rig.events, kind="lost_reply")
        try:
            _valued(rig, rig.values(range(6)))
        except (OutcomeUnknownError, RetriableError):
            rig.sandbox.faults.clear()
            _valued(rig, rig.values(range(6)))
        assert len(rig.sandbox.state()["events"]) == 6

    def test_no_digest_of_an_event_is_logged(self, rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
        """Neither digests nor tokens reach any log, at any level."""
        caplog.set_level(logging.DEBUG)
        _valued(rig, rig.values(range(3)))
        text = "\n".join(record.getMessage() for record in caplog.records)
        assert not [one for one in (*rig.secrets, digest(1).hex()) if one in text]


class ConnectorSuite(AudienceSuite, FaultSuite, LookalikeSuite, ResultSuite):
    """The whole contract, for a platform with a network, lookalikes and results."""


def _campaigns(today: date) -> list[dict[str, str]]:
    """Two campaigns on each of the last ten days, in the form that sandboxes take."""
    return [
        {
            "campaign_id": f"12000000000{campaign}",
            "campaign_name": f"Campaign {campaign}",
            "adset_id": f"13000000000{campaign}",
            "ad_id": f"14000000000{campaign}",
            "date": (today - timedelta(days=back)).isoformat(),
            "spend": f"{10 * campaign + back}.37",
            "impressions": str(1000 * campaign + back),
            "clicks": str(20 * campaign + back),
            "conversions": str(campaign + back),
            "conversion_value": f"{100 * campaign + back}.25",
        }
        for campaign in (1, 2)
        for back in range(1, 11)
    ]


def _named(rig: Rig, name: str) -> int:
    return sum(one["name"] == name for one in rig.sandbox.state(members=False)["audiences"].values())


def _events(rig: Rig) -> EventConnector:
    return cast("EventConnector", rig.connector)


def _valued(rig: Rig, batch: ValueBatch) -> Counter[str]:
    """Final numbers of a batch of predicted values."""
    receipt = _events(rig).send_values(batch)
    totals = Counter(accepted=receipt.accepted, rejected=sum(receipt.rejected.values()))
    assert sum(totals.values()) + receipt.pending + receipt.unknown == batch.rows, "a receipt's numbers add up to the rows sent"
    for _ in range(48):
        if not receipt.pending:
            break
        rig.advance(1)
        reference, rows = receipt.reference, receipt.pending
        receipt = _events(rig).settle_values(reference, rows)
        totals.update(accepted=receipt.accepted, rejected=sum(receipt.rejected.values()))
        receipt = replace(receipt, reference=receipt.reference or reference)
    assert receipt.pending == 0
    return totals
