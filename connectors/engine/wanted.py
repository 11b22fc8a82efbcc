"""The rows that an audience should have on an account: identified members, one row per distinct set of identifiers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from connectors.engine.pieces import PIECE_ROWS, Pieces, PieceWriter
from connectors.engine.selected import Selected, decimals, words
from connectors.engine.tables import even

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from decimal import Decimal
    from pathlib import Path

    from numpy.typing import NDArray

    from connectors.engine.identified import Identified
    from connectors.engine.members import Members
    from connectors.protocol import AudienceSpec

_ODD = np.uint64(0x9E3779B97F4A7C15)
Raised = tuple["NDArray[np.int64]", "NDArray[np.int64]"]


@dataclass
class Wanted:
    """One audience's rows: piece file of member_key, row_digest, `value` (null where none travels) and the identifiers."""

    path: Path
    key: bytes
    columns: tuple[str, ...]
    rows: int = 0
    people: int = 0
    held_out: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    """Of those selected: no_identifier, no_value, negative_value (people), same_identifiers (rows merged into another's)."""
    target: str = ""
    largest_value: Decimal | None = None

    def pieces(self) -> Pieces:
        """The rows."""
        return Pieces(self.path, self.key)


@dataclass
class Rows:
    """The rows of identified members as a selection sees them. `places`: each row's member in the selection.

    `doubled`: numbers of the rows whose identifiers another row has too; `groups`: which of them go together.
    """

    places: NDArray[np.uint32]
    present: NDArray[np.bool_]
    doubled: NDArray[np.int64]
    groups: NDArray[np.int64]

    @classmethod
    def of(cls, identified: Identified, selected: Selected) -> Rows:
        """One pass over the identified members."""
        places, digests = [np.empty(0, np.uint32)], [np.empty((0, 2), np.uint64)]
        for piece in identified.pieces():
            places.append(selected.places(piece.column("member_key")))
            digests.append(words(piece.column("row_digest")))
        where = np.concatenate(places)
        present = np.zeros(len(selected), bool)
        present[where] = True
        return cls(where, present, *_doubled(np.concatenate(digests)))


