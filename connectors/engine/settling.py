"""What became of rows that a platform took in but had not decided on: asked again in every run until it says."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from connectors import events
from connectors.engine.deliveries import fold_of, open_delivery, phase_path
from connectors.engine.fold import Fold, PhaseFile
from connectors.engine.sending import keep_batch, state_of
from connectors.engine.snapshots import recipe_fields
from connectors.engine.tables import open_tables
from connectors.engine.times import age
from connectors.errors import NotReadyError, OutcomeUnknownError, RemovalRefusedError, RetriableError, SyncError
from connectors.protocol import Operation

if TYPE_CHECKING:
    from datetime import datetime

    from connectors.engine.audience import Place
    from connectors.engine.ledger import Ledger
    from connectors.protocol import AudienceHandle, Connector, Receipt

PATIENCE = timedelta(days=7)
"""Rows pending for longer than this are taken as unknown: every platform promises an answer within two days."""
REPLACING = "replacing"
"""A full replace that the platform still works on: whoever it leaves out is still there, and no longer in the snapshot."""


def pending_batches(ledger: Ledger, place: Place) -> list[dict[str, Any]]:
    """The audience's batches that a platform still works on, with their phase's file and operation."""
    return ledger.journal.rows(
        "SELECT batches.*, phases.file, phases.digest, phases.operation, deliveries.state AS delivery_state FROM batches "
        "JOIN phases USING (delivery, phase) JOIN deliveries ON deliveries.id = batches.delivery "
        "JOIN audiences ON audiences.id = deliveries.audience WHERE batches.state = 'pending' "
        "AND audiences.platform = ? AND audiences.account = ? AND audiences.key = ? ORDER BY batches.sent_at, batches.position",
        (place.platform, place.account, place.audience),
    )


def drop_pending(ledger: Ledger, place: Place) -> None:
    """Nothing: what was pending in an audience that is gone from the platform is no longer asked for."""
    for row in pending_batches(ledger, place):
        keep_batch(ledger, row, state="gone", pending=0, detail="the audience is gone")
        ledger.discard([row["delivery"]])


def settle(ledger: Ledger, connector: Connector, handle: AudienceHandle, place: Place, now: datetime, run: int) -> list[str]:
    """Notes on what is still open; the journal and the snapshot hold every answer that the platform gave."""
    notes = []
    for row in pending_batches(ledger, place):
        try:
            receipt = _ask(connector, handle, place, row)
        except (NotReadyError, RetriableError) as error:
            notes.append(error.message)
            continue
        except OutcomeUnknownError:
            _amend(ledger, connector, place, row, now, state="unknown", unknown=row["pending"], pending=0)
            continue
        except RemovalRefusedError as error:
            _refused_removal(ledger, connector, place, row, now)
            notes.append(error.message)
            continue
        except SyncError as error:
            _amend(ledger, connector, place, row, now, state="failed", unknown=row["pending"], pending=0, detail=error.message)
            notes.append(str(error))
            continue
        passed = age(row["sent_at"], now)
        if passed is None:  # the clock was wrong then: patience begins today
            keep_batch(ledger, row, sent_at=now.isoformat())
        if receipt.pending and passed is not None and passed > PATIENCE:
            _amend(ledger, connector, place, row, now, state="unknown", unknown=receipt.pending, pending=0)
        elif receipt.pending:
            keep_batch(ledger, row, pending=receipt.pending, accepted=receipt.accepted, detail=receipt.detail)
            notes.append(f"{receipt.pending:,} rows are pending at the platform")
        else:
            changes = {
                "state": state_of(receipt, row["pending"]),
                "accepted": receipt.accepted,
                "rejected": json.dumps(Counter(json.loads(row["rejected"])) + Counter(receipt.rejected)),
                "pending": 0,
                "unknown": receipt.unknown,
                "detail": receipt.detail,
                "answered_at": now.isoformat(),
                "answered_run": run,
            }
            _amend(ledger, connector, place, row, now, **changes)
    _replaced(ledger, place, now)
    return notes


def _replaced(ledger: Ledger, place: Place, now: datetime) -> None:
    """Nothing: a replace of which everything was taken is over; after any other, nobody knows who is left: it is sent again."""
    audience = ledger.audience(place)
    if audience is None or audience["escalated"] != REPLACING or pending_batches(ledger, place):
        return
    last = ledger.journal.one(
        "SELECT id FROM deliveries WHERE audience = ? AND kind = 'replace' ORDER BY created_at DESC", (audience["id"],)
    )
    failed = last and ledger.journal.one(
        "SELECT 1 FROM batches WHERE delivery = ? AND (state <> 'accepted' OR unknown > 0)", (last["id"],)
    )
    ledger.keep_audience(place, now, escalated="replace" if failed else "")


def _ask(connector: Connector, handle: AudienceHandle, place: Place, row: dict[str, Any]) -> Receipt:
    """The platform's word on a batch; the log has it too."""
    with events.timed("batch settled", **asdict(place), operation=row["operation"], rows=row["pending"]) as told:
        receipt = connector.settle(handle, row["reference"], row["pending"])
        told |= {"accepted": receipt.accepted, "rejected": sum(receipt.rejected.values())}
        told |= {"pending": receipt.pending, "unknown": receipt.unknown}
    return receipt


