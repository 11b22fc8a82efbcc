"""Lookalikes: made by the first run that finds their seed ready, recorded, and not made twice."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from connectors.errors import NotReadyError, RetriableError, SyncError
from connectors.protocol import AudienceState, LookalikeSpec

if TYPE_CHECKING:
    from datetime import datetime

    from connectors.engine.ledger import Ledger
    from connectors.engine.plan import PlannedAudience
    from connectors.protocol import AudienceHandle, AudienceStatus, Connector


def wanted_lookalikes(item: PlannedAudience) -> list[LookalikeSpec]:
    """The lookalikes of an audience: those of its request, named after its tier where it is one of several."""
    if not item.account.capabilities.lookalikes or item.spec.exclusion:
        return []
    tier = item.spec.tier
    suffix = item.spec.name.removeprefix(item.request.title)
    return [
        replace(one, key=f"{one.key}:{tier}" if tier else one.key, name=one.name + suffix, value_based=item.spec.value_weighted)
        for one in item.request.lookalikes
    ]


def keep_lookalikes(
    ledger: Ledger,
    connector: Connector,
    item: PlannedAudience,
    seed: AudienceHandle,
    status: AudienceStatus | None,
    now: datetime,
) -> tuple[list[dict[str, Any]], list[SyncError]]:
    """Every lookalike's state (name, countries, size, state, detail) and the errors met, after making those that can be."""
    audience = ledger.audience(item.place)
    shown: list[dict[str, Any]] = []
    errors: list[SyncError] = []
    for spec in wanted_lookalikes(item):
        line = {
            "name": spec.name,
            "countries": list(spec.countries),
            "size": spec.ratio or spec.size,
            "state": "waiting",
            "detail": "",
        }
        shown.append(line)
        if audience is None or not seed.remote_id:
            continue
        try:
            line["state"] = _keep(ledger, connector, int(audience["id"]), seed, spec, status, now)
        except (NotReadyError, RetriableError) as error:
            line["detail"] = error.message
        except SyncError as error:
            line["state"], line["detail"] = "failed", str(error)
            errors.append(error)
    return shown, errors


def _keep(
    ledger: Ledger,
    connector: Connector,
    audience: int,
    seed: AudienceHandle,
    spec: LookalikeSpec,
    status: AudienceStatus | None,
    now: datetime,
) -> str:
    text = json.dumps(asdict(spec), sort_keys=True)
    known = ledger.journal.one("SELECT * FROM lookalikes WHERE audience = ? AND key = ?", (audience, spec.key))
    if known and known["spec"] == text and known["seed"] == seed.remote_id:
        return "made"
    if status is None or status.state is not AudienceState.READY:
        return "waiting"
    handle = connector.find_or_create_lookalike(seed, spec)
    ledger.journal.write(
        "INSERT OR REPLACE INTO lookalikes (audience, key, name, spec, seed, remote_id, made_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (audience, spec.key, spec.name, text, seed.remote_id, handle.remote_id, now.isoformat()),
    )
    return "made"
