"""Which predicted values were sent: events and their batches in the journal, intent before the call, receipt after it."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from connectors.engine.ledger import Ledger
    from connectors.protocol import Receipt

KEPT = timedelta(days=120)
"""Events are remembered for longer than any platform takes an order's value."""


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
