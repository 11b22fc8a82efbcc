"""Erases customers: out of every audience, out of all state, and never to come back from the source."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from connectors.engine.audience import Account, AudienceRequest, Guardrails, Place
from connectors.engine.deliveries import phase_path
from connectors.engine.files import private_folder
from connectors.engine.guardrails import Source
from connectors.engine.outcome import worst
from connectors.engine.pieces import Pieces
from connectors.engine.plan import Planner
from connectors.engine.push import Pusher
from connectors.engine.settling import fold_open, pending_batches, settle
from connectors.engine.snapshots import MAYBE, aligned, attach, recipe_fields
from connectors.engine.status import spec_of
from connectors.engine.tables import name, number, open_tables, stream
from connectors.engine.wanted import Wanted, write_wanted
from connectors.protocol import AudienceHandle, utc_now

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from pathlib import Path

    from connectors.engine.ledger import Ledger

NO_LIMITS = Guardrails(None, None, 0, None, may_empty=True)


def forget(
    ledger: Ledger, ids: Sequence[str], accounts: Sequence[Account], *, work: Path, now: Callable[[], datetime] = utc_now
) -> dict[str, Any]:
    """What became of the customers `ids`: `customers`, `audiences` (platform, account, audience, removed, left, state, detail),
    `left` (rows of theirs that platforms still hold), `notes` (sentences for a person) and `exit_code`.

    First a keyed tombstone is written, so that no later run sends them; then each audience that holds them gets a removal (with
    replace and deletion as the escalation); the snapshots written then are without them. Where a platform is not ready
    or still works on the removal, their rows stay in the snapshot until it has answered: the next run goes on. `accounts`: all
    that are configured; an audience whose account is missing is reported and makes exit code 1. `work`: a folder to be made
    and removed.
    """
    with ledger.run("forget", now()) as run:
        keys = sorted({ledger.member_key(one).hex() for one in ids})
        with ledger.journal.transaction() as connection:
            rows = [(key, now().isoformat()) for key in keys]
            connection.executemany("INSERT OR IGNORE INTO tombstones (member, at) VALUES (?, ?)", rows)
        private_folder(work)
        eraser = _Eraser(ledger, keys, {one.place: one for one in accounts}, work, now, run)
        lines = [line for row in ledger.audiences() if (line := eraser.audience(row)) is not None]
        ledger.journal.scrub()
        shutil.rmtree(work, ignore_errors=True)
        code = worst([line.pop("exit_code") for line in lines])
        left = sum(line["left"] for line in lines)
        outcome = {
            "customers": len(keys),
            "audiences": lines,
            "left": left,
            "notes": _notes(len(keys), lines),
            "exit_code": code,
        }
        ledger.end_run(run, now(), code, {"customers": len(keys), "left": left})
    return outcome


def _notes(customers: int, lines: list[dict[str, Any]]) -> list[str]:
    notes = [f"{customers} customers will not be sent again, whatever the source says"]
    for line in lines:
        where = f"{line['platform']} {line['account']} {line['audience']}"
        if line["left"]:
            why = line["detail"] or line["state"]
            notes.append(f"{where}: {line['left']} rows are not yet confirmed as removed ({why}): run push again")
        else:
            notes.append(f"{where}: {line['removed']} rows removed")
    return notes


class _Eraser:
    def __init__(
        self,
        ledger: Ledger,
        keys: Sequence[str],
        accounts: dict[tuple[str, str], Account],
        work: Path,
        now: Callable[[], datetime],
        run: int,
    ) -> None:
        self._ledger, self._keys, self._accounts, self._work, self._now = ledger, keys, accounts, work, now
        self._run = run
        self._planner = Planner(ledger, work, os.urandom(32), now(), Source(now().date()))
        self._pusher = Pusher(ledger, self._planner, run, now, lambda what, done, total: None, None)

    def audience(self, row: dict[str, Any]) -> dict[str, Any] | None:
        """The outcome for one audience, or None when it holds nobody of them."""
        account = self._accounts.get((row["platform"], row["account"]))
        line = {"platform": row["platform"], "account": row["account"], "audience": row["key"], "state": "done", "detail": ""}
        if account is None:
            held = self._held(row)
            reason = "this account is not configured: their members can't be removed"
            return {**line, "removed": 0, "left": held, "state": "failed", "detail": reason, "exit_code": 1} if held else None
        request = AudienceRequest(row["key"], row["name"], guardrails=NO_LIMITS)
        spec = spec_of(row)
        place = Place(*account.place, row["key"])
        fold_open(self._ledger, account.connector, place, self._now())
        if row["remote_id"] and pending_batches(self._ledger, place):
            handle = AudienceHandle(*account.place, spec, row["remote_id"], row["path"])
            settle(self._ledger, account.connector, handle, place, self._now(), self._run)
        row = self._ledger.audience(place) or row
        held = self._held(row)
        if not held:
            waiting = self._pending(place)
            return {**line, "removed": 0, "left": waiting, "state": "pending", "exit_code": 0} if waiting else None
        wanted = self._others(row, recipe_fields(account.capabilities.recipe))
        outcome = self._pusher.audience(self._planner.plan(account, request, spec, wanted, refresh=False))
        after = self._held(self._ledger.audience(place) or row)
        told = {"state": outcome["state"], "detail": outcome["detail"], "exit_code": outcome["exit_code"]}
        return {**line, "removed": held - after, "left": after + self._pending(place), **told}

    def _pending(self, place: Place) -> int:
        """Rows of theirs in batches that the platform still works on (kept until it has answered)."""
        known = pa.array([bytes.fromhex(key) for key in self._keys], pa.binary(16))
        count = 0
        for row in pending_batches(self._ledger, place):
            pieces = Pieces(phase_path(self._ledger, row), self._ledger.key)
            for position in range(row["first_piece"], row["first_piece"] + row["pieces"]):
                found = pc.is_in(pieces.read(position).column("member_key").storage, known)
                count += pc.sum(found).as_py() or 0
        return count

    def _condition(self) -> str:
        return f"member_key IN ({', '.join(f'CAST({chr(39)}{key}{chr(39)} AS UUID)' for key in self._keys)})"

    def _held(self, row: dict[str, Any]) -> int:
        connection = open_tables(self._work)
        try:
            attach(connection, "base", self._ledger.snapshot_path(row), self._ledger.key)
            return number(connection, f"SELECT count(*) FROM base WHERE {self._condition()}")
        finally:
            connection.close()

    def _others(self, row: dict[str, Any], columns: Sequence[pa.Field]) -> Wanted:
        """Everybody else in the snapshot; who is only maybe there is not added again on this occasion."""
        connection = open_tables(self._work)
        try:
            attach(connection, "base", self._ledger.snapshot_path(row), self._ledger.key)
            held = ", ".join(["member_key", "row_digest", "value", *(name(one.name) for one in columns)])
            source = aligned(connection, "base", columns)
            attach(connection, "base", self._ledger.snapshot_path(row), self._ledger.key)
            query = f"SELECT {held} FROM ({source}) WHERE state <> {MAYBE} AND NOT ({self._condition()})"
            names = tuple(one.name for one in columns)
            wanted = Wanted(self._work / f"others-{row['id']}.pieces", self._planner.work_key, names)
            write_wanted(wanted, stream(connection, query))
            return wanted
        finally:
            connection.close()
