"""Which members each audience selects: one pass over the members, the SQL conditions evaluated where no file can be reached."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from connectors.engine.holdout import held_out, salt_of
from connectors.engine.pieces import PIECE_ROWS, Pieces, PieceWriter
from connectors.engine.tables import name, number, open_tables, quote
from connectors.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from connectors.engine.audience import AudienceRequest
    from connectors.engine.ledger import Ledger
    from connectors.engine.members import Members

VALUE = "CAST(round(CASE WHEN isfinite(CAST(seed_value AS DOUBLE)) THEN seed_value END, 2) AS DECIMAL(18, 2))"


def memberships(members: Members, requests: Sequence[AudienceRequest], ledger: Ledger) -> pa.Table:
    """Who is wanted where, for tables that leave the engine: `member_key` and `audiences` (list of keys, in config's order).

    The very selection that a push is made of: after consent, suppression, erasure and holdout; people of no audience have an
    empty list, people who may not be sent have no row.
    """
    path = select_members(members, requests, ledger, "memberships")
    names = pa.array([one.key for one in requests], pa.string())
    keys, lists = [], []
    for piece in Pieces(path, members.key):
        chosen = [
            pc.and_not(*(piece.column(f"{kind}_{n}").cast(pa.bool_()) for kind in ("in", "out"))).to_numpy(zero_copy_only=False)
            for n in range(len(requests))
        ]
        mask = np.stack(chosen, axis=1) if chosen else np.zeros((piece.num_rows, 0), bool)
        offsets = np.concatenate(([0], np.cumsum(mask.sum(axis=1)))).astype(np.int32)
        keys.append(piece.column("member_key"))
        lists.append(pa.ListArray.from_arrays(pa.array(offsets), names.take(pa.array(np.nonzero(mask)[1]))))
    path.unlink()
    held = [pa.chunked_array(keys, pa.uuid()), pa.chunked_array(lists, pa.list_(pa.string()))]
    return pa.table(held, names=["member_key", "audiences"])


def select_members(members: Members, requests: Sequence[AudienceRequest], ledger: Ledger, file: str = "selection") -> Path:
    """A piece file: member_key, tier, value, and per request number n `in_n` (selected) and `out_n` (held out of it).

    Raises ConfigurationError for a condition that is not one SQL expression over the columns of scores and contacts.
    """
    path = members.work / f"{file}.pieces"
    connection = _closed(members.work)
    try:
        connection.register("members", members.pieces().reader())
        chosen = [f", coalesce({_condition(connection, one)}, false) AS in_{n}" for n, one in enumerate(requests)]
        query = f"SELECT member_key, customer_id, tier, {VALUE} AS value{''.join(chosen)} FROM members"
        _write(path, connection.sql(query).to_arrow_reader(PIECE_ROWS), requests, ledger, members.key)
    except duckdb.Error as error:
        raise ConfigurationError(f"an audience's condition can't be evaluated: {_first_line(error)}") from None
    finally:
        connection.close()
    return path


def check_condition(request: AudienceRequest, columns: pa.Schema) -> None:
    """Nothing; raises ConfigurationError when `where` is not one expression over these columns."""
    connection = _closed()
    try:
        blank = pa.table([pa.nulls(1, one.type) for one in columns], schema=columns)
        connection.register("members", blank)
        connection.sql(f"SELECT {_condition(connection, request)} FROM members").fetchall()
    except duckdb.Error as error:
        raise _unusable(request, error) from None
    finally:
        connection.close()


def count_selected(request: AudienceRequest, scores: pa.Table, contacts: pa.Table) -> int:
    """How many scored customers the request's tiers, stages and condition select, before consent and holdout."""
    connection = _closed()
    try:
        connection.register("scores", scores)
        connection.register("contacts", contacts)
        given = ", ".join(f"c.{name(one)}" for one in contacts.column_names if one not in scores.column_names)
        joined = f"SELECT s.*, {given} FROM scores s LEFT JOIN contacts c ON c.customer_id = s.customer_id"
        connection.execute(f"CREATE TEMP VIEW members AS {joined}")
        return number(connection, f"SELECT count(*) FROM members WHERE {_condition(connection, request)}")
    except duckdb.Error as error:
        raise _unusable(request, error) from None
    finally:
        connection.close()


def _closed(work: Path | None = None) -> duckdb.DuckDBPyConnection:
    """A connection from which no file can be reached; what is too large for memory is spilled into `work`, encrypted."""
    connection = open_tables(work) if work else duckdb.connect(config={"memory_limit": "1200MB"})
    for setting in ("python_enable_replacements = false", "enable_external_access = false", "arrow_lossless_conversion = true"):
        connection.execute(f"SET {setting}")
    connection.execute("SET lock_configuration = true")
    return connection


def _condition(connection: duckdb.DuckDBPyConnection, request: AudienceRequest) -> str:
    parts = []
    for column, values in (("tier", request.tiers), ("lifecycle_stage", request.stages)):
        if values:
            parts.append(f"{column} IN ({', '.join(quote(value) for value in values)})")
    if request.where.strip():
        try:
            parts.append(f"({duckdb.SQLExpression(request.where)})")
            connection.sql(f"SELECT {parts[-1]} AND true FROM members")
        except duckdb.Error as error:
            raise _unusable(request, error) from None
    return " AND ".join(parts) or "true"


def _unusable(request: AudienceRequest, error: Exception) -> ConfigurationError:
    return ConfigurationError(
        f"the condition of audience {request.key} is not usable: {_first_line(error)}",
        remedy="write one SQL expression over the columns of scores and contacts",
    )


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:300]


def _write(path: Path, reader: pa.RecordBatchReader, requests: Sequence[AudienceRequest], ledger: Ledger, key: bytes) -> None:
    kept = [one for one in reader.schema.names if one != "customer_id"]
    fields = [reader.schema.field(one) for one in kept]
    fields += [pa.field(f"out_{n}", pa.bool_()) for n in range(len(requests))]
    salts = [salt_of(ledger, one.key) for one in requests]
    with PieceWriter(path, pa.schema(fields), key) as writer:
        for batch in reader:
            ids = batch.column("customer_id").to_pylist() if any(one.holdout for one in requests) else []
            columns = [batch.column(one) for one in kept]
            for salt, request in zip(salts, requests, strict=True):
                out = held_out(ids, salt, request.holdout) if request.holdout else [False] * batch.num_rows
                columns.append(pa.array(out, pa.bool_()))
            writer.write(pa.RecordBatch.from_arrays(columns, schema=writer.schema))
