"""Predicted values of new customers as events of their own, where an account asks for them; each once, whatever happens.

Who: people who may be in audiences at all (`Members`: consent, suppression, erasure) with an identifier for the platform, whose
first order is recent. An event's id stands for platform, account, customer and day of the first order: what was answered is
never sent again, and what was not goes again under the same id, by which platforms drop doubles.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import pyarrow as pa
import pyarrow.compute as pc

from connectors.engine import click_ids
from connectors.engine.identified import Identified, identify_members
from connectors.engine.outcome import fail
from connectors.engine.settling import PATIENCE
from connectors.engine.signals import Signals, event_id
from connectors.engine.snapshots import recipe_fields
from connectors.errors import NotReadyError, OutcomeUnknownError, RetriableError, SyncError
from connectors.protocol import Receipt, ValueBatch, utc_now

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from connectors.engine.audience import Account
    from connectors.engine.ledger import Ledger
    from connectors.engine.members import Members
    from connectors.protocol import EventConnector, ValueSignal

MARGIN = timedelta(hours=1)  # so that no event grows too old on its way
CENT = Decimal("0.01")
EXTRAS = pa.schema(
    [
        ("event_id", pa.string()),
        ("at", pa.timestamp("us", "UTC")),
        ("value", pa.decimal128(18, 2)),
        ("currency", pa.string()),
        ("external_id", pa.binary(32)),
        ("limited", pa.bool_()),
        ("order_id", pa.string()),
        ("bucket", pa.string()),
        ("click_id", pa.string()),
    ]
)


def wants_values(account: Account) -> ValueSignal | None:
    """Where the account wants predicted values, or None."""
    if not account.capabilities.predicted_values:
        return None
    return cast("EventConnector", account.connector).signal


def send_values(
    ledger: Ledger,
    members: Members,
    orders: pa.Table,
    accounts: Sequence[Account],
    *,
    identified: Mapping[str, Identified] | None = None,
    rates: Mapping[str, Decimal] | None = None,
    maximum: Decimal | None = None,
    now: Callable[[], datetime] = utc_now,
) -> list[dict[str, Any]]:
    """One dict per account that wants values: platform, account, target, event, currency, customers (new ones who may be sent),
    sent_before, dropped by reason, sent, accepted, rejected by reason, pending, unknown, settled, state, detail, exit_code.

    `orders`: each customer's first order: customer_id, order_id (or null), at (UTC timestamp), day. `identified`: by the
    accounts' `mark`, what a plan made already. `rates`: one unit of a currency in the business's; without one for the account's
    currency, events carry the business's. `maximum`: larger values are a mistake in the data.
    """
    found = []
    for account in accounts:
        signal = wants_values(account)
        if signal is not None:
            sender = _Sender(ledger, members, account, signal, rates or {}, maximum, now)
            known = (identified or {}).get(account.mark)
            found.append(sender.run(orders, lambda known=known, account=account: known or _identified(members, account)))  # type: ignore[misc]
    return found


def _identified(members: Members, account: Account) -> Identified:
    return identify_members(members, account.capabilities.recipe, account.rules)


class _Sender:
    def __init__(
        self,
        ledger: Ledger,
        members: Members,
        account: Account,
        signal: ValueSignal,
        rates: Mapping[str, Decimal],
        maximum: Decimal | None,
        now: Callable[[], datetime],
    ) -> None:
        self._ledger, self._members, self._account, self._signal = ledger, members, account, signal
        self._connector = cast("EventConnector", account.connector)
        self._signals = Signals(ledger, *account.place)
        self._now, self._maximum = now, maximum
        self._rate = rates.get(signal.currency) if signal.currency != members.currency else None
        platform, number = account.place
        self.line: dict[str, Any] = {
            "platform": platform,
            "account": number,
            "target": signal.target,
            "event": signal.event,
            "currency": signal.currency if self._rate else members.currency,
            "customers": 0,
            "sent_before": 0,
            "dropped": {},
            "sent": 0,
            "accepted": 0,
            "rejected": {},
            "pending": 0,
            "unknown": 0,
            "settled": 0,
            "state": "done",
            "detail": "",
            "exit_code": 0,
        }

    def run(self, orders: pa.Table, identified: Callable[[], Identified]) -> dict[str, Any]:
        """The line of this account, after all that was pending was asked for and all that is new was sent."""
        try:
            self._signals.sweep(self._now())
            self._settle()
            events = self._events(orders, identified)
            most = self._account.capabilities.value_batch_rows
            for start in range(0, len(events), most):
                self._send(events.slice(start, most))
        except SyncError as error:
            fail(self.line, error)
        self.line["pending"] = sum(row["pending"] for row in self._signals.pending())
        if self.line["pending"] and self.line["state"] == "done":
            self.line["state"] = "pending"
        return self.line

    # --- what was sent before
    def _settle(self) -> None:
        for row in self._signals.pending():
            late = self._now() - datetime.fromisoformat(row["sent_at"]) > PATIENCE
            try:
                receipt = self._connector.settle_values(row["reference"], row["pending"])
            except OutcomeUnknownError:
                receipt = Receipt(0, unknown=row["pending"])
            except (NotReadyError, RetriableError) as error:
                self.line["detail"] = error.message
                continue
            if receipt.pending and late:
                receipt = Receipt(receipt.accepted, receipt.rejected, unknown=receipt.pending)
            if receipt.pending:
                continue
            self._count(receipt)
            self.line["settled"] += row["pending"]
            # whatever became of them, they are not sent again: the platform took them once
            self._signals.answered(row["id"], Receipt(receipt.accepted, receipt.rejected))

    # --- what is sent now
    def _send(self, events: pa.Table) -> None:
        ids = events["event_id"].to_pylist()
        batch = hashlib.blake2b("\n".join(ids).encode(), digest_size=16).hexdigest()
        self._signals.intend(batch, ids, self._now())
        try:
            receipt = self._connector.send_values(ValueBatch(batch, len(ids), partial(_chunks, events)))
        except OutcomeUnknownError:
            self.line["sent"] += len(ids)
            self.line["unknown"] += len(ids)
            self._signals.answered(batch, Receipt(0, unknown=len(ids)))
            raise
        except SyncError:
            self._signals.unsent(batch)
            raise
        self.line["sent"] += len(ids)
        self.line["detail"] = self.line["detail"] or receipt.detail
        self._count(receipt)
        self._signals.answered(batch, receipt)

    def _count(self, receipt: Receipt) -> None:
        self.line["accepted"] += receipt.accepted
        self.line["unknown"] += receipt.unknown
        self.line["rejected"] = dict(Counter(self.line["rejected"]) + Counter(receipt.rejected))

    def _events(self, orders: pa.Table, identified: Callable[[], Identified]) -> pa.Table:
        """The events to send, EXTRAS and the recipe's columns; the line says who was left out and why."""
        people = self._newcomers(orders)
        self.line["customers"] = len(people)
        known = self._signals.known([one["event_id"] for one in people])
        self.line["sent_before"] = len(known)
        fresh = [one for one in people if one["event_id"] not in known]
        dropped: Counter[str] = Counter(reason for one in fresh if (reason := one.pop("dropped")))
        fresh = [one for one in fresh if one["value"] is not None]
        columns = recipe_fields(self._account.capabilities.recipe)
        schema = pa.schema([*EXTRAS, *columns])
        if not fresh:
            self.line["dropped"] = dict(dropped)
            return schema.empty_table()
        rows = _first_rows(identified(), [one["member_key"] for one in fresh])
        place = pc.index_in(pa.array([one["member_key"] for one in fresh], pa.binary(16)), value_set=rows["member_key"])
        dropped["no_identifier"] += place.null_count
        self.line["dropped"] = {reason: count for reason, count in dropped.items() if count}
        wanted = pa.Table.from_pylist(fresh, schema=EXTRAS).filter(place.is_valid())
        held = rows.take(place.drop_null())
        return pa.table([*wanted.columns, *(held[one.name] for one in columns)], schema=schema)

    def _newcomers(self, orders: pa.Table) -> list[dict[str, Any]]:
        """People whose first order is within the window, with what their event holds; `dropped` says why one is not sent."""
        now, limits = self._now(), self._account.capabilities
        start = now - timedelta(days=self._signal.days)
        oldest = now - timedelta(days=limits.value_age_days) + MARGIN
        recent = orders.filter(pc.greater_equal(orders["at"], pa.scalar(start, pa.timestamp("us", "UTC"))))
        first = {one["customer_id"]: one for one in recent.to_pylist()}
        wanted = pa.array(list(first), pa.string())
        people = []
        for piece in self._members.pieces():
            here = piece.filter(pc.is_in(piece.column("customer_id"), wanted))
            for row in _rows(here, self._signal.column):
                order = first[row["customer_id"]]
                people.append(self._event(row, order, oldest, now))
        return sorted(people, key=lambda one: str(one["event_id"]))

    def _event(self, row: dict[str, Any], order: dict[str, Any], oldest: datetime, now: datetime) -> dict[str, Any]:
        key = row["member_key"]
        value = self._money(row["value"])
        dropped = "" if order["at"] >= oldest else "too_old"
        if not dropped and (value is None or value <= 0):
            dropped = "no_value"
        if not dropped and self._maximum is not None and value is not None and value > self._maximum:
            dropped = "value_too_large"
        limits, platform = self._account.capabilities, self._account.place[0]
        ours = str(row.get("source_platform") or "").strip().lower().startswith(platform)
        return {
            "member_key": key,
            "dropped": dropped,
            "event_id": event_id(self._account.place, key, order["day"]),
            "at": min(order["at"], now),
            "value": None if dropped else value,
            "currency": self.line["currency"],
            "external_id": hashlib.sha256(str(row.get("external_id") or row["customer_id"]).strip().encode()).digest(),
            "limited": bool(row["limited_data_use"]),
            "order_id": order["order_id"],
            "bucket": row["tier"],
            "click_id": click_ids.of_platform(row.get("click_id"), limits.click_parameters, ours=ours),
        }

    def _money(self, value: float | None) -> Decimal | None:
        if value is None or not math.isfinite(value):
            return None
        exact = Decimal(repr(float(value))) / (self._rate or 1)
        return exact.quantize(CENT, ROUND_HALF_EVEN)


