"""Sends the batches of an open delivery: intent in the journal, call, receipt in the journal; phase after phase."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from connectors import events
from connectors.engine.deliveries import Delivery, phase_path, without
from connectors.engine.pieces import Pieces
from connectors.engine.times import opens
from connectors.errors import (
    NotReadyError,
    OutcomeUnknownError,
    RemovalRefusedError,
    RowsRejectedError,
    StoppedError,
)
from connectors.protocol import AudienceHandle, Batch, Connector, Operation, Receipt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pyarrow as pa

    from connectors.engine.audience import Place
    from connectors.engine.ledger import Ledger
    from connectors.protocol import Capabilities

UNKNOWN_ATTEMPTS = 3
REJECTION_ATTEMPTS = 50
CLOCKS_APART = timedelta(minutes=10)
"""How far this machine's clock may be ahead of that of a platform which replaces by time: else it would remove whom it was just
sent. What was sent in those minutes before is still pending there, and no replace begins beside it."""
_HIDDEN = ("member_key", "row_digest")


@dataclass
class Sender:
    """Sends one delivery over one connector; `handle` learns the audience's remote id from the first receipt that has one."""

    ledger: Ledger
    connector: Connector
    handle: AudienceHandle
    place: Place
    delivery: Delivery
    limits: Capabilities
    run_id: int
    now: datetime
    progress: Callable[[str, int, int], None]
    stop: threading.Event = field(default_factory=threading.Event)
    pause: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _done: int = 0

    def run(self) -> None:
        """Nothing: every batch has its outcome. Raises what stopped it: NotReadyError, RetriableError, RemovalRefusedError ...
        and StoppedError before the first batch that would begin after `stop` was set.

        What was sent until then is in the journal, so the next run goes on from there.
        """
        for phase in self.delivery.phases:
            waiting = self.delivery.waiting(phase["phase"])
            if waiting:
                self._check_clock(Operation(phase["operation"]), phase["phase"])
                self._phase(phase, waiting)

    def _check_clock(self, operation: Operation, phase: int) -> None:
        limits = self.limits
        audience = self.ledger.audience(self.place) or {}
        column, hours = ("last_replace_at", limits.replace_interval_hours)
        if operation is not Operation.REPLACE:
            column, hours = ("last_edit_at", limits.edit_interval_hours)
        begun = any(one["state"] != "planned" for one in self.delivery.batches if one["phase"] == phase)
        later = None if begun else opens(audience.get(column), hours, self.now)
        if later is not None:
            raise NotReadyError(
                f"the next {operation.value} of this audience is possible from {later.isoformat(timespec='minutes')}"
            )
        if not limits.mixed_operations and self._others_pending(operation):
            raise NotReadyError(
                f"the platform still works on what was sent before; the {operation.value} follows in a later run"
            )

    def _others_pending(self, operation: Operation) -> bool:
        found = self.ledger.journal.one(
            "SELECT 1 FROM batches JOIN deliveries ON deliveries.id = batches.delivery JOIN phases USING (delivery, phase) "
            "JOIN audiences ON audiences.id = deliveries.audience WHERE batches.state = 'pending' AND phases.operation <> ? "
            "AND audiences.platform = ? AND audiences.account = ? AND audiences.key = ?",
            (operation.value, self.place.platform, self.place.account, self.place.audience),
        )
        return found is not None

    def _phase(self, phase: dict[str, Any], waiting: list[dict[str, Any]]) -> None:
        operation = Operation(phase["operation"])
        pieces = Pieces(phase_path(self.ledger, phase), self.ledger.key)
        stamp = self.now.isoformat()
        if self.delivery.started_at is None:
            self.ledger.journal.write("UPDATE deliveries SET started_at = ? WHERE id = ?", (stamp, self.delivery.id))
            self.delivery.started_at = stamp
        sendings = self._numbered(phase, waiting, operation)
        first, middle, last = sendings[:1], sendings[1:-1], sendings[1:][-1:]
        for one in first:
            self._send(pieces, operation, *one)
        with ThreadPoolExecutor(max(1, self.limits.concurrent_batches)) as pool:
            # the first batch opens a session and the last one closes it: only those between may overtake each other
            for done in [pool.submit(self._send_unless_paused, pieces, operation, *one) for one in middle]:
                done.result()
        for one in last:
            self._send(pieces, operation, *one)
        column = "last_replace_at" if operation is Operation.REPLACE else "last_edit_at"
        self.ledger.keep_audience(self.place, self.now, **{column: stamp})

    def _numbered(
        self, phase: dict[str, Any], waiting: list[dict[str, Any]], operation: Operation
    ) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        """Each waiting batch with its numbers. A replace keeps its own from run to run; other phases count what is left."""
        if operation is Operation.REPLACE:
            whole = [one for one in self.delivery.batches if one["phase"] == phase["phase"]]
            return [(one, _numbers(self.delivery.id, one["position"] + 1, len(whole), phase["rows"])) for one in waiting]
        mark = f"{self.delivery.id} {phase['phase']} {self.now.isoformat()} {waiting[0]['position']}".encode()
        session = int.from_bytes(hashlib.blake2b(mark, digest_size=8).digest(), "big") >> 1 or 1
        rows = sum(one["rows"] for one in waiting)
        return [(one, _numbers(session, place, len(waiting), rows)) for place, one in enumerate(waiting, 1)]

    def _send_unless_paused(self, pieces: Pieces, operation: Operation, row: dict[str, Any], numbers: dict[str, Any]) -> None:
        if not self.pause.is_set():
            try:
                self._send(pieces, operation, row, numbers)
            except BaseException:
                self.pause.set()
                raise

    def _send(self, pieces: Pieces, operation: Operation, row: dict[str, Any], numbers: dict[str, Any]) -> None:
        for attempt in range(REJECTION_ATTEMPTS + UNKNOWN_ATTEMPTS):
            if self.stop.is_set():
                raise StoppedError("the run was stopped by hand")
            refused: dict[str, str] = json.loads(row["refused_rows"])
            if len(refused) >= row["rows"]:
                rejected = json.dumps(Counter(refused.values()))
                self._keep(row, state="refused", rejected=rejected, answered_at=self.now.isoformat(), answered_run=self.run_id)
                return
            batch = self._batch(pieces, operation, row, refused, numbers)
            self._keep(row, state="sent", sent_at=self.now.isoformat(), sent_run=self.run_id)
            try:
                receipt = self._call(batch, operation, attempt + 1)
            except RowsRejectedError as error:
                if not error.rows or attempt >= REJECTION_ATTEMPTS:
                    self._keep(row, state="failed", detail=error.message)
                    raise
                self._refuse(row, refused, error.rows)
            except OutcomeUnknownError as error:
                self._keep(row, state="unknown", unknown=batch.rows, detail=error.message)
                if attempt + 1 >= UNKNOWN_ATTEMPTS or not self.limits.set_semantics:
                    raise
            except (NotReadyError, RemovalRefusedError) as error:
                self._keep(row, state="planned", detail=error.message)
                raise
            except Exception as error:
                self._keep(row, state="failed", detail=type(error).__name__)
                raise
            else:
                self._receive(row, refused, receipt, batch.rows)
                self._tell(row["rows"])
                return

    def _call(self, batch: Batch, operation: Operation, attempt: int) -> Receipt:
        """The receipt; the log has what was sent, how long it took and what came of it."""
        place = asdict(self.place)
        with events.timed(
            "batch", **place, operation=operation.value, rows=batch.rows, batch=batch.id, attempt=attempt
        ) as told:
            receipt = self.connector.send(self.handle, batch)
            told |= {"accepted": receipt.accepted, "rejected": sum(receipt.rejected.values())}
            told |= {"pending": receipt.pending, "unknown": receipt.unknown}
        return receipt

    def _tell(self, rows: int) -> None:
        with self._lock:
            self._done += rows
            self.progress(str(self.place), self._done, sum(one["rows"] for one in self.delivery.batches))

    def _batch(
        self, pieces: Pieces, operation: Operation, row: dict[str, Any], refused: dict[str, str], numbers: dict[str, Any]
    ) -> Batch:
        gone = sorted(int(number) for number in refused)

        def chunks() -> Iterator[pa.RecordBatch]:
            values = self.handle.spec.value_weighted and operation is not Operation.REMOVE
            hidden = _HIDDEN if values else (*_HIDDEN, "value")
            places = range(row["first_piece"], row["first_piece"] + row["pieces"])
            for piece in without((pieces.read(place) for place in places), gone):
                yield piece.select([one for one in piece.schema.names if one not in hidden])

        mark = hashlib.blake2b(f"{row['id']} {gone}".encode(), digest_size=16).hexdigest() if gone else row["id"]
        before = datetime.fromisoformat(self.delivery.started_at) if self.delivery.started_at else self.now
        replaced = before - CLOCKS_APART if operation is Operation.REPLACE else None
        return Batch(mark, operation, row["rows"] - len(gone), chunks, **numbers, replace_before=replaced)

    def _refuse(self, row: dict[str, Any], refused: dict[str, str], named: Any) -> None:
        left = [number for number in range(row["rows"]) if str(number) not in refused]
        refused |= {str(left[number]): reason for number, reason in named.items() if 0 <= number < len(left)}
        self._keep(row, state="planned", refused_rows=json.dumps(refused))

    def _receive(self, row: dict[str, Any], refused: dict[str, str], receipt: Receipt, sent: int) -> None:
        before = Counter(refused.values())
        if receipt.rejected_rows:
            left = [number for number in range(row["rows"]) if str(number) not in refused]
            refused = refused | {
                str(left[number]): reason for number, reason in receipt.rejected_rows.items() if 0 <= number < len(left)
            }
        changes: dict[str, Any] = {
            "state": state_of(receipt, sent),
            "accepted": receipt.accepted,
            "pending": receipt.pending,
            "unknown": receipt.unknown,
            "rejected": json.dumps(before + Counter(receipt.rejected)),
            "refused_rows": json.dumps(refused),
            "reference": receipt.reference,
            "detail": receipt.detail,
            "answered_at": self.now.isoformat(),
            "answered_run": self.run_id,
        }
        with self.ledger.journal.transaction():
            self._keep(row, **changes)
            if receipt.remote_id and receipt.remote_id != self.handle.remote_id:
                self.ledger.keep_audience(self.place, self.now, remote_id=receipt.remote_id)
                with self._lock:
                    self.handle = replace(self.handle, remote_id=receipt.remote_id)

    def _keep(self, row: dict[str, Any], **changes: Any) -> None:
        keep_batch(self.ledger, row, **changes)


def _numbers(delivery: int, sequence: int, total: int, rows: int) -> dict[str, Any]:
    return {"delivery": delivery, "sequence": sequence, "last": sequence == total, "total_rows": rows}


def state_of(receipt: Receipt, sent: int) -> str:
    """The batch's state after a receipt for `sent` rows."""
    if receipt.unknown:
        return "unknown"
    if receipt.pending:
        return "pending"
    return "refused" if not receipt.accepted and sent and sum(receipt.rejected.values()) >= sent else "accepted"


def keep_batch(ledger: Ledger, row: dict[str, Any], **changes: Any) -> None:
    """Nothing: the batch's journal row and `row` have the changes."""
    assignments = ", ".join(f"{column} = ?" for column in changes)
    ledger.journal.write(
        f"UPDATE batches SET {assignments} WHERE delivery = ? AND phase = ? AND position = ?",
        (*changes.values(), row["delivery"], row["phase"], row["position"]),
    )
    row.update(changes)
