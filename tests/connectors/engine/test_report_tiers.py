"""What a marketer reads of tiers, stages, movements and churn: on the page, in Markdown and in JSON, from a base of six."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path

import pyarrow as pa
import pytest

from clv_core.concentration import stage_table, tier_table
from clv_core.lifecycle import FUNNEL
from clv_core.movements import churn, movements
from clv_core.profiles import profiles
from connectors.engine.report import ReportData, RunInfo, export, render
from tests.clv_core.test_profiles import AS_OF, CONTACTS, EVENTS, bought, scores

KPIS = pa.table({
    "cohort": ["2024-01"], "customers": [3], "paid_share": [0.0], "organic_share": [0.0], "unknown_share": [1.0],
    "first_value_each": [56.67], "second_within_90": [0.33], "days_to_second": [56.0], "orders_each": [1.7],
    "cross_sell_share": [0.67],
})  # fmt: skip


@pytest.fixture(scope="module")
def data() -> ReportData:
    now, before = scores(), scores(ann="middle")
    return ReportData(
        RunInfo("r1", AS_OF, "USD", 6),
        tiers=tier_table(now),
        stages=stage_table(now),
        profiles=profiles(bought(), now, AS_OF, CONTACTS, EVENTS),
        movements=movements(now, before),
        churn=churn(now, EVENTS, AS_OF),
        returns={"kpis": KPIS, "funnel": FUNNEL.empty_table()},
    )


def words_of(page: str) -> str:
    body = re.sub(r"<(script|style).*?</\1>", " ", page, flags=re.S)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).split())


def test_the_page_tells_tiers_stages_reasons_movements_and_churn(data: ReportData, tmp_path: Path) -> None:
    said = words_of(render(data, tmp_path / "r.html").read_text("utf-8"))
    for wanted in (
        "Aware, never bought 1 14% $0.00 $0.00 to $0.00 0% – $0.00",
        "Active 2 29% $400 $336 to $468 78% 90% $520",
        "The ranges don't add up to the range of all",
        "3.0 orders and $260 each so far; last order 14 days ago on average. Stages: active 100%. Channels: shop 58%, web 42%.",
        "Categories: music 58%, books 42%. Countries: DE 50%, US 50%. Engagement: email_click 50%, email_open 50%.",
        "100% have ordered once (50% of all)",
        "half of them lack at least 35.00 USD of predicted value to the next tier",
        "middle high 1 $300",
        "email sale 2 2 100% 100% 7.5%",
        "social sale 1 0 – – –",
    ):
        assert wanted in said, wanted


def test_markdown_and_json_tell_it_too(data: ReportData) -> None:
    said = export(data, "md")
    assert "| At risk | 1 | 14% | $60.00 | $50.44 | $70.25 | 12% |" in said
    assert "- 100% have ordered once (50% of all)" in said
    found = json.loads(export(data, "json"))["tables"]
    assert [row["stage"] for row in found["stages"]] == ["prospect", "new", "active", "at_risk", "lapsed"]
    assert {row["tier"]: len(row["why"]) for row in found["profiles"]} == {"high": 0, "middle": 0, "low": 5}
    assert {"from_tier": "middle", "to_tier": "high", "customers": 1, "clv": 300.0} in found["movements"]
    assert [row["drop_out_share"] for row in found["churn"] if row["message"] == "spring"] == [0.5]
