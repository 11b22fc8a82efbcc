"""What a delivery left at the platform: the snapshot before it, and every batch's outcome -> the snapshot after it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from connectors.engine.pieces import Pieces
from connectors.engine.snapshots import BASE, MAYBE, REFUSED, THERE, UNTOUCHED, aligned, attach, write_snapshot
from connectors.engine.tables import name
from connectors.protocol import Operation

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date
    from pathlib import Path

    import duckdb

OUTCOMES = {"planned": UNTOUCHED, "accepted": THERE, "pending": THERE, "refused": REFUSED}
"""What a batch's state says of its rows; every other state ("sent", "unknown", "failed") means: maybe."""


@dataclass(frozen=True)
class PhaseFile:
    """One phase of a delivery: its rows in a piece file, its operation and its batches (rows of the journal)."""

    number: int
    operation: Operation
    path: Path
    batches: Sequence[dict[str, Any]]


@dataclass(frozen=True)
class Fold:
    """A snapshot and the delivery that came after it. `columns`: the identifier columns of the recipe."""

    base: Path | None
    phases: Sequence[PhaseFile]
    columns: Sequence[pa.Field]
    sent_on: date
    key: bytes | None

    @property
    def replaces(self) -> bool:
        """Whether the delivery is a full replace."""
        return any(one.operation is Operation.REPLACE for one in self.phases)

    def write(self, connection: duckdb.DuckDBPyConnection, folder: Path, stem: str, key: bytes | None) -> tuple[Path, int]:
        """The spare file of the new snapshot and its number of rows."""
        attach(connection, "base", self.base, self.key)
        if self.base is not None and self.base.suffix == ".pieces":
            connection.execute(f"CREATE OR REPLACE TEMP TABLE held AS {aligned(connection, 'base', self.columns)}")
            before = "held"
        else:
            before = f"({aligned(connection, 'base', self.columns)})"
        self._touched(connection)
        connection.register("delivered", self._reader())
        held = ", ".join(
            [f"b.{name(one)}" for one in BASE[:-1]]
            + ["CAST({state} AS UTINYINT) AS state"]
            + [f"b.{name(one.name)}" for one in self.columns]
        )
        kept = held.format(state="CASE WHEN t.verdict = 'shaky' AND b.state = 0 THEN 1 ELSE b.state END")
        added = ", ".join(
            [*BASE[:-1], f"CAST({self._added_state()} AS UTINYINT) AS state", *(name(one.name) for one in self.columns)]
        )
        query = (
            f"SELECT {kept} FROM {before} b LEFT JOIN touched t USING (row_digest) "
            f"WHERE t.verdict IS NULL OR t.verdict = 'shaky' OR (t.verdict = 'kept' AND b.state <> {REFUSED}) "
            f"UNION ALL SELECT {added} FROM delivered WHERE adds AND outcome <> {UNTOUCHED}"
        )
        try:
            return write_snapshot(connection, query, folder, stem, key)
        finally:
            connection.unregister("delivered")

    def _states(self) -> set[int]:
        return {outcome_of(batch) for phase in self.phases for batch in phase.batches}

    def _added_state(self) -> str:
        if self.replaces and (UNTOUCHED in self._states() or MAYBE in self._states()):
            return str(MAYBE)  # half a replace: the old members, the new ones or both may be there
        return "outcome"

    def _touched(self, connection: duckdb.DuckDBPyConnection) -> None:
        if self.base is None:
            connection.execute("CREATE OR REPLACE TEMP TABLE touched (row_digest UUID, verdict VARCHAR)")
            return
        connection.register("delivered", self._reader())
        removing = any(
            one.operation is Operation.REMOVE and any(b["state"] != "planned" for b in one.batches) for one in self.phases
        )
        late = f"WHEN late AND outcome = {UNTOUCHED} THEN {'NULL' if not removing else repr('shaky')}"
        connection.execute(
            "CREATE OR REPLACE TEMP TABLE touched AS SELECT row_digest, CASE "
            f"{late} WHEN outcome = {UNTOUCHED} THEN NULL WHEN adds OR outcome = {THERE} THEN 'gone' "
            f"WHEN outcome = {MAYBE} THEN 'shaky' ELSE 'kept' END AS verdict FROM delivered"
        )
        connection.unregister("delivered")
        connection.execute("DELETE FROM touched WHERE verdict IS NULL")
        states = self._states()
        if self.replaces and states != {UNTOUCHED}:
            rest = "gone" if UNTOUCHED not in states and MAYBE not in states else "shaky"
            connection.execute(
                f"INSERT INTO touched SELECT row_digest, '{rest}' FROM base "
                "WHERE row_digest NOT IN (SELECT row_digest FROM touched)"
            )

    def _reader(self) -> pa.RecordBatchReader:
        columns = [*BASE[:4], *(one.name for one in self.columns)]
        types = [pa.uuid(), pa.uuid(), pa.decimal128(18, 2), pa.date32(), *(one.type for one in self.columns)]
        fields = [pa.field(one, kind) for one, kind in zip(columns, types, strict=True)]
        fields += [pa.field("adds", pa.bool_()), pa.field("late", pa.bool_()), pa.field("outcome", pa.uint8())]
        return pa.RecordBatchReader.from_batches(pa.schema(fields), self._marked(pa.schema(fields)))

    def _marked(self, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        for phase in self.phases:
            pieces = Pieces(phase.path, self.key)
            for batch in phase.batches:
                start = 0
                for number in range(batch["first_piece"], batch["first_piece"] + batch["pieces"]):
                    rows = pieces.read(number)
                    marks = _outcomes(batch, start, rows.num_rows)
                    start += rows.num_rows
                    yield self._row(schema, rows, phase, marks)

    def _row(self, schema: pa.Schema, rows: pa.RecordBatch, phase: PhaseFile, marks: Any) -> pa.RecordBatch:
        count = rows.num_rows
        known: dict[str, pa.Array] = {
            "sent_on": pa.array([self.sent_on] * count, pa.date32()),
            "adds": pa.array([phase.operation is not Operation.REMOVE] * count),
            "late": pa.array([phase.number == LATE] * count),
            "outcome": pa.array(marks),
        }
        held = set(rows.schema.names)
        return pa.RecordBatch.from_arrays(
            [
                known[one.name]
                if one.name in known
                else rows.column(one.name)
                if one.name in held
                else pa.nulls(count, one.type)
                for one in schema
            ],
            schema=schema,
        )


LATE = 3
"""The phase that adds again what a removal of shared identifiers may have taken along."""


def outcome_of(batch: dict[str, Any]) -> int:
    """THERE, MAYBE, REFUSED or UNTOUCHED, for the batch as a whole."""
    return OUTCOMES.get(str(batch["state"]), MAYBE)


def _outcomes(batch: dict[str, Any], start: int, rows: int) -> Any:
    marks = np.full(rows, outcome_of(batch), np.uint8)
    for number in json.loads(batch["refused_rows"]):
        place = int(number) - start
        if 0 <= place < rows and marks[place] != UNTOUCHED:
            marks[place] = REFUSED
    return marks
