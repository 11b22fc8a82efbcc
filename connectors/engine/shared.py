"""Identifiers that too many people have: usually a shop's own address, a call centre's phone, a dummy.

Counted exactly up to a few million values; beyond that in flat memory, by two tables of counters over different parts of the
key: an identifier is shared when both exceed the limit (at ten million people fewer than one in a million are so by chance).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from connectors.engine.contact_columns import Contacts, checked_default
from connectors.engine.in_order import in_order
from connectors.engine.judged import judge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import pyarrow as pa
    from numpy.typing import NDArray

    from connectors.engine.identity_report import FieldReport
    from connectors.engine.judged import Judged
    from connectors.engine.normalise import IdentityRules
    from connectors.protocol import IdentifierField, Recipe

EXACT = 4_000_000  # keys held per field (32 MB) before counters take over
BITS = 22
MASK = np.uint64((1 << BITS) - 1)


class SharedIdentifiers:
    """How many people have each identifier, per field, over as many chunks as are added."""

    def __init__(self, limit: int, *, exact: int = EXACT) -> None:
        self.limit = limit
        self._exact = exact
        self._keys: dict[str, list[NDArray[np.uint64]]] = {}
        self._counts: dict[str, NDArray[np.uint32]] = {}
        self._crowded: dict[str, tuple[NDArray[np.uint64], NDArray[np.int64]]] = {}

    def add(self, judged: Judged) -> None:
        """Nothing: the field's values are counted (once per person)."""
        if self.limit and counted(judged.field) and len(judged.people):
            self.count(judged.field.name, judged.keys())

    def count(self, name: str, found: NDArray[np.uint64]) -> None:
        """Nothing: these keys of a field's values (once per person) are counted."""
        if not self.limit or not len(found):
            return
        waiting = self._keys.setdefault(name, [])
        waiting.append(found)
        self._crowded.pop(name, None)
        if name in self._counts or sum(map(len, waiting)) > self._exact:
            table = self._counts.setdefault(name, np.zeros((2, 1 << BITS), np.uint32))
            for keys in waiting:
                for row, places in zip(table, _places(keys), strict=True):
                    np.add.at(row, places, 1)
            waiting.clear()

    def marks(self, judged: Judged) -> NDArray[np.bool_] | None:
        """Which of the field's values too many people have; None: none of them."""
        return self.crowded(judged.field.name, judged.keys)

    def crowded(self, name: str, keys: Callable[[], NDArray[np.uint64]]) -> NDArray[np.bool_] | None:
        """Which of a field's keys too many people have; None: none of them. `keys` are asked for only if there can be any."""
        if (table := self._counts.get(name)) is not None:
            first, second = _places(keys())
            found: NDArray[np.bool_] = (table[0][first] > self.limit) & (table[1][second] > self.limit)
        else:
            crowd, _ = self._exactly(name)
            if not len(crowd):
                return None
            found = np.isin(keys(), crowd)
        return found if found.any() else None

    def report(self, field: IdentifierField, counts: FieldReport) -> None:
        """Nothing: the field's counts say how many identifiers too many people have, and on how many people."""
        if (table := self._counts.get(field.name)) is not None:
            sizes = table[0][table[0] > self.limit].astype(np.int64)
        else:
            _, sizes = self._exactly(field.name)
        counts.shared, counts.shared_identifiers = int(sizes.sum()), len(sizes)

    def _exactly(self, name: str) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
        """The keys that too many people have, and how many have each."""
        if name not in self._crowded:
            keys = np.concatenate([np.empty(0, np.uint64), *self._keys.get(name, [])])
            keys.sort()
            # Sorted, a key that stands `limit` places further on as well is in more than `limit` places.
            crowded = np.unique(keys[self.limit :][keys[self.limit :] == keys[: -self.limit]])
            sizes = np.searchsorted(keys, crowded, side="right") - np.searchsorted(keys, crowded)
            self._crowded[name] = crowded, sizes
        return self._crowded[name]


def counted(field: IdentifierField) -> bool:
    """Whether the field finds somebody on its own, so that sharing it matters."""
    return field.identifies and not field.requires


def count_shared(
    batches: Iterable[pa.RecordBatch],
    recipe: Recipe,
    rules: IdentityRules,
    *,
    threads: int = 1,
) -> SharedIdentifiers:
    """The counters over all chunks, for `identify` and `identify_batches` to drop what too many people have."""
    rules = checked_default(rules)
    shared = SharedIdentifiers(rules.shared_limit)

    def work(batch: pa.RecordBatch) -> list[Judged]:
        contacts = Contacts.of(batch)
        return [judge(contacts, field, rules) for field in recipe.fields if counted(field)]

    for fields in in_order(batches if rules.shared_limit else (), work, threads):
        for judged in fields:
            shared.add(judged)
    return shared


def _places(keys: NDArray[np.uint64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    return (keys & MASK).astype(np.intp), ((keys >> np.uint64(BITS)) & MASK).astype(np.intp)
