"""Whose customer is it? Each basis alone, their order, and what stays unknown."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from clv_core.attribution import FIELDS, AttributionRules, attribute
from clv_core.spend import empty_days


def place(platform: str, campaign: str, name: str, adset: str = "", ad: str = "", account: str = "x") -> dict[str, object]:
    return {
        "platform": platform, "account_id": account, "date": date(2026, 1, 1), "campaign_id": campaign, "campaign_name": name,
        "adset_id": adset, "ad_id": ad, "spend": Decimal(1), "impressions": 0, "clicks": 0, "conversions": Decimal(0),
        "conversion_value": Decimal(0), "currency": "USD", "pulled_at": datetime(2026, 1, 2, tzinfo=UTC),
    }  # fmt: skip


DAYS = pa.Table.from_pylist(
    [
        place("meta", "11", "Spring Story", "111", "1111"),
        place("google", "22", "Brand"),
        place("google", "23", "Twice"),
        place("google", "24", "Twice"),
        place("pinterest", "33", "Boards"),
        place("tiktok", "44", "Shared name", account="t1"),
        place("tiktok", "44", "Shared name", account="t2"),
    ],
    schema=empty_days().schema,
)


def judge(rules: AttributionRules | None = None, /, **fields: str) -> tuple[str, str, str, str]:
    """(platform, campaign_id, source, basis) of one contact."""
    columns = {name: pa.array([fields.get(name)], pa.string()) for name in FIELDS}
    [row] = attribute(pa.table({"customer_id": ["c"], **columns}), DAYS, rules).to_pylist()
    return row["platform"], row["campaign_id"], row["source"], row["basis"]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"source_platform": "Facebook", "source_campaign_id": "11"}, ("meta", "11", "paid", "ids")),
        ({"source_ad_id": "1111"}, ("meta", "11", "paid", "ids")),
        ({"source_campaign_id": "22"}, ("google", "22", "paid", "ids")),
        ({"source_platform": "pinterest", "source_campaign_id": "33"}, ("pinterest", "33", "paid", "ids")),
        ({"source_platform": "tiktok", "source_campaign_id": "deleted"}, ("tiktok", "deleted", "paid", "ids")),
        ({"source_platform": "Organic"}, ("", "", "organic", "ids")),
        ({"source_platform": "Email"}, ("", "", "email", "ids")),
        ({"utm_source": "ig", "utm_campaign": "spring story"}, ("meta", "11", "paid", "utm")),
        ({"utm_source": "google", "utm_campaign": "22"}, ("google", "22", "paid", "utm")),
        ({"utm_source": "google", "utm_campaign": "Twice"}, ("google", "", "paid", "utm")),  # two campaigns bear the name
        ({"utm_source": "google", "utm_medium": "organic"}, ("", "", "organic", "utm")),
        ({"utm_source": "newsletter"}, ("", "", "newsletter", "utm")),
        ({"click_id": "fbclid=IwAR0"}, ("meta", "", "paid", "click_id")),
        ({"click_id": "IwAR0", "utm_source": "fb", "utm_campaign": "spring story"}, ("meta", "11", "paid", "utm")),
        # a click id that only tells the platform lets the next basis name the campaign, if it names the same platform
        ({"click_id": "fbclid=I", "utm_source": "fb", "utm_campaign": "spring story"}, ("meta", "11", "paid", "click_id+utm")),
        ({"click_id": "fbclid=I", "utm_source": "google", "utm_campaign": "Brand"}, ("meta", "", "paid", "click_id")),
        ({"utm_source": "google", "utm_campaign": "renamed since", "utm_id": "22"}, ("google", "22", "paid", "utm")),
        ({"utm_source": "fb", "utm_id": "gone", "utm_campaign": "Spring Story"}, ("meta", "11", "paid", "utm")),
        ({"utm_source": "tiktok", "utm_campaign": "Shared name"}, ("tiktok", "44", "paid", "utm")),
        ({"click_id": "who knows"}, ("", "", "unknown", "none")),
        ({}, ("", "", "unknown", "none")),
    ],
)
def test_each_basis(fields: dict[str, str], said: tuple[str, str, str, str]) -> None:
    assert judge(**fields) == said


def test_precedence_is_a_setting() -> None:
    both = {"source_platform": "meta", "source_campaign_id": "11", "utm_source": "google", "utm_campaign": "Brand"}
    assert judge(**both) == ("meta", "11", "paid", "ids")
    assert judge(AttributionRules(precedence=("utm", "ids")), **both) == ("google", "22", "paid", "utm")


def test_click_ids_find_their_campaign_in_a_click_report() -> None:
    clicks = pa.table({"click_id": ["abc"], "platform": ["google"], "campaign_id": ["22"], "adset_id": [""], "ad_id": [""]})
    assert judge(AttributionRules(clicks=clicks), click_id="abc") == ("google", "22", "paid", "click_id")


def whole(rules: AttributionRules | None = None, /, **fields: str) -> dict[str, str]:
    columns = {name: pa.array([fields.get(name)], pa.string()) for name in FIELDS}
    [row] = attribute(pa.table({"customer_id": ["c"], **columns}), DAYS, rules).to_pylist()
    return dict(row)


def claim(**fields: str) -> AttributionRules:
    return AttributionRules(claims=pa.table({name: [value] for name, value in {"customer_id": "c", **fields}.items()}))


def test_a_click_id_written_with_its_parameter_finds_the_report() -> None:
    clicks = pa.table({"click_id": ["Abc"], "platform": ["google"], "account_id": ["g1"], "campaign_id": ["22"]})
    assert judge(AttributionRules(clicks=clicks), click_id="fbclid=y gclid=Abc") == ("google", "22", "paid", "click_id")
    found = whole(AttributionRules(clicks=clicks), click_id="gclid=Abc")
    assert (found["platform"], found["account_id"], found["campaign_id"]) == ("google", "g1", "22")


def test_orders_that_a_platform_reports_find_their_campaign() -> None:
    found = whole(claim(platform="TikTok", account_id="t2", campaign_id="44", ad_id="9"))
    assert (found["platform"], found["account_id"], found["campaign_id"], found["ad_id"], found["basis"]) == (
        "tiktok", "t2", "44", "9", "order_id",
    )  # fmt: skip
    assert whole(claim(platform="unheard of", campaign_id="1"))["basis"] == "none"


def test_orders_claimed_by_two_platforms_say_nothing_and_by_two_campaigns_only_the_platform() -> None:
    two = pa.table({"customer_id": ["c", "c"], "platform": ["meta", "google"], "campaign_id": ["11", "22"]})
    assert judge(AttributionRules(claims=two)) == ("", "", "unknown", "none")
    same = pa.table({"customer_id": ["c", "c"], "platform": ["fb", "meta"], "campaign_id": ["11", "12"]})
    assert judge(AttributionRules(claims=same)) == ("meta", "", "paid", "order_id")


def test_a_customer_known_by_claims_alone_has_a_source() -> None:
    claims = pa.table({"customer_id": ["new"], "platform": ["meta"], "campaign_id": ["11"]})
    rows = attribute(pa.table({"customer_id": ["c"]}), DAYS, AttributionRules(claims=claims)).to_pylist()
    assert [(row["customer_id"], row["source"]) for row in rows] == [("c", "unknown"), ("new", "paid")]


@pytest.mark.parametrize(
    ("fields", "conflict"),
    [
        ({"source_platform": "meta", "source_campaign_id": "11"}, ""),
        ({"source_platform": "meta", "source_campaign_id": "11", "utm_source": "fb", "utm_campaign": "spring story"}, ""),
        ({"source_platform": "meta", "source_campaign_id": "11", "utm_source": "google"}, "utm: google"),
        ({"source_platform": "meta", "utm_source": "google", "utm_medium": "organic"}, "utm: organic"),
        ({"source_platform": "organic", "click_id": "gclid=x", "utm_source": "fb"}, "click_id: google; utm: meta"),
        ({"source_campaign_id": "22", "utm_source": "google", "utm_id": "23"}, "utm: google, another campaign"),
        ({"click_id": "gclid=x fbclid=y"}, "click_id: meta"),
        ({"source_platform": "email", "utm_source": "newsletter"}, ""),  # two names of what no platform sold
    ],
)
def test_bases_that_disagree_are_told(fields: dict[str, str], conflict: str) -> None:
    assert whole(**fields)["conflict"] == conflict


def test_the_account_is_told_where_a_source_knows_it() -> None:
    named = {"source_platform": "google", "source_campaign_id": "22"}
    assert whole(**named, source_account_id="123-456-7890")["account_id"] == "1234567890"
    assert whole(**named, source_account_id="act_55")["account_id"] == "55"
    assert whole(source_platform="tiktok", source_campaign_id="44")["account_id"] == ""
    assert whole(source_ad_id="1111")["account_id"] == "x"
    both = AttributionRules(claims=pa.table({"customer_id": ["c"], "platform": ["tiktok"], "account_id": ["t2"],
                                             "campaign_id": ["44"]}))  # fmt: skip
    assert whole(both, source_platform="tiktok", source_campaign_id="44")["account_id"] == "t2"


def test_one_row_per_customer_with_the_earliest_day() -> None:
    contacts = pa.table({"customer_id": ["c", "c", "d"], "acquired_at": ["2026-02-01", "2026-01-05T10:00:00Z", "soon"]})
    rows = attribute(contacts).to_pylist()
    assert [(row["customer_id"], row["acquired_at"]) for row in rows] == [("c", date(2026, 1, 5)), ("d", None)]
