"""Predicted values as events: complete, of an action of their own, never twice; and what the stand-in refuses."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from connectors.errors import ConfigurationError
from tests.connectors.google.conftest import ACCOUNT, digest
from tests.connectors.google.plain import hexed, refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from connectors.google.connector import GoogleConnector
    from tests.connectors.google.conftest import World

ACTION = "777001"


def values(count: int, **columns: list[Any]) -> pa.RecordBatch:
    at = datetime.now(UTC) - timedelta(hours=1)
    plain: dict[str, Any] = {
        "event_id": [f"clv-{row}" for row in range(count)],
        "at": pa.array([at] * count, pa.timestamp("us", "UTC")),
        "value": pa.array([Decimal("12.50")] * count, pa.decimal128(18, 2)),
        "currency": ["USD"] * count,
        "bucket": ["high"] * count,
        "email": pa.array([digest(str(row)) for row in range(count)], pa.binary(32)),
        "consent_unrecorded": pa.nulls(count, pa.string()),
    }
    return pa.record_batch({**plain, **columns})


@pytest.fixture
def connector(world: World, transport: str) -> GoogleConnector:
    world.sandbox.store.actions = {ACTION}
    return world.connect(transport, predicted_value_action=777001)


def test_values_travel_with_bucket_and_click(world: World, connector: GoogleConnector) -> None:
    receipt = connector.send_predicted_values([values(2, gclid=["CjwK", None], bucket=["high", None])])
    assert (receipt.pending, receipt.accepted) == (2, 0)
    first, second = world.sandbox.state()["events"]
    assert first == {
        "transaction_id": "clv-0",
        "value": 12.5,
        "currency": "USD",
        "bucket": 3,
        "consent": {"adUserData": "CONSENT_GRANTED", "adPersonalization": "CONSENT_GRANTED"},
        "gclid": "CjwK",
        "account": ACCOUNT,
    }
    assert second["bucket"] == 0
    world.sandbox.clock.advance(hours=1)
    assert connector.settle_predicted_values(receipt.reference, 2).accepted == 2


def test_the_same_event_again_is_a_duplicate(world: World, connector: GoogleConnector) -> None:
    connector.send_predicted_values([values(2)])
    receipt = connector.send_predicted_values([values(3)])
    world.sandbox.clock.advance(hours=1)
    settled = connector.settle_predicted_values(receipt.reference, receipt.pending)
    assert (settled.accepted, settled.rejected) == (1, {"DUPLICATE_TRANSACTION_ID": 2})
    assert len(world.sandbox.state()["events"]) == 3


def test_2000_events_a_request(world: World, connector: GoogleConnector) -> None:
    receipt = connector.send_predicted_values([values(2500), values(1, event_id=["other"])])
    assert [one["rows"] for one in world.calls("IngestEvents")] == [2000, 501]
    assert receipt.pending == 2501


def test_incomplete_and_refused_events_cost_nobody_else(world: World, connector: GoogleConnector) -> None:
    rows = values(
        5,
        event_id=["a", "", "c", "d", "e"],
        currency=["USD", "USD", "US Dollar", "USD", "USD"],
        email=pa.array([digest("a"), digest("b"), digest("c"), None, None], pa.binary(32)),
        wbraid=[None, None, None, None, "click"],
    )
    receipt = connector.send_predicted_values([rows])
    assert receipt.rejected_rows == {1: "NO_EVENT_ID", 2: "INVALID_CURRENCY_CODE", 3: "NO_IDENTIFIERS"}
    assert receipt.pending == 2


def test_without_an_action_of_their_own_nothing_is_sent(world: World) -> None:
    with pytest.raises(ConfigurationError, match="predictions alone"):
        world.connect().send_predicted_values([values(1)])
    world.sandbox.store.actions = {"1"}
    with pytest.raises(ConfigurationError, match="INVALID_CONVERSION_ACTION_ID"):
        world.connect(predicted_value_action="2").send_predicted_values([values(1)])


def event(world: World, **fields: Any) -> dict[str, Any]:
    at = (world.now() - timedelta(hours=1)).isoformat().replace("+00:00", "Z")
    user = {"userIdentifiers": [{"emailAddress": hexed("a")}]}
    plain = {"transactionId": "t", "eventTimestamp": at, "userData": user, "currency": "USD", "conversionValue": 1}
    return {name: value for name, value in {**plain, **fields}.items() if value is not None}


EVENTS: list[tuple[str, Callable[[World], list[dict[str, Any]]], str]] = [
    ("none", lambda world: [], "REQUIRED_FIELD_MISSING"),
    ("2,001", lambda world: [event(world)] * 2001, "TOO_MANY_EVENTS"),
    ("no time", lambda world: [event(world, eventTimestamp=None)], "REQUIRED_FIELD_MISSING"),
    ("a time to come", lambda world: [event(world, eventTimestamp="2999-01-01T00:00:00Z")], "EVENT_TIME_INVALID"),
    ("a currency that is none", lambda world: [event(world, currency="dollar")], "INVALID_CURRENCY_CODE"),
    ("nobody", lambda world: [event(world, userData=None)], "NO_IDENTIFIERS_PROVIDED"),
    (
        "a raw e-mail",
        lambda world: [event(world, userData={"userIdentifiers": [{"emailAddress": "a@example.com"}]})],
        "INVALID_HEX_ENCODING",
    ),
]


@pytest.mark.parametrize(("made", "reason"), [row[1:] for row in EVENTS], ids=[row[0] for row in EVENTS])
def test_events_that_google_refuses(world: World, made: Callable[[World], list[dict[str, Any]]], reason: str) -> None:
    import requests

    account = {"accountType": "GOOGLE_ADS", "accountId": ACCOUNT}
    place = {"operatingAccount": account, "productDestinationId": ACTION}
    body = {"destinations": [place], "events": made(world), "encoding": "HEX"}
    answer = requests.post(f"{world.addresses['data_manager']}/v1/events:ingest", json=body, timeout=10)
    assert refusal((answer.status_code, answer.json()))[:2] == (400, reason)
    assert world.sandbox.store.events == []


def test_the_engine_sends_through_the_accounts_own_action(world: World, transport: str) -> None:
    from connectors.protocol import ValueBatch

    world.sandbox.store.actions = {ACTION}
    connector = world.connect(transport, accounts=[{"account_id": ACCOUNT, "predicted_value": {"action": 777001, "days": 3}}])
    assert connector.signal is not None
    assert (connector.signal.target, connector.signal.days, connector.signal.column) == (ACTION, 3, "clv")
    extra = {
        "external_id": pa.array([digest("id")] * 2, pa.binary(32)),
        "limited": [False, True],
        "order_id": ["o0", None],
        "click_id": ["CjwK", "gbraid=0AAA="],
    }
    rows = values(2, **extra)
    receipt = connector.send_values(ValueBatch("b", 2, lambda: iter([rows])))
    assert (receipt.pending, receipt.rejected) == (2, {})
    events = world.sandbox.state()["events"]
    assert [(one.get("gclid"), one.get("gbraid"), one.get("wbraid")) for one in events] == [
        ("CjwK", None, None),
        (None, "0AAA=", None),
    ]
    world.sandbox.clock.advance(hours=1)
    assert connector.settle_values(receipt.reference, 2).accepted == 2
    assert world.connect(transport).signal is None
