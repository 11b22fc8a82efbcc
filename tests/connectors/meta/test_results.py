"""Insights to campaign days: sync and async, one purchase type, windows, deleted ads, limits."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from connectors.errors import FatalError, NotReadyError, RetriableError
from connectors.meta.results import _months_before

if TYPE_CHECKING:
    from collections.abc import Callable

    from connectors.meta.connector import MetaConnector
    from connectors.meta.sandbox import MetaSandbox
    from connectors.protocol import CampaignDay


def row(day: date, ad: int = 1, **changes: str) -> dict[str, Any]:
    return {
        "campaign_id": "100",
        "campaign_name": "Prospecting",
        "adset_id": "200",
        "ad_id": str(300 + ad),
        "date": day.isoformat(),
        "spend": "41.37",
        "impressions": "5210",
        "clicks": "88",
        "conversions": "6",
        "conversion_value": "512.40",
        **changes,
    }


@pytest.fixture
def today(box: MetaSandbox) -> date:
    return box.clock.now().date()


def pulled(connector: MetaConnector, since: date, until: date) -> list[CampaignDay]:
    return sorted(connector.campaign_days(since, until), key=lambda one: (one.date, one.ad_id))


@pytest.mark.parametrize("reports", ["sync", "async"])
def test_a_day_is_exact(connect: Callable[..., MetaConnector], box: MetaSandbox, today: date, reports: str) -> None:
    day = today - timedelta(days=2)
    box.account("111").currency = "EUR"
    box.campaigns = [row(day)]
    (found,) = pulled(connect(reports=reports), day, day)
    assert (found.date, found.campaign_id, found.adset_id, found.ad_id) == (day, "100", "200", "301")
    assert (found.spend, found.impressions, found.clicks) == (Decimal("41.37"), 5210, 88)
    assert (found.conversions, found.conversion_value, found.currency) == (Decimal(6), Decimal("512.40"), "EUR")
    assert found.pulled_at.tzinfo is not None


@pytest.mark.parametrize("reports", ["sync", "async"])
def test_pages_are_followed(connect: Callable[..., MetaConnector], box: MetaSandbox, today: date, reports: str) -> None:
    box.campaigns = [row(today - timedelta(days=back), ad) for back in range(1, 21) for ad in range(60)]
    found = pulled(connect(reports=reports), today - timedelta(days=20), today)
    assert len({(one.date, one.ad_id) for one in found}) == len(found) == 1_200


@pytest.mark.parametrize("reports", ["sync", "async"])
@pytest.mark.parametrize("level", ["campaign", "adset", "ad"])
def test_deleted_and_archived_ones_are_in(
    connect: Callable[..., MetaConnector], box: MetaSandbox, today: date, level: str, reports: str
) -> None:
    day = today - timedelta(days=1)
    states = ("ACTIVE", "PAUSED", "DELETED", "ARCHIVED", "WITH_ISSUES")
    box.campaigns = [row(day, ad, effective_status=state) for ad, state in enumerate(states)]
    found = pulled(connect(report_level=level, reports=reports), day, day)
    assert sum(one.spend for one in found) == 5 * Decimal("41.37")


@pytest.mark.parametrize(
    ("windows", "conversions", "value"),
    [
        (("7d_click", "1d_view"), "6", "512.40"),
        (("7d_click",), "5", "409.92"),
        (("1d_view",), "1", "102.48"),
        (("1d_click",), "2", "204.96"),
    ],
)
def test_only_the_chosen_windows_count(
    connect: Callable[..., MetaConnector], box: MetaSandbox, today: date, windows: tuple[str, ...], conversions: str, value: str
) -> None:
    day = today - timedelta(days=1)
    box.campaigns = [row(day)]
    (found,) = pulled(connect(attribution_windows=windows), day, day)
    assert (found.conversions, found.conversion_value) == (Decimal(conversions), Decimal(value))


def answer(*actions: dict[str, str]) -> dict[str, Any]:
    """An insights page with these actions, as Meta would write it."""
    data = {**{"campaign_id": "1", "adset_id": "2", "ad_id": "3", "date_start": "2026-11-20"}, "actions": list(actions)}
    import json

    body = json.dumps({"data": [data]})
    return {"status": 200, "headers": {"Content-Type": "application/json"}, "body": body}


@pytest.mark.parametrize(
    ("actions", "wanted"),
    [
        ([{"action_type": "purchase", "value": "6"}, {"action_type": "omni_purchase", "value": "7"}], 7),
        ([{"action_type": "purchase", "value": "6"}, {"action_type": "onsite_web_purchase", "value": "4"}], 6),
        ([{"action_type": "omni_purchase", "value": "6", "7d_click": "5", "1d_view": "1"}], 6),
        ([{"action_type": "omni_purchase", "value": "6", "7d_click": "5"}], 5),
        ([{"action_type": "omni_purchase", "value": "6", "28d_click": "6"}], 0),
        ([{"action_type": "link_click", "value": "71"}], 0),
        ([], 0),
    ],
)
def test_overlapping_purchase_types_are_never_added(
    connector: MetaConnector, box: MetaSandbox, today: date, actions: list[dict[str, str]], wanted: int
) -> None:
    box.faults.add(match="/insights", kind="http", detail=answer(*actions))
    (found,) = pulled(connector, today, today)
    assert found.conversions == wanted


@pytest.mark.parametrize(
    ("level", "ids"),
    [("campaign", {("100", "", "")}), ("adset", {("100", "200", "")}), ("ad", {("100", "200", "301"), ("100", "200", "302")})],
)
def test_levels(
    connect: Callable[..., MetaConnector], box: MetaSandbox, today: date, level: str, ids: set[tuple[str, str, str]]
) -> None:
    day = today - timedelta(days=1)
    box.campaigns = [row(day, 1), row(day, 2)]
    found = pulled(connect(report_level=level), day, day)
    assert {(one.campaign_id, one.adset_id, one.ad_id) for one in found} == ids
    assert sum(one.spend for one in found) == Decimal("82.74")


def test_what_is_older_than_37_months_is_not_asked_for(connector: MetaConnector, box: MetaSandbox, today: date) -> None:
    box.campaigns = [row(today - timedelta(days=back)) for back in (1, 400, 1_100)]
    assert len(pulled(connector, today - timedelta(days=3_000), today)) == 3
    assert not [entry for entry in box.requests if entry.get("code")]


@pytest.mark.parametrize(
    ("day", "wanted"),
    [(date(2026, 11, 22), date(2023, 10, 22)), (date(2026, 3, 31), date(2023, 2, 28)), (date(2024, 1, 31), date(2020, 12, 31))],
)
def test_months_are_counted_on_the_calendar(day: date, wanted: date) -> None:
    assert _months_before(day, 37) == wanted


def test_too_much_data_is_asked_for_in_parts(connector: MetaConnector, box: MetaSandbox, today: date) -> None:
    box.campaigns = [row(today - timedelta(days=back), ad) for back in range(1, 17) for ad in range(5)]
    box.report_limit = 12
    assert len(pulled(connector, today - timedelta(days=16), today)) == 80


def test_one_heavy_day_becomes_a_report_run(connector: MetaConnector, box: MetaSandbox, today: date) -> None:
    day = today - timedelta(days=1)
    box.campaigns = [row(day)]
    box.faults.add(match=f"GET /v26.0/act_{connector.account_id}/insights", detail={"code": 100, "subcode": 1504018})
    assert len(pulled(connector, day, day)) == 1
    assert len(box.runs) == 1


@pytest.mark.parametrize("outcome", ["Job Failed", "Job Skipped"])
def test_a_failed_run_is_asked_for_once_more(
    connect: Callable[..., MetaConnector], box: MetaSandbox, today: date, outcome: str
) -> None:
    day = today - timedelta(days=1)
    box.campaigns = [row(day)]
    box.run_outcomes = [outcome]
    assert len(pulled(connect(reports="async"), day, day)) == 1
    box.run_outcomes = [outcome, outcome]
    with pytest.raises(RetriableError, match=outcome):
        pulled(connect(reports="async"), day, day)


def test_a_hundred_percent_of_a_running_job_is_not_the_end(
    connect: Callable[..., MetaConnector], box: MetaSandbox, today: date, sleeps: list[float]
) -> None:
    box.campaigns = [row(today)]
    box.run_polls = 3
    assert len(pulled(connect(reports="async"), today, today)) == 1
    assert sleeps == pytest.approx([0.2, 0.3, 0.45])


def test_a_run_that_takes_over_an_hour_is_left_to_the_next_run(
    connect: Callable[..., MetaConnector], box: MetaSandbox, today: date
) -> None:
    box.run_outcomes = ["Job Running"]
    with pytest.raises(NotReadyError, match="after an hour"):
        pulled(connect(reports="async"), today, today)


def test_a_report_read_too_early_is_read_again(connect: Callable[..., MetaConnector], box: MetaSandbox, today: date) -> None:
    box.campaigns = [row(today)]
    detail = {"code": 2601, "subcode": 1815107, "is_transient": True}
    box.faults.add(match="/insights", skip=1, times=2, detail=detail)
    assert len(pulled(connect(reports="async"), today, today)) == 1


def test_missing_permission_for_reports_says_what_to_do(connector: MetaConnector, box: MetaSandbox, today: date) -> None:
    box.faults.add(match="/insights", detail={"code": 100, "subcode": 3191001})
    with pytest.raises(FatalError, match="ads_read"):
        pulled(connector, today, today)
