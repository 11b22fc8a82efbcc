"""Predicted values at TikTok: a custom event with value and currency, never a purchase; and what the stand-in refuses."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from pydantic import ValidationError

from connectors.errors import ConfigurationError, SyncError
from connectors.protocol import ValueBatch
from connectors.tiktok.settings import TikTokPredictedValue
from tests.connectors.tiktok.conftest import ADVERTISER, Connect, Recorded, digest
from tests.connectors.tiktok.plain import HEX, Plain

PIXEL = "C4ABCDEFGH0123456789"
WANTED = {"account_id": ADVERTISER, "predicted_value": {"pixel_code": PIXEL, "page_url": "https://shop.example/"}}


def batch(sandbox: Recorded, count: int, **columns: list[Any]) -> ValueBatch:
    at = sandbox.clock.now() - timedelta(days=1)
    plain: dict[str, Any] = {
        "event_id": [f"clv-{row}" for row in range(count)],
        "at": pa.array([at] * count, pa.timestamp("us", "UTC")),
        "value": pa.array([Decimal("412.70")] * count, pa.decimal128(18, 2)),
        "currency": ["USD"] * count,
        "external_id": pa.array([digest(f"id{row}") for row in range(count)], pa.binary(32)),
        "limited": [False] * count,
        "click_id": pa.array([None] * count, pa.string()),
        "EMAIL": pa.array([digest(f"a{row}") for row in range(count)], pa.binary(32)),
        "EMAIL#2": pa.array([digest(f"b{row}") for row in range(count)], pa.binary(32)),
    }
    rows = pa.record_batch({**plain, **columns})
    return ValueBatch("b", count, lambda: iter([rows]))


def test_events_are_custom_and_of_their_own_name(sandbox: Recorded, connect: Connect) -> None:
    connector = connect(WANTED)
    assert connector.signal is not None
    assert (connector.signal.target, connector.signal.event) == (PIXEL, "PredictedValue")
    receipt = connector.send_values(batch(sandbox, 2, click_id=["E.C.P.x", None], limited=[False, True]))
    assert (receipt.accepted, receipt.rejected) == (2, {})
    (body,) = sandbox.bodies("/event/track/")
    assert {name: body[name] for name in ("event_source", "event_source_id")} == {
        "event_source": "web",
        "event_source_id": PIXEL,
    }
    assert body["data"][0] == {
        "event": "PredictedValue",
        "event_time": body["data"][0]["event_time"],
        "event_id": "clv-0",
        "user": {"email": [digest("a0").hex(), digest("b0").hex()], "external_id": digest("id0").hex(), "ttclid": "E.C.P.x"},
        "properties": {"value": 412.7, "currency": "USD"},
        "page": {"url": "https://shop.example/"},
        "limited_data_use": False,
    }
    assert body["data"][1]["limited_data_use"] is True
    assert {one["event"] for one in sandbox.state()["events"]} == {"PredictedValue"}


@pytest.mark.parametrize("name", ["Purchase", "CompletePayment", "Complete_Payment", "PlaceAnOrder", "subscribe", "a b", ""])
def test_an_event_that_counts_purchases_is_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        TikTokPredictedValue(pixel_code=PIXEL, page_url="https://shop.example/", event=name)


def test_the_same_event_twice_counts_once(sandbox: Recorded, connect: Connect) -> None:
    connector = connect(WANTED)
    connector.send_values(batch(sandbox, 3))
    connector.send_values(batch(sandbox, 4))
    assert len(sandbox.state()["events"]) == 4


def test_bad_rows_cost_nobody_else(sandbox: Recorded, connect: Connect) -> None:
    values = pa.array([Decimal(1), None, Decimal(0), Decimal(1), Decimal(1)], pa.decimal128(18, 2))
    receipt = connect(WANTED).send_values(batch(sandbox, 5, value=values, currency=["USD", "USD", "USD", "", "dollars"]))
    assert receipt.rejected_rows == {1: "NO_VALUE", 2: "NO_VALUE", 3: "NO_VALUE", 4: "REFUSED_BY_TIKTOK"}
    assert receipt.accepted == len(sandbox.state()["events"]) == 1


def test_a_pixel_that_is_not_ours_is_raised(sandbox: Recorded, connect: Connect) -> None:
    sandbox.pixels = {"SOMEBODYELSES"}
    with pytest.raises(SyncError):
        connect(WANTED).send_values(batch(sandbox, 2))
    assert sandbox.state()["events"] == []
    assert len(sandbox.bodies("/event/track/")) == 1


def test_events_of_a_call_done_in_part_are_unknown(sandbox: Recorded, connect: Connect) -> None:
    sandbox.faults.add(match="/event/track/", kind="error", detail={"code": 20001, "message": "one failed"})
    receipt = connect(WANTED).send_values(
        batch(sandbox, 3, value=pa.array([Decimal(1), None, Decimal(2)], pa.decimal128(18, 2)))
    )
    assert (receipt.accepted, receipt.rejected, receipt.unknown) == (0, {"NO_VALUE": 1}, 2)


def test_a_lost_reply_is_tried_again(sandbox: Recorded, connect: Connect) -> None:
    sandbox.faults.add(match="/event/track/", kind="lost_reply")
    assert connect(WANTED).send_values(batch(sandbox, 2)).accepted == 2
    assert len(sandbox.state()["events"]) == 2


def test_without_a_pixel_nothing_is_sent(sandbox: Recorded, connect: Connect) -> None:
    assert connect().signal is None
    with pytest.raises(ConfigurationError, match="pixel"):
        connect().send_values(batch(sandbox, 1))


REFUSED: list[tuple[str, dict[str, Any], dict[str, Any], int]] = [
    ("no value", {"properties": {"currency": "USD"}}, {}, 40002),
    ("a value as text", {"properties": {"value": "1", "currency": "USD"}}, {}, 40002),
    ("no currency", {"properties": {"value": 1}}, {}, 40002),
    ("no properties", {"properties": None}, {}, 40002),
    ("a raw e-mail", {"user": {"email": "a@example.com"}}, {}, 40002),
    ("a raw phone among digests", {"user": {"phone": [HEX, "+12025550101"]}}, {}, 40002),
    ("an MD5", {"user": {"external_id": "a" * 32}}, {}, 40002),
    ("nobody", {"user": {}}, {}, 40002),
    ("no page", {"page": None}, {}, 40002),
    ("no id", {"event_id": None}, {}, 40002),
    ("no name", {"event": None}, {}, 40002),
    ("29 days ago", {"event_time": -29 * 86_400}, {}, 40002),
    ("to come", {"event_time": 3_600}, {}, 40002),
    ("a time as text", {"event_time": "now"}, {}, 40002),
    ("no event", {}, {"data": []}, 40002),
    ("1,001 events", {}, {"times": 1001}, 40002),
    ("no pixel", {}, {"event_source_id": None}, 40002),
    ("an app", {}, {"event_source": "app"}, 40001),
]


@pytest.mark.parametrize(("event", "call", "code"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_calls_that_tiktok_refuses(
    plain: Plain, sandbox: Recorded, event: dict[str, Any], call: dict[str, Any], code: int
) -> None:
    now = int(sandbox.clock.now().timestamp())
    good: dict[str, Any] = {
        "event": "PredictedValue",
        "event_time": now - 60,
        "event_id": "e",
        "user": {"email": HEX},
        "properties": {"value": 1, "currency": "USD"},
        "page": {"url": "https://shop.example/"},
    }
    shift = event.get("event_time")
    bad = {**good, **event, **({"event_time": now + shift} if isinstance(shift, int) else {})}
    others = [good] * (call.get("times", 2) - 1)
    body = {
        "event_source": "web",
        "event_source_id": PIXEL,
        "data": [*others, bad],
        **{k: v for k, v in call.items() if k != "times"},
    }
    assert plain.post("/event/track/", **{name: value for name, value in body.items() if value is not None})["code"] == code
    assert sandbox.state()["events"] == []


def test_the_good_call_behind_those_is_taken(plain: Plain, sandbox: Recorded) -> None:
    event = {
        "event": "PredictedValue",
        "event_time": int(sandbox.clock.now().timestamp()),
        "event_id": "e",
        "user": {"email": HEX},
        "properties": {"value": 1, "currency": "USD"},
        "page": {"url": "https://shop.example/"},
    }
    answer = plain.post("/event/track/", event_source="web", event_source_id=PIXEL, data=[event] * 1000)
    assert (answer["code"], answer["data"]) == (0, {})
    assert len(sandbox.state()["events"]) == 1
