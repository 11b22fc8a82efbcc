"""What a platform holds as far as we know: immutable files of the rows sent, and how a delivery changes them.

Columns: member_key, row_digest, value, sent_on, `state` (0 there, 1 maybe there, 2 refused by the platform), identifiers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from connectors.engine.files import spare_name
from connectors.engine.pieces import Pieces, PieceWriter
from connectors.engine.tables import fetch, name, quote, stream

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import duckdb

    from connectors.protocol import Recipe

THERE, MAYBE, REFUSED, UNTOUCHED = 0, 1, 2, 3
BASE = ("member_key", "row_digest", "value", "sent_on", "state")
EMPTY = (
    "SELECT CAST(NULL AS UUID) AS member_key, CAST(NULL AS UUID) AS row_digest, CAST(NULL AS DECIMAL(18, 2)) AS value, "
    "CAST(NULL AS DATE) AS sent_on, CAST(NULL AS UTINYINT) AS state WHERE false"
)


def attach(connection: duckdb.DuckDBPyConnection, view: str, path: Path | None, key: bytes | None) -> None:
    """Nothing: the snapshot (None: an empty one) is the view. A sealed one is streamed: attach it anew for each query."""
    connection.execute(f"DROP VIEW IF EXISTS {name(view)}")
    if path is None:
        connection.execute(f"CREATE TEMP VIEW {name(view)} AS {EMPTY}")
    elif path.suffix == ".pieces":
        connection.register(view, Pieces(path, key).reader())
    else:
        connection.execute(f"CREATE TEMP VIEW {name(view)} AS SELECT * FROM read_parquet({quote(str(path))})")


def write_snapshot(
    connection: duckdb.DuckDBPyConnection, query: str, folder: Path, stem: str, key: bytes | None
) -> tuple[Path, int]:
    """The spare file (Parquet, or sealed pieces when a key is given) with the query's rows, and how many aren't refused."""
    reader = stream(connection, query)
    if key:
        path = folder / f"{stem}.pieces"
        with PieceWriter(path, reader.schema, key) as writer:
            rows = 0
            for batch in reader:
                writer.write(batch)
                rows += _members(batch)
        return path, rows
    import pyarrow.parquet as pq

    spare, rows = spare_name(folder / f"{stem}.parquet").with_suffix(".parquet"), 0
    with pq.ParquetWriter(spare, reader.schema, compression="none", use_dictionary=["value", "sent_on", "state"]) as file:
        for batch in reader:
            file.write_batch(batch)
            rows += _members(batch)
    return spare, rows


def _members(batch: pa.RecordBatch) -> int:
    return int(pc.sum(pc.not_equal(batch.column("state"), REFUSED)).as_py() or 0)


def aligned(connection: duckdb.DuckDBPyConnection, view: str, columns: Sequence[pa.Field]) -> str:
    """SQL: the view's rows with exactly these identifier columns, null where the snapshot is older than a column."""
    have = {str(row[0]) for row in fetch(connection, f"DESCRIBE {name(view)}")}
    held = [name(one.name) if one.name in have else f"CAST(NULL AS {sql_type(one)}) AS {name(one.name)}" for one in columns]
    return f"SELECT {', '.join([*BASE, *held])} FROM {name(view)}"


def sql_type(column: pa.Field) -> str:
    """DuckDB's type of an identifier column."""
    return "VARCHAR" if pa.types.is_string(column.type) else "BLOB"


def recipe_fields(recipe: Recipe) -> list[pa.Field]:
    """The Arrow fields of a recipe's columns: binary digests or text."""
    hashed = {column: one.hashed for one in recipe.fields for column in one.columns()}
    return [pa.field(one, pa.binary() if hashed[one] else pa.string()) for one in recipe.columns()]
