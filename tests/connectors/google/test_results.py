"""Campaign days, exact and in the account's currency; clicks by gclid."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from connectors.errors import FatalError
from connectors.google.results import months, months_before
from tests.connectors.google.conftest import ACCOUNT

if TYPE_CHECKING:
    from tests.connectors.google.conftest import World


def row(day: date, campaign: str, group: str, spend: str, **figures: Any) -> dict[str, Any]:
    plain = {"impressions": 100, "clicks": 7, "conversions": "1.25", "conversion_value": "33.1"}
    place = {"campaign_id": campaign, "campaign_name": f"Campaign {campaign}", "adset_id": group, "ad_id": ""}
    return {**place, "date": day.isoformat(), "spend": spend, **plain, **figures}


@pytest.fixture
def today(world: World) -> date:
    return world.now().date() - timedelta(days=1)


def test_money_is_exact_and_in_the_accounts_currency(world: World, today: date) -> None:
    world.sandbox.accounts[ACCOUNT] = {"currency": "JPY"}
    world.sandbox.campaigns = [row(today, "1", "11", "0.1"), row(today, "1", "12", "0.2"), row(today, "2", "21", "1.000001")]
    first, second = world.connect().campaign_days(today, today)
    assert (first.spend, first.impressions, first.clicks) == (Decimal("0.3"), 200, 14)
    assert (first.conversions, first.conversion_value, first.currency) == (Decimal("2.5"), Decimal("66.2"), "JPY")
    assert (second.spend, second.campaign_id, second.campaign_name) == (Decimal("1.000001"), "2", "Campaign 2")
    assert (first.date, first.account_id, first.platform, first.adset_id) == (today, ACCOUNT, "google", "")


def test_both_ends_are_in_and_each_month_is_one_query(world: World, today: date) -> None:
    days = [today - timedelta(days=back) for back in range(70)]
    world.sandbox.campaigns = [row(day, "1", "11", "1") for day in days]
    found = list(world.connect().campaign_days(days[-1], days[0]))
    assert {one.date for one in found} == set(days)
    assert len(found) == 70
    assert len(world.calls("SearchStream")) == len(list(months(days[-1], days[0]))) >= 3


def test_days_of_nothing_but_zeros_are_left_out(world: World, today: date) -> None:
    nothing = {"impressions": 0, "clicks": 0, "conversions": 0, "conversion_value": 0}
    world.sandbox.campaigns = [row(today, "1", "11", "0", **nothing), row(today, "2", "21", "0", **nothing)]
    assert list(world.connect().campaign_days(today, today)) == []


def test_ad_groups_and_asset_groups_add_up_to_their_campaigns(world: World, today: date) -> None:
    pmax = {**row(today, "3", "31", "4"), "campaign_name": "Performance Max"}
    world.sandbox.campaigns = [row(today, "1", "11", "1"), row(today, "1", "12", "2"), pmax]
    found = list(world.connect(report_level="ad_group").campaign_days(today, today))
    assert [(one.campaign_id, one.adset_id, one.spend) for one in found] == [
        ("1", "11", Decimal(1)),
        ("1", "12", Decimal(2)),
        ("3", "31", Decimal(4)),
    ]


def test_ads_and_asset_groups_add_up_to_their_campaigns(world: World, today: date) -> None:
    """The finest level names ads, by which labels.yaml can tell creative styles apart; Performance Max has no ads."""
    ads = [{**row(today, "1", "11", spend), "ad_id": ad} for ad, spend in (("111", "1"), ("112", "2"))]
    pmax = {**row(today, "3", "31", "4"), "campaign_name": "Performance Max"}
    world.sandbox.campaigns = [*ads, {**row(today, "1", "12", "5"), "ad_id": "121"}, pmax]
    found = list(world.connect(report_level="ad").campaign_days(today, today))
    assert [(one.campaign_id, one.adset_id, one.ad_id, one.spend) for one in found] == [
        ("1", "11", "111", Decimal(1)),
        ("1", "11", "112", Decimal(2)),
        ("1", "12", "121", Decimal(5)),
        ("3", "31", "", Decimal(4)),
    ]


@pytest.mark.parametrize("level", ["campaign", "ad_group", "ad"])
def test_paused_and_removed_campaigns_are_read_too(world: World, today: date, level: str) -> None:
    gone = [{**row(today, "1", "11", "1"), "status": "REMOVED"}, {**row(today, "2", "21", "2"), "status": "PAUSED"}]
    world.sandbox.campaigns = gone
    found = list(world.connect(report_level=level).campaign_days(today, today))
    assert {one.campaign_id: one.spend for one in found} == {"1": Decimal(1), "2": Decimal(2)}


def test_clicks_without_an_id_are_passed_over(world: World, today: date) -> None:
    days = {"date": today.isoformat(), "campaign_id": "5", "adset_id": "51"}
    world.sandbox.reports.clicks = [{"gclid": "", **days}, {"gclid": "g", **days}]
    assert [one.gclid for one in world.connect().clicks(today, today)] == ["g"]


def test_what_no_group_has_stays_with_the_campaign(world: World, today: date) -> None:
    """Google gives some figures to no group; the total must still be the campaign's."""
    world.sandbox.campaigns = [row(today, "1", "11", "1"), row(today, "1", "12", "2")]
    honest = world.sandbox.reports.rows

    def partly(account: str, query: Any) -> list[dict[str, Any]]:
        found = honest(account, query)
        return found[:1] if query.resource == "ad_group" else found

    world.sandbox.reports.rows = partly  # type: ignore[method-assign]
    found = list(world.connect(report_level="ad_group").campaign_days(today, today))
    assert [(one.adset_id, one.spend) for one in found] == [("11", Decimal(1)), ("", Decimal(2))]


