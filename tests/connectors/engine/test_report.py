"""The report without a browser: exports, words, numbers, and a page that holds whatever it is given."""

from __future__ import annotations

import csv
import io
import json
from datetime import date
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from plotly.offline import get_plotlyjs

from connectors.engine.page import formats, words
from connectors.engine.page.figures import text
from connectors.engine.page.verdicts import dots
from connectors.engine.page.words import changes
from connectors.engine.report import ReportData, RunInfo, export, headline, render, summary_text
from tests.browser.sample import BREAKOUT, FORMULA, HOSTILE, audience, report

RUN = RunInfo("r1", date(2026, 6, 30), "EUR", 12)


@pytest.fixture(scope="module")
def data() -> ReportData:
    return report()


def test_a_page_is_one_small_file_without_addresses(data: ReportData, tmp_path: Path) -> None:
    path = render(data, tmp_path / "deep" / "report.html")
    page = path.read_text("utf-8")
    assert path.stat().st_size < 6_000_000
    assert [one.name for one in path.parent.iterdir()] == ["report.html"]
    own = page.replace(get_plotlyjs(), "")
    assert len(own) < len(page)
    assert "http://" not in own.replace("http://example.com", "")
    assert "https://" not in own
    assert HOSTILE not in page
    assert BREAKOUT not in page
    assert "connect-src 'none'" in page
    assert "unsafe-eval" not in page


def test_sections_come_in_the_order_that_matters(data: ReportData, tmp_path: Path) -> None:
    page = render(data, tmp_path / "r.html").read_text("utf-8")
    wanted = ("changed", "value", "trust", "cohorts", "campaigns", "audiences", "runs", "quality")
    places = [page.index(f'<section id="{one}"') for one in wanted]
    assert places == sorted(places)


def test_a_report_of_almost_nothing_is_still_a_page(tmp_path: Path) -> None:
    page = render(ReportData(RUN), tmp_path / "r.html").read_text("utf-8")
    assert "This is the first run" in page
    assert "12 customers" in page
    assert summary_text(ReportData(RUN)).startswith("What your customers are worth, as of 2026-06-30")
    assert export(ReportData(RUN), "md").startswith("# What your customers are worth")


def test_csv_is_the_campaign_table_exactly(data: ReportData) -> None:
    rows = list(csv.DictReader(io.StringIO(export(data, "csv"))))
    table = data.returns["campaigns"].to_pylist()
    assert [Decimal(row["spend"]) for row in rows] == [row["spend"] for row in table]
    assert f"'{FORMULA}" in [row["campaign_name"] for row in rows]
    assert rows[0].keys() == table[0].keys()


def test_csv_of_another_table_and_of_none(data: ReportData) -> None:
    assert export(data, "csv", table="cohorts").startswith("cohort,")
    with pytest.raises(ValueError, match=r"no table 'cohort' in this report: choose one of .*cohorts"):
        export(data, "csv", table="cohort")
    with pytest.raises(ValueError, match=r"format 'pdf' is unknown: use html, md, csv, json"):
        export(data, "pdf")


def test_json_holds_every_table_with_exact_money(data: ReportData) -> None:
    found = json.loads(export(data, "json"))
    assert set(data.returns) <= set(found["tables"])
    said = [Decimal(row["spend"]) for row in found["tables"]["campaigns"]]
    assert said == [row["spend"] for row in data.rows("campaigns")]
    assert found["headline"]["customers"] == 1500
    assert found["run"]["as_of"] == "2026-06-30"


def test_markdown_shows_names_as_text(data: ReportData) -> None:
    found = export(data, "md")
    assert "<script>" not in found
    assert "&lt;script>window.hacked" in found
    assert "## What the money bought" in found


def test_the_headline_can_be_kept_and_compared(data: ReportData) -> None:
    kept = json.loads(json.dumps(headline(data)))
    assert words.changes(headline(data), kept, ()) == ["Nothing changed since the run of 2026-06-30."]


def test_what_changed_is_said_verdicts_first() -> None:
    old = {"m/1": "winner", "m/2": "unclear"}
    before = {"as_of": "2026-06-29", "currency": "EUR", "customers": 10, "predicted_clv": 1000.0, "verdicts": old}
    new = {"m/1": "false friend", "m/2": "unclear", "m/3": "unclear"}
    now = {"currency": "EUR", "customers": 12, "predicted_clv": 1100.0, "verdicts": new}
    now["names"] = {"m/1": "Story", "m/3": "New one"}
    assert words.changes(now, before, [audience("meta")]) == [
        "“Story” moved from winner to false friend.",
        "1 new campaign: New one.",
        "2 new customers since 2026-06-29: 12 in all.",
        "Predicted value went from €1,000 to €1,100 (+10.0%).",
        "Audience members: 12 added, 3 removed.",
    ]
    assert words.changes(now, {**before, "currency": "USD"}, ())[-1].startswith("Money is now shown in EUR, before in USD")


def test_summary_names_advice_and_trouble(data: ReportData) -> None:
    said = summary_text(data, link="report.html")
    assert "(Everything here is simulated.)" in said
    assert "outcome unknown 7" in said
    assert "A guardrail stopped" in said
    assert "removes 40% of members" in said
    assert said.endswith("report.html\n")
    assert len(said) < 4000


@pytest.mark.parametrize(
    ("value", "currency", "said"),
    [
        (1234567.4, "USD", "$1,234,567"), (Decimal("9.876"), "USD", "$9.88"), (-45.5, "EUR", "−€45.50"),
        (1234, "CHF", "1,234 CHF"), (99.4, "JPY", "¥99"),
        (None, "USD", "–"), (float("nan"), "USD", "–"), (-0.001, "USD", "$0.00"),
    ],
)  # fmt: skip
def test_money(value: object, currency: str, said: str) -> None:
    assert formats.money(value, currency) == said


