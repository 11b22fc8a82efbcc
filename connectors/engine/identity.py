"""Contacts to what a platform matches on: normalised and hashed in columns, a chunk at a time, by the platform's recipe.

The one place where identifiers are normalised and hashed. A bad identifier is dropped and counted with its reason; the person
stays while another identifier is good.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa

from connectors.engine.contact_columns import Contacts, checked_default
from connectors.engine.identity_file import hash_file
from connectors.engine.identity_report import FieldReport, IdentityReport
from connectors.engine.in_order import in_order
from connectors.engine.judged import Judged, judge
from connectors.engine.member_columns import laid_out, schema_of
from connectors.engine.normalise import RULES, IdentityRules
from connectors.engine.resolution import one_row_each
from connectors.engine.shared import SharedIdentifiers, count_shared, counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from connectors.protocol import Recipe

CHUNK_ROWS = 393_216  # more rows make repeated names worth recognising, fewer keep memory low

__all__ = [
    "RULES",
    "FieldReport",
    "Identified",
    "IdentityReport",
    "IdentityRules",
    "SharedIdentifiers",
    "count_shared",
    "hash_file",
    "identify",
    "identify_batches",
]


@dataclass(frozen=True)
class Identified:
    """Columns customer_id, row_no (0, or the person's further rows) and the recipe's; and what became of every identifier."""

    table: pa.Table
    report: IdentityReport = field(default_factory=IdentityReport)


def identify(
    contacts: pa.Table, recipe: Recipe, rules: IdentityRules, *, threads: int = 1, shared: SharedIdentifiers | None = None
) -> Identified:
    """Everybody in `contacts` whom the platform could find. Rows of one customer are one person.

    Hashed columns are binary(32), others text; null is absent. People without a field that identifies are left out and
    counted. `shared`: identifiers of too many people, counted before over all chunks; None counts within this table.
    """
    rules = checked_default(rules)
    chunks = deque(
        in_order(one_row_each(contacts).to_batches(CHUNK_ROWS), partial(_judged, recipe=recipe, rules=rules), threads)
    )
    if shared is None:
        shared = SharedIdentifiers(rules.shared_limit)
        for _, fields in chunks:
            for one in fields:
                shared.add(one)
    report = IdentityReport()
    found = []
    while chunks:  # each chunk's judged form is let go as soon as its rows are laid out
        batch, counts = laid_out(*chunks.popleft(), recipe, shared)
        report.add(counts)
        found.append(batch)
    return Identified(pa.Table.from_batches(found, schema=schema_of(recipe)), report)


def identify_batches(
    batches: Iterable[pa.RecordBatch],
    recipe: Recipe,
    rules: IdentityRules,
    report: IdentityReport,
    *,
    threads: int = 1,
    shared: SharedIdentifiers | None = None,
    known: Iterator[Judged] | None = None,
) -> Iterator[pa.RecordBatch]:
    """As `identify`, a chunk at a time in flat memory, for contacts with one row per customer.

    `report` is filled as the batches are read. `shared` comes from `count_shared` over the same chunks; None drops nothing.
    `known`: the values that `count_shared` kept of these chunks, which are then no larger than CHUNK_ROWS.
    """
    rules = checked_default(rules)
    twice = [one for one in recipe.fields if known is not None and counted(one)]

    def work(given: tuple[pa.RecordBatch, Iterator[Judged]]) -> tuple[pa.RecordBatch, IdentityReport]:
        return laid_out(*_judged(given[0], recipe, rules, given[1] if twice else None), recipe, shared)

    chunks = ((batch, iter([next(known) for _ in twice] if known else [])) for batch in _small(batches))
    for found, counts in in_order(chunks, work, threads):
        report.add(counts)
        yield found


def _judged(
    batch: pa.RecordBatch, recipe: Recipe, rules: IdentityRules, known: Iterator[Judged] | None = None
) -> tuple[pa.Array, list[Judged]]:
    contacts = Contacts.of(batch)
    ids = batch.column("customer_id").cast(pa.string())
    return ids, [next(known) if known and counted(field) else judge(contacts, field, rules) for field in recipe.fields]


def _small(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        for start in range(0, batch.num_rows, CHUNK_ROWS):
            yield batch.slice(start, CHUNK_ROWS)
