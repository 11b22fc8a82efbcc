"""Identifiers that too many people have: usually a shop's own address, a call centre's phone, a dummy.

Counted in flat memory: two tables of counters by two different parts of the key; an identifier is shared when both counters
exceed the limit (fewer than one in a million others are taken for one below ten million people).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from connectors.engine.contact_columns import Contacts, checked_default
from connectors.engine.judged import judge

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pyarrow as pa
    from numpy.typing import NDArray

    from connectors.engine.identity_report import FieldReport
    from connectors.engine.judged import Judged
    from connectors.engine.normalise import IdentityRules
    from connectors.protocol import IdentifierField, Recipe

BITS = 22
MASK = np.uint64((1 << BITS) - 1)


class SharedIdentifiers:
    """Counters of identifiers per field, over as many chunks as are added."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._counts: dict[str, NDArray[np.uint32]] = {}

    def add(self, judged: Judged) -> None:
        """Nothing: the field's values are counted (once per person)."""
        if not self.limit or not counted(judged.field):
            return
        table = self._counts.setdefault(judged.field.name, np.zeros((2, 1 << BITS), np.uint32))
        for row, places in zip(table, _places(judged.keys()), strict=True):
            np.add.at(row, places, 1)

    def marks(self, judged: Judged) -> NDArray[np.bool_] | None:
        """Which of the field's values too many people have; None: none of them."""
        table = self._counts.get(judged.field.name)
        if table is None or int(table.max()) <= self.limit:
            return None
        first, second = _places(judged.keys())
        found: NDArray[np.bool_] = (table[0][first] > self.limit) & (table[1][second] > self.limit)
        return found if found.any() else None

    def report(self, field: IdentifierField, counts: FieldReport) -> None:
        """Nothing: the field's counts say how many identifiers too many people have, and on how many people."""
        table = self._counts.get(field.name)
        if table is not None:
            crowded = table[0][table[0] > self.limit]
            counts.shared, counts.shared_identifiers = int(crowded.sum()), len(crowded)


def counted(field: IdentifierField) -> bool:
    """Whether the field finds somebody on its own, so that sharing it matters."""
    return field.identifies and not field.requires


def count_shared(batches: Iterable[pa.RecordBatch], recipe: Recipe, rules: IdentityRules) -> SharedIdentifiers:
    """The counters over all chunks, for `identify` and `identify_batches` to drop what too many people have."""
    rules = checked_default(rules)
    shared = SharedIdentifiers(rules.shared_limit)
    for batch in batches if rules.shared_limit else ():
        contacts = Contacts.of(batch)
        for field in recipe.fields:
            if counted(field):
                shared.add(judge(contacts, field, rules))
    return shared


def _places(keys: NDArray[np.uint64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    return (keys & MASK).astype(np.intp), ((keys >> np.uint64(BITS)) & MASK).astype(np.intp)
