"""Predicted values at Meta: AppendValue events that never look like purchases, each refused for a reason or taken once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from pydantic import ValidationError

from connectors.errors import ConfigurationError, SyncError
from connectors.meta.connector import MetaConnector
from connectors.meta.sandbox import MetaSandbox
from connectors.protocol import ValueBatch
from tests.connectors.meta.conftest import digest

WANTED = {"predicted_value": {"dataset_id": "900100"}}
Connect = Callable[..., MetaConnector]


def batch(now: datetime, count: int, *, age: timedelta = timedelta(days=1), **columns: list[Any]) -> ValueBatch:
    plain: dict[str, Any] = {
        "event_id": [f"clv-{row}" for row in range(count)],
        "at": pa.array([now - age] * count, pa.timestamp("us", "UTC")),
        "value": pa.array([Decimal("412.70")] * count, pa.decimal128(18, 2)),
        "currency": ["USD"] * count,
        "external_id": pa.array([digest(f"id{row}") for row in range(count)], pa.binary(32)),
        "limited": [False] * count,
        "order_id": [f"o{row}" for row in range(count)],
        "EMAIL": pa.array([digest(str(row)) for row in range(count)], pa.binary(32)),
    }
    rows = pa.record_batch({**plain, **columns})
    return ValueBatch("b", count, lambda: iter([rows]))


def test_events_are_append_value_and_hold_no_purchase_value(box: MetaSandbox, connect: Connect) -> None:
    connector = connect(account=WANTED)
    assert connector.signal is not None
    assert (connector.signal.target, connector.signal.event, connector.signal.days) == ("900100", "AppendValue", 7)
    receipt = connector.send_values(batch(box.clock.now(), 2, limited=[False, True]))
    assert (receipt.accepted, receipt.rejected) == (2, {})
    first, second = box.events
    assert first == {
        "dataset": "900100",
        "event_name": "AppendValue",
        "event_time": first["event_time"],
        "event_id": "clv-0",
        "action_source": "website",
        "user_data": {"em": [digest("0").hex()], "external_id": [digest("id0").hex()]},
        "original_event_data": {"event_name": "Purchase", "order_id": "o0"},
        "custom_data": {"predicted_ltv": 412.7, "currency": "USD"},
    }
    assert second["data_processing_options"] == ["LDU"]
    assert {one["event_name"] for one in box.events} == {"AppendValue"}
    assert not any("value" in one["custom_data"] for one in box.events), "a prediction never counts as purchase value"


def test_what_meta_would_refuse_costs_nobody_else(box: MetaSandbox, connect: Connect) -> None:
    now = box.clock.now()
    rows = batch(
        now,
        5,
        order_id=["o0", None, "", "o3", "o4"],
        value=pa.array([Decimal(1), Decimal(1), Decimal(1), Decimal(0), Decimal(2)], pa.decimal128(18, 2)),
        at=pa.array([now - timedelta(days=8), now, now, now, now - timedelta(days=6)], pa.timestamp("us", "UTC")),
    )
    receipt = connect(account=WANTED).send_values(rows)
    assert receipt.rejected_rows == {0: "TOO_OLD", 1: "NO_ORDER_ID", 2: "NO_ORDER_ID", 3: "NO_VALUE"}
    assert (receipt.accepted, receipt.rejected) == (1, {"TOO_OLD": 1, "NO_ORDER_ID": 2, "NO_VALUE": 1})
    assert [one["event_id"] for one in box.events] == ["clv-4"]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([1, 2, 2.5, 2.7, 2.9], "5 different ones, from 1.00 to 2.90"),
        ([1, 2, 3, 4], "4 different ones, from 1.00 to 4.00"),
        ([1, 1.5, 2, 2.5, 3], ""),
    ],
)
def test_values_too_alike_to_bid_by_are_told(box: MetaSandbox, connect: Connect, values: list[float], said: str) -> None:
    """Five different ones, the largest three times the smallest; few people are not judged."""
    connector = connect(account=WANTED)

    def sent(count: int) -> str:
        cells = [Decimal(str(values[row % len(values)])).quantize(Decimal("0.01")) for row in range(count)]
        receipt = connector.send_values(batch(box.clock.now(), count, value=pa.array(cells, pa.decimal128(18, 2))))
        assert receipt.accepted == count
        return receipt.detail

    assert said in sent(100)
    assert bool(sent(100)) == bool(said)
    assert sent(99) == ""


def test_a_refused_event_is_found_by_halving(box: MetaSandbox, connect: Connect) -> None:
    now = box.clock.now()
    ahead = pa.array([now] * 900 + [now + timedelta(hours=3)] + [now] * 99, pa.timestamp("us", "UTC"))
    receipt = connect(account=WANTED).send_values(batch(now, 1000, at=ahead))
    assert receipt.rejected_rows == {900: "REFUSED_BY_META"}
    assert receipt.accepted == len(box.events) == 999


@pytest.mark.parametrize("code", [190, 200, 2635])
def test_what_no_row_is_to_blame_for_is_raised(box: MetaSandbox, connect: Connect, code: int) -> None:
    box.faults.add(match="/events", kind="error", times=9, detail={"code": code})
    with pytest.raises(SyncError):
        connect(account=WANTED).send_values(batch(box.clock.now(), 4))
    assert box.events == []


def test_a_lost_reply_is_tried_again(box: MetaSandbox, connect: Connect, sleeps: list[float]) -> None:
    box.faults.add(match="/events", kind="lost_reply")
    assert connect(account=WANTED).send_values(batch(box.clock.now(), 3)).accepted == 3
    assert sleeps


def test_everybody_may_be_limited(box: MetaSandbox, connect: Connect) -> None:
    connect(account=WANTED, limited_data_use="everyone").send_values(batch(box.clock.now(), 1))
    connect(account=WANTED, limited_data_use="off").send_values(
        batch(box.clock.now(), 1, limited=[True], event_id=["clv-other"])
    )
    assert [("data_processing_options" in one) for one in box.events] == [True, False]


def test_without_a_dataset_nothing_is_sent(box: MetaSandbox, connect: Connect) -> None:
    connector = connect()
    assert connector.signal is None
    with pytest.raises(ConfigurationError, match="dataset"):
        connector.send_values(batch(box.clock.now(), 1))
    assert box.events == []


@pytest.mark.parametrize(
    "block", [{}, {"dataset_id": "x"}, {"dataset_id": "1", "days": 8}, {"dataset_id": "1", "value": "spend"}]
)
def test_mistakes_in_config(connect: Connect, block: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        connect(account={"predicted_value": block})
