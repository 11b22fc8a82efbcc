"""The Data Manager's rules for conversion events: limits, times, currencies, identifiers, duplicates."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from connectors.google.sandbox.identifiers import HEX, Reader
from connectors.google.sandbox.refusals import DataManagerError, Violation
from connectors.google.sandbox.store import consents

if TYPE_CHECKING:
    from connectors.google.sandbox.store import Store

MOST_EVENTS = 2_000
MINUTE = 60
DUPLICATE_TRANSACTION_ID = 8
_CURRENCY = re.compile(r"[A-Z]{3}")


def checked(store: Store, request: Any, account: str) -> list[tuple[dict[str, Any], int]]:
    """The events, each with the reason for which processing drops it (0: none); raises with every violation."""
    reader = Reader(request.encoding or HEX, request.consent)
    found = reader.violations
    if not len(request.events):
        found.append(Violation("events", "REQUIRED_FIELD_MISSING"))
    if len(request.events) > MOST_EVENTS:
        found.append(Violation("events", "TOO_MANY_EVENTS"))
    events = [_read(store, event, index, reader) for index, event in enumerate(request.events)] if not found else []
    if found:
        raise DataManagerError(found[0].reason, violations=found)
    seen = {event["transaction_id"] for event in store.events if event["account"] == account}
    out = []
    for event, dropped in events:
        number = event["transaction_id"]
        out.append(({**event, "account": account}, DUPLICATE_TRANSACTION_ID if number and number in seen else dropped))
        seen.add(number)
    return out


def _read(store: Store, event: Any, index: int, reader: Reader) -> tuple[dict[str, Any], int]:
    place = f"events[{index}]"
    dropped = 0
    if not event.HasField("event_timestamp"):
        reader.violations.append(Violation(f"{place}.event_timestamp", "REQUIRED_FIELD_MISSING"))
    elif event.event_timestamp.seconds > store.now() + MINUTE:
        reader.violations.append(Violation(f"{place}.event_timestamp", "EVENT_TIME_INVALID"))
    if event.currency and not _CURRENCY.fullmatch(event.currency):
        reader.violations.append(Violation(f"{place}.currency", "INVALID_CURRENCY_CODE"))
    clicks = {name: getattr(event.ad_identifiers, name) for name in ("gclid", "gbraid", "wbraid")}
    if event.user_data.user_identifiers:
        _packed, dropped = reader.person(event, event.user_data, f"{place}.user_data")
    elif not any(clicks.values()):
        reader.violations.append(Violation(place, "NO_IDENTIFIERS_PROVIDED"))
    shown = {
        "transaction_id": event.transaction_id,
        "value": event.conversion_value,
        "currency": event.currency,
        "bucket": event.user_properties.customer_value_bucket,
        "consent": consents(reader.flags(event)),
        **{name: value for name, value in clicks.items() if value},
    }
    return shown, dropped
