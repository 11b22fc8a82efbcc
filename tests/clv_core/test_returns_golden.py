"""A world small enough to compute by hand: five customers, three campaigns, refunds, two currencies, a late restatement."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from clv_core.attribution import SCHEMA as ACQUISITION
from clv_core.labels import LabelRule, LabelRules
from clv_core.returns import Returns, ReturnSettings, returns
from clv_core.spend import SpendError, empty_days

AS_OF = date(2026, 3, 31)
FIRST, SECOND = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 30, tzinfo=UTC)

ORDERS = [
    ("anna", date(2026, 1, 5), "100.00"), ("anna", date(2026, 2, 10), "50.00"), ("anna", date(2026, 2, 20), "-20.00"),
    ("bert", date(2026, 1, 20), "40.10"),
    ("cleo", date(2026, 2, 1), "10.00"), ("cleo", date(2026, 3, 1), "200.05"),
    ("dora", date(2026, 2, 15), "60.00"),
    ("emil", date(2026, 3, 10), "5.55"),
    ("emil", date(2026, 4, 2), "999.00"),  # after as_of: not known yet
]  # fmt: skip
SOURCES = {
    "anna": ("meta", "c1", "s1", "a1", "paid", "ids"), "bert": ("meta", "c1", "s1", "a2", "paid", "ids"),
    "cleo": ("google", "g1", "", "", "paid", "utm"), "dora": ("", "", "", "", "organic", "ids"),
}  # fmt: skip
#        platform account date              campaign name           adset ad    spend   conv  value     cur    pulled
SPEND = [
    ("meta", "m", date(2026, 1, 5), "c1", "Founder story", "s1", "a1", "30.00", "1", "100.00", "USD", FIRST),
    ("meta", "m", date(2026, 1, 5), "c1", "Founder story", "s1", "a1", "31.50", "2", "120.00", "USD", SECOND),
    ("meta", "m", date(2026, 1, 20), "c1", "Founder story", "s1", "a2", "120.00", "1", "40.10", "USD", SECOND),
    ("google", "g", date(2026, 2, 1), "g1", "Search deals", "", "", "10.00", "1", "10.00", "EUR", SECOND),
    ("google", "g", date(2026, 2, 15), "g1", "Search deals", "", "", "10.00", "0", "0", "EUR", SECOND),
    ("google", "g", date(2026, 3, 1), "g2", "Search brand", "", "", "5.00", "0", "0", "EUR", SECOND),
    ("google", "g", date(2026, 4, 1), "g2", "Search brand", "", "", "99.00", "9", "9", "EUR", SECOND),
]
RATES = pa.table({
    "date": [date(2026, 1, 15), date(2026, 2, 10)], "currency": ["EUR", "EUR"], "rate": [Decimal("1.10"), Decimal("1.20")],
})  # fmt: skip
LABELS = LabelRules((LabelRule("storytelling", "creative", ("story",)), LabelRule("transactional", "creative", ("deals",))))


def tables() -> dict[str, pa.Table]:
    days = pa.table({
        "customer_id": [row[0] for row in ORDERS], "day": [row[1] for row in ORDERS],
        "amount": [float(row[2]) for row in ORDERS],
    })  # fmt: skip
    acquisition = pa.Table.from_pylist(
        [dict(zip(ACQUISITION.names, (who, None, *source), strict=True)) for who, source in SOURCES.items()], schema=ACQUISITION
    )
    names = ("platform", "account_id", "date", "campaign_id", "campaign_name", "adset_id", "ad_id", "spend", "conversions",
             "conversion_value", "currency", "pulled_at")  # fmt: skip
    rows = [
        {
            k: Decimal(str(v)) if k in ("spend", "conversions", "conversion_value") else v
            for k, v in zip(names, row, strict=True)
        }
        for row in SPEND
    ]
    scores = pa.table({
        "customer_id": ["anna", "bert", "cleo", "dora", "emil"], "clv": [100.0, 20.0, 50.0, 10.0, 0.0],
        "clv_high": [250.0, 70.0, 160.0, 40.0, 0.0], "tier": ["high", "low", "high", "low", "low"],
    })  # fmt: skip
    spent = pa.Table.from_pylist([{"impressions": 100, "clicks": 10, **row} for row in rows], schema=empty_days().schema)
    return {"scores": scores, "days": days, "acquisition": acquisition, "campaign_days": spent}


@pytest.fixture(scope="module")
def found() -> Returns:
    settings = ReturnSettings(minimum_customers=1)
    return returns(**tables(), currency="USD", as_of=AS_OF, rates=RATES, labels=LABELS, settings=settings)


def row(table: pa.Table, **key: str) -> dict[str, Any]:
    """The one row with these values."""
    mine: list[dict[str, Any]] = [one for one in table.to_pylist() if all(one[name] == value for name, value in key.items())]
    assert len(mine) == 1, (key, table.to_pylist())
    return mine[0]


MONEY = ("spend", "conversion_value", "first_order_revenue", "realised_value")
EXPECTED = {
    # 31.50 (restated) + 120; 120 + 40.10; 100 + 40.10; 100 + 50 - 20 + 40.10
    ("meta", "c1"): ("151.50", "160.10", "140.10", "170.10", 2, 120.0),
    # 10 EUR at 1.10 + 10 EUR at 1.20; 10 EUR at 1.10; 10; 10 + 200.05
    ("google", "g1"): ("23.00", "11.00", "10.00", "210.05", 1, 50.0),
    ("google", "g2"): ("6.00", "0", "0", "0", 0, 0.0),
    ("", ""): ("0", "0", "65.55", "65.55", 2, 10.0),
}


@pytest.mark.parametrize(("key", "said"), EXPECTED.items())
def test_each_campaign_is_right_to_the_cent(
    found: Returns, key: tuple[str, str], said: tuple[str, str, str, str, int, float]
) -> None:
    one = row(found.campaigns, platform=key[0], campaign_id=key[1])
    assert tuple(one[name] for name in MONEY) == tuple(Decimal(text) for text in said[:4])
    assert (one["customers"], one["predicted_clv"]) == said[4:]


def test_ratios_of_the_story_campaign(found: Returns) -> None:
    one = row(found.campaigns, campaign_id="c1")
    assert one["roas"] == pytest.approx(160.10 / 151.50)
    assert one["cac"] == pytest.approx(75.75)
    assert one["lifetime_value"] == pytest.approx(290.10)
    assert one["clv_roas"] == pytest.approx(290.10 / 151.50)
    assert one["clv_to_cac"] == pytest.approx(145.05 / 75.75)
    assert (one["high_tier_share"], one["repeat_rate"]) == (0.5, 0.5)
    assert one["clv_roas_low"] < one["clv_roas"] < one["clv_roas_high"]


def test_payback_is_the_day_the_average_customer_has_paid_back(found: Returns) -> None:
    # c1: 75.75 each. Day 0 brings (100 + 40.10) / 2 = 70.05, day 36 (10 February) 25.00 more.
    assert (row(found.campaigns, campaign_id="c1")["payback_kind"], row(found.campaigns, campaign_id="c1")["payback_days"]) == (
        "observed",
        36,
    )
    assert row(found.campaigns, campaign_id="g1")["payback_days"] == 28  # 23.00; 10.00 on day 0, 200.05 on day 28
    assert row(found.campaigns, campaign_id="g2")["payback_kind"] == "too few customers"


def test_totals_are_blended_over_all_orders_and_spend(found: Returns) -> None:
    one = row(found.totals, scope="all")
    assert (one["spend"], one["realised_value"], one["customers"]) == (Decimal("180.50"), Decimal("445.70"), 5)
    paid = row(found.totals, scope="paid")
    assert (paid["spend"], paid["realised_value"], paid["customers"]) == (Decimal("180.50"), Decimal("380.15"), 3)
    assert row(found.totals, scope="organic")["realised_value"] == Decimal("60.00")
    assert row(found.totals, scope="unknown")["realised_value"] == Decimal("5.55")


def test_ads_and_ad_sets(found: Returns) -> None:
    assert row(found.ads, ad_id="a1")["spend"] == Decimal("31.50")
    assert row(found.ads, ad_id="a1")["realised_value"] == Decimal("130.00")
    assert row(found.ads, ad_id="a2")["realised_value"] == Decimal("40.10")
    assert row(found.adsets, adset_id="s1")["realised_value"] == Decimal("170.10")


def test_creative_styles(found: Returns) -> None:
    assert row(found.creative, creative="storytelling")["spend"] == Decimal("151.50")
    assert row(found.creative, creative="transactional")["realised_value"] == Decimal("210.05")
    assert row(found.creative, creative="unlabelled")["spend"] == Decimal("6.00")
    assert row(found.creative, creative="not from ads")["realised_value"] == Decimal("65.55")


def test_cohorts_set_the_month_of_spend_beside_the_month_of_coming(found: Returns) -> None:
    assert [(one["cohort"], one["customers"], one["spend"], one["realised_value"]) for one in found.cohorts.to_pylist()] == [
        ("2026-01", 2, Decimal("151.50"), Decimal("170.10")),
        ("2026-02", 2, Decimal("23.00"), Decimal("270.05")),
        ("2026-03", 1, Decimal("6.00"), Decimal("5.55")),
    ]


def test_retention_counts_only_months_lived_to_the_end(found: Returns) -> None:
    mine = [one for one in found.retention.to_pylist() if (one["grouping"], one["key"]) == ("cohort", "2026-01")]
    assert [(one["month"], one["customers"], one["active"]) for one in mine] == [(0, 2, 2), (1, 2, 1)]
    assert [one["value_per_customer"] for one in mine] == pytest.approx([70.05, 85.05])  # + (50 - 20) / 2


def test_restatement_is_kept(found: Returns) -> None:
    [one] = found.restatements.to_pylist()
    assert (one["campaign_id"], one["days"], one["first_spend"], one["latest_spend"]) == (
        "c1",
        1,
        Decimal("30.00"),
        Decimal("31.50"),
    )
    assert (one["first_value"], one["latest_value"]) == (Decimal("100.00"), Decimal("120.00"))


def test_earlier_figures_are_history_and_never_counted(found: Returns) -> None:
    """What the state folder keeps apart as restated: one figure that changed, one that vanished."""
    made = tables()
    older = made["campaign_days"].slice(0, 1)
    kept = made["campaign_days"].slice(1)
    gone = older.set_column(6, "ad_id", pa.array(["gone"]))
    again = returns(
        **(made | {"campaign_days": kept}), currency="USD", as_of=AS_OF, rates=RATES, labels=LABELS,
        settings=ReturnSettings(minimum_customers=1), restated=pa.concat_tables([older, gone]),
    )  # fmt: skip
    assert again.campaigns.to_pylist() == found.campaigns.to_pylist()
    [one] = again.restatements.to_pylist()
    assert (one["days"], one["first_spend"], one["latest_spend"]) == (1, Decimal("60.00"), Decimal("31.50"))


def test_coverage_says_how_sources_are_known(found: Returns) -> None:
    rows = {(one["source"], one["basis"]): (one["customers"], one["share"]) for one in found.coverage.to_pylist()}
    assert rows == {
        ("paid", "ids"): (2, 0.4),
        ("paid", "utm"): (1, 0.2),
        ("organic", "ids"): (1, 0.2),
        ("unknown", "none"): (1, 0.2),
    }


def test_what_lies_beyond_is_said(found: Returns) -> None:
    assert any("after 2026-03-31" in warning for warning in found.warnings)
    assert any("source of 20%" in warning for warning in found.warnings)


def test_a_currency_without_a_rate_is_refused_with_the_remedy() -> None:
    with pytest.raises(SpendError, match=r"3 campaign days are in EUR .* before 2026-02-01: add EUR to the dated rates"):
        returns(**tables(), currency="USD", as_of=AS_OF)


def test_a_rate_that_comes_too_late_is_no_rate() -> None:
    late = RATES.slice(1)
    with pytest.raises(SpendError, match=r"1 campaign days are in EUR"):
        returns(**tables(), currency="USD", as_of=AS_OF, rates=late)
