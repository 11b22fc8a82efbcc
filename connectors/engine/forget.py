"""Erases customers: out of every audience, out of all state, and never to come back from the source."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from connectors.engine import everywhere
from connectors.engine.audience import Account, AudienceRequest, Guardrails, Place
from connectors.engine.erased import bury, of_keys, settle_tombstones, still_held
from connectors.engine.files import private_folder
from connectors.engine.guardrails import Source
from connectors.engine.known import known_folder
from connectors.engine.leftover import KEEP, RIGHTS, held_rows
from connectors.engine.outcome import worst
from connectors.engine.plan import Planner
from connectors.engine.push import Pusher
from connectors.engine.settling import fold_open, pending_batches, settle
from connectors.engine.signals import forget_events
from connectors.engine.snapshots import MAYBE, attach, recipe_fields
from connectors.engine.status import spec_of
from connectors.engine.tables import number, open_tables
from connectors.protocol import AudienceHandle, utc_now

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from pathlib import Path

    from connectors.engine.ledger import Ledger

NO_LIMITS = Guardrails(None, None, 0, None, may_empty=True)
RESUMES = 4
GONE_OUT = (
    "can't be taken back: {events} events of predicted value were sent to {platform} {account}; no call deletes single events, "
    "so ask the platform for it"
)
BUILT = (
    "can't be taken back: the lookalike {name!r} at {platform} was built with them in its seed; it holds people like them, and "
    "follows its seed from now on"
)


def forget(
    ledger: Ledger, ids: Sequence[str], accounts: Sequence[Account], *, work: Path, now: Callable[[], datetime] = utc_now
) -> dict[str, Any]:
    """What became of the customers `ids`: `customers`, `audiences` (platform, account, audience, removed, left, state, detail),
    `everywhere` (platform, account, rows, state, detail: removal from every list of an account), `events` (platform, account,
    events: predicted values that were sent), `lookalikes` (made of audiences that held them), `left` (how many of them are
    still kept because a platform has not confirmed their removal), `notes` (sentences for a person) and `exit_code`.

    First a keyed tombstone is written, so that no later run sends them; then each audience that holds them gets a removal (with
    replace and deletion as the escalation), also one that config no longer asks for; the snapshots written then are without
    them. Then they leave every other list of an account whose platform offers that. Where a platform is not ready or still
    works on it, their rows stay until it has answered: the next run goes on. `accounts`: all that are configured; an audience
    whose account is missing is reported and makes exit code 1. `work`: a folder to be made and removed. Exit code 4: run again.
    """
    with ledger.run("forget", now()) as run:
        keys = bury(ledger, ids, now())
        private_folder(work)
        try:
            for account in accounts:
                everywhere.intend(ledger, account, keys, work, now())
            eraser = _Eraser(ledger, keys, {one.place: one for one in accounts}, work, now, run)
            lines = [line for row in ledger.audiences() if (line := eraser.audience(row)) is not None]
            spread = [line for account in accounts for line in everywhere.finish(ledger, account, work)]
        finally:
            shutil.rmtree(work, ignore_errors=True)
        mine = {bytes.fromhex(key) for key in keys}
        known_folder(ledger).forget(pa.array(sorted(mine), pa.binary(16)))
        counts = forget_events(ledger, sorted(mine), now())
        left = {key for line in still_held(ledger) for key in line["keys"] & mine}
        settle_tombstones(ledger, now())
        ledger.journal.scrub()
        outcome: dict[str, Any] = {
            "customers": len(keys),
            "audiences": lines,
            "everywhere": spread,
            "events": [{"platform": place[0], "account": place[1], "events": count} for place, count in counts.items()],
            "lookalikes": [one for line in lines for one in line.pop("lookalikes")],
            "left": len(left),
            "exit_code": worst([line.pop("exit_code") for line in (*lines, *spread)]),
        }
        outcome["notes"] = _notes(outcome, {one.place[0]: one.capabilities.after_removal for one in accounts})
        ledger.end_run(run, now(), outcome["exit_code"], {"customers": len(keys), "left": outcome["left"]})
    return outcome


def _notes(outcome: dict[str, Any], kept: dict[str, str]) -> list[str]:
    """What was done, what is still to be done, and what nobody can take back."""
    notes = [f"{outcome['customers']} customers will not be sent again, whatever the source says"]
    for line in outcome["audiences"]:
        where = f"{line['platform']} {line['account']} {line['audience']}"
        if line["left"]:
            why = line["detail"] or line["state"]
            notes.append(f"{where}: {line['left']} customers are not yet confirmed as removed ({why}): run push again")
        else:
            notes.append(f"{where}: {line['removed']} rows removed")
    for line in outcome["everywhere"]:
        where = f"every other list of {line['platform']} {line['account']}"
        done = (
            f"asked to remove {line['rows']} rows"
            if line["state"] == "done"
            else f"not asked yet ({line['detail']}): run again"
        )
        notes.append(f"{where}: {done}")
    notes += [GONE_OUT.format(**line) for line in outcome["events"]]
    notes += [BUILT.format(**line) for line in outcome["lookalikes"]]
    held = {line["platform"] for line in (*outcome["audiences"], *outcome["everywhere"], *outcome["events"])}
    return [*notes, *(kept[one] for one in sorted(held) if kept.get(one))]


def _place(line: dict[str, Any]) -> tuple[str, str, str]:
    return line["platform"], line["account"], line["audience"]


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
        line["lookalikes"] = []
        if account is None:
            held = self._held(row) or (len(self._keys) if row["escalated"] else 0)
            reason = "this account is not configured: their members can't be removed"
            return {**line, "removed": 0, "left": held, "state": "failed", "detail": reason, "exit_code": 1} if held else None
        spec, place = spec_of(row), Place(*account.place, row["key"])
        fold_open(self._ledger, account.connector, place, self._now())
        if row["remote_id"] and pending_batches(self._ledger, place):
            handle = AudienceHandle(*account.place, spec, row["remote_id"], row["path"])
            settle(self._ledger, account.connector, handle, place, self._now(), self._run)
        row = self._ledger.audience(place) or row
        held = self._held(row)
        if not held and row["escalated"] not in ("replace", "delete"):
            waiting = self._left(place)
            code = RESUMES if row["escalated"] else 0
            return {**line, "removed": 0, "left": waiting, "state": "pending", "exit_code": code} if waiting else None
        line["lookalikes"] = self._lookalikes(row)
        outcome = self._pusher.audience(self._removal(account, row))
        known = self._ledger.audience(place) or {"snapshot": "", "escalated": ""}
        after = self._held(known)
        # one that waits for the platform is pending, as in every run; a refused one is not, whatever follows of itself
        code = outcome["exit_code"] or (RESUMES if known["escalated"] else 0)
        told = {"state": outcome["state"], "detail": outcome["detail"], "exit_code": code}
        return {**line, "removed": max(0, held - after), "left": self._left(place), **told}

    def _removal(self, account: Account, row: dict[str, Any]) -> Any:
        """The plan by which they leave: everybody else stays; who is only maybe there is not added on this occasion."""
        connection = open_tables(self._work)
        columns = recipe_fields(account.capabilities.recipe)
        condition = f"state <> {MAYBE} AND NOT ({of_keys(self._keys)})"
        base = (self._ledger.snapshot_path(row), self._ledger.key)
        try:
            others = held_rows(connection, self._planner, base, columns, condition, f"others-{row['id']}")
        finally:
            connection.close()
        request = AudienceRequest(row["key"], row["name"], guardrails=NO_LIMITS)
        care = KEEP if row["left_at"] else RIGHTS
        return self._planner.plan(account, request, spec_of(row), others, refresh=False, care=care)

    def _lookalikes(self, row: dict[str, Any]) -> list[dict[str, Any]]:
        made = self._ledger.journal.rows("SELECT name FROM lookalikes WHERE audience = ?", (row["id"],))
        return [{"platform": row["platform"], "account": row["account"], "name": one["name"]} for one in made]

    def _left(self, place: Place) -> int:
        """How many of them the state folder still keeps for this audience, because the platform has not confirmed yet."""
        here = (place.platform, place.account, place.audience)
        mine = {bytes.fromhex(key) for key in self._keys}
        found = [one["keys"] & mine for one in still_held(self._ledger) if _place(one) == here]
        return sum(len(one) for one in found)

    def _held(self, row: dict[str, Any] | None) -> int:
        connection = open_tables(self._work)
        try:
            attach(connection, "base", self._ledger.snapshot_path(row), self._ledger.key)
            return number(connection, f"SELECT count(*) FROM base WHERE {of_keys(self._keys)}")
        finally:
            connection.close()
