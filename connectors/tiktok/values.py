"""Predicted values as a custom event of the Events API (fact sheet 7): value and currency, under a name of its own.

TikTok answers for a call as a whole and refuses it for one bad event. An event sent twice counts once, by source, name and id.
A call done in part (20001) names nobody: its events are unknown, and sent again under the same ids.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from connectors.halving import send_in_halves
from connectors.protocol import Receipt
from connectors.tiktok.codes import PARTIAL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from connectors.errors import SyncError
    from connectors.protocol import ValueBatch
    from connectors.tiktok.client import Client
    from connectors.tiktok.settings import TikTokPredictedValue

INVALID = "40002"
WIRE = {"EMAIL": "email", "PHONE": "phone"}
Row = tuple[int, dict[str, Any]]


class Values:
    """Sends predicted values of one advertiser."""

    def __init__(self, client: Client, columns: Sequence[str]) -> None:
        self._client = client
        kinds = ((name, WIRE.get(name.partition("#")[0])) for name in columns)
        self._names = {name: kind for name, kind in kinds if kind}

    def send(self, wanted: TikTokPredictedValue, batch: ValueBatch) -> Receipt:
        """The receipt: rows without value or currency, and those that TikTok refuses, are named."""
        events: list[Row] = []
        rejected: dict[int, str] = {}
        for number, row in enumerate(row for chunk in batch.chunks() for row in chunk.to_pylist()):
            if not row["value"] or row["value"] <= 0 or not row["currency"]:
                rejected[number] = "NO_VALUE"
            else:
                events.append((number, self._event(row, wanted)))

        def post(part: Sequence[Row]) -> int:
            body = {"event_source": "web", "event_source_id": wanted.pixel_code, "data": [event for _, event in part]}
            return 0 if self._client.post("/event/track/", body).code == PARTIAL else len(part)

        taken, unknown, refused = send_in_halves(events, post, _of_a_row)
        rejected |= {number: "REFUSED_BY_TIKTOK" for number, _ in refused}
        return Receipt(taken, dict(Counter(rejected.values())), rejected, unknown=unknown)

    def _event(self, row: dict[str, Any], wanted: TikTokPredictedValue) -> dict[str, Any]:
        user: dict[str, Any] = {"external_id": row["external_id"].hex()}
        for column, name in self._names.items():
            if row.get(column) is not None:
                user.setdefault(name, []).append(row[column].hex())
        if row.get("click_id"):
            user["ttclid"] = row["click_id"]
        return {
            "event": wanted.event,
            "event_time": int(row["at"].timestamp()),
            "event_id": row["event_id"],
            "user": user,
            "properties": {"value": float(row["value"]), "currency": row["currency"]},
            "page": {"url": wanted.page_url},
            "limited_data_use": row["limited"],
        }


def _of_a_row(error: SyncError) -> bool:
    return error.code == INVALID
