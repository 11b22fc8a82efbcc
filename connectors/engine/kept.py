"""Judged values on disk between two passes over the members, so that nothing is normalised and hashed twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pyarrow as pa

from connectors.engine.digests import BINARY, WIDTH, binary_column
from connectors.engine.judged import Judged
from connectors.engine.pieces import Pieces, PieceWriter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

    from connectors.engine.identity_report import FieldReport
    from connectors.protocol import IdentifierField

SCHEMA = pa.schema([("person", pa.int64()), ("slot", pa.int64()), ("digest", BINARY), ("text", pa.large_string())])


class KeptValues:
    """Written one field of one chunk at a time, then read in the same order; sealed, and gone when the `with` block ends."""

    def __init__(self, path: Path, key: bytes) -> None:
        self._path, self._key = path, key
        self._writer = PieceWriter(path, SCHEMA, key, lasting=False)
        self._about: list[tuple[IdentifierField, FieldReport]] = []

    def __enter__(self) -> KeptValues:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is not None:
            self._writer.__exit__(kind, error, trace)
        self._path.unlink(missing_ok=True)

    def keep(self, one: Judged) -> None:
        """Nothing: the values are on disk."""
        rows = len(one.people)
        digests = pa.nulls(rows, BINARY) if one.digests is None else binary_column(one.digests, np.ones(rows, bool))
        columns = [
            pa.array(one.people),
            pa.nulls(rows, pa.int64()) if one.slots is None else pa.array(one.slots),
            digests,
            pa.nulls(rows, pa.large_string()) if one.text is None else one.text.to_arrow().cast(pa.large_string()),
        ]
        self._writer.write(pa.RecordBatch.from_arrays(columns, schema=SCHEMA))
        self._about.append((one.field, one.counts))

    def again(self) -> Iterator[Judged]:
        """The values as they were kept; to be called once, when all are."""
        self._writer.__exit__(None)
        pieces = Pieces(self._path, self._key)
        for (field, counts), piece in zip(self._about, pieces, strict=True):
            people, slots, digests, text = piece.columns
            rows = None
            if field.hashed:
                rows = np.frombuffer(digests.buffers()[1] or b"", np.uint8, count=WIDTH * len(digests)).reshape(-1, WIDTH)
            yield Judged(
                field,
                people.to_numpy(),
                None if slots.null_count else slots.to_numpy(),
                rows,
                None if field.hashed else pl.Series(values=text, dtype=pl.String),
                counts,
            )
