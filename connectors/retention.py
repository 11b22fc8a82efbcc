"""The retention clock: what the state folder no longer needs goes on schedule; what is needed to remove people stays.

The snapshot of an audience stays for as long as the audience lives at its platform, since without it nobody could be removed.
Where an account is gone from config it goes after a while all the same; the ledger then knows only that the audience is there,
and deletes it as a whole should the account come back. Tombstones stay for good.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from connectors import clicks, experiments
from connectors.engine.audience import Place
from connectors.engine.known import known_folder
from connectors.engine.settling import drop_pending
from connectors.engine.snapshots import attach, write_snapshot
from connectors.engine.status import spec_of
from connectors.engine.tables import number, open_tables

if TYPE_CHECKING:
    from connectors.config import Settings
    from connectors.engine.ledger import Ledger
    from connectors.engine.leftover import Lifecycle

LATE = timedelta(days=2)  # members leave a platform at its own hour
UNUSED = timedelta(days=7)  # identifiers kept for the next plan, when no plan has asked for them since


def expire(settings: Settings, ledger: Ledger, lifecycle: Lifecycle, now: datetime) -> list[str]:
    """Notes on what went, a run holding the lock. Past runs go when a new one starts (`Archive.start`)."""
    limits = settings.sources.retention
    notes = [note for row in ledger.audiences() if (note := _audience(ledger, row, lifecycle, limits.lost_accounts_days, now))]
    oldest = now - timedelta(days=limits.runs_days)
    _history(ledger, oldest)
    known_folder(ledger).drop((now - UNUSED).timestamp())
    clicks.expire(settings.state, oldest.date(), ledger.key)
    trials = {one.key for one in lifecycle.asked if one.holdout > 0}
    experiments.expire(settings.state, ledger, trials, oldest.date())
    return notes


def _audience(ledger: Ledger, row: dict[str, Any], lifecycle: Lifecycle, days: int, now: datetime) -> str:
    place = Place(row["platform"], row["account"], row["key"])
    if (place.platform, place.account) in lifecycle.accounts:
        if row["left_at"]:
            _outlived(ledger, row, now)
        return ""
    if not row["left_at"]:
        ledger.keep_audience(place, now, left_at=now.isoformat())
        return ""
    if not row["snapshot"] or now - datetime.fromisoformat(row["left_at"]) < timedelta(days=days):
        return ""
    ledger.journal.write("UPDATE deliveries SET state = 'closed' WHERE audience = ?", (row["id"],))
    drop_pending(ledger, place)
    ledger.commit_snapshot(row, None, 0, now)
    ledger.keep_audience(place, now, escalated="delete" if row["remote_id"] else "")
    return (
        f"{place}: what was sent to it is no longer kept, {days} days after its account left platforms.yaml; its "
        f"{row['rows']:,} members stay at the platform until somebody deletes the audience there"
    )


def _outlived(ledger: Ledger, row: dict[str, Any], now: datetime) -> None:
    """Nothing: the snapshot of an audience that left config is without those whose membership the platform has ended."""
    days = spec_of(row).membership_days
    if not days:
        return
    last = date.fromisoformat((now - timedelta(days=days) - LATE).date().isoformat())
    connection = open_tables(ledger.folder, memory="700MB")
    try:
        path = ledger.snapshot_path(row)
        attach(connection, "base", path, ledger.key)
        if not number(connection, f"SELECT count(*) FROM base WHERE sent_on <= DATE '{last}'"):
            return
        attach(connection, "base", path, ledger.key)
        query = f"SELECT * FROM base WHERE sent_on > DATE '{last}'"
        spare, rows = write_snapshot(connection, query, ledger.snapshots, f"next-{row['id']}", ledger.key)
    finally:
        connection.close()
    ledger.commit_snapshot(row, spare, rows, now)


def _history(ledger: Ledger, oldest: datetime) -> None:
    """Nothing: the journal's lines of old runs and of deliveries that are long closed are gone (they name nobody)."""
    before = (oldest.isoformat(),)
    done = (
        "SELECT id FROM deliveries WHERE state = 'closed' AND created_at < ? "
        "AND NOT EXISTS (SELECT 1 FROM batches WHERE batches.delivery = deliveries.id AND batches.state = 'pending')"
    )
    with ledger.journal.transaction() as connection:
        for table in ("batches", "phases"):
            connection.execute(f"DELETE FROM {table} WHERE delivery IN ({done})", before)
        connection.execute(f"DELETE FROM deliveries WHERE id IN ({done})", before)
        connection.execute("DELETE FROM runs WHERE started_at < ?", before)
