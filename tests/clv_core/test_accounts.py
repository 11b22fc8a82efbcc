"""The same campaign id in two ad accounts of one platform: two campaigns, and customers credited only where it is known."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from clv_core.attribution import FULL
from clv_core.returns import Returns, ReturnSettings, returns
from tests.clv_core.test_returns_golden import AS_OF, LABELS, RATES, tables

SETTINGS = ReturnSettings(minimum_customers=1, by_record=False)


def world(accounts: dict[str, str], **conflicts: str) -> Returns:
    """Campaign c1 also runs in account m2, under another name; `accounts`: what each customer's source says."""
    made = tables()
    story = made["campaign_days"].filter(pa.compute.equal(made["campaign_days"]["campaign_id"], "c1"))
    twin = story.set_column(1, "account_id", pa.array(["m2"] * len(story), pa.string()))
    twin = twin.set_column(4, "campaign_name", pa.array(["Second deals"] * len(story), pa.string()))
    rows = [
        {**row, "account_id": accounts.get(row["customer_id"], ""), "conflict": conflicts.get(row["customer_id"], "")}
        for row in made["acquisition"].to_pylist()
    ]
    given = {
        **made,
        "campaign_days": pa.concat_tables([made["campaign_days"], twin]),
        "acquisition": pa.Table.from_pylist(rows, schema=FULL),
    }
    return returns(**given, currency="USD", as_of=AS_OF, rates=RATES, labels=LABELS, settings=SETTINGS)


def story(found: Returns, table: str = "campaigns") -> dict[str, dict[str, Any]]:
    return {row["account_id"]: row for row in getattr(found, table).to_pylist() if row["campaign_id"] == "c1"}


def test_two_accounts_are_two_campaigns() -> None:
    found = world({"anna": "m", "bert": "m2"})
    rows = story(found)
    assert {account: (row["campaign_name"], row["customers"], row["creative"]) for account, row in rows.items()} == {
        "m": ("Founder story", 1, "storytelling"),
        "m2": ("Second deals", 1, "transactional"),
    }
    assert rows["m"]["spend"] == rows["m2"]["spend"] == Decimal("151.50")
    assert sum(row["customers"] for row in story(found, "ads").values()) >= 1
    assert not any("several ad accounts" in said for said in found.warnings)


def test_without_an_account_nobody_is_credited_and_it_is_said() -> None:
    found = world({"anna": "m"})
    rows = story(found)
    assert {account: row["customers"] for account, row in rows.items()} == {"m": 1, "m2": 0, "": 1}
    assert rows[""]["campaign_name"] == "c1 (in several accounts)"
    assert rows[""]["quadrant"] == "no spend"
    assert any("1 customers came from campaign ids that several ad accounts use" in said for said in found.warnings)
    assert sum(row["ambiguous"] for row in found.coverage.to_pylist()) == 1
    assert sum(row["customers"] for row in found.campaigns.to_pylist()) == 5


def test_an_account_that_does_not_have_the_campaign_is_no_evidence() -> None:
    made = tables()
    wrong = [{**row, "account_id": "typo", "conflict": ""} for row in made["acquisition"].to_pylist()]
    given = {**made, "acquisition": pa.Table.from_pylist(wrong, schema=FULL)}
    found = returns(**given, currency="USD", as_of=AS_OF, rates=RATES, labels=LABELS, settings=SETTINGS)
    assert {account: row["customers"] for account, row in story(found).items()} == {"m": 2}


@pytest.mark.parametrize("by_record", [True, False])
def test_sources_without_an_account_find_the_only_one(by_record: bool) -> None:
    settings = replace(SETTINGS, by_record=by_record)
    found = returns(**tables(), currency="USD", as_of=AS_OF, rates=RATES, labels=LABELS, settings=settings)
    assert {account: row["customers"] for account, row in story(found).items()} == {"m": 2}


def test_contradicted_sources_are_counted_by_what_contradicts_them() -> None:
    found = world({"anna": "m", "bert": "m"}, anna="utm: google", bert="utm: google", cleo="order_id: meta")
    assert [(row["basis"], row["said"], row["customers"]) for row in found.contradictions.to_pylist()] == [
        ("ids", "utm: google", 2),
        ("utm", "order_id: meta", 1),
    ]
    assert sum(row["contradicted"] for row in found.coverage.to_pylist()) == 3


def test_restated_figures_are_kept_apart_by_account() -> None:
    found = world({"anna": "m"})
    rows = [row for row in found.restatements.to_pylist() if row["campaign_id"] == "c1"]
    assert [(row["account_id"], row["days"], row["first_day"]) for row in rows] == [
        ("m", 1, date(2026, 1, 5)),
        ("m2", 1, date(2026, 1, 5)),
    ]
