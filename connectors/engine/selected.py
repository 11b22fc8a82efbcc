"""A selection in arrays: some 30 bytes per member, so that rows are matched with it piece by piece, in any order."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from connectors.errors import FatalError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from connectors.engine.pieces import Pieces

Kind = TypeVar("Kind", bound=np.generic)


class Selected:
    """The members of a selection file, ordered by key; `values` are cents, `absent` where there is none."""

    def __init__(self, pieces: Pieces) -> None:
        numbers = [int(one.removeprefix("in_")) for one in pieces.schema.names if one.startswith("in_")]
        keys, values, absent, tiers = [], [], [], []
        flags: list[list[NDArray[np.bool_]]] = [[] for _ in range(2 * len(numbers))]
        self._tiers: dict[str, int] = {}
        for piece in pieces:
            keys.append(words(piece.column("member_key")))
            values.append(cents(piece.column("value")))
            absent.append(piece.column("value").is_null().to_numpy(zero_copy_only=False))
            tiers.append(self._coded(piece.column("tier")))
            for held, name in zip(flags, (f"{kind}_{n}" for kind in ("in", "out") for n in numbers), strict=True):
                held.append(piece.column(name).to_numpy(zero_copy_only=False))
        whole = _joined(keys, np.empty((0, 2), np.uint64))
        order = np.lexsort((whole[:, 1], whole[:, 0])).astype(np.uint32)
        self._first, self._second = whole[order, 0], whole[order, 1]
        del whole
        self.values = _joined(values, np.empty(0, np.int64))[order]
        self.absent = _joined(absent, np.empty(0, bool))[order]
        self._tier = _joined(tiers, np.empty(0, np.int16))[order]
        columns = [_joined(held, np.empty(0, bool))[order] for held in flags]
        self.wanted = dict(zip(numbers, columns[: len(numbers)], strict=True))
        self.held_out = dict(zip(numbers, columns[len(numbers) :], strict=True))

    def __len__(self) -> int:
        return len(self._first)

    def of_tier(self, tier: str) -> NDArray[np.bool_]:
        """Who is of this tier; "" is every tier."""
        return self._tier == self._tiers.get(tier, -2) if tier else np.ones(len(self), bool)

    def places(self, keys: pa.Array) -> NDArray[np.uint32]:
        """Where each of these member keys stands; raises FatalError for one that is not there."""
        asked = words(keys)
        order = np.argsort(asked[:, 0])  # in order, the search stays in the processor's cache
        found = np.empty(len(asked), np.int64)
        found[order] = np.searchsorted(self._first, asked[order, 0])
        while True:
            near = np.minimum(found, max(len(self) - 1, 0))
            wrong = self._second[near] != asked[:, 1] if len(self) else np.ones(len(asked), bool)
            if not wrong.any():
                return near.astype(np.uint32)
            if not len(self) or (self._first[near] != asked[:, 0])[wrong].any() or (found >= len(self)).any():
                raise FatalError("the work files don't belong together", remedy="run again; this is a defect, report it")
            found[wrong] += 1  # two keys with the same first half

    def _coded(self, tiers: pa.Array) -> NDArray[np.int16]:
        encoded = tiers.cast(pa.string()).dictionary_encode()
        known = [self._tiers.setdefault(one, len(self._tiers)) for one in encoded.dictionary.to_pylist()]
        codes = np.array([*known, -1], np.int16)
        coded: NDArray[np.int16] = codes[pc.fill_null(encoded.indices, len(known)).to_numpy(zero_copy_only=False)]
        return coded


def words(ids: pa.Array) -> NDArray[np.uint64]:
    """Rows of two words for a column of UUIDs (no nulls), which compare as the ids do."""
    storage = ids.storage if isinstance(ids, pa.ExtensionArray) else ids
    if not len(storage):
        return np.empty((0, 2), np.uint64)
    whole = np.frombuffer(storage.buffers()[1], ">u8", count=2 * len(storage), offset=16 * storage.offset)
    return whole.astype(np.uint64).reshape(-1, 2)


def cents(values: pa.Array) -> NDArray[np.int64]:
    """Hundredths of a column of decimal128(18, 2); anything where it is null."""
    if not len(values):
        return np.empty(0, np.int64)
    return np.frombuffer(values.buffers()[1], np.int64, count=2 * len(values), offset=16 * values.offset)[::2].copy()


def decimals(hundredths: NDArray[np.int64]) -> pa.Array:
    """The column of decimal128(18, 2) with these hundredths."""
    halves = np.stack([hundredths, hundredths >> 63], axis=1)
    return pa.Decimal128Array.from_buffers(pa.decimal128(18, 2), len(hundredths), [None, pa.py_buffer(halves)])


def _joined(parts: list[NDArray[Kind]], nothing: NDArray[Kind]) -> NDArray[Kind]:
    """The parts as one; they are let go."""
    whole = np.concatenate(parts) if parts else nothing
    parts.clear()
    return whole
