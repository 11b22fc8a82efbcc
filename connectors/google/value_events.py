"""Predicted customer value as conversion events of an action of its own, so that Google's bidding can learn from it.

The action must be one made for predictions: predicted and real purchase values are never mixed. Events carry the caller's event
id as transaction id, by which Google drops duplicates. Columns: `event_id`, `at` (timestamp with zone), `value` (decimal),
`currency`, optional `bucket` (high, middle, low), `gclid`, `gbraid`, `wbraid`, and the recipe's columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from connectors.errors import ConfigurationError
from connectors.google import bodies
from connectors.google.client import answered, member_request, wrap
from connectors.google.delivery import Delivery
from connectors.google.members import write_reference

if TYPE_CHECKING:
    from collections.abc import Iterable

    from connectors.google.client import GoogleClient
    from connectors.google.settings import GoogleAccount, GoogleSettings
    from connectors.protocol import Receipt

PER_REQUEST = 2_000
BUCKETS = {"low": 1, "middle": 2, "high": 3}
OTHER_SOURCE = 5
CLICKS = ("gclid", "gbraid", "wbraid")
UNUSED = ("external_id", "limited", "order_id")
NEEDED = ("event_id", "at", "value", "currency")


class ValueEvents:
    """Sends predicted values for one account; `Members.settle` tells what became of them."""

    def __init__(self, client: GoogleClient) -> None:
        self._client = client

    def send(self, chunks: Iterable[pa.RecordBatch]) -> Receipt:
        """The receipt: events that Google took are pending, those it refused are named."""
        action = action_of(self._client.settings, self._client.account)
        if not action:
            raise ConfigurationError(
                "no conversion action for predicted values is set",
                remedy="make one in Google Ads for predictions alone, then set the account's predicted_value to its id",
                platform="google",
            )
        held = list(chunks)
        columns = bodies.read([_identifiers(chunk) for chunk in held])
        events = {name: _column(held, name) for name in (*NEEDED, "bucket", *CLICKS)}
        delivery = Delivery(refused={row: f"NO_{name.upper()}" for row, name in _incomplete(columns.rows, events)})
        empty = set(columns.empty_rows())
        for row in range(columns.rows):
            if row in empty and not any(events[name][row] for name in CLICKS):
                delivery.refused.setdefault(row, "NO_IDENTIFIERS")
        rows = [row for row in range(columns.rows) if row not in delivery.refused]
        delivery.run(rows, PER_REQUEST, lambda part: self._submit(action, columns, events, part))
        return delivery.receipt(write_reference(delivery.requests, {}))

    def _submit(self, action: str, columns: bodies.Columns, events: dict[str, list[Any]], rows: list[int]) -> str:
        client = self._client
        request = member_request("events")
        bodies.address_to(request, client.account.account_id, client.login_account, action)
        alone = bodies.allow(request, columns, rows)
        for row in rows:
            event = request.events.add()
            _fill(event, columns, events, row)
            if row in alone:
                bodies.grant(event.consent)
        timeout = client.settings.timeout_seconds

        def invoke() -> str:
            answer = client.ingestion.ingest_events(request=wrap(request), retry=None, timeout=timeout)
            return answered(str(answer.request_id), client.settings.data_manager_endpoint)

        return client.call("ingestion write", invoke, write=True, members=True)


def action_of(settings: GoogleSettings, account: GoogleAccount) -> str:
    """Id of the account's conversion action for predicted values: its own, else the platform's; "" switches them off."""
    return account.predicted_value.action if account.predicted_value else settings.predicted_value_action


def of_batch(chunk: pa.RecordBatch) -> pa.RecordBatch:
    """The engine's rows under the names that are used here, without what Google doesn't take."""
    names = [name for name in chunk.schema.names if name not in (*UNUSED, "click_id")]
    if "click_id" not in chunk.schema.names:
        return chunk.select(names)
    clicks = [one or "" for one in chunk.column("click_id").to_pylist()]
    found = {name: [_click(one, name) for one in clicks] for name in CLICKS}
    columns = [*chunk.select(names).columns, *(pa.array(found[name], pa.string()) for name in CLICKS)]
    return pa.RecordBatch.from_arrays(columns, names=[*names, *CLICKS])


def _click(text: str, name: str) -> str | None:
    """The click id if it is one of that name; without a name it is a gclid."""
    said, sign, value = text.partition("=")
    if sign and said in CLICKS:
        return value if said == name else None
    return text or None if name == "gclid" else None


def _identifiers(chunk: pa.RecordBatch) -> pa.RecordBatch:
    names = [name for name in chunk.schema.names if name not in (*NEEDED, "bucket", *CLICKS)]
    return chunk.select(names)


def _column(chunks: list[pa.RecordBatch], name: str) -> list[Any]:
    """The column's values over all chunks; absent columns are empty."""
    found: list[Any] = []
    for chunk in chunks:
        known = name in chunk.schema.names
        found += chunk.column(name).to_pylist() if known else [None] * chunk.num_rows
    return found


def _incomplete(rows: int, events: dict[str, list[Any]]) -> list[tuple[int, str]]:
    """Rows that lack what every event needs, each with the first thing that it lacks."""
    missing = ((row, next((name for name in NEEDED if events[name][row] in (None, "")), "")) for row in range(rows))
    return [(row, name) for row, name in missing if name]


def _fill(event: Any, columns: bodies.Columns, events: dict[str, list[Any]], row: int) -> None:
    event.transaction_id = str(events["event_id"][row])
    event.event_timestamp.FromDatetime(events["at"][row])
    event.event_source = OTHER_SOURCE
    event.currency, event.conversion_value = events["currency"][row], float(events["value"][row])
    if bucket := BUCKETS.get(events["bucket"][row] or ""):
        event.user_properties.customer_value_bucket = bucket
    for name in CLICKS:
        if events[name][row]:
            setattr(event.ad_identifiers, name, events[name][row])
    bodies.fill_user(event.user_data.user_identifiers, columns, row)
