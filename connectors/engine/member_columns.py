"""Judged fields side by side: the columns of a member table, one row per person and, where values spill, further rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from connectors.engine.digests import BINARY, WIDTH, binary_column
from connectors.engine.identity_report import IdentityReport

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from connectors.engine.judged import Judged
    from connectors.engine.shared import SharedIdentifiers
    from connectors.protocol import Recipe


def schema_of(recipe: Recipe) -> pa.Schema:
    """customer_id, row_no and the recipe's columns."""
    kinds = {name: BINARY if one.hashed else pa.string() for one in recipe.fields for name in one.columns()}
    columns = [pa.field(name, kinds[name]) for name in recipe.columns()]
    return pa.schema([pa.field("customer_id", pa.string()), pa.field("row_no", pa.int32()), *columns])


@dataclass(frozen=True)
class Laid:
    """A chunk's member rows, people without an identifier left out. `people`: each row's person; per person `found` (how many
    identifiers) and `odd` (more is counted of them in the report than values that are valid or not there)."""

    batch: pa.RecordBatch
    report: IdentityReport
    people: NDArray[np.int64]
    found: NDArray[np.int64]
    odd: NDArray[np.bool_]


def laid_out(ids: pa.Array, fields: Sequence[Judged], recipe: Recipe, shared: SharedIdentifiers | None) -> Laid:
    """The chunk's member rows and its report."""
    report, found, keep = reported(len(ids), fields, recipe, shared)
    rows = [rows_of(ids, fields, recipe, some, number) for number, some in enumerate(keep)]
    odd = np.zeros(len(ids), bool)
    odd[np.concatenate([one.odd for one in fields])] = True
    people = np.concatenate([np.flatnonzero(some) for some in keep])
    return Laid(rows[0] if len(rows) == 1 else _one(rows), report, people, found, odd)


def reported(
    people: int, fields: Sequence[Judged], recipe: Recipe, shared: SharedIdentifiers | None
) -> tuple[IdentityReport, NDArray[np.int64], list[NDArray[np.bool_]]]:
    """The chunk's report, how many identifiers each person has, and who has a first row, a second one ...

    Nothing is left in `fields` of what the platform does not take.
    """
    report = IdentityReport(people=people)
    for one in fields:
        if shared is not None and (marks := shared.marks(one)) is not None:
            one.counts.shared = int(marks.sum())
            one.counts.shared_identifiers = len(np.unique(one.keys()[marks]))
            one.only(~marks)
        if not one.field.note:
            report.of(one.field.source).add(one.counts)
    _complete(fields, people, report)
    _within_limit(fields, people, recipe, report)
    found = _identifiers(fields, people)
    report.by_identifiers.update({n: int((np.minimum(found, 3) == n).sum()) for n in range(4)})
    keep = [_kept(fields, found > 0, number) for number in range(_depth(fields, recipe))]
    report.rows = sum(int(some.sum()) for some in keep)
    return report, found, keep


def _one(rows: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    table = pa.Table.from_batches(rows).combine_chunks()
    return pa.RecordBatch.from_arrays([column.combine_chunks() for column in table.columns], schema=table.schema)


def _complete(fields: Sequence[Judged], people: int, report: IdentityReport) -> None:
    """Nothing: fields whose required companions are absent are gone (Google's address in parts)."""
    have = {one.field.name: _mask(one, people) for one in fields}
    for one in fields:
        needed = [have.get(name, np.zeros(people, bool)) for name in one.field.requires]
        if needed:
            keep = np.logical_and.reduce(needed)[one.people]
            report.of(one.field.source).incomplete += int((~keep).sum())
            one.odd = np.concatenate((one.odd, one.people[~keep]))
            one.only(keep)


def _within_limit(fields: Sequence[Judged], people: int, recipe: Recipe, report: IdentityReport) -> None:
    limit = recipe.identifiers_per_member
    if not limit or sum(one.field.values for one in fields if one.field.identifies) <= limit:
        return
    used = np.zeros(people, np.int64)
    for one in fields:
        if one.field.identifies:
            keep = used[one.people] + (0 if one.slots is None else one.slots) < limit
            report.of(one.field.source).surplus += int((~keep).sum())
            one.odd = np.concatenate((one.odd, one.people[~keep]))
            one.only(keep)
            used += np.bincount(one.people, minlength=people)


def _identifiers(fields: Sequence[Judged], people: int) -> NDArray[np.int64]:
    """How many identifiers each person has; fields that need each other count as one."""
    found = np.zeros(people, np.int64)
    groups: set[frozenset[str]] = set()
    for one in fields:
        group = frozenset((one.field.name, *one.field.requires))
        if one.field.identifies and group not in groups:
            found += np.bincount(one.people, minlength=people)
            if one.field.requires:
                groups.add(group)
    return found


def _depth(fields: Sequence[Judged], recipe: Recipe) -> int:
    if not recipe.spill:
        return 1
    return 1 + max((int(one.slots.max()) for one in fields if one.slots is not None and len(one.slots)), default=0)


def _kept(fields: Sequence[Judged], found: NDArray[np.bool_], number: int) -> NDArray[np.bool_]:
    """Who has a row with this number."""
    if not number:
        return found
    keep = np.zeros(len(found), bool)
    for one in fields:
        if one.slots is not None:
            keep[one.people[one.slots == number]] = True
    return keep


def rows_of(ids: pa.Array, fields: Sequence[Judged], recipe: Recipe, keep: NDArray[np.bool_], number: int) -> pa.RecordBatch:
    """The people's rows with this number. Further rows carry the further values, and what a person has only one of."""
    people = len(ids)
    columns = []
    for one in fields:
        slots = [number] if recipe.spill else range(one.field.values)
        columns += [_column(one, people, 0 if one.field.values == 1 else slot) for slot in slots]
    arrays = [ids, pa.array(np.full(people, number, np.int32)), *columns]
    batch = pa.RecordBatch.from_arrays(arrays, schema=schema_of(recipe))
    return batch if keep.all() else batch.filter(pa.array(keep))


def _column(one: Judged, people: int, slot: int) -> pa.Array:
    if one.slots is None:
        if slot:
            return pa.nulls(people, BINARY if one.field.hashed else pa.string())
        chosen: NDArray[np.bool_] | slice = slice(None)
    else:
        chosen = one.slots == slot
    where = one.people[chosen]
    if one.digests is not None:
        if len(where) == people:
            return binary_column(one.digests[chosen], np.ones(people, bool))
        rows = np.zeros((people, WIDTH), np.uint8)
        present = np.zeros(people, bool)
        rows[where], present[where] = one.digests[chosen], True
        return binary_column(rows, present)
    assert one.text is not None
    values = one.text if isinstance(chosen, slice) else one.text.filter(pl.Series(chosen))
    places = np.full(people, -1, np.int64)
    places[where] = np.arange(len(where))
    return pc.take(values.to_arrow().cast(pa.string()), pa.array(places, mask=places < 0))


def _mask(one: Judged, people: int) -> NDArray[np.bool_]:
    mask = np.zeros(people, bool)
    mask[one.people] = True
    return mask
