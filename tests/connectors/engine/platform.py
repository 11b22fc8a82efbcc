"""A small platform in memory that keeps the connector protocol honestly: sets of people, floors, intervals, late answers."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from connectors.errors import FatalError, NotReadyError, OutcomeUnknownError, RemovalRefusedError, SeedInUseError
from connectors.protocol import (
    AudienceCount,
    AudienceHandle,
    AudienceSpec,
    AudienceState,
    AudienceStatus,
    Batch,
    CampaignDay,
    Capabilities,
    Check,
    IdentifierField,
    LookalikeSpec,
    Operation,
    Receipt,
    Recipe,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

RECIPE = Recipe(
    version="test-1",
    fields=(
        IdentifierField("EMAIL", "email", "email_plain", values=2),
        IdentifierField("PHONE", "phone", "phone_e164"),
        IdentifierField("COUNTRY", "country", "country_upper", hashed=False, identifies=False),
    ),
)
LIMITS = Capabilities(platform="shelf", recipe=RECIPE, value_weighted=True, batch_rows=10, operations=frozenset(Operation))
Row = tuple[Any, ...]


class Clock:
    """A clock that only tests move."""

    def __init__(self, now: datetime = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)) -> None:
        self.time = now

    def __call__(self) -> datetime:
        return self.time

    def advance(self, **step: float) -> None:
        """Nothing: time has passed."""
        self.time += timedelta(**step)


@dataclass
class Held:
    """One audience as the platform has it: identifiers -> value. A replace gathers in `staged` until its last batch."""

    id: str
    spec: AudienceSpec
    members: dict[Row, Decimal | None] = field(default_factory=dict)
    staged: dict[Row, Decimal | None] = field(default_factory=dict)
    state: AudienceState = AudienceState.READY
    lookalike_of: str = ""
    since: dict[Row, datetime] = field(default_factory=dict)


class Shelf:
    """The platform. `by_person`: a removal takes along all who share an identifier, as where people are matched, not rows."""

    def __init__(self, capabilities: Capabilities = LIMITS, clock: Clock | None = None, *, by_person: bool = False) -> None:
        self.capabilities, self.clock, self.by_person = capabilities, clock or Clock(), by_person
        self.audiences: dict[str, Held] = {}
        self.log: list[dict[str, Any]] = []
        self.waiting: dict[str, tuple[Held, Operation, dict[Row, Decimal | None], bool, datetime]] = {}
        self.faults: list[Callable[[Batch], Exception | None]] = []
        self.lost_replies: list[Exception] = []
        self.other_faults: list[Exception] = []
        """What calls that write no members (find, status, settle, delete) meet, one each."""
        self.delay = timedelta(hours=24)
        self.fail_settle: set[str] = set()
        self.campaigns: list[CampaignDay] = []
        self.share_with: tuple[str, ...] = ()
        self.holds_seeds = False  # a seed with lookalikes can't be deleted
        self.refused_words: tuple[str, ...] = ()  # in names
        self._lock = threading.RLock()

    def connect(self, account: str = "1") -> Client:
        """A connector for an account."""
        return Client(self, account, share_with=self.share_with)

    def members(self, name: str) -> set[Row]:
        """The identifiers held by the audience of this name."""
        return set(self.named(name).members)

    def values(self, name: str) -> dict[Row, Decimal | None]:
        """The same with values."""
        return dict(self.named(name).members)

    def named(self, name: str) -> Held:
        """The one audience of this name."""
        (found,) = [one for one in self.audiences.values() if one.spec.name == name]
        return found

    def writes(self) -> list[dict[str, Any]]:
        """Every member write so far."""
        return [one for one in self.log if one["operation"] in ("add", "remove", "replace")]

    def apply(self, held: Held, operation: Operation, rows: dict[Row, Decimal | None], last: bool) -> None:
        """Nothing: the rows are added, removed or staged."""
        self.expire(held)
        if operation is not Operation.REMOVE:
            held.since.update(dict.fromkeys(rows, self.clock()))
        if operation is Operation.ADD:
            held.members.update(rows)
        elif operation is Operation.REMOVE:
            gone = {one for row in rows for one in row[:-1] if one is not None}
            for row in list(held.members):
                if row in rows or (self.by_person and gone & set(row[:-1])):
                    del held.members[row]
        else:
            held.staged.update(rows)
            if last:
                held.members, held.staged = held.staged, {}

    def expire(self, held: Held) -> None:
        """Nothing: who was last added longer ago than a membership lasts is gone."""
        days = self.capabilities.membership_days
        for row in [one for one in held.members if days and self.clock() - held.since[one] > timedelta(days=days)]:
            del held.members[row]

    def answer(self) -> None:
        """Nothing, or one of the faults that wait for any call."""
        if self.other_faults:
            raise self.other_faults.pop(0)

    def settle_due(self) -> None:
        """Nothing: work older than `delay` is applied."""
        for reference, (held, operation, rows, last, at) in list(self.waiting.items()):
            if self.clock() - at >= self.delay and rows is not None:
                if reference not in self.fail_settle and held.id in self.audiences:
                    self.apply(held, operation, rows, last)
                self.waiting[reference] = (held, operation, None, last, at)  # type: ignore[assignment]


@dataclass
class Client:
    """One account's connector."""

    shelf: Shelf
    account_id: str

    @property
    def capabilities(self) -> Capabilities:
        """The platform's limits."""
        return self.shelf.capabilities

    def check(self) -> Sequence[Check]:
        """In order."""
        return [Check("account", True)]

    def find_or_create(self, spec: AudienceSpec, remote_id: str = "") -> AudienceHandle:
        """By id, by name, or new."""
        self.shelf.answer()
        with self.shelf._lock:
            for held in self.shelf.audiences.values():
                if held.id == remote_id or (not remote_id and held.spec.name == spec.name):
                    return AudienceHandle(self.capabilities.platform, self.account_id, spec, held.id)
            new = Held(str(1000 + len(self.shelf.log)), spec)
            self.shelf.audiences[new.id] = new
            self.shelf.log.append({"operation": "create", "audience": spec.name, "rows": 0})
            return AudienceHandle(self.capabilities.platform, self.account_id, spec, new.id)

    def status(self, handle: AudienceHandle) -> AudienceStatus:
        """State and exact size."""
        self.shelf.answer()
        held = self.shelf.audiences.get(handle.remote_id)
        if held is None:
            return AudienceStatus(AudienceState.MISSING)
        return AudienceStatus(held.state, len(held.members), len(held.members))

    def send(self, handle: AudienceHandle, batch: Batch) -> Receipt:
        """Applied at once, or later when the platform settles."""
        shelf = self.shelf
        with shelf._lock:
            for fault in list(shelf.faults):
                error = fault(batch)
                if error is not None:
                    raise error
            held = shelf.audiences.get(handle.remote_id)
            if held is None:
                raise FatalError("no such audience")
            rows = _rows(batch, handle.spec.value_weighted and batch.operation is not Operation.REMOVE)
            self._judge(held, batch, rows)
            shelf.log.append(
                {
                    "operation": batch.operation.value,
                    "audience": handle.spec.name,
                    "rows": len(rows),
                    "id": batch.id,
                    "session": batch.delivery,
                }
            )
            if self.capabilities.settles:
                reference = f"r{len(shelf.log)}"
                shelf.waiting[reference] = (held, batch.operation, rows, batch.last, shelf.clock())
                receipt = Receipt(0, pending=batch.rows, reference=reference)
            else:
                shelf.apply(held, batch.operation, rows, batch.last)
                receipt = Receipt(batch.rows)
            if shelf.lost_replies:
                raise shelf.lost_replies.pop(0)
            return receipt

    def _judge(self, held: Held, batch: Batch, rows: dict[Row, Decimal | None]) -> None:
        if batch.rows > self.capabilities.batch_rows:
            raise FatalError("too many rows")
        busy = [one for one in self.shelf.waiting.values() if one[0] is held and one[2] is not None]
        if busy and not self.capabilities.mixed_operations and any(one[1] is not batch.operation for one in busy):
            raise NotReadyError("the audience is being processed")
        floor = self.capabilities.removal_floor
        left = len(held.members) - len(set(rows) & set(held.members))
        if batch.operation is Operation.REMOVE and floor and left < floor:
            raise RemovalRefusedError("too few members would be left")
        if batch.operation is Operation.REPLACE and floor and batch.total_rows < floor:
            raise RemovalRefusedError("too few members would be left")

    def settle(self, handle: AudienceHandle, reference: str, rows: int) -> Receipt:
        """Accepted after `delay`, or refused when the test says so."""
        self.shelf.answer()
        self.shelf.settle_due()
        if reference not in self.shelf.waiting:
            raise OutcomeUnknownError("nobody knows this request")
        if self.shelf.waiting[reference][2] is not None:
            return Receipt(0, pending=rows, reference=reference)
        if reference in self.shelf.fail_settle:
            return Receipt(0, rejected={"processing error": rows})
        return Receipt(rows)

    def find_or_create_lookalike(self, seed: AudienceHandle, spec: LookalikeSpec) -> AudienceHandle:
        """A lookalike of a seed that is large enough."""
        if len(self.shelf.audiences[seed.remote_id].members) < self.capabilities.lookalike_minimum:
            raise NotReadyError("the seed is too small")
        handle = self.find_or_create(AudienceSpec(spec.key, spec.name))
        self.shelf.audiences[handle.remote_id].lookalike_of = seed.remote_id
        return handle

    def count_audiences(self) -> AudienceCount:
        """All of them, lookalikes too."""
        return AudienceCount(len(self.shelf.audiences))

    def refresh_lookalike(self, handle: AudienceHandle) -> None:
        """Noted."""
        self.shelf.log.append({"operation": "refresh", "audience": handle.spec.name, "rows": 0})

    def rename(self, handle: AudienceHandle) -> None:
        """The new name."""
        self.shelf.audiences[handle.remote_id].spec = handle.spec
        self.shelf.log.append({"operation": "rename", "audience": handle.spec.name, "rows": 0})

    share_with: tuple[str, ...] = ()

    def share(self, handle: AudienceHandle, accounts: Sequence[str]) -> None:
        """Noted."""
        self.shelf.log.append({"operation": "share", "audience": handle.spec.name, "rows": 0, "accounts": list(accounts)})

    def unshare(self, handle: AudienceHandle, accounts: Sequence[str]) -> None:
        """Noted."""
        self.shelf.log.append({"operation": "unshare", "audience": handle.spec.name, "rows": 0, "accounts": list(accounts)})

    def objection(self, spec: AudienceSpec | LookalikeSpec) -> str:
        """To words in names."""
        return next((f"no audience may be named {word}" for word in self.shelf.refused_words if word in spec.name), "")

    def delete(self, handle: AudienceHandle) -> None:
        """Gone, unless lookalikes hold it."""
        self.shelf.answer()
        built = tuple(one.id for one in self.shelf.audiences.values() if one.lookalike_of == handle.remote_id)
        if self.shelf.holds_seeds and built:
            raise SeedInUseError("lookalikes are built on it", lookalikes=built, remedy="delete them first")
        self.shelf.audiences.pop(handle.remote_id, None)
        self.shelf.log.append({"operation": "delete", "audience": handle.spec.name, "rows": 0})

    def campaign_days(self, since: date, until: date) -> Iterator[CampaignDay]:
        """The results that the test gave."""
        return (replace(one, account_id=self.account_id) for one in self.shelf.campaigns if since <= one.date <= until)

    def close(self) -> None:
        """Nothing."""


def _rows(batch: Batch, values: bool) -> dict[Row, Decimal | None]:
    rows: dict[Row, Decimal | None] = {}
    columns = list(RECIPE.columns()) + (["value"] if values else [])
    for chunk in batch.chunks():
        if chunk.schema.names and sorted(chunk.schema.names) != sorted(columns):
            raise FatalError(f"wrong schema: {chunk.schema.names}")
        for one in chunk.to_pylist():
            rows[tuple(one[name] for name in RECIPE.columns())] = one.get("value")
    if sum(chunk.num_rows for chunk in batch.chunks()) != batch.rows:
        raise FatalError("the batch says another number of rows than it has")
    return rows
