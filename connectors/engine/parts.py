"""Rows of customers on disk, by part: a customer belongs to the same part every night, whatever the source's order.

What is too large for memory is divided once and then worked on part by part: contacts joined with scores, and last night's
identifiers found again. The files are sealed with a key that only this process has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import polars_hash as plh
import pyarrow as pa

from connectors.engine.pieces import Pieces, PieceWriter

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

BITS = 6
PARTS = 1 << BITS
HELD_ROWS = 393_216
"""So many rows wait in memory to be divided at once."""
GROUP_ROWS = 98_304
"""Small parts are worked on together until they are so many rows; at ten million customers each part is more."""


def parts_of(ids: pa.Array) -> NDArray[np.int64]:
    """The part of each customer id, 0 to PARTS - 1: the first bits of its XXH3, the same in every process and version."""
    frame = pl.DataFrame({"id": pl.Series(values=ids, dtype=pl.String)})
    hashes = frame.select(plh.col("id").nchash.xxh3_64())["id"].to_numpy()
    found: NDArray[np.int64] = (hashes >> np.uint64(64 - BITS)).astype(np.int64)
    return found


def groups_of(counts: NDArray[np.int64], rows: int = GROUP_ROWS) -> list[tuple[int, int]]:
    """Runs of parts (first, behind the last) that are worked on together, by the rows in each part."""
    groups, first, held = [], 0, 0
    for part, count in enumerate(counts.tolist(), 1):
        held += count
        if held >= rows or part == len(counts):
            groups.append((first, part))
            first, held = part, 0
    return groups


def divided(table: pa.Table) -> tuple[pa.Table, NDArray[np.int64]]:
    """The rows in the order of their parts, and where each part begins (one more entry: where the last one ends)."""
    parts = parts_of(table["customer_id"].combine_chunks())
    order = np.argsort(parts, kind="stable")
    starts = np.concatenate(([0], np.cumsum(np.bincount(parts, minlength=PARTS))))
    return table.take(pa.array(order)), starts


class PartWriter:
    """Takes batches with a column customer_id in any order and writes them by part; read them with `parts` when it ends."""

    def __init__(self, path: Path, schema: pa.Schema, key: bytes) -> None:
        self._path, self._key = path, key
        self._writer = PieceWriter(path, schema, key, lasting=False)
        self._held: list[pa.RecordBatch] = []
        self._waiting = self._pieces = 0
        self._places: list[list[int]] = [[] for _ in range(PARTS)]
        self._counts = np.zeros(PARTS, np.int64)

    def write(self, batch: pa.RecordBatch) -> None:
        """Nothing: the rows are divided, now or later."""
        self._held.append(batch)
        self._waiting += batch.num_rows
        if self._waiting >= HELD_ROWS:
            self._divide()

    def _divide(self) -> None:
        if not self._waiting:
            return
        table, starts = divided(pa.Table.from_batches(self._held, schema=self._writer.schema))
        self._held, self._waiting = [], 0
        for part in np.flatnonzero(np.diff(starts)).tolist():
            rows = table.slice(starts[part], starts[part + 1] - starts[part])
            self._writer.write(one_batch(rows))
            self._places[part].append(self._pieces)
            self._pieces += 1
        self._counts += np.diff(starts)

    def __enter__(self) -> PartWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is None:
            self._divide()
        self._writer.__exit__(kind, *rest)

    def parts(self) -> Parts:
        """The rows, when the `with` block has ended."""
        return Parts(Pieces(self._path, self._key), self._places, self._counts)


class Parts:
    """Rows by part."""

    def __init__(self, pieces: Pieces, places: Sequence[Sequence[int]], counts: NDArray[np.int64]) -> None:
        self._pieces, self._places, self.counts = pieces, places, counts
        self.schema = pieces.schema

    def read(self, first: int, end: int) -> pa.Table:
        """The rows of the parts from `first` to before `end`; those of one part in the order in which they came."""
        found = [self._pieces.read(place) for part in range(first, end) for place in self._places[part]]
        return pa.Table.from_batches(found, schema=self.schema)

    def drop(self) -> None:
        """Nothing: the file is gone."""
        self._pieces.path.unlink(missing_ok=True)


def one_batch(table: pa.Table) -> pa.RecordBatch:
    """The table as one batch."""
    arrays = [column.combine_chunks() if column.num_chunks != 1 else column.chunk(0) for column in table.columns]
    return pa.RecordBatch.from_arrays(arrays, schema=table.schema)
