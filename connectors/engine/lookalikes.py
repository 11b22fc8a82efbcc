"""Lookalikes: made by the first run that finds their seed ready, found instead of made twice, kept in step with the seed."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from connectors.errors import NotReadyError, RetriableError, SyncError
from connectors.protocol import AudienceHandle, AudienceSpec, AudienceState, LookalikeSpec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from connectors.engine.ledger import Ledger
    from connectors.engine.plan import PlannedAudience
    from connectors.powers import RefreshingConnector
    from connectors.protocol import AudienceStatus, Connector


def wanted_lookalikes(item: PlannedAudience) -> list[LookalikeSpec]:
    """The lookalikes of an audience: those of its request, named after its tier where it is one of several."""
    if not item.account.capabilities.lookalikes or item.spec.exclusion:
        return []
    tier, platform = item.spec.tier, item.place.platform
    suffix = item.spec.name.removeprefix(item.request.title)
    return [
        replace(
            one,
            key=f"{one.key}:{tier}" if tier else one.key,
            name=one.name + suffix,
            value_based=item.spec.value_weighted,
            platforms=(),
        )
        for one in item.request.lookalikes
        if not one.platforms or platform in one.platforms
    ]


def planned_lookalikes(ledger: Ledger, item: PlannedAudience, audience: dict[str, Any] | None) -> list[dict[str, Any]]:
    """What the ledger knows of each wanted lookalike, before the platform is asked: made, changed or to be made."""
    shown = []
    for spec in wanted_lookalikes(item):
        line, known = _line(spec), _known(ledger, int(audience["id"]), spec) if audience else None
        if known is not None:
            line |= _remembered(known)
            line["state"] = "made" if _is_same(known, spec, str((audience or {})["remote_id"])) else "to be made anew"
        shown.append(line)
    return shown


def keep_lookalikes(
    ledger: Ledger,
    connector: Connector,
    item: PlannedAudience,
    seed: AudienceHandle,
    status: AudienceStatus | None,
    now: datetime,
) -> tuple[list[dict[str, Any]], list[SyncError]]:
    """Every lookalike's state and the errors met, after making those that can be and refreshing those that are due.

    Per lookalike: name, countries, size, state (waiting, made, failed), detail, remote_id, made_at, refreshed_at, and what the
    platform says of it: platform_state, size_lower, size_upper, updated.
    """
    audience = ledger.audience(item.place)
    shown: list[dict[str, Any]] = []
    errors: list[SyncError] = []
    for spec in wanted_lookalikes(item):
        line = _line(spec)
        shown.append(line)
        if audience is None or not seed.remote_id:
            continue
        try:
            _Keeper(ledger, connector, audience, seed, status, now).keep(spec, line)
        except (NotReadyError, RetriableError) as error:
            line["detail"] = error.message
        except SyncError as error:
            line["state"], line["detail"] = "failed", str(error)
            errors.append(error)
    return shown, errors


def release(ledger: Ledger, connector: Connector, seed: AudienceHandle, lookalikes: Sequence[str]) -> list[str]:
    """Notes on the lookalikes of ours that were deleted so that their seed can be; [] when others hold it too: none is then.

    `lookalikes`: the ids that the platform names (none: it names none).
    """
    ours = ledger.journal.rows("SELECT * FROM lookalikes WHERE seed = ?", (seed.remote_id,))
    if not ours or set(lookalikes) - {one["remote_id"] for one in ours}:
        return []
    notes = []
    for one in ours:
        connector.delete(_handle(seed, one))
        ledger.journal.write("DELETE FROM lookalikes WHERE audience = ? AND key = ?", (one["audience"], one["key"]))
        notes.append(
            f"the lookalike {one['name']!r} was deleted, since its seed could not be otherwise: ads that use it stop until "
            "they are given the one that is made of the new seed"
        )
    return notes


@dataclass
class _Keeper:
    """Keeps the lookalikes of one seed."""

    ledger: Ledger
    connector: Connector
    audience: dict[str, Any]
    seed: AudienceHandle
    status: AudienceStatus | None
    now: datetime

    def keep(self, spec: LookalikeSpec, line: dict[str, Any]) -> None:
        """Nothing: the lookalike is there and tended, if its seed allows; `line` says what is known of it."""
        known = _known(self.ledger, int(self.audience["id"]), spec)
        if known is not None and _is_same(known, spec, self.seed.remote_id):
            line |= {**_remembered(known), "state": "made"}
            if self._tend(known, line):
                return
            line |= {**_line(spec), "detail": "gone from the platform: it is made again"}
        if self._ready():
            self._make(spec, known, line)

    def _ready(self) -> bool:
        return self.status is not None and self.status.state is AudienceState.READY

    def _make(self, spec: LookalikeSpec, known: dict[str, Any] | None, line: dict[str, Any]) -> None:
        handle = self.connector.find_or_create_lookalike(self.seed, spec)
        if known is not None and known["seed"] != self.seed.remote_id and known["remote_id"] != handle.remote_id:
            line["detail"] = (
                f"made of the new seed; {known['remote_id']} was made of one that is gone and no longer follows: give its ads "
                "this one, then delete it"
            )
        values = (self.audience["id"], spec.key, spec.name, _text(spec), self.seed.remote_id, handle.remote_id)
        self.ledger.journal.write(
            "INSERT OR REPLACE INTO lookalikes (audience, key, name, spec, seed, remote_id, made_at, path) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (*values, self.now.isoformat(), handle.path),
        )
        line |= {"state": "made", "remote_id": handle.remote_id, "made_at": self.now.isoformat()}

    def _tend(self, known: dict[str, Any], line: dict[str, Any]) -> bool:
        """Whether the platform still has it; refreshed when its seed has changed since, as often as the platform likes it."""
        handle = _handle(self.seed, known)
        found = self.connector.status(handle)
        if found.state is AudienceState.MISSING:
            return False
        line |= {"platform_state": found.state.value, "size_lower": found.lower, "size_upper": found.upper}
        line |= {"detail": found.detail, "updated": found.updated.isoformat() if found.updated else ""}
        if self._due(known) and found.state is AudienceState.READY and self._ready():
            cast("RefreshingConnector", self.connector).refresh_lookalike(handle)
            stamp = self.now.isoformat()
            self.ledger.journal.write(
                "UPDATE lookalikes SET refreshed_at = ? WHERE audience = ? AND key = ?",
                (stamp, known["audience"], known["key"]),
            )
            line["refreshed_at"] = stamp
        return True

    def _due(self, known: dict[str, Any]) -> bool:
        days = self.connector.capabilities.lookalike_refresh_days
        last = known["refreshed_at"] or known["made_at"]
        edits = [self.audience[name] for name in ("last_edit_at", "last_replace_at") if self.audience[name]]
        changed = any(datetime.fromisoformat(one) > datetime.fromisoformat(last) for one in edits)
        return bool(days) and changed and self.now - datetime.fromisoformat(last) >= timedelta(days=days)


def _line(spec: LookalikeSpec) -> dict[str, Any]:
    told = {"name": spec.name, "countries": list(spec.countries), "size": spec.ratio or spec.size, "state": "waiting"}
    empty = dict.fromkeys(("detail", "remote_id", "made_at", "refreshed_at", "platform_state", "updated"), "")
    return {**told, **empty, "size_lower": None, "size_upper": None}


def _known(ledger: Ledger, audience: int, spec: LookalikeSpec) -> dict[str, Any] | None:
    return ledger.journal.one("SELECT * FROM lookalikes WHERE audience = ? AND key = ?", (audience, spec.key))


def _remembered(known: dict[str, Any]) -> dict[str, Any]:
    return {name: known[name] for name in ("remote_id", "made_at", "refreshed_at")}


def _is_same(known: dict[str, Any], spec: LookalikeSpec, seed: str) -> bool:
    return bool(known["spec"] == _text(spec) and known["seed"] == seed)


def _text(spec: LookalikeSpec) -> str:
    held = asdict(spec)
    held.pop("platforms")  # where it is wanted is no property of it
    return json.dumps(held, sort_keys=True)


def _handle(seed: AudienceHandle, known: dict[str, Any]) -> AudienceHandle:
    spec = AudienceSpec(known["key"], known["name"])
    return AudienceHandle(seed.platform, seed.account_id, spec, known["remote_id"], known["path"])
