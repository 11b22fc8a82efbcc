"""What `clvsync status` shows: runs, audiences, remote sizes, match rates, and what is pending at the platforms."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from connectors.engine.deliveries import open_delivery
from connectors.engine.erased import still_held
from connectors.engine.holdout import holdouts
from connectors.engine.sizes import fell
from connectors.errors import SyncError
from connectors.protocol import AudienceHandle, AudienceSpec, AudienceState

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from connectors.engine.ledger import Ledger
    from connectors.protocol import AudienceStatus, Connector

SHOWN_RUNS = 20


def status(
    ledger: Ledger,
    connectors: Sequence[Connector] | None = None,
    left: Callable[[dict[str, Any]], str] = lambda row: "",
) -> dict[str, Any]:
    """Plain data: `runs` (oldest first), `audiences`, `lookalikes`, `holdouts`, `overrides`, `forgotten` (how many customers),
    `erasing` (platform, account, audience ("": every list), customers: kept until the platform has confirmed).

    Per audience: platform, account, audience, name, remote_id, members, pending, undelivered, open_delivery, updated_at; with
    `connectors` also what the platform says now: state, size_lower, size_upper, match_rate, detail, drift. Per lookalike:
    platform, account, audience (its seed), name, remote_id, made_at, refreshed_at, `follows` (its seed is still the same)
    and the platform's state. `left`: why config doesn't ask for an audience of the ledger ("": it does). Changes nothing.
    """
    asked = _Asked({(one.capabilities.platform, one.account_id): one for one in connectors or ()})
    runs = ledger.journal.rows("SELECT * FROM runs ORDER BY id DESC LIMIT ?", (SHOWN_RUNS,))
    erased = ledger.journal.one("SELECT count(*) AS n FROM tombstones") or {"n": 0}
    return {
        "runs": [{key: value for key, value in run.items() if key != "summary"} for run in reversed(runs)],
        "audiences": [{**_audience(ledger, row, asked), "left": left(row)} for row in ledger.audiences()],
        "lookalikes": [_lookalike(row, asked) for row in ledger.journal.rows(_LOOKALIKES)],
        "holdouts": holdouts(ledger),
        "overrides": ledger.journal.rows("SELECT * FROM overrides ORDER BY at"),
        "forgotten": erased["n"],
        "erasing": [{key: value for key, value in one.items() if key != "keys"} for one in still_held(ledger)],
    }


_LOOKALIKES = (
    "SELECT platform, account, audiences.key AS audience, lookalikes.name, lookalikes.remote_id, lookalikes.path, made_at, "
    "refreshed_at, seed = audiences.remote_id AS follows FROM lookalikes JOIN audiences ON audiences.id = lookalikes.audience "
    "ORDER BY platform, account, lookalikes.name"
)


class _Asked:
    """The accounts' connectors. One that answers nobody (out of reach, a dead token) is asked once."""

    def __init__(self, connectors: dict[tuple[str, str], Connector]) -> None:
        self._connectors = connectors
        self._away: dict[tuple[str, str], SyncError] = {}

    def has(self, row: dict[str, Any]) -> bool:
        """Whether the account of a row can be asked."""
        return (row["platform"], row["account"]) in self._connectors

    def status(self, row: dict[str, Any], spec: AudienceSpec) -> AudienceStatus:
        """What the platform says of the audience or lookalike of a row; raises SyncError."""
        place = (row["platform"], row["account"])
        if place in self._away:
            raise self._away[place]
        try:
            return self._connectors[place].status(AudienceHandle(*place, spec, row["remote_id"], row["path"]))
        except SyncError as error:
            if error.account_wide:
                self._away[place] = error
            raise


def _lookalike(row: dict[str, Any], asked: _Asked) -> dict[str, Any]:
    line = {key: value for key, value in row.items() if key != "path"}
    line |= {"follows": bool(row["follows"]), "state": "unknown", "size_lower": None, "size_upper": None, "detail": ""}
    if not asked.has(row):
        return line
    try:
        found = asked.status(row, AudienceSpec(row["name"], row["name"]))
    except SyncError as error:
        return {**line, "detail": str(error)}
    return {**line, "state": found.state.value, "size_lower": found.lower, "size_upper": found.upper, "detail": found.detail}


def _audience(ledger: Ledger, row: dict[str, Any], asked: _Asked) -> dict[str, Any]:
    pending = ledger.journal.one(
        "SELECT coalesce(sum(pending), 0) AS n, min(sent_at) AS since FROM batches "
        "JOIN deliveries ON deliveries.id = batches.delivery WHERE batches.state = 'pending' AND deliveries.audience = ?",
        (row["id"],),
    ) or {"n": 0, "since": None}
    delivery = open_delivery(ledger, row)
    line = {key: row[key] for key in ("platform", "account", "name", "remote_id", "updated_at", "escalated", "left_at")}
    line |= {"audience": row["key"], "members": row["rows"], "pending": pending["n"], "pending_since": pending["since"]}
    line |= {"open_delivery": delivery is not None, "undelivered": sum(delivery.remaining().values()) if delivery else 0}
    line |= {"state": "unknown", "size_lower": None, "size_upper": None, "match_rate": "", "detail": "", "drift": ""}
    if not asked.has(row) or not row["remote_id"]:
        return line
    try:
        found = asked.status(row, spec_of(row))
    except SyncError as error:
        return {**line, "detail": str(error)}
    told = {"state": found.state.value, "size_lower": found.lower, "size_upper": found.upper, "match_rate": found.match_rate}
    return {**line, **told, "detail": found.detail, "drift": _drift(line["members"], found) or fell(ledger, row, found)}


def _drift(members: int, found: AudienceStatus) -> str:
    """What can be told of it: platforms say how many they matched (rounded), which is never more than were sent."""
    if found.state is AudienceState.MISSING:
        return "gone from the platform: the next push makes it anew"
    if found.lower is not None and found.lower > members * 1.05 + 50:
        return f"at least {found.lower:,} people, but only {members:,} were sent: clvsync push --refresh puts it right"
    return ""


def spec_of(row: dict[str, Any]) -> AudienceSpec:
    """The spec that an audience was last pushed with."""
    return AudienceSpec(**{"key": row["key"], "name": row["name"], **json.loads(row["spec"])})
