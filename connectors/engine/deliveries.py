"""Deliveries in the journal: the intent (phases, files, batches) before sending, every batch's outcome after it."""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from connectors.engine.files import file_digest
from connectors.engine.fold import LATE, Fold, PhaseFile
from connectors.engine.pieces import PIECE_ROWS, PieceWriter
from connectors.engine.tables import even
from connectors.errors import FatalError
from connectors.protocol import Operation

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date
    from pathlib import Path

    import pyarrow as pa

    from connectors.engine.ledger import Ledger

FINAL = ("accepted", "pending", "refused")
FIRST, REMOVALS = 1, 2


@dataclass
class Delivery:
    """An open delivery as the journal has it. `kind` is "change" or "replace"; `target` marks the wanted rows it leads to."""

    id: int
    kind: str
    target: str
    started_at: str | None
    phases: list[dict[str, Any]]
    batches: list[dict[str, Any]]

    def waiting(self, phase: int | None = None) -> list[dict[str, Any]]:
        """The batches that still have to be sent, in order."""
        return [one for one in self.batches if one["state"] not in FINAL and phase in (None, one["phase"])]

    def remaining(self) -> dict[str, int]:
        """Rows still to be sent, by operation."""
        operations = {one["phase"]: one["operation"] for one in self.phases}
        counts: dict[str, int] = {}
        for one in self.waiting():
            counts[operations[one["phase"]]] = counts.get(operations[one["phase"]], 0) + one["rows"]
        return counts


@dataclass(frozen=True)
class Shape:
    """How rows are cut: `piece` rows in a piece, `pieces` pieces in a batch."""

    piece: int
    pieces: int

    @classmethod
    def of(cls, batch_rows: int) -> Shape:
        """Pieces small enough for memory, batches no larger than the platform takes."""
        return cls(batch_rows, 1) if batch_rows <= PIECE_ROWS else cls(PIECE_ROWS, batch_rows // PIECE_ROWS)


def open_delivery(ledger: Ledger, audience: dict[str, Any] | None) -> Delivery | None:
    """The audience's open delivery, or None."""
    if audience is None:
        return None
    row = ledger.journal.one("SELECT * FROM deliveries WHERE audience = ? AND state = 'open' ORDER BY id", (audience["id"],))
    if row is None:
        return None
    phases = ledger.journal.rows("SELECT * FROM phases WHERE delivery = ? ORDER BY phase", (row["id"],))
    batches = ledger.journal.rows("SELECT * FROM batches WHERE delivery = ? ORDER BY phase, position", (row["id"],))
    return Delivery(row["id"], row["kind"], row["target"], row["started_at"], phases, batches)


def fold_of(ledger: Ledger, audience: dict[str, Any], delivery: Delivery, columns: Sequence[pa.Field], day: date) -> Fold:
    """What folds the delivery into the audience's snapshot; raises FatalError when a file of it is missing or damaged.

    Its rows count as sent on the day on which the delivery began, or on `day` where that is earlier: never renewed too late.
    """
    if delivery.started_at:
        day = min(day, datetime.fromisoformat(delivery.started_at).date())
    phases = [
        PhaseFile(
            one["phase"],
            Operation(one["operation"]),
            phase_path(ledger, one),
            [batch for batch in delivery.batches if batch["phase"] == one["phase"]],
        )
        for one in delivery.phases
    ]
    return Fold(ledger.snapshot_path(audience), phases, columns, day, ledger.key)


def phase_path(ledger: Ledger, phase: dict[str, Any]) -> Path:
    """The phase's file, checked against the journal's digest."""
    path = ledger.deliveries / str(phase["file"])
    if not path.is_file() or file_digest(path) != phase["digest"]:
        raise FatalError(
            f"the delivery file {path.name} is missing or damaged",
            remedy="restore the state folder from its backup; nothing was sent",
        )
    return path


class DeliveryWriter:
    """Writes the files of a new delivery, then its journal rows in one transaction: the intent."""

    def __init__(self, ledger: Ledger, audience: dict[str, Any], place: str, batch_rows: int) -> None:
        self._ledger, self._audience, self._place, self._shape = ledger, audience, place, Shape.of(batch_rows)
        self.id = secrets.randbelow(2**63 - 1) + 1
        self._phases: list[tuple[Any, ...]] = []
        self._batches: list[tuple[Any, ...]] = []

    def add(self, number: int, operation: Operation, reader: pa.RecordBatchReader) -> None:
        """Nothing: the reader's rows are phase `number`; an empty phase is left out."""
        path = self._ledger.deliveries / f"{self.id}-{number}.pieces"
        marks: list[tuple[int, bytes]] = []
        with PieceWriter(path, reader.schema, self._ledger.key) as writer:
            for piece in even(iter(reader), reader.schema, self._shape.piece):
                writer.write(piece)
                marks.append((piece.num_rows, _mark(piece)))
        if not writer.rows:
            path.unlink()
            return
        self._phases.append((self.id, number, operation.value, path.name, file_digest(path), writer.rows))
        step = self._shape.pieces
        for position, first in enumerate(range(0, len(marks), step)):
            group = marks[first : first + step]
            digest = hashlib.blake2b(
                f"{self._place} {operation.value}".encode() + b"".join(mark for _, mark in group), digest_size=16
            )
            rows = sum(count for count, _ in group)
            self._batches.append((self.id, number, position, digest.hexdigest(), first, len(group), rows, "planned"))

    def commit(self, kind: str, target: str, run: int, now: datetime, counts: dict[str, int]) -> None:
        """Nothing: the delivery is open in the journal."""
        with self._ledger.journal.transaction() as connection:
            connection.execute(
                "INSERT INTO deliveries (id, audience, run, kind, state, target, created_at, counts) "
                "VALUES (?, ?, ?, ?, 'open', ?, ?, ?)",
                (self.id, self._audience["id"], run, kind, target, now.isoformat(), json.dumps(counts)),
            )
            connection.executemany(
                "INSERT INTO phases (delivery, phase, operation, file, digest, rows) VALUES (?, ?, ?, ?, ?, ?)", self._phases
            )
            connection.executemany(
                "INSERT INTO batches (delivery, phase, position, id, first_piece, pieces, rows, state) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                self._batches,
            )


def _mark(piece: pa.RecordBatch) -> bytes:
    """A digest of the rows and values of a piece."""
    digest = hashlib.blake2b(digest_size=16)
    storage = piece.column("row_digest").storage
    digest.update(memoryview(storage.buffers()[1])[16 * storage.offset : 16 * (storage.offset + len(storage))])
    digest.update("".join(str(one) for one in piece.column("value").drop_null().to_pylist()).encode())
    return digest.digest()


def phase_name(number: int) -> str:
    """The diff's name of a phase."""
    return {FIRST: "first", REMOVALS: "leaving", LATE: "late"}[number]


def without(batches: Iterator[pa.RecordBatch], refused: Sequence[int]) -> Iterator[pa.RecordBatch]:
    """The rows but for those whose numbers (over all batches) are refused."""
    import numpy as np
    import pyarrow as pa

    start = 0
    for batch in batches:
        gone = [number - start for number in refused if 0 <= number - start < batch.num_rows]
        start += batch.num_rows
        if gone:
            mask = np.ones(batch.num_rows, bool)
            mask[gone] = False
            batch = batch.filter(pa.array(mask))
        yield batch