def _doubled(digests: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The numbers of all rows that have another one's digest, and a number for each such digest."""
    halves = np.sort(digests[:, 0])
    crowded = np.unique(halves[1:][halves[1:] == halves[:-1]])
    rows = np.flatnonzero(np.isin(digests[:, 0], crowded)) if len(crowded) else np.empty(0, np.int64)
    _, groups, sizes = np.unique(digests[rows], axis=0, return_inverse=True, return_counts=True)
    groups = groups.reshape(-1).astype(np.int64)
    really = sizes[groups] > 1
    return rows[really], groups[really]


class WantedRows:
    """Makes the wanted rows of every audience from one selection and the identified members, piece by piece.

    Held in memory: arrays of some 40 bytes per member, never the identifiers.
    """

    def __init__(self, members: Members, selection: Path) -> None:
        self._key = members.key
        self._selected = Selected(Pieces(selection, members.key))
        self._rows: dict[Path, Rows] = {}

    def close(self) -> None:
        """Nothing: the arrays are gone."""
        self._rows.clear()

    def make(self, number: int, spec: AudienceSpec, identified: Identified, path: Path) -> Wanted:
        """The rows of request `number` as `spec` (one tier of it, with or without values), written to `path`."""
        if identified.path not in self._rows:
            self._rows[identified.path] = Rows.of(identified, self._selected)
        rows = self._rows[identified.path]
        wanted = Wanted(path, self._key, identified.columns)
        chosen = self._choose(number, spec, wanted, rows)
        keep = chosen[rows.places]
        raised = self._merge(rows, keep, wanted)
        schema = _schema(identified.schema)
        chunks = self._chunks(identified.pieces(), schema, rows.places, keep, raised if spec.value_weighted else None)
        write_wanted(wanted, pa.RecordBatchReader.from_batches(schema, chunks))
        return wanted

    def _choose(self, number: int, spec: AudienceSpec, wanted: Wanted, rows: Rows) -> NDArray[np.bool_]:
        """Whom the audience takes; `wanted` says how many, and why others are left out."""
        selected = self._selected
        asked = selected.wanted[number] & selected.of_tier(spec.tier)
        held = asked & selected.held_out[number]
        there = asked & ~held
        valueless, negative = np.zeros(len(selected), bool), np.zeros(len(selected), bool)
        if spec.value_weighted:
            valueless, negative = selected.absent, ~selected.absent & (selected.values < 0)
        chosen: NDArray[np.bool_] = there & rows.present & ~valueless & ~negative
        reasons = {
            "no_identifier": there & ~rows.present,
            "no_value": there & rows.present & valueless,
            "negative_value": there & rows.present & negative,
        }
        wanted.held_out, wanted.people = int(held.sum()), int(chosen.sum())
        wanted.dropped = {reason: int(who.sum()) for reason, who in reasons.items() if who.any()}
        return chosen

    def _merge(self, rows: Rows, keep: NDArray[np.bool_], wanted: Wanted) -> Raised:
        """The rows that stand for others too, and the highest value of those; the others are no longer in `keep`.

        Whoever has the smallest key stands for all who have the same identifiers.
        """
        among = keep[rows.doubled]
        doubled, groups = rows.doubled[among], rows.groups[among]
        places = rows.places[doubled]
        order = np.lexsort((places, groups))
        doubled, groups, places = doubled[order], groups[order], places[order]
        starts = np.flatnonzero(np.diff(groups, prepend=-1))
        keep[doubled] = False
        keep[doubled[starts]] = True
        if merged := len(doubled) - len(starts):
            wanted.dropped["same_identifiers"] = merged
        tops = np.maximum.reduceat(self._selected.values[places], starts) if len(starts) else np.empty(0, np.int64)
        ascending = np.argsort(doubled[starts])
        return doubled[starts][ascending], tops[ascending]

    def _chunks(
        self,
        pieces: Iterable[pa.RecordBatch],
        schema: pa.Schema,
        places: NDArray[np.uint32],
        keep: NDArray[np.bool_],
        raised: Raised | None,
    ) -> Iterator[pa.RecordBatch]:
        """The rows to keep; `raised`: rows whose value is another's; None: no value travels."""
        start = 0
        for piece in pieces:
            end = start + piece.num_rows
            chosen = keep[start:end]
            kept = piece.filter(pa.array(chosen))
            value = pa.nulls(kept.num_rows, pa.decimal128(18, 2))
            if raised is not None:
                amounts = self._selected.values[places[start:end]]
                these = slice(*np.searchsorted(raised[0], (start, end)))
                amounts[raised[0][these] - start] = raised[1][these]
                value = decimals(amounts[chosen])
            yield pa.RecordBatch.from_arrays([*kept.columns[:2], value, *kept.columns[2:]], schema=schema)
            start = end


def _schema(identified: pa.Schema) -> pa.Schema:
    """The same with a value behind the two ids."""
    fields = list(identified)
    return pa.schema([*fields[:2], pa.field("value", pa.decimal128(18, 2)), *fields[2:]])


def write_wanted(wanted: Wanted, reader: pa.RecordBatchReader) -> None:
    """Nothing: the reader's rows are in the piece file, and `wanted` has their number, mark and largest value."""
    mark = np.zeros(2, np.uint64)
    largest: Decimal | None = None
    with PieceWriter(wanted.path, reader.schema, wanted.key, lasting=False) as writer:
        for batch in even(iter(reader), reader.schema, PIECE_ROWS):
            writer.write(batch)
            mark ^= _mark(batch)
            top = pa.compute.max(batch.column("value")).as_py()
            largest = top if largest is None else max(largest, top or largest)
    wanted.rows, wanted.largest_value = writer.rows, largest
    wanted.target = f"{writer.rows}-{int(mark[0]):016x}{int(mark[1]):016x}"


def _mark(batch: pa.RecordBatch) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """Two words that depend on the rows and values of a batch, whatever their order."""
    digests = batch.column("row_digest").storage
    words = np.frombuffer(digests.buffers()[1], np.uint64)[2 * digests.offset : 2 * (digests.offset + len(digests))].reshape(
        -1, 2
    )
    values = pa.compute.fill_null(batch.column("value"), -1).to_numpy(zero_copy_only=False)
    cents = (values.astype(np.float64) * 100).round().astype(np.int64).astype(np.uint64)
    mixed = np.stack([words[:, 0] ^ (cents * _ODD), (words[:, 1] + cents) * _ODD], axis=1)
    mark: np.ndarray[Any, np.dtype[np.uint64]] = np.bitwise_xor.reduce(mixed, axis=0)
    return mark
