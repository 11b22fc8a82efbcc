"""Predicted values as AppendValue events of the Conversions API (fact sheet 8).

They add a `predicted_ltv` to an order that the shop's own Purchase event has reported; `value`, which real purchases carry, is
never set. One event out of order refuses the whole call, so what Meta would refuse is left out before.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import orjson

from connectors.halving import send_in_halves
from connectors.meta.refusals import tag_of
from connectors.protocol import Receipt

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from decimal import Decimal

    from connectors.errors import SyncError
    from connectors.meta.client import GraphClient
    from connectors.meta.settings import MetaPredictedValue
    from connectors.protocol import IdentifierField, ValueBatch

APPEND_VALUE: Final = "AppendValue"
OLDEST: Final = timedelta(days=7)
JUDGED_FROM: Final = 100  # events
DIFFERENT, TIMES = 5, 3
WIRE: Final = {
    "EMAIL": "em",
    "PHONE": "ph",
    "GEN": "ge",
    "LN": "ln",
    "FN": "fn",
    "CT": "ct",
    "ST": "st",
    "ZIP": "zp",
    "COUNTRY": "country",
}
Row = tuple[int, dict[str, Any]]


class Values:
    """Sends predicted values of one account."""

    def __init__(
        self, client: GraphClient, fields: Sequence[IdentifierField], limited: str, now: Callable[[], datetime]
    ) -> None:
        self._client, self._limited, self._now = client, limited, now
        self._names = {column: WIRE[one.name] for one in fields if one.name in WIRE and one.hashed for column in one.columns()}

    def send(self, wanted: MetaPredictedValue, batch: ValueBatch) -> Receipt:
        """The receipt: refused rows are named; what Meta says it did not receive is rejected too."""
        events: list[Row] = []
        rejected: dict[int, str] = {}
        rows = [row for chunk in batch.chunks() for row in chunk.to_pylist()]
        for number, row in enumerate(rows):
            if reason := self._fault(row):
                rejected[number] = reason
            else:
                events.append((number, self._event(row, wanted)))

        def post(part: Sequence[Row]) -> int:
            data = orjson.dumps([event for _, event in part]).decode()
            # twice is harmless: Meta drops an event whose name and id it has had already
            answer = self._client.post(wanted.dataset_id, "events", expect="events_received", resend=True, data=data)
            return min(len(part), int(answer["events_received"]))

        taken, missed, refused = send_in_halves(events, post, _of_a_row)
        rejected |= {number: "REFUSED_BY_META" for number, _ in refused}
        reasons = Counter(rejected.values())
        reasons["NOT_RECEIVED"] += missed
        rejected_by = {one: count for one, count in reasons.items() if count}
        return Receipt(taken, rejected_by, rejected, detail=too_alike([row["value"] for row in rows if row["value"]]))

    def _fault(self, row: dict[str, Any]) -> str:
        if not row.get("order_id"):
            return "NO_ORDER_ID"
        if not row["value"] or row["value"] <= 0 or not row["currency"]:
            return "NO_VALUE"
        return "TOO_OLD" if row["at"] < self._now() - OLDEST else ""

    def _event(self, row: dict[str, Any], wanted: MetaPredictedValue) -> dict[str, Any]:
        user: dict[str, Any] = {"external_id": [row["external_id"].hex()]}
        for column, name in self._names.items():
            digest = row.get(column)
            if digest is not None:
                user.setdefault(name, []).append(digest.hex())
        event: dict[str, Any] = {
            "event_name": APPEND_VALUE,
            "event_time": int(row["at"].timestamp()),
            "event_id": row["event_id"],
            "action_source": "website",
            "user_data": user,
            "original_event_data": {"event_name": wanted.purchase_event, "order_id": row["order_id"]},
            "custom_data": {"predicted_ltv": float(row["value"]), "currency": row["currency"]},
        }
        if self._limited == "everyone" or (self._limited == "california" and row["limited"]):
            event |= {"data_processing_options": ["LDU"], "data_processing_options_country": 0}
            event["data_processing_options_state"] = 0  # 0, 0: Meta looks where the person is
        return event


def too_alike(values: Sequence[Decimal]) -> str:
    """Why Meta could not bid by these values, or "": it asks for 5 different ones, the largest 3 times the smallest.

    A few people may well be alike, so fewer than 100 aren't judged.
    """
    if len(values) < JUDGED_FROM:
        return ""
    different, smallest, largest = len(set(values)), min(values), max(values)
    if different >= DIFFERENT and largest >= TIMES * smallest:
        return ""
    return (
        f"the values are too alike for Meta to bid by them ({different:,} different ones, from {smallest:,} to {largest:,}; it "
        f"asks for {DIFFERENT}, the largest {TIMES} times the smallest): see whether the model tells new customers apart"
    )


def _of_a_row(error: SyncError) -> bool:
    """Whether a refusal may be about an event: an invalid parameter that is neither a missing dataset nor a permission."""
    return error.code.partition("/")[0] == "100" and tag_of(error) not in ("missing", "permission")
