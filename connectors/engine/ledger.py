"""The state folder: journal, snapshots, deliveries, the key of the member hash and the run lock."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from connectors.engine import seals
from connectors.engine.files import file_digest, private_folder, settle_file, write_private
from connectors.engine.journal import Journal
from connectors.errors import FatalError, LockedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    import pyarrow as pa

    from connectors.engine.audience import Place

_MISSING = "the state folder has {have} but no {lack}"
_RESTORE = "restore the state folder from its backup; an empty one would forget who was sent"


def _no_more(old: bytes | None, key: bytes | None) -> None:
    """Nothing: there is nothing beside the ledger."""


class Ledger:
    """What was sent, to where, and what the platforms said. `key` seals snapshots and deliveries at rest.

    It is the key that the folder is sealed with now; the wanted one takes its place when a run begins.
    """

    def __init__(
        self,
        folder: Path,
        key: bytes | None,
        old: bytes | None = None,
        also: Callable[[bytes | None, bytes | None], None] = _no_more,
    ) -> None:
        self.folder, self.key = private_folder(folder), key
        self._wanted_key, self._also = key, also
        self.snapshots = private_folder(folder / "snapshots")
        self.deliveries = private_folder(folder / "deliveries")
        path = folder / "journal.sqlite"
        sent = any(self.snapshots.iterdir())
        if sent and not path.exists():
            raise FatalError(_MISSING.format(have="snapshots", lack="journal"), remedy=_RESTORE)
        # the salt comes right after the journal: without it, a first run ended (a full disk) before there was anything
        self.journal = Journal(path, created=not path.exists() or not (sent or (folder / "salt").exists()))
        self._held = False
        self._salt = self._read_salt()
        self.key = seals.key_in_use(self.folder, key, old)

    def _read_salt(self) -> bytes:
        path = self.folder / "salt"
        if not path.exists():
            if self.journal.one("SELECT 1 FROM audiences LIMIT 1") or self.journal.one("SELECT 1 FROM tombstones LIMIT 1"):
                raise FatalError(_MISSING.format(have="a journal", lack="salt file"), remedy=_RESTORE)
            write_private(path, os.urandom(32))
        salt = path.read_bytes()
        if len(salt) != 32:
            raise FatalError("the state folder's salt file is damaged", remedy=_RESTORE)
        self._check_salt(salt)
        return salt

    def _check_salt(self, salt: bytes) -> None:
        """Nothing: the salt is the one that the journal was begun with; with another one the erased would come back."""
        digest = hashlib.blake2b(salt, digest_size=4, person=b"clvsync-salt").digest()
        mark = int.from_bytes(digest, "big") >> 1 or 1
        known = (self.journal.one("PRAGMA application_id") or {}).get("application_id", 0)
        if not known:
            self.journal.write(f"PRAGMA application_id = {mark}")
        elif known != mark:
            raise FatalError("the state folder's salt file is not the one that its journal was begun with", remedy=_RESTORE)

    # --- people ---------------------------------------------------------------------------------------------------------
    def member_key(self, customer_id: str) -> bytes:
        """16 bytes that stand for a customer in this state folder only (keyed BLAKE2b)."""
        return hashlib.blake2b(customer_id.encode(), digest_size=16, key=self._salt).digest()

    def member_keys(self, customer_ids: pa.Array) -> pa.Array:
        """The same for a column of text, as UUID (Arrow's 16-byte extension type)."""
        import pyarrow as pa

        keyed, digests = hashlib.blake2b(digest_size=16, key=self._salt), bytearray()
        for one in customer_ids.to_pylist():
            each = keyed.copy()
            each.update(one.encode())
            digests += each.digest()
        storage = pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), len(customer_ids), [None, pa.py_buffer(bytes(digests))])
        return pa.ExtensionArray.from_storage(pa.uuid(), storage)

    def key_for(self, purpose: str) -> bytes:
        """32 bytes of this state folder, for one purpose."""
        return hashlib.blake2b(purpose.encode(), digest_size=32, key=self._salt, person=b"clvsync-purpose").digest()

    def seal_for(self, purpose: str) -> bytes:
        """The key that the folder is to be sealed with, or one of its own by which at least damage is noticed."""
        return self._wanted_key or self.key_for(f"{purpose}, sealed")

    @property
    def identities(self) -> Path:
        """The folder of the identifiers that are kept from night to night."""
        return self.folder / "identities"

    def tombstones(self) -> list[str]:
        """Member keys (hex) of the customers who were erased."""
        return [row["member"] for row in self.journal.rows("SELECT member FROM tombstones")]

    # --- audiences ------------------------------------------------------------------------------------------------------
    def audience(self, place: Place) -> dict[str, Any] | None:
        """The journal's row of an audience, or None if it was never pushed."""
        query = "SELECT * FROM audiences WHERE platform = ? AND account = ? AND key = ?"
        return self.journal.one(query, (place.platform, place.account, place.audience))

    def audiences(self) -> list[dict[str, Any]]:
        """Every audience that was ever pushed."""
        return self.journal.rows("SELECT * FROM audiences ORDER BY platform, account, key")

    def keep_audience(self, place: Place, now: datetime, **changes: Any) -> dict[str, Any]:
        """The audience's row after `changes` (name, remote_id, path, ...), made if it is new."""
        fresh = "INSERT OR IGNORE INTO audiences (platform, account, key, created_at, updated_at) VALUES (?, ?, ?, ?, ?)"
        with self.journal.transaction() as connection:
            stamp = now.isoformat()
            connection.execute(fresh, (place.platform, place.account, place.audience, stamp, stamp))
            assignments = ", ".join(f"{column} = ?" for column in (*changes, "updated_at"))
            connection.execute(
                f"UPDATE audiences SET {assignments} WHERE platform = ? AND account = ? AND key = ?",
                (*changes.values(), stamp, place.platform, place.account, place.audience),
            )
        found = self.audience(place)
        if found is None:
            raise FatalError(f"the audience {place} has left the journal", remedy=_RESTORE)
        return found

    def drop_audience(self, audience: dict[str, Any]) -> None:
        """Nothing: everything of this audience is gone from the journal, and its files from the folder.

        No file of others is touched: an audience of another platform may be writing one that the journal doesn't name yet.
        """
        mine = "SELECT id FROM deliveries WHERE audience = ?"
        sent = {
            row["file"] for row in self.journal.rows(f"SELECT file FROM phases WHERE delivery IN ({mine})", (audience["id"],))
        }
        with self.journal.transaction() as connection:
            for table in ("batches", "phases"):
                connection.execute(f"DELETE FROM {table} WHERE delivery IN ({mine})", (audience["id"],))
            for table in ("deliveries", "lookalikes", "sizes"):
                connection.execute(f"DELETE FROM {table} WHERE audience = ?", (audience["id"],))
            connection.execute("DELETE FROM audiences WHERE id = ?", (audience["id"],))
        if audience["snapshot"]:
            (self.snapshots / str(audience["snapshot"])).unlink(missing_ok=True)
        for file in sent - self._named():
            (self.deliveries / str(file)).unlink(missing_ok=True)

    def snapshot_path(self, audience: dict[str, Any] | None) -> Path | None:
        """The snapshot of an audience, checked against the journal's digest; None when nothing was accepted yet."""
        if audience is None or not audience["snapshot"]:
            return None
        path = self.snapshots / str(audience["snapshot"])
        if not path.is_file() or file_digest(path) != audience["snapshot_digest"]:
            raise FatalError(f"the snapshot {path.name} is missing or damaged", remedy=f"{_RESTORE}; nothing was sent")
        return path

    def commit_snapshot(
        self,
        audience: dict[str, Any],
        spare: Path | None,
        rows: int,
        now: datetime,
        *,
        closes: Sequence[int] = (),
        also: Callable[[], object] = lambda: None,
    ) -> None:
        """Nothing: `spare` (None: no member) is the snapshot, `closes` are closed, `also` was done, in one transaction."""
        name, digest = "", ""
        generation = int(audience["generation"]) + 1
        if spare is not None:
            name = f"{audience['id']}-{generation}{spare.suffix}"
            digest = file_digest(spare)
            settle_file(spare, self.snapshots / name)
        with self.journal.transaction() as connection:
            also()
            connection.execute(
                "UPDATE audiences SET snapshot = ?, snapshot_digest = ?, rows = ?, generation = ?, updated_at = ? WHERE id = ?",
                (name, digest, rows, generation, now.isoformat(), audience["id"]),
            )
            for delivery in closes:
                connection.execute("UPDATE deliveries SET state = 'closed' WHERE id = ?", (delivery,))
        if audience["snapshot"] and audience["snapshot"] != name:
            (self.snapshots / str(audience["snapshot"])).unlink(missing_ok=True)
        self.discard(closes)

    def discard(self, deliveries: Iterable[int]) -> None:
        """Nothing: the files of these closed deliveries are gone, but for those with rows still pending."""
        kept = {row["file"] for row in self.journal.rows(_WANTED_FILES)}
        for delivery in deliveries:
            for row in self.journal.rows("SELECT file FROM phases WHERE delivery = ?", (delivery,)):
                if row["file"] not in kept:
                    (self.deliveries / str(row["file"])).unlink(missing_ok=True)

    def sweep(self) -> None:
        """Nothing: files that the journal no longer names are gone (a crash leaves some behind)."""
        kept = {row["snapshot"] for row in self.audiences()} | self._named()
        for folder in (self.snapshots, self.deliveries):
            for path in folder.iterdir():
                if path.is_file() and path.name not in kept:
                    path.unlink(missing_ok=True)

    def _named(self) -> set[str]:
        """The files of deliveries that are still needed."""
        return {row["file"] for row in self.journal.rows(f"{_WANTED_FILES} UNION SELECT file FROM erasures")}

    def _pass_on(self, now: datetime) -> None:
        """Nothing: the folder is sealed with the wanted key."""
        if self.key == self._wanted_key:
            return
        for path in self.identities.glob("*.pieces"):  # another plan makes it again, sealed with the wanted key
            if not seals.sealed_with(path, self.seal_for("identities")):
                path.unlink()
        seals.pass_on(self, self._wanted_key, now)
        self._also(self.key, self._wanted_key)
        seals.settle_mark(self.folder, self._wanted_key)
        self.key = self._wanted_key

    def _sweep_work(self) -> None:
        """Nothing: work folders that a killed run left behind are gone (what they hold was sealed with its own key)."""
        for path in (*self.folder.glob("work-*"), self.folder / "spill"):
            shutil.rmtree(path, ignore_errors=True)
        for path in self.identities.glob(".*"):
            path.unlink(missing_ok=True)

    # --- runs -----------------------------------------------------------------------------------------------------------
    @contextmanager
    def run(self, kind: str, now: datetime) -> Iterator[int]:
        """The id of a new run that holds the folder's lock; raises LockedError while another one does.

        Inside a run of this very ledger the lock is already held: the job is one run, its push and pull are runs within it.
        """
        if self._held:
            yield self._begin(kind, now)
            return
        with (self.folder / "lock").open("a+") as handle:
            os.chmod(handle.fileno(), 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise LockedError("another run holds the state folder", remedy="wait for it to end, then run again") from None
            except OSError as error:
                raise FatalError(
                    f"the state folder can't be locked ({error.strerror})", remedy="put it on a disk whose files can be locked"
                ) from error
            self._held = True
            try:
                self.sweep()
                self._sweep_work()
                self._pass_on(now)
                yield self._begin(kind, now)
            finally:
                self._held = False

    def _begin(self, kind: str, now: datetime) -> int:
        return self.journal.write("INSERT INTO runs (kind, started_at) VALUES (?, ?)", (kind, now.isoformat()))

    def end_run(self, run: int, now: datetime, exit_code: int, summary: Any) -> None:
        """Nothing: the run's record is complete."""
        values = (now.isoformat(), exit_code, json.dumps(summary, default=str), run)
        self.journal.write("UPDATE runs SET finished_at = ?, exit_code = ?, summary = ? WHERE id = ?", values)

    def close(self) -> None:
        """Nothing: the journal is closed."""
        self.journal.close()


_WANTED_FILES = """
    SELECT file FROM phases JOIN deliveries ON deliveries.id = phases.delivery WHERE deliveries.state <> 'closed'
    UNION SELECT file FROM phases JOIN batches USING (delivery, phase) WHERE batches.state = 'pending'
"""


def open_ledger(
    state_dir: Path,
    key: bytes | None = None,
    *,
    old: bytes | None = None,
    also: Callable[[bytes | None, bytes | None], None] = _no_more,
) -> Ledger:
    """The ledger of a state folder, made if the folder is new. `key` encrypts snapshots and deliveries at rest.

    A folder that is sealed with `old`, or not sealed yet, passes to `key` when the next run begins, and `also` is called with
    both keys for what lies beside the ledger. Raises FatalError when journal, salt or snapshots are damaged or partly missing
    (never rebuilt silently), and ConfigurationError when the folder is encrypted with a key that isn't given.
    """
    return Ledger(state_dir, key, old, also)
