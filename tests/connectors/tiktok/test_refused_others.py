"""The sandbox refuses what TikTok refuses: streams, lookalikes, reports."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .conftest import ADVERTISER, Recorded
from .plain import GONE, HEX, OTHER, Plain


def test_long_segment_names_are_cut(plain: Plain, sandbox: Recorded) -> None:
    made = plain.post("/segment/audience/", advertiser_id=ADVERTISER, custom_audience_name="n" * 80)["data"]["audience_id"]
    assert sandbox.state()["audiences"][made]["name"] == "n" * 67 + "..."


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"custom_audience_name": None}, 40002),
        ({"action": "rename", "custom_audience_name": "x"}, 40002),
        ({"action": "delete"}, 40002),
        ({"action": "delete", "delete_audience_id": GONE}, 40007),
    ],
)
def test_segment_audiences(body: dict[str, Any], code: int, plain: Plain) -> None:
    assert plain.post("/segment/audience/", advertiser_id=ADVERTISER, **body)["code"] == code


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, 0),
        ({"id_schema": ["email_sha256"]}, 0),
        ({"action": "delete"}, 0),
        ({"batch_data": [[{}]]}, 0),
        ({"action": "replace"}, 40002),
        ({"id_schema": ["EMAIL_SHA256", "EMAIL_SHA256"]}, 40002),
        ({"id_schema": ["AAID_MD"]}, 40002),
        ({"id_schema": ["MAID_SHA256"]}, 40002),
        ({"id_schema": []}, 40002),
        ({"id_schema": ["EMAIL_SHA256", "PHONE_SHA256"]}, 40002),
        ({"id_schema": ["IDFA_MD5"]}, 40002),
        ({"batch_data": []}, 40002),
        ({"batch_data": [[{"id": "jane@example.com", "audience_ids": ["1"]}]]}, 40002),
        ({"batch_data": [[{"id": HEX}]]}, 40002),
        ({"batch_data": [[{"id": HEX, "audience_ids": [GONE]}]]}, 40001),
        ({"batch_data": [[{}]] * 1001}, 40002),
        ({"advertiser_ids": [OTHER]}, 40001),
        ({"advertiser_ids": None}, 40002),
    ],
)
def test_mappings(changes: dict[str, Any], code: int, plain: Plain) -> None:
    assert plain.mapping(plain.segment(), **changes)["code"] == code


def test_a_file_audience_takes_no_mapping_and_a_stream_no_file(plain: Plain) -> None:
    assert plain.mapping(plain.audience())["code"] == 40002
    assert plain.update(plain.segment())["code"] == 40002


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, 0),
        ({"source_audience_id": None}, 40002),
        ({"include_source": None}, 40002),
        ({"include_source": "false"}, 40002),
        ({"mobile_os": None}, 40002),
        ({"mobile_os": "WINDOWS"}, 40002),
        ({"placements": None}, 40002),
        ({"placements": ["PLACEMENT_TIKTOK"]}, 40002),
        ({"location_ids": None}, 40002),
        ({"location_ids": []}, 40002),
        ({"location_ids": ["US"]}, 40002),
        ({"audience_size": None}, 40002),
        ({"audience_size": "NARROWEST"}, 40002),
        ({"source_audience_id": GONE}, 40007),
        ({"similarity": 1}, 40002),
    ],
)
def test_lookalikes(changes: dict[str, Any], code: int, plain: Plain) -> None:
    assert plain.lookalike(plain.audience(), **changes)["code"] == code


def test_a_lookalike_needs_a_usable_seed_that_is_none_itself(plain: Plain, sandbox: Recorded) -> None:
    assert plain.lookalike(plain.audience(ready=False))["code"] == 40002
    assert plain.lookalike(plain.audience(900))["code"] == 40002
    first = plain.lookalike(plain.audience())["data"]["custom_audience_id"]
    sandbox.clock.advance(hours=25)
    assert plain.lookalike(first)["code"] == 40002


def test_a_lookalike_is_refreshed_never_changed(plain: Plain) -> None:
    made = plain.lookalike(plain.audience())["data"]["custom_audience_id"]
    path, body = "/dmp/custom_audience/lookalike/update/", {"advertiser_id": ADVERTISER, "custom_audience_ids": [made]}
    assert plain.post(path, **body)["code"] == 0
    assert plain.post(path, **body, lookalike_spec={"audience_size": "BROAD"})["code"] == 40002
    assert plain.post(path, advertiser_id=ADVERTISER, custom_audience_ids=[plain.audience()])["code"] == 40002
    assert plain.update(made, file_paths=None, audience_sub_type="REACH_FREQUENCY")["code"] == 40002


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, 0),
        ({"custom_audience_ids": []}, 40002),
        ({"custom_audience_ids": [GONE]}, 40007),
        ({"custom_audience_ids": [GONE] * 11}, 40002),
        ({"shared_advertiser_ids": []}, 40002),
        ({"shared_advertiser_ids": [OTHER] * 11}, 40002),
        ({"shared_advertiser_ids": ["7000000000000000009"]}, 40001),
        ({"advertiser_id": OTHER}, 40007),
    ],
)
def test_shares(changes: dict[str, Any], code: int, plain: Plain, sandbox: Recorded) -> None:
    sandbox.centers = {"7000000000000000009": "another"}
    audience = plain.audience()
    body = {"advertiser_id": ADVERTISER, "custom_audience_ids": [audience], "shared_advertiser_ids": [OTHER], **changes}
    assert plain.post("/dmp/custom_audience/share/", **body)["code"] == code
    seen = plain.get("/dmp/custom_audience/list/", advertiser_id=OTHER)["data"]["list"]
    assert [(one["shared"], one["is_creator"], one["owner_id"]) for one in seen] == [(True, False, ADVERTISER)] * (not code)


def test_a_share_ends_once_and_only_usable_audiences_are_shared(plain: Plain) -> None:
    audience = plain.audience()
    body = {"advertiser_id": ADVERTISER, "custom_audience_ids": [audience], "shared_advertiser_ids": [OTHER]}
    assert (
        plain.post("/dmp/custom_audience/share/", **{**body, "custom_audience_ids": [plain.audience(ready=False)]})["code"]
        == 40002
    )
    plain.post("/dmp/custom_audience/share/", **body)
    cancel = {"advertiser_id": ADVERTISER, "custom_audience_id": audience, "shared_advertiser_id": OTHER}
    assert [plain.post("/dmp/custom_audience/share/cancel/", **cancel)["code"] for _ in range(2)] == [0, 40002]
    assert plain.get("/dmp/custom_audience/list/", advertiser_id=OTHER)["data"]["list"] == []


def test_pixels(plain: Plain, sandbox: Recorded) -> None:
    sandbox.pixels = {"CAAAAAA", "CBBBBBB"}
    codes = [one["pixel_code"] for one in plain.get("/pixel/list/", advertiser_id=ADVERTISER)["data"]["pixels"]]
    assert codes == ["CAAAAAA", "CBBBBBB"]
    assert plain.get("/pixel/list/", advertiser_id=ADVERTISER, code="CZZZZZZ")["data"]["pixels"] == []
    assert plain.get("/pixel/list/")["code"] == 40002


THIRTY = {"start_date": "2026-09-01", "end_date": "2026-09-30"}
THIRTY_ONE = {"start_date": "2026-09-01", "end_date": "2026-10-01"}
YEAR = {"start_date": "2025-09-01", "end_date": "2026-08-31"}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, 0),
        (THIRTY, 0),
        (THIRTY_ONE, 40002),
        ({**YEAR, "dimensions": ["ad_id"]}, 0),
        ({**YEAR, "end_date": "2026-09-01", "dimensions": ["ad_id"]}, 40002),
        ({"start_date": "2026-09-01", "end_date": "2026-09-02", "dimensions": ["ad_id", "stat_time_hour"]}, 40002),
        ({"start_date": "2026-09-02", "end_date": "2026-09-01"}, 40002),
        ({"start_date": "20.09.2026"}, 40002),
        ({"page_size": "1000"}, 0),
        ({"page_size": "1001"}, 40002),
        ({"report_type": None}, 40002),
        ({"data_level": None}, 40002),
        ({"data_level": "RESERVATION_AD"}, 40002),
        ({"dimensions": None}, 40002),
        ({"dimensions": ["stat_time_day"]}, 40002),
        ({"dimensions": ["ad_id", "campaign_id"]}, 40002),
        ({"data_level": "AUCTION_CAMPAIGN"}, 40002),
        ({"metrics": ["spend", "roas"]}, 40002),
        ({"metrics": ["cash_spend"]}, 40002),
        ({"metrics": ["ad_name"], "data_level": "AUCTION_CAMPAIGN", "dimensions": ["campaign_id"]}, 40002),
        ({"filtering": [{"field_name": "ad_status", "filter_type": "IN", "filter_value": ["STATUS_ALL"]}]}, 40002),
        ({"filtering": [{"field_name": "colour", "filter_type": "IN", "filter_value": '["red"]'}]}, 40002),
        ({"filtering": [{"field_name": "ad_ids", "filter_type": "IN", "filter_value": json.dumps(["1"] * 101)}]}, 40011),
    ],
)
def test_reports(changes: dict[str, Any], code: int, plain: Plain) -> None:
    assert plain.report(**changes)["code"] == code


def test_a_bad_metric_is_named(plain: Plain) -> None:
    assert "cash_spend" in plain.report(metrics=["spend", "cash_spend"])["message"]


def test_deleted_ads_are_hidden_unless_asked_for(plain: Plain, sandbox: Recorded) -> None:
    base = {"campaign_id": "1", "campaign_name": "C", "adset_id": "2", "impressions": 1, "clicks": 1, "conversions": 0}
    base |= {"spend": "1.50", "conversion_value": "0", "date": sandbox.clock.now().date().isoformat()}
    sandbox.campaigns = [{**base, "ad_id": "3"}, {**base, "ad_id": "4", "status": "deleted"}]
    every = [{"field_name": "ad_status", "filter_type": "IN", "filter_value": '["STATUS_ALL"]'}]
    assert len(plain.report()["data"]["list"]) == 1
    assert len(plain.report(filtering=every)["data"]["list"]) == 2
    (row,) = plain.report()["data"]["list"]
    assert row["metrics"] == {"spend": "1.50"}
    assert row["dimensions"]["stat_time_day"].endswith(" 00:00:00")


def test_a_cut_is_told_by_a_header_alone(plain: Plain, sandbox: Recorded) -> None:
    day = sandbox.campaigns[0]["date"]
    assert sandbox.report_ids == 20_000
    assert plain.report(start_date=day, end_date=day)["code"] == 0
    assert "X-Tt-Ads-Throttle" not in plain.headers
    sandbox.report_ids = 2
    answer = plain.report(start_date=day, end_date=day)
    assert answer["code"] == 0
    assert len(answer["data"]["list"]) == 2
    assert "X-Tt-Ads-Throttle" in plain.headers


def test_tasks(plain: Plain) -> None:
    body = {"advertiser_id": ADVERTISER, "report_type": "BASIC", "data_level": "AUCTION_AD", "dimensions": ["ad_id"], **YEAR}
    made = plain.post("/report/task/create/", **body, metrics=["spend"])["data"]["task_id"]
    query = {"advertiser_id": ADVERTISER, "task_id": made}
    assert plain.get("/report/task/download/", **query)["code"] == 40201
    states = [plain.get("/report/task/check/", **query)["data"]["status"] for _ in range(3)]
    assert states == ["QUEUING", "PROCESSING", "SUCCESS"]
    text = plain.get("/report/task/download/", **query)
    assert text.splitlines()[0] == "Ad Id,Spend"  # translated unless that is switched off
    plain.token = "another"
    assert plain.get("/report/task/check/", **query)["code"] == 40001
    assert plain.get("/report/task/check/", advertiser_id=ADVERTISER, task_id=GONE)["code"] == 40007
    plain.token = "anonymous"
    assert plain.post("/report/task/cancel/", **query)["code"] == 0
    assert plain.get("/report/task/download/", **query)["code"] == 40201
