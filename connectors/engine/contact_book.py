"""The contacts of a run, one row per customer, on disk: sealed with a key that only this process has, read part by part."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from connectors.engine.files import private_folder
from connectors.engine.parts import PARTS, Parts, PartWriter, groups_of, one_batch
from connectors.engine.pieces import Pieces, PieceWriter
from connectors.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from connectors.engine.ledger import Ledger

KEY = "member_key"


@dataclass(frozen=True)
class ContactBook:
    """Pieces of contacts: `member_key` (UUID) beside the columns that the source has. `spans`: the parts that each piece is of.

    `nameless`: rows of the source that had no customer_id. `erased`: member keys of people who are passed over.
    """

    pieces: Pieces
    spans: tuple[tuple[int, int], ...]
    nameless: int = 0
    erased: pa.Array | None = None

    @property
    def folder(self) -> Path:
        """Where it lies; removed by whoever had it made."""
        return self.pieces.path.parent

    @property
    def columns(self) -> list[str]:
        """The names of the contacts' columns."""
        return [one for one in self.pieces.schema.names if one != KEY]

    def read(self, number: int) -> pa.RecordBatch:
        """Piece `number`, without the erased."""
        piece = self.pieces.read(number)
        if self.erased is None:
            return piece
        return piece.filter(pc.invert(pc.is_in(piece.column(KEY).storage, self.erased)))

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        return (self.read(number) for number in range(len(self.spans)))

    def bare(self) -> Iterator[pa.RecordBatch]:
        """The pieces as the source has them, without member keys."""
        return (piece.drop_columns([KEY]) for piece in self)

    def without(self, erased: pa.Array) -> ContactBook:
        """The same without the people who have these member keys (binary of 16 bytes)."""
        return replace(self, erased=erased) if len(erased) else self

    def select(self, names: Sequence[str]) -> pa.Table:
        """These columns of everybody in memory; those that the source doesn't have are left out."""
        held = [one for one in names if one in self.columns]
        batches = [piece.select(held) for piece in self]
        return pa.Table.from_batches(batches, schema=pa.schema([self.pieces.schema.field(one) for one in held]))

    def table(self) -> pa.Table:
        """Everybody in memory, by customer id."""
        return self.select(self.columns).sort_by("customer_id")


@dataclass
class BookWriter:
    """Takes the rows of the contacts' source, in any order; `book` makes the book of them.

    `gathered`: makes one row per customer of the rows of some customers (which are all of theirs).
    """

    folder: Path
    schema: pa.Schema
    gathered: Callable[[pa.Table], pa.Table]
    key: bytes = field(default_factory=lambda: os.urandom(32))
    nameless: int = 0

    def __post_init__(self) -> None:
        private_folder(self.folder)

    def book(self, batches: Iterable[pa.RecordBatch], ledger: Ledger) -> ContactBook:
        """The book of all rows that have a customer id."""
        with PartWriter(self.folder / "rows.pieces", self.schema, self.key) as writer:
            for batch in batches:
                ids = batch.column("customer_id")
                named = pc.fill_null(pc.not_equal(pc.utf8_trim(ids, " "), ""), False)
                self.nameless += batch.num_rows - (pc.sum(named).as_py() or 0)
                writer.write(batch.filter(named))
        parts = writer.parts()
        made = self._gather(parts, ledger)
        parts.drop()
        return made

    def _gather(self, parts: Parts, ledger: Ledger) -> ContactBook:
        spans, path = [], self.folder / "contacts.pieces"
        writer: PieceWriter | None = None
        for first, end in groups_of(parts.counts) or [(0, PARTS)]:
            rows = one_batch(self.gathered(parts.read(first, end)))
            keys = ledger.member_keys(rows.column("customer_id"))
            piece = rows.add_column(0, pa.field(KEY, pa.uuid()), keys)
            writer = writer or PieceWriter(path, piece.schema, self.key, lasting=False)
            writer.write(piece)
            spans.append((first, end))
        assert writer is not None, "there is always a group"
        writer.__exit__(None)
        return ContactBook(Pieces(path, self.key), tuple(spans), self.nameless)


def book_of(contacts: pa.Table | Path, folder: Path, ledger: Ledger) -> ContactBook:
    """The book of a table, or of a Parquet file, that has one row per customer; raises ConfigurationError when it hasn't."""
    import pyarrow.parquet as pq

    if isinstance(contacts, pa.Table):
        schema, batches = contacts.schema, iter(contacts.to_batches(PARTS * 1024))
    else:
        file = pq.ParquetFile(contacts)
        schema, batches = file.schema_arrow, file.iter_batches(PARTS * 1024)
    return BookWriter(folder, schema, _once("contacts")).book(batches, ledger)


def _once(what: str) -> Callable[[pa.Table], pa.Table]:
    def same(rows: pa.Table) -> pa.Table:
        check_once(rows, what)
        return rows

    return same


def check_once(rows: pa.Table, what: str) -> None:
    """Nothing; raises ConfigurationError when a customer has several rows."""
    again = rows.num_rows - different(rows)
    if again:
        raise ConfigurationError(f"{again:,} rows of {what} repeat a customer_id", remedy="give one row per customer")


def different(rows: pa.Table) -> int:
    """How many different customers the rows are of."""
    return pl.Series(values=rows["customer_id"].combine_chunks(), dtype=pl.String).n_unique()
