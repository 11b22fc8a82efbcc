"""Planned audiences at their platforms: found, made, made anew and deleted, with the ledger told of each step."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from connectors.engine.deliveries import open_delivery
from connectors.engine.leftover import RIGHTS
from connectors.engine.lookalikes import release
from connectors.engine.retire import check_writer
from connectors.engine.retire import retire as delete_audience
from connectors.engine.settling import drop_pending, fold_open
from connectors.errors import SeedInUseError
from connectors.protocol import AudienceHandle, AudienceState, AudienceStatus

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from connectors.engine.ledger import Ledger
    from connectors.engine.plan import PlannedAudience, Planner


@dataclass(frozen=True)
class Remote:
    """The audiences of a run as their platforms have them."""

    ledger: Ledger
    planner: Planner
    now: Callable[[], datetime]

    def known(self, item: PlannedAudience) -> tuple[AudienceHandle | None, AudienceStatus | None]:
        """The handle and the platform's word on an audience that was pushed before."""
        row = self.ledger.audience(item.place)
        if row is None or not row["remote_id"]:
            return None, None
        handle = AudienceHandle(*item.account.place, item.spec, row["remote_id"], row["path"])
        status = item.account.connector.status(handle)
        if status.state is AudienceState.MISSING:
            self.forget(item)
            return None, status
        return handle, status

    def current(self, item: PlannedAudience, status: AudienceStatus | None) -> PlannedAudience:
        """The item, planned anew when the ledger has learned something since."""
        row = self.ledger.audience(item.place)
        if item.mode != "resume" and open_delivery(self.ledger, row) is not None:
            fold_open(self.ledger, item.account.connector, item.place, self.now())
            row = self.ledger.audience(item.place)
        fresh = row is None or (row["generation"] == item.generation and not row["escalated"])
        return item if fresh else self.again(item)

    def again(self, item: PlannedAudience, *, refresh: bool | None = None) -> PlannedAudience:
        """The item, planned anew with what the ledger knows now."""
        plan = self.planner.plan
        found = plan(item.account, item.request, item.spec, item.wanted, refresh=refresh, care=item.care)
        found.relief, found.notes = item.relief, [*found.notes, *(item.notes if item.care else ())]
        return found

    def mark(self, item: PlannedAudience) -> None:
        """Nothing: the ledger knows since when config no longer asks for the audience."""
        row = self.ledger.audience(item.place)
        if row is not None and item.care != RIGHTS and bool(row["left_at"]) != bool(item.care):
            self.ledger.keep_audience(item.place, self.now(), left_at=self.now().isoformat() if item.care else None)

    def open(self, item: PlannedAudience) -> tuple[AudienceHandle, PlannedAudience]:
        """The audience at the platform, found or made; planned anew when it turns out to be another one than the ledger's."""
        row = self.ledger.keep_audience(item.place, self.now(), name=item.spec.name, spec=json.dumps(asdict(item.spec)))
        known = row["remote_id"]
        handle = item.account.connector.find_or_create(item.spec, known)
        check_writer(self.ledger, row, handle)
        if known and handle.remote_id != known:
            self.forget(item)
            item = self.again(item)
        self.ledger.keep_audience(item.place, self.now(), remote_id=handle.remote_id, path=handle.path)
        return handle, item

    def recreate(
        self, item: PlannedAudience, handle: AudienceHandle | None, outcome: dict[str, Any]
    ) -> tuple[AudienceHandle | None, PlannedAudience]:
        """No handle, and the plan of the audience that takes its place, after it was deleted at the platform."""
        connector = item.account.connector
        if handle is not None:
            try:
                connector.delete(handle)
            except SeedInUseError as error:
                released = release(self.ledger, connector, handle, error.lookalikes)
                if not released:
                    raise
                outcome["notes"] += released
                connector.delete(handle)
        self.forget(item)
        return None, self.again(item, refresh=False)

    def retire(self, item: PlannedAudience, handle: AudienceHandle | None, outcome: dict[str, Any]) -> None:
        """Nothing: what config retired is gone from the platform and from the ledger."""
        row = self.ledger.audience(item.place)
        if row is not None and item.care != RIGHTS:
            delete_audience(self.ledger, item.account.connector, row, handle)
        outcome.update(item.row(), state="gone")

    def forget(self, item: PlannedAudience) -> None:
        """Nothing: the ledger knows that the audience is gone from the platform; its members must be sent again."""
        fold_open(self.ledger, item.account.connector, item.place, self.now())
        row = self.ledger.keep_audience(item.place, self.now(), escalated="", path="", last_edit_at=None, last_replace_at=None)
        self.ledger.commit_snapshot(row, None, 0, self.now())
        drop_pending(self.ledger, item.place)
        self.ledger.keep_audience(item.place, self.now(), remote_id="")
