"""Scores by part: a table stays where it is and is picked from, a file is divided on disk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from connectors.engine.contact_book import check_once
from connectors.engine.parts import PARTS, PartWriter, parts_of
from connectors.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

BATCH_ROWS = 65_536


class ScoreParts:
    """The scored customers of some parts at a time; `schema` is that of the scores."""

    def __init__(self, scores: pa.Table | Path, work: Path, key: bytes) -> None:
        self._currencies: set[str] = set()
        if isinstance(scores, Path):
            self.schema, self._read = _from_file(scores, work / "scores.pieces", key)
        else:
            self.schema, self._read = scores.schema, _from_table(scores)

    def read(self, first: int, end: int) -> pa.Table:
        """The scores of the parts from `first` to before `end`; raises ConfigurationError when a customer has two."""
        found = self._read(first, end)
        check_once(found, "scores")
        self._currencies.update(pc.unique(found["currency"]).drop_null().to_pylist())
        return found

    def currency(self) -> str:
        """The currency of all that was read ("" when there is none); raises ConfigurationError when there are several."""
        if len(self._currencies) > 1:
            raise ConfigurationError(
                f"the scores mix the currencies {', '.join(sorted(self._currencies))}", remedy="convert orders by dated rates"
            )
        return next(iter(self._currencies), "")


def _from_table(scores: pa.Table) -> Callable[[int, int], pa.Table]:
    parts = parts_of(scores["customer_id"].combine_chunks())
    order = np.argsort(parts, kind="stable").astype(np.uint32)
    starts = np.concatenate(([0], np.cumsum(np.bincount(parts, minlength=PARTS))))
    return lambda first, end: scores.take(pa.array(order[starts[first] : starts[end]]))


def _from_file(path: Path, spare: Path, key: bytes) -> tuple[pa.Schema, Callable[[int, int], pa.Table]]:
    import pyarrow.parquet as pq

    file = pq.ParquetFile(path)
    with PartWriter(spare, file.schema_arrow, key) as writer:
        for batch in file.iter_batches(BATCH_ROWS):
            writer.write(batch)
    parts = writer.parts()
    return parts.schema, parts.read
