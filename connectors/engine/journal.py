"""The SQLite journal: one connection, one lock, durable transactions (WAL, synchronous FULL), migrations."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from connectors.engine import marks
from connectors.errors import FatalError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE runs (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, started_at TEXT NOT NULL, finished_at TEXT,
        exit_code INTEGER, summary TEXT);
    CREATE TABLE audiences (id INTEGER PRIMARY KEY, platform TEXT NOT NULL, account TEXT NOT NULL, key TEXT NOT NULL,
        name TEXT NOT NULL DEFAULT '', remote_id TEXT NOT NULL DEFAULT '', path TEXT NOT NULL DEFAULT '',
        snapshot TEXT NOT NULL DEFAULT '', snapshot_digest TEXT NOT NULL DEFAULT '', rows INTEGER NOT NULL DEFAULT 0,
        generation INTEGER NOT NULL DEFAULT 0, last_edit_at TEXT, last_replace_at TEXT, escalated TEXT NOT NULL DEFAULT '',
        spec TEXT NOT NULL DEFAULT '{}',
        created_at TEXT NOT NULL, updated_at TEXT NOT NULL, UNIQUE (platform, account, key));
    CREATE TABLE deliveries (id INTEGER PRIMARY KEY, audience INTEGER NOT NULL REFERENCES audiences, run INTEGER,
        kind TEXT NOT NULL, state TEXT NOT NULL, target TEXT NOT NULL, created_at TEXT NOT NULL, started_at TEXT,
        counts TEXT NOT NULL DEFAULT '{}');
    CREATE INDEX deliveries_open ON deliveries (audience) WHERE state <> 'closed';
    CREATE TABLE phases (delivery INTEGER NOT NULL REFERENCES deliveries, phase INTEGER NOT NULL, operation TEXT NOT NULL,
        file TEXT NOT NULL, digest TEXT NOT NULL, rows INTEGER NOT NULL, PRIMARY KEY (delivery, phase));
    CREATE TABLE batches (delivery INTEGER NOT NULL REFERENCES deliveries, phase INTEGER NOT NULL, position INTEGER NOT NULL,
        id TEXT NOT NULL, first_piece INTEGER NOT NULL, pieces INTEGER NOT NULL, rows INTEGER NOT NULL, state TEXT NOT NULL,
        accepted INTEGER NOT NULL DEFAULT 0, rejected TEXT NOT NULL DEFAULT '{}', refused_rows TEXT NOT NULL DEFAULT '{}',
        pending INTEGER NOT NULL DEFAULT 0, unknown INTEGER NOT NULL DEFAULT 0, reference TEXT NOT NULL DEFAULT '',
        detail TEXT NOT NULL DEFAULT '', sent_at TEXT, answered_at TEXT, sent_run INTEGER, answered_run INTEGER,
        PRIMARY KEY (delivery, phase, position));
    CREATE INDEX batches_pending ON batches (delivery) WHERE state = 'pending';
    CREATE TABLE lookalikes (audience INTEGER NOT NULL REFERENCES audiences, key TEXT NOT NULL, name TEXT NOT NULL,
        spec TEXT NOT NULL, seed TEXT NOT NULL, remote_id TEXT NOT NULL, made_at TEXT NOT NULL,
        PRIMARY KEY (audience, key));
    CREATE TABLE tombstones (member TEXT PRIMARY KEY, at TEXT NOT NULL);
    CREATE TABLE overrides (run INTEGER, platform TEXT, account TEXT, audience TEXT, guardrail TEXT, reason TEXT, at TEXT);
    CREATE TABLE holdouts (audience TEXT PRIMARY KEY, salt TEXT NOT NULL, share REAL NOT NULL, since TEXT NOT NULL);
    """,
    """
    CREATE TABLE signal_batches (id TEXT PRIMARY KEY, platform TEXT NOT NULL, account TEXT NOT NULL, rows INTEGER NOT NULL,
        state TEXT NOT NULL, accepted INTEGER NOT NULL DEFAULT 0, rejected TEXT NOT NULL DEFAULT '{}',
        pending INTEGER NOT NULL DEFAULT 0, unknown INTEGER NOT NULL DEFAULT 0, reference TEXT NOT NULL DEFAULT '',
        sent_at TEXT NOT NULL);
    CREATE TABLE signals (event TEXT PRIMARY KEY, batch TEXT NOT NULL REFERENCES signal_batches);
    CREATE INDEX signals_batch ON signals (batch);
    """,
    """
    ALTER TABLE lookalikes ADD COLUMN refreshed_at TEXT NOT NULL DEFAULT '';
    ALTER TABLE lookalikes ADD COLUMN path TEXT NOT NULL DEFAULT 'lookalike';
    """,
    """
    ALTER TABLE audiences ADD COLUMN left_at TEXT;
    """,
    """
    ALTER TABLE tombstones ADD COLUMN done_at TEXT;
    CREATE TABLE erasures (id INTEGER PRIMARY KEY, platform TEXT NOT NULL, account TEXT NOT NULL, file TEXT NOT NULL,
        rows INTEGER NOT NULL, at TEXT NOT NULL, detail TEXT NOT NULL DEFAULT '');
    """,
    """
    ALTER TABLE audiences ADD COLUMN shared TEXT NOT NULL DEFAULT '';
    """,
    """
    ALTER TABLE audiences ADD COLUMN seen TEXT NOT NULL DEFAULT '';
    """,
    "",  # the digests of rows, which are put on after every change of tables
    """
    CREATE TABLE sizes (audience INTEGER NOT NULL, day TEXT NOT NULL, remote_id TEXT NOT NULL, members INTEGER NOT NULL,
        lower INTEGER NOT NULL, PRIMARY KEY (audience, day));
    """,
)


