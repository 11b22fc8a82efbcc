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
from connectors.engine.member_columns import Laid, laid_out, schema_of
from connectors.engine.normalise import RULES, IdentityRules
from connectors.engine.resolution import one_row_each
from connectors.engine.shared import SharedIdentifiers, count_shared

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
        laid = laid_out(*chunks.popleft(), recipe, shared)
        report.add(laid.report)
        found.append(laid.batch)
    return Identified(pa.Table.from_batches(found, schema=schema_of(recipe)), report)


def identify_batches(
    batches: Iterable[pa.RecordBatch],
    recipe: Recipe,
    rules: IdentityRules,
    report: IdentityReport,
    *,
    threads: int = 1,
    shared: SharedIdentifiers | None = None,
) -> Iterator[pa.RecordBatch]:
    """As `identify`, a chunk at a time in flat memory, for contacts with one row per customer.

    `report` is filled as the batches are read. `shared` comes from `count_shared` over the same chunks; None drops nothing.
    """
    rules = checked_default(rules)

    def work(batch: pa.RecordBatch) -> Laid:
        return laid_out(*_judged(batch, recipe, rules), recipe, shared)

    for found in in_order(_small(batches), work, threads):
        report.add(found.report)
        yield found.batch


def _judged(batch: pa.RecordBatch, recipe: Recipe, rules: IdentityRules) -> tuple[pa.Array, list[Judged]]:
    contacts = Contacts.of(batch)
    return batch.column("customer_id").cast(pa.string()), [judge(contacts, field, rules) for field in recipe.fields]


def _small(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        for start in range(0, batch.num_rows, CHUNK_ROWS):
            yield batch.slice(start, CHUNK_ROWS)
