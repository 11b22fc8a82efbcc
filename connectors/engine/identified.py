"""Members' identifiers for one recipe, made once however many audiences want them; last night's serve those who are the same.

Every piece of members is laid out on its own. How many people share an identifier is known only at the end: those few who have
one that too many have are then laid out again without it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from connectors.engine.contact_columns import checked_default
from connectors.engine.identity import IdentityReport, SharedIdentifiers
from connectors.engine.in_order import in_order
from connectors.engine.known import CONTENT, spanned
from connectors.engine.laying import Laying
from connectors.engine.pieces import Pieces, PieceWriter
from connectors.engine.snapshots import recipe_fields

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from connectors.engine.identity import IdentityRules
    from connectors.engine.laying import Made
    from connectors.engine.members import Members
    from connectors.protocol import Recipe

THREADS = 2
SHARED = pa.schema([("field", pa.int8()), ("person", pa.int32()), ("key", pa.uint64())])


@dataclass
class Identified:
    """The members' rows in a piece file, and what became of every identifier."""

    path: Path
    key: bytes
    columns: tuple[str, ...]
    rows: int
    report: IdentityReport
    again: int = 0
    """For how many people last night's identifiers served."""

    @property
    def schema(self) -> pa.Schema:
        """member_key, row_digest and the recipe's columns."""
        return pa.schema(list(Pieces(self.path, self.key).schema)[: 2 + len(self.columns)])

    def pieces(self) -> Iterator[pa.RecordBatch]:
        """The rows of everybody who has an identifier."""
        schema = self.schema
        for piece in Pieces(self.path, self.key):
            rows = pa.RecordBatch.from_arrays(piece.columns[: len(schema)], schema=schema)
            yield (
                rows
                if piece.column("found").null_count == 0 and pc.min(piece.column("found")).as_py() != 0
                else rows.filter(pc.greater(piece.column("found"), 0))
            )


def identify_members(members: Members, recipe: Recipe, rules: IdentityRules) -> Identified:
    """All members identified as the recipe says, a piece at a time, by THREADS at once; flat memory."""
    rules = checked_default(rules)
    mark = hashlib.blake2b(f"{recipe!r} {rules!r}".encode(), digest_size=8).hexdigest()
    columns = [pa.field("member_key", pa.uuid()), pa.field("row_digest", pa.uuid()), *recipe_fields(recipe)]
    schema = spanned(pa.schema([*columns, CONTENT, pa.field("found", pa.int32())]), members.spans)
    kept = members.known
    path, key = (kept.path(recipe, rules), kept.seal) if kept else (members.work / f"identified-{mark}.pieces", members.key)
    laying = Laying(members.pieces(), members.spans, recipe, rules, schema, kept, path)
    report, shared = IdentityReport(), SharedIdentifiers(rules.shared_limit)
    side = members.work / f"shared-{mark}.pieces"
    again = 0
    try:
        with PieceWriter(path, schema, key, lasting=False) as writer:
            with PieceWriter(side, SHARED, members.key, lasting=False) as noted:
                for made in in_order(range(laying.count), laying.make, THREADS):
                    writer.write(made.rows)
                    report.add(made.report)
                    again += made.again
                    _note(made, laying.counted, shared, noted)
            _leave_shared(writer, Pieces(side, members.key), laying, shared, report)
    finally:
        side.unlink(missing_ok=True)
    return Identified(path, key, recipe.columns(), report.rows, report, again)


def _note(made: Made, counted: list[str], shared: SharedIdentifiers, noted: PieceWriter) -> None:
    """Nothing: the piece's identifiers are counted, and kept for the end."""
    parts = []
    for number, name in enumerate(counted):
        people, keys = made.keys[name]
        shared.count(name, keys)
        parts.append((np.full(len(people), number, np.int8), people.astype(np.int32), keys))
    columns = [np.concatenate(one) for one in zip(*parts, strict=True)] or [np.empty(0, np.int8)] * 3
    arrays = [pa.array(one).cast(kind.type) for one, kind in zip(columns, SHARED, strict=True)]
    noted.write(pa.RecordBatch.from_arrays(arrays, schema=SHARED))


def _leave_shared(writer: PieceWriter, side: Pieces, laying: Laying, shared: SharedIdentifiers, report: IdentityReport) -> None:
    """Nothing: who has an identifier that too many people have is laid out again without it, in rows that aren't kept."""
    for number, noted in enumerate(side):
        people = _crowd(noted, laying.counted, shared)
        if not len(people):
            continue
        before, after, rows = laying.again(number, people, shared)
        report.take(before)
        report.add(after)
        held = writer.read(number)
        left = held.filter(pc.invert(pc.is_in(held.column("member_key").storage, laying.keys(number, people))))
        joined = pa.Table.from_batches([left, rows], schema=writer.schema).combine_chunks()
        arrays = [column.combine_chunks() for column in joined.columns]
        writer.replace(number, pa.RecordBatch.from_arrays(arrays, schema=writer.schema), held.num_rows)


def _crowd(noted: pa.RecordBatch, counted: list[str], shared: SharedIdentifiers) -> NDArray[np.int64]:
    """The people of a piece who have an identifier that too many have."""
    fields, people, keys = (column.to_numpy() for column in noted.columns)
    found = [np.empty(0, np.int32)]
    for number, name in enumerate(counted):
        mine = fields == number
        if (marks := shared.crowded(name, lambda mine=mine: keys[mine])) is not None:  # type: ignore[misc]
            found.append(people[mine][marks])
    crowd: NDArray[np.int64] = np.unique(np.concatenate(found)).astype(np.int64)
    return crowd