def _rows(piece: pa.RecordBatch, column: str) -> Iterator[dict[str, Any]]:
    named = {"customer_id", "tier", "limited_data_use", "external_id", "source_platform", "click_id"} & set(piece.schema.names)
    keys, values = piece.column("member_key").storage.to_pylist(), piece.column(column).to_pylist()
    for key, value, row in zip(keys, values, piece.select(sorted(named)).to_pylist(), strict=True):
        yield {**row, "member_key": key, "value": value}


def _first_rows(identified: Identified, wanted: Sequence[bytes]) -> pa.Table:
    """The first identifier row of each of these members (further rows hold further values), `member_key` as plain bytes."""
    keys, parts, seen = pa.array(wanted, pa.binary(16)), [], set[bytes]()
    for piece in identified.pieces():
        storage = piece.column("member_key").storage
        here = piece.filter(pc.is_in(storage, keys))
        held = here.column("member_key").storage.to_pylist()
        fresh = [not (one in seen or seen.add(one)) for one in held]  # type: ignore[func-returns-value]
        parts.append(here.filter(pa.array(fresh, pa.bool_())))
    table = pa.Table.from_batches(parts, schema=identified.schema).combine_chunks()
    plain = table["member_key"].combine_chunks()
    plain = plain.storage if hasattr(plain, "storage") else plain
    return table.set_column(0, "member_key", plain)


def _chunks(events: pa.Table) -> Iterator[pa.RecordBatch]:
    yield from events.to_batches()
