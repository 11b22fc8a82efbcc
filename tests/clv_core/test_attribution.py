"""Whose customer is it? Each basis alone, their order, and what stays unknown."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from clv_core.attribution import FIELDS, AttributionRules, attribute
from clv_core.spend import empty_days


def place(platform: str, campaign: str, name: str, adset: str = "", ad: str = "") -> dict[str, object]:
    return {
        "platform": platform, "account_id": "x", "date": date(2026, 1, 1), "campaign_id": campaign, "campaign_name": name,
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


def test_one_row_per_customer_with_the_earliest_day() -> None:
    contacts = pa.table({"customer_id": ["c", "c", "d"], "acquired_at": ["2026-02-01", "2026-01-05T10:00:00Z", "soon"]})
    rows = attribute(contacts).to_pylist()
    assert [(row["customer_id"], row["acquired_at"]) for row in rows] == [("c", date(2026, 1, 5)), ("d", None)]
