"""The stable random holdout: who is kept out of an audience so that its effect can be measured."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from connectors.engine.ledger import Ledger

_SCALE = 1 << 32


def held_out(customer_ids: Sequence[str], salt: str, share: float) -> list[bool]:
    """For each customer whether they are held out: a hash of id and salt below `share`, the same in every run.

    Raising the share only adds people; another salt draws anew.
    """
    start = hashlib.blake2b(salt.encode(), digest_size=4, person=b"clvsync-holdout")
    limit = int(share * _SCALE)
    answers = []
    for one in customer_ids:
        draw = start.copy()
        draw.update(b"\0" + one.encode())
        answers.append(int.from_bytes(draw.digest(), "big") < limit)
    return answers


def salt_of(ledger: Ledger, audience: str) -> str:
    """The audience's salt: its key and the state folder, so that two audiences draw apart."""
    return ledger.member_key(f"holdout {audience}").hex()


def keep_holdout(ledger: Ledger, audience: str, share: float, now: datetime) -> None:
    """Nothing: the experiment of this audience is on record from its first push on; another share is a new experiment."""
    known = ledger.journal.one("SELECT share FROM holdouts WHERE audience = ?", (audience,))
    if known is None or known["share"] != share:
        values = (audience, salt_of(ledger, audience), share, now.isoformat())
        ledger.journal.write("INSERT OR REPLACE INTO holdouts (audience, salt, share, since) VALUES (?, ?, ?, ?)", values)


def holdouts(ledger: Ledger) -> list[dict[str, Any]]:
    """Every experiment: audience (the request's key), share, since."""
    return ledger.journal.rows("SELECT audience, share, since FROM holdouts ORDER BY audience")
