"""A list and what a batch does to it, in DuckDB: sets of rows, spilled to disk when large, the file replaced in one step."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

from connectors.errors import ConfigurationError
from connectors.protocol import Operation

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from connectors.file.formats import Format
    from connectors.protocol import Batch

ROWS_AT_ONCE = 50_000


@dataclass(frozen=True, slots=True)
class Written:
    """Rows now in the list, and rows of the batch that had nothing to find a person by."""

    rows: int
    empty: int


class MemberList:
    """One audience's CSV in one format."""

    def __init__(self, path: Path, format_: Format, *, weighted: bool) -> None:
        self.path, self.format, self.weighted = path, format_, weighted and bool(format_.value)
        self.columns = [*format_.recipe.columns(), *(["value"] if self.weighted else [])]

    def create(self) -> None:
        """Nothing: the list is there, with its header alone."""
        self.replace(iter(()))

    def apply(self, batch: Batch) -> Written:
        """The list after the batch. Adding replaces rows with the same identifiers; removing takes along every row that
        shares an identifier with a removed one, as the platforms do."""
        spill = self.path.with_suffix(".spill")
        spill.mkdir(mode=0o700, exist_ok=True)
        connection = duckdb.connect()
        try:
            connection.execute(f"SET temp_directory = {_quote(str(spill))}")
            connection.execute("SET temp_file_encryption = true")
            connection.execute("SET force_mbedtls_unsafe = 'true'")  # else spilling fails: see engine/tables.py
            connection.execute("SET enable_progress_bar = false")
            empty = self._load(connection, batch)
            keeps = batch.operation is not Operation.REPLACE or batch.sequence > 1
            query = f"SELECT {self.line()} FROM ({self._query(connection, batch.operation, keeps=keeps)})"
            rows = self.replace(iter(connection.sql(query).to_arrow_reader(ROWS_AT_ONCE)))
        finally:
            connection.close()
            shutil.rmtree(spill, ignore_errors=True)
        return Written(rows, empty)

    def _load(self, connection: duckdb.DuckDBPyConnection, batch: Batch) -> int:
        """How many rows of the batch find nobody; the others are in `incoming`, the list's own in `held`, as text."""
        names = ", ".join(f"{_name(one)} VARCHAR" for one in self.columns)
        connection.execute(f"CREATE TEMP TABLE incoming ({names})")
        for chunk in batch.chunks():
            connection.register("chunk", pa.Table.from_batches([chunk]))
            given = ", ".join(_text(chunk.schema, one) for one in self.columns)
            connection.execute(f"INSERT INTO incoming SELECT {given} FROM chunk")
            connection.unregister("chunk")
        anybody = " OR ".join(f"{one} IS NOT NULL" for one in self.finding())
        found = connection.execute(f"SELECT count(*) FILTER (NOT coalesce({anybody}, false)) FROM incoming").fetchone()
        connection.execute(f"DELETE FROM incoming WHERE NOT coalesce({anybody}, false)")
        connection.execute(f"CREATE TEMP TABLE held AS {self.rows()}")
        return int(found[0]) if found else 0

    def rows(self, path: Path | None = None) -> str:
        """SQL of the rows of the list (or of `path`, a copy of it) as text; one from before the audience had values, or from
        when it had, is read all the same."""
        path = path or self.path
        with path.open(encoding="utf-8-sig") as file:
            header = file.readline().rstrip("\r\n").split(",")
        weighted = header == self.format.header(weighted=True)
        if not weighted and header != self.format.header(weighted=False):
            raise ConfigurationError(
                f"{path.name} was written in another format",
                remedy="give each format an account_id of its own; in uploaded/ goes a copy of the list as it was written",
                platform="file",
            )
        empty = ", ".join(f"CAST(NULL AS VARCHAR) AS {_name(one)}" for one in self.columns)
        if not count(path):
            return f"SELECT {empty} LIMIT 0"
        columns = [*self.format.recipe.columns(), *(["value"] if weighted and self.format.value else [])]
        kinds = ", ".join(f"{_quote(one)}: 'VARCHAR'" for one in columns)
        options = f"header = false, skip = 1, auto_detect = false, delim = ',', quote = '\"', columns = {{{kinds}}}"
        chosen = ", ".join(_name(one) if one in columns else f"NULL AS {_name(one)}" for one in self.columns)
        return f"SELECT {chosen} FROM read_csv({_quote(str(path))}, {options})"

    def _query(self, connection: duckdb.DuckDBPyConnection, operation: Operation, *, keeps: bool) -> str:
        if operation is Operation.REMOVE:
            finding = self.finding()
            union = " UNION ALL ".join(f"SELECT {one} AS id FROM incoming WHERE {one} IS NOT NULL" for one in finding)
            connection.execute(f"CREATE TEMP TABLE gone AS SELECT DISTINCT id FROM ({union})")
            hit = " OR ".join(f"coalesce({one} IN (SELECT id FROM gone), false)" for one in finding)
            return f"SELECT * FROM held WHERE NOT ({hit})"
        mark = self.mark()
        once = f"SELECT * FROM incoming QUALIFY row_number() OVER (PARTITION BY {mark}) = 1"
        if not keeps:
            return once
        return f"SELECT * FROM held WHERE {mark} NOT IN (SELECT {mark} FROM incoming) UNION ALL ({once})"

    def mark(self) -> str:
        """A row's identifiers as one digest, whatever its value."""
        cells = ", ".join(f"coalesce({_name(one)}, '')" for one in self.format.recipe.columns())
        return f"md5(concat_ws('|', {cells}))"

    def finding(self) -> list[str]:
        """SQL of everything that finds a person: single identifiers, or parts that only together do."""
        found: dict[str, None] = {}
        for one in self.format.recipe.fields:
            if one.identifies and one.requires:
                found[" || '|' || ".join(_name(part) for part in sorted((one.name, *one.requires)))] = None
            elif one.identifies:
                found.update({_name(column): None for column in one.columns()})
        return list(found)

    def replace(self, batches: Iterator[pa.RecordBatch], path: Path | None = None) -> int:
        """How many rows the new file (`path`, else the list) has; the old one is there until the new one is whole."""
        target = path or self.path
        spare = target.with_suffix(".tmp")
        rows = 0
        try:
            with os.fdopen(os.open(spare, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write((",".join(self.format.header(weighted=self.weighted)) + "\n").encode())
                for batch in batches:
                    rows += batch.num_rows
                    file.write("".join(line + "\n" for line in batch.column(0).to_pylist()).encode())
                file.flush()
                os.fsync(file.fileno())
            spare.replace(target)
        finally:
            spare.unlink(missing_ok=True)
        return rows

    def line(self) -> str:
        """SQL of a row as a line of CSV; only cells that need quotes have them (upload pages read digests bare)."""
        hashed = {name for one in self.format.recipe.fields if one.hashed for name in one.columns()}
        cells = [f"coalesce({_name(one)}, '')" if one in hashed else _quoted(_name(one)) for one in self.columns]
        return f"array_to_string([{', '.join(cells)}], ',')"


def count(path: Path) -> int:
    """Rows in a list."""
    with path.open("rb") as file:
        return max(0, sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b"")) - 1)


def _name(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'


def _quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _quoted(cell: str) -> str:
    quotes = f"'\"' || replace({cell}, '\"', '\"\"') || '\"'"
    return f"CASE WHEN regexp_matches({cell}, '[,\"\\r\\n]') THEN {quotes} ELSE coalesce({cell}, '') END"


def _text(schema: pa.Schema, column: str) -> str:
    """A column of a batch as text: digests in lower-case hex; one that the batch doesn't have is empty."""
    if column not in schema.names:
        return "NULL"
    kind = schema.field(column).type
    binary = pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind)
    return f"lower(hex({_name(column)}))" if binary else f"CAST({_name(column)} AS VARCHAR)"
