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
network), `FaultSuite`, `LookalikeSuite`, `ResultSuite`. Needs pytest (extra `test`).
"""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
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
from connectors.protocol import AudienceSpec, AudienceState, Batch, LookalikeSpec, Operation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import date

    from connectors.protocol import AudienceHandle, AudienceStatus, Capabilities, Connector, Receipt
    from connectors.sandbox import Sandbox

PATIENCE: Final = 96  # steps of an hour until pending rows must be settled and audiences built
READS: Final = frozenset(
    {"list", "read", "account", "report", "sessions", "status", "check", "search", "missing", "refused", "user"}
)


@dataclass
class Rig:
    """A connector at its platform's stand-in, and what the suites must know of the platform.

    `writes` and `creates` are substrings of `METHOD path` (or the RPC's name) of the calls that write members and make
    audiences, as `Fault.match` takes them. `throttle` and `refusal` are details of an `error` fault: a passing throttle, and a
    refusal that only a person can mend. `waits` collects the seconds that the connector would have slept. `secrets` may never
    be logged. `rows` scales the audiences (0: from the capabilities); `reads` names the request log's harmless operations.
    For another platform model, override `held` (members that the platform holds) and `advance` (its clock).
    """

    connector: Connector
    sandbox: Sandbox
    writes: str = ""
    creates: str = ""
    throttle: Mapping[str, Any] = field(default_factory=dict)
    refusal: Mapping[str, Any] = field(default_factory=dict)
    waits: list[float] = field(default_factory=list)
    secrets: tuple[str, ...] = ()
    rows: int = 0
    http: bool = True  # False: the member calls are no HTTP, so an HTML page can't answer them
    exclusion: bool = False  # the suite's audience only excludes
    reads: frozenset[str] = READS

    @property
    def limits(self) -> Capabilities:
        """The connector's capabilities."""
        return self.connector.capabilities

    @property
    def floor(self) -> int:
        """Members that an audience needs so that nothing in these tests is refused for its size."""
        return self.rows or 2 * max(self.limits.minimum_size, self.limits.removal_floor, self.limits.lookalike_minimum, 100)

    def spec(self, name: str = "Suite A") -> AudienceSpec:
        """An audience, value-weighted where the platform can."""
        weighted = self.limits.value_weighted
        return AudienceSpec(
            key=name, name=name, value_weighted=weighted, currency="USD" if weighted else "", exclusion=self.exclusion
        )

    def held(self, handle: AudienceHandle) -> int:
        """How many members the platform holds."""
        return int(self.sandbox.state(members=False)["audiences"][handle.remote_id]["member_count"])

    def advance(self, hours: float) -> None:
        """Nothing: the platform's clock has moved on."""
        self.sandbox.clock.advance(hours=hours)

    def rest(self) -> None:
        """Nothing: enough time has passed for the next edit of an audience, and for the last one to be done."""
        self.advance(1 + max(self.limits.edit_interval_hours, self.limits.replace_interval_hours, 2))

    def batch(self, operation: Operation, numbers: Iterable[int | None], *, weighted: bool = True, delivery: int = 0) -> Batch:
        """A batch of made-up people; None makes a row without any identifier."""
        people, recipe = list(numbers), self.limits.recipe
        first = next(one for one in recipe.fields if one.hashed and one.identifies and not one.opt_in and not one.requires)
        hashed = {name for one in recipe.fields if one.hashed for name in one.columns()}
        columns = {
            name: pa.array(
                [_digest(one) if one is not None and name == first.name else None for one in people],
                pa.binary(32) if name in hashed else pa.string(),
            )
            for name in recipe.columns()
        }
        if weighted and self.limits.value_weighted and operation is not Operation.REMOVE:
            columns["value"] = pa.array([Decimal(one or 0) for one in people], pa.decimal128(18, 2))
        rows = pa.record_batch(columns)
        text = f"{operation}{people[:1]}{people[-1:]}{len(people)}{delivery}"
        number = delivery or int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) >> 1 | 1
        before = self.sandbox.clock.now() if operation is Operation.REPLACE else None
        return Batch(
            hashlib.sha256(text.encode()).hexdigest(),
            operation,
            len(people),
            lambda: iter([rows]),
            number,
            1,
            True,
            len(people),
            before,
        )

    def deliver(self, handle: AudienceHandle, batch: Batch) -> tuple[AudienceHandle, Counter[str]]:
        """The handle with its id, and final numbers: accepted and rejected; pending rows are settled as time goes by."""
        receipt = self.connector.send(handle, batch)
        told = receipt.accepted + sum(receipt.rejected.values()) + receipt.pending + receipt.unknown
        assert told == batch.rows, "a receipt's numbers add up to the rows sent"
        handle = replace(handle, remote_id=receipt.remote_id or handle.remote_id)
        totals = Counter(accepted=receipt.accepted, rejected=sum(receipt.rejected.values()))
        for _ in range(PATIENCE):
            if not receipt.pending:
                break
            self.advance(1)
            receipt = self._settled(handle, receipt)
            totals.update(accepted=receipt.accepted, rejected=sum(receipt.rejected.values()))
        assert receipt.pending == 0, f"rows are still pending after {PATIENCE} hours"
        return handle, totals

    def filled(self, numbers: Iterable[int], name: str = "Suite A") -> AudienceHandle:
        """An audience that holds these people and may be edited again."""
        handle = self.connector.find_or_create(self.spec(name))
        handle, _ = self.deliver(handle, self.batch(Operation.ADD, numbers))
        self.rest()
        return handle

    def ready(self, handle: AudienceHandle) -> AudienceStatus:
        """The audience's status once it is ready."""
        for _ in range(PATIENCE):
            status = self.connector.status(handle)
            if status.state is AudienceState.READY and status.lower is not None:
                break
            self.advance(1)
        return status

    def _settled(self, handle: AudienceHandle, receipt: Receipt) -> Receipt:
        later = self.connector.settle(handle, receipt.reference, receipt.pending)
        assert later.accepted + sum(later.rejected.values()) + later.pending + later.unknown == receipt.pending
        return replace(later, reference=later.reference or receipt.reference)


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
        assert not [one for one in (*rig.secrets, _digest(1).hex(), _digest(2).hex()) if one in text]


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
        assert _digest(rig.floor).hex() not in str(caught.value)

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


def _digest(number: int | None) -> bytes:
    return hashlib.sha256(f"person{number}@example.com".encode()).digest()


def _named(rig: Rig, name: str) -> int:
    return sum(one["name"] == name for one in rig.sandbox.state(members=False)["audiences"].values())
