"""Members' identifiers for one recipe, made once however many audiences want them."""

from __future__ import annotations

import hashlib
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from connectors.engine.identity import IdentityReport, count_shared, identify_batches
from connectors.engine.kept import KeptValues
from connectors.engine.pieces import PieceWriter
from connectors.engine.snapshots import recipe_fields
from connectors.engine.tables import name, open_tables

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    import duckdb

    from connectors.engine.identity import IdentityRules
    from connectors.engine.members import Members
    from connectors.protocol import Recipe

THREADS = 2


@dataclass
class Identified:
    """Piece file of member_key, row_digest and the recipe's columns, and what became of every identifier."""

    path: Path
    columns: tuple[str, ...]
    rows: int
    report: IdentityReport


def identify_members(members: Members, recipe: Recipe, rules: IdentityRules) -> Identified:
    """All members identified as the recipe says, in chunks, by THREADS at a time; flat memory."""
    mark = hashlib.blake2b(f"{recipe!r} {rules!r}".encode(), digest_size=8).hexdigest()
    path = members.work / f"identified-{mark}.pieces"
    report = IdentityReport()
    schema = pa.schema([pa.field("member_key", pa.uuid()), pa.field("row_digest", pa.uuid()), *recipe_fields(recipe)])
    connection = open_tables(members.work)
    try:
        with KeptValues(members.work / f"judged-{mark}.pieces", members.key) as kept:
            shared = count_shared(members.pieces(), recipe, rules, kept.keep, threads=THREADS)
            known = kept.again() if rules.shared_limit else None
            begun: deque[pa.RecordBatch] = deque()
            pieces = _noted(members.pieces(), begun)
            with PieceWriter(path, schema, members.key, lasting=False) as writer:
                for found in identify_batches(pieces, recipe, rules, report, threads=THREADS, shared=shared, known=known):
                    piece = begun.popleft()
                    if found.num_rows:
                        writer.write(_keyed(connection, found, piece, schema))
    finally:
        connection.close()
    return Identified(path, recipe.columns(), writer.rows, report)


def _noted(pieces: Iterable[pa.RecordBatch], begun: deque[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The pieces; each waits in `begun` for what becomes of it."""
    for piece in pieces:
        begun.append(piece)
        yield piece


def _keyed(
    connection: duckdb.DuckDBPyConnection, found: pa.RecordBatch, piece: pa.RecordBatch, schema: pa.Schema
) -> pa.RecordBatch:
    member = piece.column("member_key").take(pc.index_in(found.column("customer_id"), value_set=piece.column("customer_id")))
    columns = [found.column(one.name).cast(one.type) for one in list(schema)[2:]]
    digests = row_digests(connection, pa.table(columns, schema=pa.schema(list(schema)[2:])))
    return pa.RecordBatch.from_arrays([member, digests, *columns], schema=schema)


def row_digests(connection: duckdb.DuckDBPyConnection, identifiers: pa.Table) -> pa.Array:
    """16 bytes per row, as UUID: what the diff compares. Nulls leave no mark, so a new empty column changes nothing.

    MD5 tells rows apart here, nothing more: what it is fed are SHA-256 digests of identifiers.
    """
    connection.register("identifiers", identifiers)
    try:
        content = digest_input(identifiers.schema.names, identifiers.schema.types)
        query = f"SELECT CAST(md5({content}) AS UUID) AS d FROM identifiers"
        return connection.sql(query).to_arrow_table()["d"].combine_chunks()
    finally:
        connection.unregister("identifiers")


def digest_input(names: Sequence[str], types: Sequence[pa.DataType]) -> str:
    """SQL text of the bytes that are digested: per identifier that is there a mark of its column, then 32 or 16 bytes."""
    parts = []
    for one, kind in zip(names, types, strict=True):
        mark = hashlib.blake2b(one.encode(), digest_size=4).hexdigest()
        tag = "".join(f"\\x{mark[place : place + 2]}" for place in range(0, 8, 2))
        content = f"unhex(md5({name(one)}))" if pa.types.is_string(kind) else name(one)
        parts.append(f"coalesce('{tag}'::BLOB || {content}, ''::BLOB)")
    return " || ".join(parts)
