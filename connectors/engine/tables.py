"""DuckDB connections with the engine's limits, and the streams between DuckDB and piece files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa

from connectors.engine.files import private_folder
from connectors.engine.pieces import PIECE_ROWS, PieceWriter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def open_tables(work: Path, *, memory: str = "1200MB", threads: int = 2) -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB that spills into `work` (encrypted there) and keeps UUIDs as they are in Arrow."""
    spill = private_folder(work / "spill")
    connection = duckdb.connect()
    connection.execute(f"SET memory_limit = '{memory}'")
    connection.execute(f"SET threads = {int(threads)}")
    connection.execute(f"SET temp_directory = {quote(str(spill))}")
    connection.execute("SET temp_file_encryption = true")
    # DuckDB's own cipher calls itself unsafe for its random numbers, and the other one comes from the network. It keeps what is
    # spilled (digests, no contacts: those are joined in parts that fit) from being read in passing; the folder is its owner's.
    connection.execute("SET force_mbedtls_unsafe = 'true'")
    connection.execute("SET arrow_lossless_conversion = true")
    connection.execute("SET enable_progress_bar = false")
    return connection


def quote(text: str) -> str:
    """An SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def name(column: str) -> str:
    """An SQL identifier."""
    return '"' + column.replace('"', '""') + '"'


def stream(connection: duckdb.DuckDBPyConnection, query: str, rows: int = PIECE_ROWS) -> pa.RecordBatchReader:
    """The query's rows as Arrow batches; no other query may run on the connection until it is read."""
    return connection.sql(query).to_arrow_reader(rows)


def even(batches: Iterator[pa.RecordBatch], schema: pa.Schema, rows: int) -> Iterator[pa.RecordBatch]:
    """The same rows in batches of exactly `rows` (the last one may be shorter)."""
    held: list[pa.RecordBatch] = []
    count = 0
    for batch in batches:
        while count + batch.num_rows >= rows:
            taken = rows - count
            yield _joined([*held, batch.slice(0, taken)], schema)
            held, count, batch = [], 0, batch.slice(taken)
        if batch.num_rows:
            held.append(batch)
            count += batch.num_rows
    if count:
        yield _joined(held, schema)


def _joined(batches: list[pa.RecordBatch], schema: pa.Schema) -> pa.RecordBatch:
    whole = pa.Table.from_batches(batches, schema=schema).combine_chunks()
    return pa.RecordBatch.from_arrays([column.combine_chunks() for column in whole.columns], schema=schema)


def write_pieces(path: Path, reader: pa.RecordBatchReader, key: bytes | None, rows: int = PIECE_ROWS) -> int:
    """How many rows were written to the piece file at `path`, `rows` in each piece."""
    with PieceWriter(path, reader.schema, key) as writer:
        for batch in even(iter(reader), reader.schema, rows):
            writer.write(batch)
    return writer.rows


def fetch(connection: duckdb.DuckDBPyConnection, query: str) -> list[tuple[Any, ...]]:
    """All rows of a small result; the connection is free again."""
    return connection.execute(query).fetchall()


def number(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    """The one number that a query gives."""
    return int(fetch(connection, query)[0][0])
