"""A connector at its platform's stand-in: what the contract suites of `connectors.testing` drive."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from connectors.protocol import AudienceSpec, AudienceState, Batch, Operation, ValueBatch

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

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
    events: str = ""  # the same of the calls that write events, for `ValueSuite`
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
                [digest(one) if one is not None and name == first.name else None for one in people],
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

    def values(self, numbers: Iterable[int], *, without: Iterable[int] = ()) -> ValueBatch:
        """Predicted values of made-up people a day after their first order; those in `without` have none."""
        people, none = list(numbers), set(without)
        batch = self.batch(Operation.ADD, people, weighted=False)
        day = pa.array([self.sandbox.clock.now() - timedelta(days=1)] * len(people), pa.timestamp("us", "UTC"))
        columns = {
            "event_id": [f"event-{one}" for one in people],
            "at": day,
            "value": pa.array([None if one in none else Decimal(f"{one + 1}.25") for one in people], pa.decimal128(18, 2)),
            "currency": ["USD"] * len(people),
            "external_id": pa.array([digest(one) for one in people], pa.binary(32)),
            "limited": [one % 2 == 1 for one in people],
            "order_id": [f"order-{one}" for one in people],
            "bucket": ["high"] * len(people),
            "click_id": pa.nulls(len(people), pa.string()),
        }
        (rows,) = batch.chunks()
        held = {name: rows.column(name) for name in rows.schema.names}
        whole = pa.record_batch({**columns, **held})
        return ValueBatch(batch.id, len(people), lambda: iter([whole]))

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


def digest(number: int | None) -> bytes:
    """The hashed e-mail of a made-up person."""
    return hashlib.sha256(f"person{number}@example.com".encode()).digest()
