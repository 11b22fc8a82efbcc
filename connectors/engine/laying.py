"""One piece of members laid out as identifier rows: from last night's where the contacts are the same, else made."""

from __future__ import annotations

import threading
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from connectors.engine.contact_columns import Contacts
from connectors.engine.content import content_digests
from connectors.engine.identity_report import FieldReport, IdentityReport
from connectors.engine.judged import judge, switched_on
from connectors.engine.member_columns import laid_out, rows_of
from connectors.engine.row_digests import row_digests
from connectors.engine.shared import counted

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from connectors.engine.identity import IdentityRules, SharedIdentifiers
    from connectors.engine.judged import Judged
    from connectors.engine.known import KnownFolder
    from connectors.engine.member_columns import Laid
    from connectors.engine.pieces import Pieces
    from connectors.protocol import IdentifierField, Recipe

CONTEXT = ("customer_id", "country", "birth_date")
Keys = tuple["NDArray[np.int64]", "NDArray[np.uint64]"]


@dataclass(frozen=True)
class Made:
    """A piece's rows; `keys`: per counted field the people and the keys of their identifiers; `again`: people not made anew."""

    rows: pa.RecordBatch
    report: IdentityReport
    keys: dict[str, Keys]
    again: int


class Laying:
    """Lays out members piece by piece; several threads may at once."""

    def __init__(
        self,
        pieces: Pieces,
        spans: Sequence[tuple[int, int]],
        recipe: Recipe,
        rules: IdentityRules,
        schema: pa.Schema,
        kept: KnownFolder | None,
        path: Path,
    ) -> None:
        self._pieces, self._spans, self._recipe, self._rules, self._schema = pieces, spans, recipe, rules, schema
        self._digest_key = kept.digest_key if kept else b""
        self._known = kept.last(path, schema) if kept else None
        sources = {one.source for one in recipe.fields} | set(CONTEXT)
        self._columns = [one for one in pieces.schema.names if one in sources]
        self.counted = [one.name for one in recipe.fields if counted(one)]
        self.count = pieces.count
        self._local = threading.local()

    def make(self, number: int) -> Made:
        """The rows of piece `number`, identifiers that too many people have included."""
        piece = self._pieces.read(number)
        contacts = piece.select(self._columns)  # nothing else decides, so that nothing else need be told apart
        contents, table, places = self._find(number, contacts)
        old, new = np.flatnonzero(places >= 0), np.flatnonzero(places < 0)
        fresh = contacts.take(pa.array(new)) if len(old) else contacts
        fields = self._judged(fresh)
        laid = laid_out(fresh.column("customer_id").cast(pa.string()), fields, self._recipe, None)
        keys = piece.column("member_key").storage
        rows = [self._rows(laid, fields, keys.take(pa.array(new)), None if contents is None else contents.take(pa.array(new)))]
        report, found = laid.report, {one.field.name: (new[one.people], one.keys()) for one in fields if counted(one.field)}
        if table is not None and len(old):
            taken = table.take(pa.array(places[old])).combine_chunks()
            rows.append(_batch([_uuids(keys.take(pa.array(old))), *taken.columns[1:]], self._schema))
            report.add(self._reported(rows[-1], contacts.schema.names))
            for name, (people, more) in self._keys(rows[-1], old).items():
                found[name] = np.concatenate((found[name][0], people)), np.concatenate((found[name][1], more))
        return Made(_batch(pa.Table.from_batches(rows).columns, self._schema), report, found, len(old))

    def again(
        self, number: int, people: NDArray[np.int64], shared: SharedIdentifiers
    ) -> tuple[IdentityReport, IdentityReport, pa.RecordBatch]:
        """The reports of some people with and without the identifiers that too many have, and their rows without them."""
        piece = self._pieces.read(number).take(pa.array(people))
        contacts = piece.select(self._columns)
        fields = self._judged(contacts)
        ids = contacts.column("customer_id").cast(pa.string())
        before = laid_out(ids, [replace(one, counts=deepcopy(one.counts)) for one in fields], self._recipe, None).report
        laid = laid_out(ids, fields, self._recipe, shared)
        return before, laid.report, self._rows(laid, fields, piece.column("member_key").storage, None)

    def keys(self, number: int, people: NDArray[np.int64]) -> pa.Array:
        """The member keys of some people of a piece."""
        return self._pieces.read(number).column("member_key").storage.take(pa.array(people))

    def _find(self, number: int, contacts: pa.RecordBatch) -> tuple[pa.Array | None, pa.Table | None, NDArray[np.int64]]:
        """Everybody's content digest (null: can't be told), and where last night's rows have them."""
        if self._known is None:
            return None, None, np.full(contacts.num_rows, -1, np.int64)
        digests, able = content_digests(contacts, self._digest_key)
        table, places = self._known.find(*self._spans[number], digests)
        bits = pa.py_buffer(np.packbits(able, bitorder="little"))
        column = pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), len(able), [bits, pa.py_buffer(digests)])
        return column, table, np.where(able, places, -1)

    def _judged(self, contacts: pa.RecordBatch) -> list[Judged]:
        read = Contacts.of(contacts)
        return [judge(read, one, self._rules) for one in self._recipe.fields]

    def _rows(self, laid: Laid, fields: Sequence[Judged], keys: pa.Array, contents: pa.Array | None) -> pa.RecordBatch:
        """The laid-out rows, with those of people without any identifier where these may serve again."""
        rows, kinds = laid.batch, list(self._schema)[2:-2]
        columns = [rows.column(one.name).cast(one.type) for one in kinds]
        digests = row_digests(self._connection(), pa.table(columns, schema=pa.schema(kinds)))
        whole = [_uuids(keys.take(pa.array(laid.people))), digests, *columns]
        several = np.bincount(laid.people, minlength=len(keys)) > 1
        lasting = ~laid.odd & ~several
        for one in fields:
            if _tells(one.field):
                lasting[one.people] = False
        content = pa.nulls(len(keys), pa.binary(16))
        if contents is not None:
            content = pc.if_else(pa.array(lasting), contents, content)
        whole += [content.take(pa.array(laid.people)), pa.array(laid.found[laid.people].astype(np.int32))]
        batch = _batch(whole, self._schema)
        nobody = np.flatnonzero((laid.found == 0) & content.is_valid().to_numpy(zero_copy_only=False))
        if not len(nobody):
            return batch
        here, keep = pa.array(nobody), np.zeros(len(keys), bool)
        keep[nobody] = True
        told = rows_of(pa.nulls(len(keys), pa.string()), fields, self._recipe, keep, 0)
        ids = [_uuids(keys.take(here)), pa.nulls(len(nobody), pa.uuid())]
        none = [*ids, *(told.column(one.name).cast(one.type) for one in kinds), content.take(here)]
        none.append(pa.array(np.zeros(len(nobody), np.int32)))
        return _batch(pa.Table.from_batches([batch, _batch(none, self._schema)]).columns, self._schema)

    def _reported(self, rows: pa.RecordBatch, there: list[str]) -> IdentityReport:
        """What the report says of people of whom there is nothing to say beside valid and not there."""
        people, held = rows.num_rows, set(rows.schema.names)
        found = rows.column("found").to_numpy()
        report = IdentityReport(people, int((found > 0).sum()))
        report.by_identifiers.update({n: int((np.minimum(found, 3) == n).sum()) for n in range(4)})
        for one in self._recipe.fields:
            if one.note:
                continue
            counts = FieldReport()
            if one.source in there and switched_on(one, self._rules):
                places = [rows.column(name) for name in one.columns() if name in held]
                counts.valid = sum(people - place.null_count for place in places)
                counts.empty = places[0].null_count
            report.of(one.source).add(counts)
        return report

    def _keys(self, rows: pa.RecordBatch, people: NDArray[np.int64]) -> dict[str, Keys]:
        """Per counted field who has identifiers, and their keys, as `Judged.keys` gives them."""
        found: dict[str, Keys] = {}
        held = set(rows.schema.names)
        for one in self._recipe.fields:
            if counted(one):
                parts = [_column_keys(rows.column(name), people, hashed=one.hashed) for name in one.columns() if name in held]
                found[one.name] = np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])
        return found

    def _connection(self) -> duckdb.DuckDBPyConnection:
        """This thread's own."""
        if not hasattr(self._local, "connection"):
            self._local.connection = duckdb.connect(config={"threads": 1})
            self._local.connection.execute("SET arrow_lossless_conversion = true")
        connection: duckdb.DuckDBPyConnection = self._local.connection
        return connection


def _tells(field: IdentifierField) -> bool:
    """Whether the field names a person in plain text: nothing of it is kept."""
    return not field.hashed and field.identifies and not field.requires


def _column_keys(column: pa.Array, people: NDArray[np.int64], *, hashed: bool) -> Keys:
    there = column.is_valid().to_numpy(zero_copy_only=False)
    held = column.drop_null()
    if not hashed:
        return people[there], pl.Series(values=held, dtype=pl.String).hash(seed=0).to_numpy()
    digests = np.frombuffer(held.cast(pa.binary(32)).buffers()[1] or b"", np.uint64, count=4 * len(held))
    return people[there], digests.reshape(-1, 4)[:, 0].copy()


def _uuids(storage: pa.Array) -> pa.Array:
    return pa.ExtensionArray.from_storage(pa.uuid(), storage)


def _batch(columns: Sequence[pa.Array | pa.ChunkedArray], schema: pa.Schema) -> pa.RecordBatch:
    arrays = [one.combine_chunks() if isinstance(one, pa.ChunkedArray) else one for one in columns]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
