"""What a platform would refuse, told before anything is made: too many audiences, names and lookalikes that it won't take."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from connectors.engine.lookalikes import wanted_lookalikes
from connectors.errors import SyncError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from connectors.engine.audience import Account
    from connectors.engine.ledger import Ledger
    from connectors.engine.plan import PlannedAudience
    from connectors.powers import CountingConnector, ForeseeingConnector

MAKING = ("change", "replace", "recreate")


def foresee(ledger: Ledger, account: Account, items: Sequence[PlannedAudience]) -> SyncError | None:
    """An error that every call of the account would meet, if it met one; else None.

    Audiences that the account can't take have a guardrail then, lookalikes that it can't take a note.
    """
    new = [item for item in items if item.mode in MAKING and not _remote(ledger, item)]
    if account.capabilities.foresees:
        judge = cast("ForeseeingConnector", account.connector)
        for item in items:
            item.notes += [why for one in wanted_lookalikes(item) if (why := judge.objection(one))]
        for item in new:
            item.guardrails += [why] if (why := judge.objection(item.spec)) else []
    if account.capabilities.maximum_audiences and new:
        return _count(account, items, [item for item in new if not item.guardrails])
    return None


def _count(account: Account, items: Sequence[PlannedAudience], new: Sequence[PlannedAudience]) -> SyncError | None:
    """The account is asked how many audiences it holds, only when some are to be made."""
    limits = account.capabilities
    try:
        held = cast("CountingConnector", account.connector).count_audiences()
    except SyncError as error:
        for item in new:
            item.notes.append(f"how many audiences the account holds could not be read: {error.message}")
        return error if error.account_wide else None
    room = limits.maximum_audiences - held.audiences
    for item in new[max(0, room) :]:
        item.guardrails.append(
            f"the account holds {held.audiences} audiences of {limits.maximum_audiences} and {len(new)} are to be made: "
            "delete some that nobody uses"
        )
    to_make = sum(one["state"] != "made" for item in items for one in item.lookalikes)
    most, there = limits.maximum_audiences, held.audiences + len(new)
    if limits.maximum_lookalikes:
        most, there = limits.maximum_lookalikes, held.lookalikes
    if to_make and there + to_make > most:
        for item in items:
            if item.lookalikes:
                item.notes.append(f"{to_make} lookalikes are to be made, and the account has room for {max(0, most - there)}")
    return None


def _remote(ledger: Ledger, item: PlannedAudience) -> str:
    audience = ledger.audience(item.place)
    return str(audience["remote_id"]) if audience else ""
