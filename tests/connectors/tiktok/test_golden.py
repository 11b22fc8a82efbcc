"""What goes over the wire, against request bodies written by hand from TikTok's pages (tests/golden/tiktok)."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from connectors.protocol import LookalikeSpec, Operation, ValueBatch
from connectors.sandbox import Request
from connectors.tiktok.connector import TikTokConnector
from connectors.tiktok.sandbox.files import multipart

from .conftest import ADVERTISER, Connect, Recorded, batch, digest, exclusion, made, people, seed

AT = 1_795_300_000
GOLDEN = Path(__file__).parents[2] / "golden" / "tiktok"


def golden(name: str) -> Any:
    return json.loads((GOLDEN / f"{name}.json").read_text())


def plain(body: Any, **marks: str) -> Any:
    """The body with ids and paths that the platform gave replaced by their names."""
    text = json.dumps(body)
    for mark, value in marks.items():
        text = text.replace(value, f"<{mark}>")
    return json.loads(re.sub(r'"[0-9a-f]{16}"', '"<file_path>"', text))


def shape(request: Request) -> dict[str, Any]:
    fields, name, content = multipart(request)
    assert content
    assert re.fullmatch(r"[0-9a-f]{32}", fields["file_signature"])
    return {**fields, "file_signature": "<md5>", "file": name, "content": content.decode().splitlines()}


def test_create_and_upload(sandbox: Recorded, connect: Connect) -> None:
    tiktok = connect(file_type="email")
    rows = [{"EMAIL": digest("janedoe@gmail.com")}]
    tiktok.send(tiktok.find_or_create(seed("ltv-t1-2026w47")), batch(Operation.ADD, rows))
    (upload,) = [one for one in sandbox.heard if one.path.endswith("/upload/")]
    assert shape(upload) == golden("file_upload_single")
    assert plain(sandbox.bodies("/custom_audience/create/")[0]) == golden("custom_audience_create")


def test_upload_of_several_types(sandbox: Recorded, tiktok: TikTokConnector) -> None:
    rows = [
        {"EMAIL": digest("janedoe@gmail.com"), "EMAIL#2": digest("alice_abc@gmail.com"), "PHONE": digest("+12133734253")},
        {"MAID": digest("5f3a2b18-9c4d-4e7f-b8e2-17d3a1e69b25")},
    ]
    tiktok.send(tiktok.find_or_create(seed()), batch(Operation.ADD, rows))
    (upload,) = [one for one in sandbox.heard if one.path.endswith("/upload/")]
    assert shape(upload) == golden("file_upload_multiple")


@pytest.mark.parametrize("operation", [Operation.ADD, Operation.REMOVE, Operation.REPLACE])
def test_update(operation: Operation, sandbox: Recorded, tiktok: TikTokConnector) -> None:
    handle = made(tiktok, sandbox)
    tiktok.send(handle, batch(operation, people(range(1300))[: 1300 if operation is not Operation.REMOVE else 10]))
    (body,) = sandbox.bodies("/custom_audience/update/")
    assert plain(body, audience=handle.remote_id) == golden(f"custom_audience_update_{operation.value}")


def test_delete(sandbox: Recorded, tiktok: TikTokConnector) -> None:
    handle = made(tiktok, sandbox)
    tiktok.delete(handle)
    (body,) = sandbox.bodies("/custom_audience/delete/")
    assert plain(body, audience=handle.remote_id) == golden("custom_audience_delete")


def test_segments(sandbox: Recorded, tiktok: TikTokConnector) -> None:
    handle = tiktok.find_or_create(exclusion("All customers"))
    rows = [{"EMAIL": digest("janedoe@gmail.com")}, {"EMAIL": digest("alice_abc@gmail.com"), "PHONE": digest("+12133734253")}]
    tiktok.send(handle, batch(Operation.ADD, rows))
    tiktok.send(handle, batch(Operation.REMOVE, rows[:1]))
    tiktok.delete(handle)
    create, delete = sandbox.bodies("/segment/audience/")
    add, remove = sandbox.bodies("/segment/mapping/")
    assert create == golden("segment_audience_create")
    assert plain(delete, audience=handle.remote_id) == golden("segment_audience_delete")
    assert plain(add, audience=handle.remote_id) == golden("segment_mapping_add")
    assert plain(remove, audience=handle.remote_id) == golden("segment_mapping_delete")


def test_lookalike(sandbox: Recorded, tiktok: TikTokConnector) -> None:
    handle = made(tiktok, sandbox)
    tiktok.find_or_create_lookalike(handle, LookalikeSpec("l", "lal-t1-US-balanced", ("US",), size="balanced"))
    (body,) = sandbox.bodies("/lookalike/create/")
    assert plain(body, audience=handle.remote_id) == golden("lookalike_create")


def test_reads(sandbox: Recorded, tiktok: TikTokConnector) -> None:
    handle = made(tiktok, sandbox)
    tiktok.find_or_create(seed())
    tiktok.status(handle)
    queries = {
        one.path.split("/")[-2]: {key: value[0] for key, value in one.query.items()} for one in sandbox.heard if one.query
    }
    assert queries["list"] == golden("custom_audience_list")
    assert plain(queries["get"], audience=handle.remote_id) == golden("custom_audience_get")


def test_report(sandbox: Recorded, tiktok: TikTokConnector) -> None:
    list(tiktok.campaign_days(date(2026, 10, 24), date(2026, 11, 21)))
    assert {key: value[0] for key, value in sandbox.heard[-1].query.items()} == golden("report_integrated_get")


def test_report_of_campaigns(sandbox: Recorded, connect: Connect) -> None:
    list(connect(report_level="campaign").campaign_days(date(2026, 10, 24), date(2026, 11, 21)))
    assert {key: value[0] for key, value in sandbox.heard[-1].query.items()} == golden("report_campaigns_get")


def test_report_task(sandbox: Recorded, tiktok: TikTokConnector) -> None:
    sandbox.report_ids = 0
    day = sandbox.clock.now().date()
    list(tiktok.campaign_days(day.replace(day=1), day))
    (body,) = sandbox.bodies("/report/task/create/")
    assert {**body, "start_date": "<first>", "end_date": "<last>"} == golden("report_task_create")


def test_a_new_name(sandbox: Recorded, tiktok: TikTokConnector) -> None:
    handle = made(tiktok, sandbox)
    tiktok.rename(replace(handle, spec=seed("ltv-t1-2026w48")))
    (body,) = sandbox.bodies("/custom_audience/update/")
    assert plain(body, audience=handle.remote_id) == golden("custom_audience_rename")


def test_sharing(sandbox: Recorded, tiktok: TikTokConnector) -> None:
    handle = made(tiktok, sandbox)
    tiktok.share(handle, ["7000000000000000002", "7000000000000000003"])
    tiktok.unshare(handle, ["7000000000000000003"])
    (share,), (cancel,) = sandbox.bodies("/share/"), sandbox.bodies("/share/cancel/")
    assert plain(share, audience=handle.remote_id) == golden("custom_audience_share")
    assert plain(cancel, audience=handle.remote_id) == golden("custom_audience_unshare")
    assert sandbox.audiences.held[handle.remote_id].shared_with == ["7000000000000000002"]


def test_a_refreshed_lookalike(sandbox: Recorded, tiktok: TikTokConnector) -> None:
    found = tiktok.find_or_create_lookalike(made(tiktok, sandbox), LookalikeSpec("l", "lal-t1-US", ("US",)))
    tiktok.refresh_lookalike(found)
    (body,) = sandbox.bodies("/lookalike/update/")
    assert plain(body, lookalike=found.remote_id) == golden("lookalike_refresh")


def test_predicted_values(sandbox: Recorded, connect: Connect) -> None:
    sandbox.clock.advance(seconds=AT + 3_600 - sandbox.clock.now().timestamp())
    wanted = {"pixel_code": "C4ABCDEFGH0123456789", "page_url": "https://shop.example/"}
    tiktok = connect({"account_id": ADVERTISER, "predicted_value": wanted})
    hashed = {
        "external_id": [digest("user_123"), digest("jane")],
        "EMAIL": [digest("janedoe@gmail.com")] * 2,
        "EMAIL#2": [None, digest("alice_abc@gmail.com")],
        "PHONE": [digest("+12133734253"), None],
    }
    moments = [datetime.fromtimestamp(AT + seconds, UTC) for seconds in (0, 60)]
    rows = pa.record_batch(
        {
            **{name: pa.array(cells, pa.binary(32)) for name, cells in hashed.items()},
            "event_id": ["pv-9001", "pv-9002"],
            "at": pa.array(moments, pa.timestamp("us", "UTC")),
            "value": pa.array([Decimal("412.70"), Decimal("98.50")], pa.decimal128(18, 2)),
            "currency": ["USD", "USD"],
            "limited": [False, True],
            "click_id": ["E.C.P.x", None],
        }
    )
    assert tiktok.send_values(ValueBatch("b", 2, lambda: iter([rows]))).accepted == 2
    (body,) = sandbox.bodies("/event/track/")
    assert body == golden("event_track")


def test_every_golden_body_is_used() -> None:
    text = Path(__file__).read_text()
    names = {one.stem for one in GOLDEN.glob("*.json")}
    used = {one for one in names if f'"{one}"' in text or one.startswith("custom_audience_update_")}
    assert names == used