def test_other_numbers() -> None:
    assert [formats.share(v) for v in (0, 0.034, 0.5, None)] == ["0%", "3.4%", "50%", "–"]
    assert [formats.days(v) for v in (0, 1, 41.6, None)] == ["the first day", "1 day", "42 days", "–"]
    assert [formats.change(*v) for v in ((110, 100), (90, 100), (1, 0), (None, 3))] == ["+10.0%", "−10.0%", "–", "–"]
    assert words.reasons({"no_consent": 400, "bad": 12, "none": 0}) == "412 (no consent 400, bad 12)"
    assert words.size({"size_lower": None, "size_upper": None}) == "not said"
    assert words.size({"size_lower": 1000, "size_upper": 2000}) == "1,000 to 2,000"
    assert formats.label("predicted_clv") == "Predicted CLV"


def test_chart_texts_hold_no_tags(data: ReportData) -> None:
    assert text("<b>&") == "&lt;b&gt;&amp;"
    assert isinstance(data.tables()["tiers"], pa.Table)


def test_what_nobody_could_see_moving_is_no_change() -> None:
    now = {"currency": "USD", "customers": 5, "predicted_clv": 895501.30000001, "as_of": "2026-11-17"}
    before = {**now, "predicted_clv": 895501.29999999}
    assert not any("Predicted" in said for said in changes(now, before, ()))
    assert any("+1.0%" in said for said in changes({**now, "predicted_clv": 904456.0}, before, ()))


def test_what_was_stopped_comes_first_and_is_not_counted_as_sent() -> None:
    now = {"currency": "USD", "customers": 10, "horizon_days": 365}
    stopped = audience("google", guardrail="40% of the members would be removed", add=0, remove=900)
    said = changes(now, dict(now), [audience("meta"), stopped])
    assert said == [
        "A guardrail stopped Customers A (google): 40% of the members would be removed.",
        "Audience members: 12 added, 3 removed.",
    ]
    assert changes(now, None, [stopped])[0].startswith("A guardrail stopped")
    assert changes(now, dict(now), [{**stopped, "forced": True}]) == ["Audience members: 900 removed."]
    quiet = audience("tiktok", add=0, remove=0)
    assert changes(now, dict(now), [stopped, quiet])[1:] == ["Audiences that needed no change: 1."]
    failed = audience("meta", state="failed", add=5)
    assert changes(now, dict(now), [failed]) == ["Not finished: Customers A (meta); the reasons are under Audiences."]


def test_people_who_can_be_matched_and_those_who_can_not_add_up(tmp_path: Path) -> None:
    found = {"people": 100, "without_identifier": 7, "rows": 120, "fields": {"email": {"valid": 120, "empty": 7}}}
    page = render(report(match={"meta/1": found}), tmp_path / "r.html").read_text("utf-8")
    assert (
        "100 people, 93 can be matched (120 members, since some have several addresses), 7 have no usable identifier." in page
    )
    page = render(report(match={"meta/1": {**found, "rows": 93}}), tmp_path / "r.html").read_text("utf-8")
    assert "93 can be matched, 7 have no usable identifier." in page


def test_a_run_is_named_by_its_time() -> None:
    assert formats.moment("20261122T112358.459709Z") == "22 November 2026, 11:23 UTC"
    assert formats.moment("r1") == "r1"
    assert [formats.sentence(one) for one in ("it waits.", "Done", "")] == ["It waits.", "Done.", ""]


def test_evidence_is_named_in_words() -> None:
    assert words.known_by("ids") == "campaign ids of contacts"
    assert words.known_by("click_id+utm") == "click ids, campaign by UTM parameters"
    assert words.known_by("own_kind") == "own kind"


def test_nobody_who_stayed_is_among_those_who_moved(tmp_path: Path) -> None:
    rows = [("high", "high", 5), ("low", "low", 7), ("low", "middle", 2), ("new", "low", 4), ("middle", "gone", 1)]
    moved = pa.Table.from_pylist([{"from_tier": a, "to_tier": b, "customers": n, "clv": 9.0 * n} for a, b, n in rows])
    page = " ".join(render(report(movements=moved), tmp_path / "r.html").read_text("utf-8").split())
    assert "12 stayed in their tier." in page
    assert "<td>high</td><td>high</td>" not in page
    assert page.index("<td>new</td><td>low</td>") < page.index("<td>low</td><td>middle</td>")
    page = " ".join(render(report(movements=moved.slice(0, 2)), tmp_path / "r.html").read_text("utf-8").split())
    assert "12 stayed in their tier; nobody moved, came or went." in page


def test_campaigns_without_a_label_are_never_ranked_and_that_is_said() -> None:
    def told(*rows: tuple[str, float, int]) -> str:
        made = [
            {"objective": name, "clv_roas": x, "clv_roas_low": x - 0.1, "clv_roas_high": x + 0.1, "customers": n}
            for name, x, n in rows
        ]
        return dots("objectives", "Objective: which?", "objective", made, 2.0, 30).alt

    unranked = "Campaigns without a label are shown, not ranked: name them in labels.yaml."
    assert told(("a", 3.0, 99), ("b", 1.0, 99)) == (
        "Of all labels, a brings the most customer value per unit of spend, beyond noise."
    )
    assert told(("a", 3.0, 99), ("b", 1.0, 99), ("unlabelled", 9.0, 99)).endswith(unranked)
    assert told(("a", 3.0, 99), ("unlabelled", 9.0, 99)) == f"Only one label has campaigns: nothing to compare. {unranked}"
    assert told(("a", 3.0, 99), ("b", 1.0, 5)) == "Too few customers to compare."
