"""One audience's delivery from its plan to its last receipt: files and intent, batches, and what follows a refused removal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from connectors.engine.deliveries import FIRST, REMOVALS, DeliveryWriter, open_delivery, phase_name
from connectors.engine.diff import ADDING, Diff
from connectors.engine.fold import LATE
from connectors.engine.sending import Sender
from connectors.engine.settling import REPLACING, escalate, fold_open, pending_batches
from connectors.engine.snapshots import recipe_fields
from connectors.engine.tables import open_tables
from connectors.errors import NotReadyError, OutcomeUnknownError, RemovalRefusedError
from connectors.protocol import Operation

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from datetime import datetime

    from connectors.engine.ledger import Ledger
    from connectors.engine.plan import PlannedAudience, Planner
    from connectors.engine.remote import Remote
    from connectors.protocol import AudienceHandle

ESCALATIONS = 3


@dataclass(frozen=True)
class Courier:
    """Delivers what was planned, audience by audience. `progress` as in `push.push`."""

    ledger: Ledger
    planner: Planner
    remote: Remote
    run: int
    now: Callable[[], datetime]
    progress: Callable[[str, int, int], None]
    stop: threading.Event

    def deliver(self, item: PlannedAudience, handle: AudienceHandle | None, outcome: dict[str, Any]) -> AudienceHandle | None:
        """The handle after the audience's delivery; a refused removal escalates until nobody is left who should not be."""
        for _ in range(ESCALATIONS):
            if item.mode == "recreate":
                handle, item = self.remote.recreate(item, handle, outcome)
            if item.mode == "retire":
                self.remote.retire(item, handle, outcome)
                return None
            if item.mode == "nothing":
                outcome["state"] = "done"
                return handle
            try:
                handle, item = self.remote.open(item)
                return self._send(item, handle, outcome)
            except RemovalRefusedError as error:
                outcome["notes"].append(f"removal refused: {error.message}")
                escalate(self.ledger, item.account.connector, item.place, self.now(), after_replace=item.mode == "replace")
                fold_open(self.ledger, item.account.connector, item.place, self.now())
                item = self.remote.again(item, refresh=False)
                if item.mode not in ("replace", "recreate", "retire"):
                    raise NotReadyError(
                        "a removal was refused; the full replace follows as soon as the platform allows it"
                    ) from error
        raise RemovalRefusedError("the platform keeps members that must leave", remedy="delete the audience at the platform")

    def _send(self, item: PlannedAudience, handle: AudienceHandle, outcome: dict[str, Any]) -> AudienceHandle:
        row = self.ledger.audience(item.place) or {}
        if item.mode != "resume":
            self._prepare(item, row)
        delivery = open_delivery(self.ledger, row)
        if delivery is None:
            outcome["state"] = "done"
            return handle
        sender = Sender(
            self.ledger,
            item.account.connector,
            handle,
            item.place,
            delivery,
            item.limits,
            self.run,
            self.now(),
            self.progress,
            self.stop,
        )
        sender.run()
        if delivery.waiting():
            raise OutcomeUnknownError("the platform's answer is missing for some batches", remedy="run again to resume")
        fold_open(self.ledger, item.account.connector, item.place, self.now())
        if delivery.kind == "replace":
            waiting = bool(pending_batches(self.ledger, item.place))
            self.ledger.keep_audience(item.place, self.now(), escalated=REPLACING if waiting else "")
        outcome["state"] = "done"
        return sender.handle

    def _prepare(self, item: PlannedAudience, audience: dict[str, Any]) -> None:
        """Nothing: the delivery's files are written and its intent is in the journal."""
        limits = item.limits
        columns = recipe_fields(limits.recipe)
        connection = open_tables(self.planner.work, memory="900MB")
        try:
            base = self.ledger.snapshot_path(audience)
            diff = Diff(connection, item.wanted.pieces(), base, self.ledger.key, columns)
            diff.compare(self.planner.rules(item, retry=item.mode == "replace"))
            writer = DeliveryWriter(self.ledger, audience, str(item.place), limits.batch_rows)
            if item.mode == "replace":
                writer.add(FIRST, Operation.REPLACE, diff.rows("all"))
            else:
                diff.prepare(limits.recipe, [kind for kind in ADDING if kind != "value" or not item.defers_values])
                for number, operation in ((FIRST, Operation.ADD), (REMOVALS, Operation.REMOVE), (LATE, Operation.ADD)):
                    writer.add(number, operation, diff.rows(phase_name(number)))
        finally:
            connection.close()
        kind = "replace" if item.mode == "replace" else "change"
        counts = {"add": item.changes.added, "change": item.changes.changed, "remove": item.changes.removed}
        writer.commit(kind, item.wanted.target, self.run, self.now(), counts)
