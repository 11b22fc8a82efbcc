"""What a person uploaded last, and what changed since: a copy of the list in `uploaded/`, and two more lists beside it.

After an upload the person copies the list into `uploaded/`. From then on `<list>.remove.csv` holds the rows to remove at the
platform and `<list>.add.csv` those to add after it: new ones, those with another value, and those that share an identifier
with a removed row, since a platform removes people and not rows.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass

import duckdb

from connectors.errors import ConfigurationError
from connectors.file.lists import ROWS_AT_ONCE, MemberList

FOLDER = "uploaded"


@dataclass(frozen=True, slots=True)
class Difference:
    """Rows to add and to remove at the platform; `stamp` tells one upload (or none: 0) from another."""

    stamp: int = 0
    add: int = 0
    remove: int = 0
    unread: bool = False  # the copy is not the list as it was written


class Uploads:
    """The last upload of one list."""

    def __init__(self, member_list: MemberList) -> None:
        self._list, path = member_list, member_list.path
        self.copy = path.parent / FOLDER / path.name
        self.adding, self.removing = path.with_suffix(".add.csv"), path.with_suffix(".remove.csv")

    def stamp(self) -> int:
        """When the copy was put there, in nanoseconds; 0 when there is none."""
        return self.copy.stat().st_mtime_ns if self.copy.is_file() else 0

    def compare(self) -> Difference:
        """What changed since the upload; the two lists are written anew, or taken away where there is nothing for them."""
        stamp = self.stamp()
        if not stamp:
            self.adding.unlink(missing_ok=True)
            self.removing.unlink(missing_ok=True)
            return Difference()
        spill = self.copy.with_suffix(".spill")
        spill.mkdir(mode=0o700, exist_ok=True)
        try:
            with duckdb.connect() as connection:
                connection.execute(f"SET temp_directory = '{str(spill).replace(chr(39), chr(39) * 2)}'")
                connection.execute("SET temp_file_encryption = true")
                connection.execute("SET force_mbedtls_unsafe = 'true'")  # else spilling fails: see engine/tables.py
                connection.execute("SET enable_progress_bar = false")
                return self._compare(connection, stamp)
        except (ConfigurationError, duckdb.Error, UnicodeDecodeError):  # saved by a spreadsheet, or another file
            return Difference(stamp, unread=True)
        finally:
            shutil.rmtree(spill, ignore_errors=True)

    def _compare(self, connection: duckdb.DuckDBPyConnection, stamp: int) -> Difference:
        mine, mark, finding = self._list, self._list.mark(), self._list.finding()
        connection.execute(f"CREATE TEMP TABLE now AS {mine.rows()}")
        connection.execute(f"CREATE TEMP TABLE before AS {mine.rows(self.copy)}")
        connection.execute(f"CREATE TEMP TABLE gone AS SELECT * FROM before WHERE {mark} NOT IN (SELECT {mark} FROM now)")
        union = " UNION ALL ".join(f"SELECT {one} AS id FROM gone WHERE {one} IS NOT NULL" for one in finding)
        connection.execute(f"CREATE TEMP TABLE ids AS SELECT DISTINCT id FROM ({union})")
        taken_along = " OR ".join(f"coalesce({one} IN (SELECT id FROM ids), false)" for one in finding)
        line = mine.line()
        fresh = f"SELECT {line} FROM now WHERE {line} NOT IN (SELECT {line} FROM before) OR {taken_along}"
        bare = MemberList(mine.path, mine.format, weighted=False)
        lines = {self.adding: (mine, fresh), self.removing: (bare, f"SELECT {bare.line()} FROM gone")}
        counts = []
        for path, (writer, query) in lines.items():
            rows = writer.replace(iter(connection.sql(query).to_arrow_reader(ROWS_AT_ONCE)), path)
            if not rows:
                path.unlink()
            counts.append(rows)
        return Difference(stamp, counts[0], counts[1])

    def retire(self) -> None:
        """Nothing: the list is no more, and everybody uploaded is in the list of those to remove."""
        self.adding.unlink(missing_ok=True)
        if self.copy.is_file():
            os.replace(self.copy, self.removing)