class Journal:
    """The open journal. Every method is safe to call from several threads; a transaction is durable when it ends.

    `marked`: its rows carry a digest that is checked here. Raises FatalError when anything isn't as it was written.
    """

    def __init__(self, path: Path, *, created: bool, migrations: Sequence[str] = MIGRATIONS, marked: bool = True) -> None:
        self.path, self._migrations = path, migrations
        self._marked = marked
        self._lock = threading.RLock()
        self._depth = 0
        try:
            self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
            try:
                self._open(created)
            except BaseException:
                self._connection.close()
                raise
        except (sqlite3.OperationalError, OSError) as error:
            raise self._closed(str(error)) from error
        except sqlite3.DatabaseError as error:
            raise self._damaged(str(error)) from error
        except UnicodeDecodeError:
            raise self._damaged("its text can't be read") from None

    def _open(self, created: bool) -> None:
        """Nothing: the tables are there, sound, and of this version."""
        connection = self._connection
        connection.row_factory = sqlite3.Row
        self.path.chmod(0o600)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA secure_delete = ON")
        marks.teach(connection)
        found = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if found != "ok":
            raise self._damaged(found)
        if version == 0 and not created:
            raise self._damaged("it is empty")
        if version < len(self._migrations):
            self._migrate()
        elif version > len(self._migrations):
            raise FatalError("the state folder was written by a newer version", remedy="update clv-audience-sync")
        elif self._marked:
            self._check_rows()

    def _check_rows(self) -> None:
        try:
            table = marks.wrong(self._connection)
        except sqlite3.OperationalError:  # such as a column that has another name now
            raise self._damaged("its tables can't be read") from None
        if table:
            raise self._damaged(f"a row of {table} is not as it was written")

    def _closed(self, why: str) -> FatalError:
        return FatalError(
            f"the state folder can't be written: {self.path.name}: {why}",
            remedy="check that this user may write there, and that the disk has room and isn't mounted read-only",
        )

    def _damaged(self, why: str) -> FatalError:
        return FatalError(
            f"the journal {self.path.name} can't be trusted: {why}",
            remedy="restore the state folder from its backup; nothing was sent",
        )

    def _migrate(self) -> None:
        """Nothing: the tables are those of this version, all of them or, when the process dies, none."""
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])  # another process may have been faster
        scripts = self._migrations[version:]
        try:
            for statement in ";".join(scripts).split(";"):  # `executescript` would end the transaction
                connection.execute(statement)
            if scripts and self._marked:
                marks.put(connection)
            connection.execute(f"PRAGMA user_version = {max(version, len(self._migrations))}")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """The connection inside one durable transaction; nested uses join the outer one."""
        with self._lock:
            if self._depth:
                yield self._connection
                return
            self._depth += 1
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                try:
                    yield self._connection
                except BaseException:
                    self._connection.execute("ROLLBACK")
                    raise
                self.commit()
            finally:
                self._depth -= 1

    def commit(self) -> None:
        """Nothing: the open transaction is durable."""
        self._connection.execute("COMMIT")

    def write(self, statement: str, values: Sequence[Any] = ()) -> int:
        """The id of the last row, after one statement in a transaction of its own (or in the one that is open)."""
        with self.transaction() as connection:
            return int(connection.execute(statement, values).lastrowid or 0)

    def rows(self, query: str, values: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """All rows of a query."""
        with self._lock:
            return [dict(row) for row in self._connection.execute(query, values).fetchall()]

    def one(self, query: str, values: Sequence[Any] = ()) -> dict[str, Any] | None:
        """The first row of a query, or None."""
        with self._lock:
            row = self._connection.execute(query, values).fetchone()
            return dict(row) if row is not None else None

    def scrub(self) -> None:
        """Nothing: deleted rows have left the file and its write-ahead log."""
        with self._lock:
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._connection.execute("VACUUM")
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Nothing: the journal is closed."""
        with self._lock:
            self._connection.close()
