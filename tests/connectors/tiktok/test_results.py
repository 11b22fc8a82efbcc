"""Results: slices, pages, deleted ads, numbers as text, the cut at 20,000 ids and the asynchronous way round it."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from connectors.errors import FatalError, NotReadyError
from connectors.tiktok.connector import TikTokConnector
from connectors.tiktok.results import number, slices

from .conftest import ADVERTISER, Connect, Recorded

FIRST = date(2026, 9, 1)


def row(day: date, ad: int = 1, **changes: Any) -> dict[str, Any]:
    base = {
        "campaign_id": "1800000000000001",
        "campaign_name": "Discovery, A",
        "adset_id": "18000000000000010",
        "ad_id": f"1800000000000001{ad:05d}",
        "date": day.isoformat(),
        "spend": "52.30",
        "impressions": "4210",
        "clicks": "63",
        "conversions": "2",
        "conversion_value": "118.40",
    }
    return {**base, **changes}


def test_one_row_with_exact_money(sandbox: Recorded, tiktok: TikTokConnector) -> None:
    sandbox.campaigns = [row(FIRST)]
    (day,) = tiktok.campaign_days(FIRST, FIRST)
    assert (day.platform, day.account_id, day.date) == ("tiktok", ADVERTISER, FIRST)
    assert (day.campaign_id, day.campaign_name, day.adset_id) == ("1800000000000001", "Discovery, A", "18000000000000010")
    assert (day.spend, day.conversions, day.conversion_value) == (Decimal("52.30"), Decimal(2), Decimal("118.40"))
    assert (day.impressions, day.clicks, day.currency) == (4210, 63, "USD")
    assert day.pulled_at.tzinfo is not None


def test_deleted_ads_count(sandbox: Recorded, tiktok: TikTokConnector) -> None:
    sandbox.campaigns = [row(FIRST), row(FIRST, 2, status="deleted")]
    assert sum(one.spend for one in tiktok.campaign_days(FIRST, FIRST)) == Decimal("104.60")


@pytest.mark.parametrize("reports", ["auto", "async"])
@pytest.mark.parametrize(
    ("level", "ids"),
    [
        ("campaign", {("1800000000000001", "", "")}),
        ("adgroup", {("1800000000000001", "18000000000000010", "")}),
        ("ad", {("1800000000000001", "18000000000000010", f"1800000000000001{ad:05d}") for ad in (1, 2)}),
    ],
)
def test_levels_by_call_and_by_task(
    sandbox: Recorded, connect: Connect, level: str, ids: set[tuple[str, str, str]], reports: str
) -> None:
    sandbox.campaigns = [row(FIRST), row(FIRST, 2, status="deleted"), row(FIRST + timedelta(days=40))]
    found = list(connect(report_level=level, reports=reports).campaign_days(FIRST, FIRST + timedelta(days=40)))
    assert sum(one.spend for one in found) == Decimal("156.90")
    assert {(one.campaign_id, one.adset_id, one.ad_id) for one in found} == ids
    assert {(one.campaign_name, one.currency) for one in found} == {("Discovery, A", "USD")}
    assert sandbox.paths().count("/report/integrated/get/") == (0 if reports == "async" else 2)
    assert len(sandbox.bodies("/report/task/create/")) == (1 if reports == "async" else 0)


def test_long_ranges_are_cut_into_thirty_days(sandbox: Recorded, tiktok: TikTokConnector) -> None:
    sandbox.campaigns = [row(FIRST + timedelta(days=n)) for n in range(75)]
    found = list(tiktok.campaign_days(FIRST, FIRST + timedelta(days=74)))
    assert [one.date for one in found] == [FIRST + timedelta(days=n) for n in range(75)]
    assert sandbox.paths().count("/report/integrated/get/") == 3


def test_pages_are_read_to_the_end(sandbox: Recorded, tiktok: TikTokConnector) -> None:
    sandbox.campaigns = [row(FIRST, ad) for ad in range(2100)]
    found = list(tiktok.campaign_days(FIRST, FIRST))
    assert len({one.ad_id for one in found}) == 2100
    assert sandbox.paths().count("/report/integrated/get/") == 3


def test_a_cut_report_is_read_by_a_task(sandbox: Recorded, tiktok: TikTokConnector, waits: list[float]) -> None:
    sandbox.report_ids = 10
    sandbox.campaigns = [row(FIRST, ad) for ad in range(25)]
    found = list(tiktok.campaign_days(FIRST, FIRST))
    assert len(found) == 25
    assert sum(one.spend for one in found) == Decimal("52.30") * 25
    assert found[0].campaign_name == "Discovery, A"
    (create,) = sandbox.bodies("/report/task/create/")
    assert create["enable_report_title_translation"] is False
    assert sandbox.paths().count("/report/task/check/") == 3
    assert waits == [5.0, 5.0]


def test_days_without_anything_are_left_out(sandbox: Recorded, tiktok: TikTokConnector) -> None:
    nothing: dict[str, Any] = {"spend": "0", "impressions": "0", "clicks": "0", "conversions": "0", "conversion_value": "0"}
    sandbox.campaigns = [row(FIRST, **nothing), row(FIRST, 2, **{**nothing, "conversions": "1"})]
    assert len(list(tiktok.campaign_days(FIRST, FIRST))) == 1


def test_the_legs_of_purchases_are_added_on_purpose_only(sandbox: Recorded, connect: Connect) -> None:
    sandbox.campaigns = [row(FIRST)]
    (day,) = connect(purchases=["web", "shop"]).campaign_days(FIRST, FIRST)
    assert day.conversions == 2
    metrics = sandbox.heard[-1].query["metrics"][0]
    assert "onsite_total_purchase_value" in metrics
    list(connect().campaign_days(FIRST, FIRST))
    assert "onsite" not in sandbox.heard[-1].query["metrics"][0]


def test_a_task_that_fails_is_told(sandbox: Recorded, tiktok: TikTokConnector) -> None:
    sandbox.report_ids, sandbox.tasks.fail = 0, "no data source"
    sandbox.campaigns = [row(FIRST)]
    with pytest.raises(FatalError, match="no data source"):
        list(tiktok.campaign_days(FIRST, FIRST))


def test_a_task_that_failed_is_made_once_more(
    sandbox: Recorded, tiktok: TikTokConnector, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.report_ids = 0
    sandbox.campaigns = [row(FIRST)]
    whole = sandbox.tasks.check
    failures = ["FAILED", "CANCELED"]

    def check(*given: Any) -> dict[str, str]:
        return {"status": failures.pop(0), "message": "lost"} if failures else whole(*given)

    monkeypatch.setattr(sandbox.tasks, "check", check)
    with pytest.raises(FatalError, match="CANCELED"):
        list(tiktok.campaign_days(FIRST, FIRST))
    failures[:] = ["FAILED"]
    assert len(list(tiktok.campaign_days(FIRST, FIRST))) == 1
    assert len(sandbox.bodies("/report/task/create/")) == 4


def test_a_task_that_takes_too_long_is_left_to_a_later_run(sandbox: Recorded, tiktok: TikTokConnector) -> None:
    sandbox.report_ids, sandbox.tasks.checks_needed = 0, 10**6
    sandbox.campaigns = [row(FIRST)]
    with pytest.raises(NotReadyError):
        list(tiktok.campaign_days(FIRST, FIRST))


def test_a_task_whose_creation_was_lost_is_made_again(sandbox: Recorded, tiktok: TikTokConnector) -> None:
    sandbox.report_ids = 0
    sandbox.campaigns = [row(FIRST)]
    sandbox.faults.add(match="/task/create/", kind="lost_reply")
    assert len(list(tiktok.campaign_days(FIRST, FIRST))) == 1


@pytest.mark.parametrize("fault", [{"kind": "reset"}, {"kind": "http", "detail": {"status": 504, "body": "<html>"}}])
def test_a_broken_download_begins_again(fault: dict[str, Any], sandbox: Recorded, tiktok: TikTokConnector) -> None:
    sandbox.report_ids = 0
    sandbox.campaigns = [row(FIRST, ad) for ad in range(5)]
    sandbox.faults.add(match="/task/download/", **fault)
    assert len(list(tiktok.campaign_days(FIRST, FIRST))) == 5


def test_a_cut_on_a_later_page_counts_nothing_twice(sandbox: Recorded, tiktok: TikTokConnector) -> None:
    sandbox.campaigns = [row(FIRST, ad) for ad in range(1500)]
    pages = tiktok.campaign_days(FIRST, FIRST)
    found = [next(pages)]
    sandbox.report_ids = 1200
    found += pages
    assert len({one.ad_id for one in found}) == len(found) == 1500


def test_the_default_world_is_the_same_every_time(sandbox: Recorded, connect: Connect) -> None:
    today = sandbox.clock.now().date()
    first = [(one.ad_id, one.date, one.spend) for one in connect().campaign_days(today - timedelta(days=29), today)]
    second = [(one.ad_id, one.date, one.spend) for one in connect().campaign_days(today - timedelta(days=29), today)]
    assert first == second
    assert len(first) > 100


@pytest.mark.parametrize(
    ("text", "value"), [("14.68", "14.68"), ("0", "0"), ("-", "0"), ("", "0"), (None, "0"), ("1,234.5", "1234.5")]
)
def test_numbers_are_text(text: str | None, value: str) -> None:
    assert number(text) == Decimal(value)


def test_slices_cover_every_day_once() -> None:
    for length in (0, 29, 30, 31, 61, 400):
        until = FIRST + timedelta(days=length)
        days = [first + timedelta(days=n) for first, last in slices(FIRST, until) for n in range((last - first).days + 1)]
        assert days == [FIRST + timedelta(days=n) for n in range(length + 1)]
        assert all((last - first).days < 30 for first, last in slices(FIRST, until))
