"""Campaigns whose customers came at different times: the page compares them at equal age, and says so."""

from __future__ import annotations

import csv
import io
from datetime import date

import pytest

from clv_core.returns import returns
from connectors.engine.page.html import content
from connectors.engine.report import ReportData, RunInfo, export
from tests.clv_core.test_equal_age import world


def report(old_age: int, new_age: int) -> ReportData:
    found = returns(**world(old_age, new_age, 365))
    return ReportData(RunInfo("r1", date(2026, 6, 30), "USD", 100), returns=found.tables())


def points(data: ReportData) -> dict[str, float]:
    traces = content(data)["figures"]["scatter"].document["data"]
    return {name: y for trace in traces for name, y in zip(trace["text"], trace["y"], strict=True)}


def test_the_chart_shows_what_was_compared() -> None:
    shown = report(700, 324)
    assert points(shown) == {"old": pytest.approx(2.5), "new": pytest.approx(2.5 + 50 * 60 * 40 / 365 / 2000, abs=1e-4)}
    said = content(shown)["figures"]["scatter"].alt
    assert "came at different times" in said
    table = list(csv.DictReader(io.StringIO(export(shown, "csv"))))
    assert {row["judged_by"] for row in table} == {"equal age"}
    assert {row["campaign_name"]: float(row["equal_age_roas"]) for row in table if row["campaign_id"]} == pytest.approx(
        points(shown), abs=1e-4
    )


def test_campaigns_of_one_time_are_compared_by_lifetime_value() -> None:
    shown = report(330, 324)
    assert "came at different times" not in content(shown)["figures"]["scatter"].alt
    assert {row["judged_by"] for row in shown.rows("campaigns")} == {"lifetime"}
    assert points(shown)["old"] == pytest.approx(50 * (100 + 10) / 2000)


def test_group_tables_show_value_at_equal_age() -> None:
    shown = content(report(700, 324))
    names = [column.key for column in shown["group_columns"]["cohorts"]]
    each = {row[0]: row[names.index("equal_age_each")] for row in shown["groups"]["cohorts"]}
    assert each == {"2024-07": 100.0, "2025-08": pytest.approx(100 + 60 * 40 / 365, abs=0.01)}
