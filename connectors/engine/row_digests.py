"""One digest per identifier row: what the diff compares."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pyarrow as pa

from connectors.engine.tables import name

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb


def row_digests(connection: duckdb.DuckDBPyConnection, identifiers: pa.Table) -> pa.Array:
    """16 bytes per row, as UUID: what the diff compares. Nulls leave no mark, so a new empty column changes nothing.

    MD5 tells rows apart here, nothing more: what it is fed are SHA-256 digests of identifiers.
    """
    held = [one for one in identifiers.schema.names if identifiers[one].null_count < identifiers.num_rows]
    identifiers = identifiers.select(held or identifiers.schema.names[:1])
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