def _refused_removal(ledger: Ledger, connector: Connector, place: Place, row: dict[str, Any], now: datetime) -> None:
    escalate(ledger, connector, place, now, after_replace=row["operation"] == Operation.REPLACE.value)
    _amend(ledger, connector, place, row, now, state="refused", pending=0, detail="the platform refused the removal")


def escalate(ledger: Ledger, connector: Connector, place: Place, now: datetime, *, after_replace: bool) -> str:
    """The next step after a refused removal, kept in the journal: "replace", then "delete"."""
    audience = ledger.audience(place) or {}
    step = "replace"
    if (
        after_replace
        or audience.get("escalated") in ("replace", "delete")
        or Operation.REPLACE not in connector.capabilities.operations
    ):
        step = "delete"
    ledger.keep_audience(place, now, escalated=step)
    return step


def _amend(ledger: Ledger, connector: Connector, place: Place, row: dict[str, Any], now: datetime, **changes: Any) -> None:
    """Nothing: the batch has its outcome; where the delivery is closed and rows were not taken, the snapshot says so."""
    audience = ledger.audience(place)
    removal = row["operation"] == Operation.REMOVE.value
    taken = changes["state"] == "accepted"
    closed = row["delivery_state"] == "closed"
    if audience is None or not closed or taken:
        keep_batch(ledger, row, **changes)
        if closed:
            ledger.discard([row["delivery"]])
        return
    state = changes["state"]
    if removal:
        state = "accepted" if state == "refused" else "unknown"  # refused: the members are still there
    phase = PhaseFile(1, Operation.ADD, phase_path(ledger, row), [{**row, "state": state}])
    columns = recipe_fields(connector.capabilities.recipe)
    fold = Fold(ledger.snapshot_path(audience), [phase], columns, now.date(), ledger.key)
    connection = open_tables(ledger.folder, memory="700MB")
    try:
        spare, rows = fold.write(connection, ledger.snapshots, f"next-{audience['id']}", ledger.key)
    finally:
        connection.close()
    ledger.commit_snapshot(
        audience, spare, rows, now, closes=[row["delivery"]], also=lambda: keep_batch(ledger, row, **changes)
    )


def fold_open(ledger: Ledger, connector: Connector, place: Place, now: datetime) -> None:
    """Nothing: the audience's open delivery, however far it came, is part of its snapshot and closed."""
    audience = ledger.audience(place)
    delivery = open_delivery(ledger, audience)
    if audience is None or delivery is None:
        return
    fold = fold_of(ledger, audience, delivery, recipe_fields(connector.capabilities.recipe), now.date())
    connection = open_tables(ledger.folder, memory="700MB")
    try:
        spare, rows = fold.write(connection, ledger.snapshots, f"next-{audience['id']}", ledger.key)
    finally:
        connection.close()
    ledger.commit_snapshot(audience, spare, rows, now, closes=[delivery.id])
