"""The rows that an audience should have on an account: identified members, one row per distinct set of identifiers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from connectors.engine.pieces import PIECE_ROWS, Pieces, PieceWriter
from connectors.engine.tables import even, name, open_tables, quote, stream

if TYPE_CHECKING:
    from decimal import Decimal
    from pathlib import Path

    from connectors.engine.identified import Identified
    from connectors.engine.members import Members
    from connectors.protocol import AudienceSpec

_ODD = np.uint64(0x9E3779B97F4A7C15)


@dataclass
class Wanted:
    """One audience's rows: piece file of member_key, row_digest, `value` (null where none travels) and the identifiers."""

    path: Path
    key: bytes
    columns: tuple[str, ...]
    rows: int = 0
    people: int = 0
    held_out: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    """Of those selected: no_identifier, no_value, negative_value (people), same_identifiers (rows merged into another's)."""
    target: str = ""
    largest_value: Decimal | None = None

    def pieces(self) -> Pieces:
        """The rows."""
        return Pieces(self.path, self.key)


class WantedRows:
    """Makes the wanted rows of every audience from one selection and the identified members."""

    def __init__(self, members: Members, selection: Path) -> None:
        self._key = members.key
        self._connection = open_tables(members.work)
        self._connection.register("selected", Pieces(selection, members.key).reader())
        self._connection.execute("CREATE TABLE selection AS SELECT * FROM selected")
        self._connection.unregister("selected")
        self._prepared: dict[Path, str] = {}

    def close(self) -> None:
        """Nothing: the tables are gone."""
        self._connection.close()

    def make(self, number: int, spec: AudienceSpec, identified: Identified, path: Path) -> Wanted:
        """The rows of request `number` as `spec` (one tier of it, with or without values), written to `path`."""
        suffix = self._prepare(identified)
        wanted = Wanted(path, self._key, identified.columns)
        merged = self._choose(number, spec, wanted, suffix)
        held = ", ".join(f"i.{name(one)}" for one in identified.columns)
        first = ", ".join(f"arg_min(i.{name(one)}, i.member_key) AS {name(one)}" for one in identified.columns)
        query = (
            f"SELECT i.member_key, i.row_digest, s.value, {held} FROM once i JOIN chosen s USING (member_key) "
            f"WHERE i.row_digest NOT IN (SELECT row_digest FROM doubles{suffix})"
        )
        if merged:
            query += (
                f" UNION ALL SELECT min(i.member_key), i.row_digest, max(s.value), {first} FROM again i "
                f"JOIN chosen s USING (member_key) WHERE i.row_digest IN (SELECT row_digest FROM doubles{suffix}) "
                "GROUP BY i.row_digest"
            )
        for view in ("once", "again"):
            self._connection.register(view, Pieces(identified.path, self._key).reader())
        write_wanted(wanted, stream(self._connection, query))
        for view in ("once", "again"):
            self._connection.unregister(view)
        return wanted

    def _prepare(self, identified: Identified) -> str:
        if identified.path not in self._prepared:
            suffix = f"_{len(self._prepared)}"
            self._connection.register("whole", Pieces(identified.path, self._key).reader())
            self._connection.execute(f"CREATE TABLE rows{suffix} AS SELECT member_key, row_digest FROM whole")
            self._connection.unregister("whole")
            self._connection.execute(
                f"CREATE TABLE doubles{suffix} AS SELECT row_digest FROM rows{suffix} GROUP BY row_digest HAVING count(*) > 1"
            )
            self._connection.execute(f"CREATE TABLE present{suffix} AS SELECT DISTINCT member_key FROM rows{suffix}")
            self._prepared[identified.path] = suffix
        return self._prepared[identified.path]

    def _choose(self, number: int, spec: AudienceSpec, wanted: Wanted, suffix: str) -> bool:
        tier = f"AND s.tier = {quote(spec.tier)}" if spec.tier else ""
        value = "s.value" if spec.value_weighted else "CAST(NULL AS DECIMAL(18, 2))"
        usable = "s.value >= 0" if spec.value_weighted else "true"
        self._connection.execute(
            f"CREATE OR REPLACE TEMP TABLE candidates AS SELECT s.member_key, {value} AS value, s.out_{number} AS held, "
            f"coalesce({usable}, false) AS usable, s.value IS NULL AS valueless, p.member_key IS NOT NULL AS present "
            f"FROM selection s LEFT JOIN present{suffix} p USING (member_key) WHERE s.in_{number} {tier}"
        )
        counts = self._one(
            "SELECT count(*) FILTER (held) AS held, count(*) FILTER (NOT held AND NOT present) AS no_identifier, "
            "count(*) FILTER (NOT held AND present AND NOT usable AND valueless) AS no_value, "
            "count(*) FILTER (NOT held AND present AND NOT usable AND NOT valueless) AS negative_value, "
            "count(*) FILTER (NOT held AND present AND usable) AS people FROM candidates"
        )
        self._connection.execute(
            "CREATE OR REPLACE TEMP TABLE chosen AS SELECT member_key, value FROM candidates "
            "WHERE NOT held AND present AND usable"
        )
        doubled = self._one(
            f"SELECT coalesce(sum(n - 1), 0)::BIGINT AS merged, count(*) AS groups FROM (SELECT row_digest, count(*) AS n "
            f"FROM rows{suffix} r WHERE row_digest IN (SELECT row_digest FROM doubles{suffix}) "
            f"AND member_key IN (SELECT member_key FROM chosen) GROUP BY row_digest)"
        )
        wanted.held_out, wanted.people = counts.pop("held"), counts.pop("people")
        counts["same_identifiers"] = doubled["merged"]
        wanted.dropped = {reason: count for reason, count in counts.items() if count}
        return bool(doubled["groups"])

    def _one(self, query: str) -> dict[str, Any]:
        return dict(self._connection.sql(query).to_arrow_table().to_pylist()[0])


def write_wanted(wanted: Wanted, reader: pa.RecordBatchReader) -> None:
    """Nothing: the reader's rows are in the piece file, and `wanted` has their number, mark and largest value."""
    mark = np.zeros(2, np.uint64)
    largest: Decimal | None = None
    with PieceWriter(wanted.path, reader.schema, wanted.key) as writer:
        for batch in even(iter(reader), reader.schema, PIECE_ROWS):
            writer.write(batch)
            mark ^= _mark(batch)
            top = pa.compute.max(batch.column("value")).as_py()
            largest = top if largest is None else max(largest, top or largest)
    wanted.rows, wanted.largest_value = writer.rows, largest
    wanted.target = f"{writer.rows}-{int(mark[0]):016x}{int(mark[1]):016x}"


def _mark(batch: pa.RecordBatch) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """Two words that depend on the rows and values of a batch, whatever their order."""
    digests = batch.column("row_digest").storage
    words = np.frombuffer(digests.buffers()[1], np.uint64)[2 * digests.offset : 2 * (digests.offset + len(digests))].reshape(
        -1, 2
    )
    values = pa.compute.fill_null(batch.column("value"), -1).to_numpy(zero_copy_only=False)
    cents = (values.astype(np.float64) * 100).round().astype(np.int64).astype(np.uint64)
    mixed = np.stack([words[:, 0] ^ (cents * _ODD), (words[:, 1] + cents) * _ODD], axis=1)
    mark: np.ndarray[Any, np.dtype[np.uint64]] = np.bitwise_xor.reduce(mixed, axis=0)
    return mark
