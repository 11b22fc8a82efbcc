"""Deletes what config retired: an audience with its lookalikes at the platform, then all that the ledger holds of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from connectors.errors import ConfigurationError, NotReadyError
from connectors.protocol import AudienceHandle, AudienceSpec, AudienceState

if TYPE_CHECKING:
    from connectors.engine.ledger import Ledger
    from connectors.protocol import Connector


def retire(ledger: Ledger, connector: Connector, row: dict[str, Any], handle: AudienceHandle | None) -> None:
    """Nothing: the audience is gone from the platform (`handle` None: it was before) and from the ledger, its people with it.

    Raises what the platform says against it (an audience that ads still use may not be deleted): nothing is dropped then.
    """
    if handle is not None:
        _drop_lookalikes(ledger, connector, row)
        connector.delete(handle)
        if connector.status(handle).state is not AudienceState.MISSING:
            raise NotReadyError("the platform has not confirmed yet that the audience is gone")
    ledger.drop_audience(row)


def check_writer(ledger: Ledger, row: dict[str, Any], handle: AudienceHandle) -> None:
    """Nothing; raises ConfigurationError when another audience of the ledger writes to it: they would undo each other."""
    if not handle.remote_id:
        return
    query = "SELECT key FROM audiences WHERE platform = ? AND account = ? AND remote_id = ? AND id <> ?"
    other = ledger.journal.one(query, (row["platform"], row["account"], handle.remote_id, row["id"]))
    if other is not None:
        raise ConfigurationError(
            f"the audience {row['name']!r} at {row['platform']} is kept as {other['key']} already",
            remedy=f"give {row['key']} a title of its own, or retire {other['key']} first",
        )


def _drop_lookalikes(ledger: Ledger, connector: Connector, audience: dict[str, Any]) -> None:
    """Nothing: what was made of the audience is gone, for platforms keep a seed that lookalikes need (Meta: 2656)."""
    for row in ledger.journal.rows("SELECT * FROM lookalikes WHERE audience = ?", (audience["id"],)):
        spec = AudienceSpec(row["key"], row["name"])
        connector.delete(
            AudienceHandle(audience["platform"], audience["account"], spec, row["remote_id"], row.get("path", "lookalike"))
        )
        ledger.journal.write("DELETE FROM lookalikes WHERE audience = ? AND key = ?", (audience["id"], row["key"]))