def test_daily_figures_older_than_37_months_are_not_asked_for(world: World, today: date) -> None:
    world.sandbox.campaigns = [row(today, "1", "11", "1")]
    found = list(world.connect(account={"timezone": "America/New_York"}).campaign_days(date(2015, 1, 1), today))
    assert len(found) == 1
    assert not [one for one in world.calls("SearchStream") if one["code"]]


def test_a_manager_account_is_read_through_its_clients(world: World, today: date) -> None:
    clients = ("1111111111", "2222222222")
    world.sandbox.accounts[ACCOUNT] = {"manager": True}
    for client, currency in zip(clients, ("EUR", "CHF"), strict=True):
        world.sandbox.accounts[client] = {"parent": ACCOUNT, "currency": currency}
    world.sandbox.campaigns = [{**row(today, "1", "11", "1"), "account_id": client} for client in clients]
    connector = world.connect(account={"login_account_id": ACCOUNT})
    found = list(connector.campaign_days(today, today))
    assert [(one.account_id, one.currency) for one in found] == [(clients[0], "EUR"), (clients[1], "CHF")]
    world.sandbox.reports.clicks = [{"gclid": "g1", "date": today.isoformat(), "campaign_id": "1", "account_id": clients[1]}]
    assert [(one.gclid, one.account_id) for one in connector.clicks(today, today)] == [("g1", clients[1])]


def test_clicks_map_gclids_to_campaigns_day_by_day(world: World, today: date) -> None:
    days = [today - timedelta(days=back) for back in (0, 1, 2)]
    world.sandbox.reports.clicks = [
        {"gclid": f"gclid-{place}", "date": day.isoformat(), "campaign_id": "5", "adset_id": "51"}
        for place, day in enumerate(days)
    ]
    found = list(world.connect().clicks(days[1], days[0]))
    assert [(one.gclid, one.day, one.campaign_id, one.ad_group_id) for one in found] == [
        ("gclid-1", days[1], "5", "51"),
        ("gclid-0", days[0], "5", "51"),
    ]


def test_clicks_older_than_90_days_are_not_asked_for(world: World, today: date) -> None:
    assert list(world.connect(account={"timezone": "America/New_York"}).clicks(today - timedelta(days=200), today)) == []
    assert {one["code"] for one in world.calls("SearchStream")} == {""}
    assert 88 <= len(world.calls("SearchStream")) <= 90


def test_a_broken_stream_is_read_again_without_doubling(world: World, today: date) -> None:
    world.sandbox.campaigns = [row(today, "1", "11", "1")]
    world.sandbox.faults.add(match="SearchStream", kind="reset")
    assert len(list(world.connect().campaign_days(today, today))) == 1


def test_all_conversions_can_be_chosen(world: World, today: date) -> None:
    world.sandbox.campaigns = [row(today, "1", "11", "1")]
    (found,) = world.connect(conversions="all_conversions").campaign_days(today, today)
    assert found.conversions == Decimal("1.25")


def test_other_refusals_of_a_report_are_raised(world: World, today: date) -> None:
    world.sandbox.faults.add(match="SearchStream", detail={"source": "query_error", "code": "UNRECOGNIZED_FIELD"})
    with pytest.raises(FatalError):
        list(world.connect().campaign_days(today, today))


def test_months() -> None:
    assert months_before(date(2026, 3, 31), 37) == date(2023, 2, 28)
    assert list(months(date(2026, 1, 30), date(2026, 3, 1))) == [
        (date(2026, 1, 30), date(2026, 1, 31)),
        (date(2026, 2, 1), date(2026, 2, 28)),
        (date(2026, 3, 1), date(2026, 3, 1)),
    ]
