"""What an audience is at its platform besides its members: its name there, and the accounts that it is shared with."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, cast

from connectors.errors import SyncError
from connectors.protocol import AudienceState

if TYPE_CHECKING:
    from datetime import datetime

    from connectors.engine.ledger import Ledger
    from connectors.engine.plan import PlannedAudience
    from connectors.powers import RenamingConnector, SharingConnector
    from connectors.protocol import AudienceHandle, AudienceStatus


def rename(ledger: Ledger, item: PlannedAudience, handle: AudienceHandle, now: datetime) -> list[str]:
    """Notes, after a new title or description of the config has become what people see, where that can be."""
    row = ledger.audience(item.place) or {}
    known = json.loads(row.get("spec") or "{}")
    wanted = {"name": item.spec.name, "description": item.spec.description}
    if not item.limits.renames or all(known.get(name, wanted[name]) == wanted[name] for name in wanted):
        return []
    try:
        cast("RenamingConnector", item.account.connector).rename(handle)
    except SyncError as error:
        return [f"the platform still shows the name {known['name']!r}: {error}"]
    ledger.keep_audience(item.place, now, name=item.spec.name, spec=json.dumps(asdict(item.spec)))
    return [f"renamed at the platform, before: {known['name']!r}"]


def share(
    ledger: Ledger, item: PlannedAudience, handle: AudienceHandle, status: AudienceStatus | None, now: datetime
) -> list[str]:
    """Notes, after the accounts that config names (and no others of those named before) may use a ready audience."""
    if not item.account.capabilities.shares or status is None or status.state is not AudienceState.READY:
        return []
    connector = cast("SharingConnector", item.account.connector)
    remote, _, held = str((ledger.audience(item.place) or {}).get("shared") or "").partition(":")
    known = set(held.split(",")) - {""} if remote == handle.remote_id else set()
    wanted = set(connector.share_with)
    if known == wanted:
        return []
    try:
        if wanted - known:
            connector.share(handle, sorted(wanted - known))
        if known - wanted:
            connector.unshare(handle, sorted(known - wanted))
    except SyncError as error:
        return [f"not shared as config says: {error}"]
    ledger.keep_audience(item.place, now, shared=f"{handle.remote_id}:{','.join(sorted(wanted))}")
    told = f"shared with {', '.join(sorted(wanted))}" if wanted else "no longer shared"
    return [told]
