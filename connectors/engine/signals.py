"""Which predicted values were sent: events and their batches in the journal, intent before the call, receipt after it."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime

    from connectors.engine.ledger import Ledger
    from connectors.protocol import Receipt

KEPT = timedelta(days=120)
"""Events are remembered for longer than any platform takes an order's value."""
OLDEST = 60  # days: more than any platform's age of an order, so that an event's day lies within KEPT and this


def event_id(place: tuple[str, str], member_key: bytes, day: date) -> str:
    """The name of a customer's event on an account: always the same for the day of their first order."""
    text = "\n".join((*place, member_key.hex(), day.isoformat()))
    return hashlib.blake2b(text.encode(), digest_size=16, person=b"clvsync-value").hexdigest()


def forget_events(ledger: Ledger, keys: Sequence[bytes], now: datetime) -> dict[tuple[str, str], int]:
    """How many events of these members each account was sent; they are remembered no longer.

    An event's name can't be read back, so every day that the journal may hold is tried.
    """
    journal, counts = ledger.journal, {}
    days = [now.date() - timedelta(days=back) for back in range(-1, KEPT.days + OLDEST)]
    for row in journal.rows("SELECT DISTINCT platform, account FROM signal_batches"):
        place = (row["platform"], row["account"])
        names = [event_id(place, key, day) for key in keys for day in days]
        with journal.transaction() as connection:
            gone = sum(connection.execute("DELETE FROM signals WHERE event = ?", (one,)).rowcount for one in names)
        if gone:
            counts[place] = gone
    return counts


class Signals:
    """The events of one account."""

    def __init__(self, ledger: Ledger, platform: str, account: str) -> None:
        self._journal, self._place = ledger.journal, (platform, account)

    def known(self, events: Sequence[str]) -> set[str]:
        """Those of these events that the platform has answered for; what it never answered may go again, as it knows ids."""
        rows = self._journal.rows(
            "SELECT event FROM signals JOIN signal_batches ON signal_batches.id = signals.batch "
            "WHERE platform = ? AND account = ? AND state IN ('done', 'pending')",
            self._place,
        )
        return {row["event"] for row in rows} & set(events)

    def intend(self, batch: str, events: Sequence[str], now: datetime) -> None:
        """Nothing: the batch is about to be sent."""
        with self._journal.transaction() as connection:
            connection.execute(
                "INSERT INTO signal_batches (id, platform, account, rows, state, sent_at) VALUES (?, ?, ?, ?, 'sent', ?) "
                "ON CONFLICT (id) DO UPDATE SET state = 'sent', sent_at = excluded.sent_at",
                (batch, *self._place, len(events), now.isoformat()),
            )
            connection.executemany(
                "INSERT INTO signals (event, batch) VALUES (?, ?) ON CONFLICT (event) DO UPDATE SET batch = excluded.batch",
                [(one, batch) for one in events],
            )

    def answered(self, batch: str, receipt: Receipt) -> None:
        """Nothing: the receipt is kept."""
        state = "pending" if receipt.pending else "unknown" if receipt.unknown else "done"
        self._journal.write(
            "UPDATE signal_batches SET state = ?, accepted = ?, rejected = ?, pending = ?, unknown = ?, reference = ? "
            "WHERE id = ?",
            (
                state,
                receipt.accepted,
                json.dumps(dict(receipt.rejected)),
                receipt.pending,
                receipt.unknown,
                receipt.reference,
                batch,
            ),
        )

    def unsent(self, batch: str) -> None:
        """Nothing: the platform took nothing of the batch."""
        with self._journal.transaction() as connection:
            connection.execute("DELETE FROM signals WHERE batch = ?", (batch,))
            connection.execute("DELETE FROM signal_batches WHERE id = ?", (batch,))

    def pending(self) -> list[dict[str, Any]]:
        """Batches that the platform still works on."""
        query = "SELECT * FROM signal_batches WHERE platform = ? AND account = ? AND state = 'pending' ORDER BY sent_at, id"
        return self._journal.rows(query, self._place)

    def sweep(self, now: datetime) -> None:
        """Nothing: what is too old to be sent again is forgotten."""
        old = "SELECT id FROM signal_batches WHERE platform = ? AND account = ? AND sent_at < ?"
        values = (*self._place, (now - KEPT).isoformat())
        with self._journal.transaction() as connection:
            connection.execute(f"DELETE FROM signals WHERE batch IN ({old})", values)
            connection.execute("DELETE FROM signal_batches WHERE platform = ? AND account = ? AND sent_at < ?", values)
