"""The page in a real Chromium: charts, table, export, quiet console, no network, no accessibility fault."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from connectors.engine.report import render
from tests.browser.sample import BREAKOUT, FORMULA, HOSTILE, audience, report

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.browser.conftest import Open

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def page(open_page: Open, page_file: Path) -> Page:
    """The page at desktop width, shared: tests leave filters as they found them."""
    return open_page(page_file)


def column(page: Page, label: str) -> list[str]:
    """The texts of one column of the campaign table, by its heading."""
    heads = page.locator("#campaign-table thead th").all_inner_texts()
    at = [head.strip() for head in heads].index(label)
    return page.locator(f"#campaign-table tbody tr > :nth-child({at + 1})").all_inner_texts()


def amount(text: str) -> float:
    return float(text.strip("$×%").replace(",", ""))


def test_every_chart_is_drawn(page: Page) -> None:
    charts = page.locator(".chart")
    assert charts.count() >= 7
    for i in range(charts.count()):
        assert charts.nth(i).locator("svg.main-svg").count() >= 1, charts.nth(i).get_attribute("data-figure")
    assert page.locator('[data-figure="scatter"] .scatterlayer .point').count() >= 8
    assert page.locator('[data-figure="scatter"] .errorbar').count() >= 8
    assert "hidden gem" in page.locator('[data-figure="scatter"]').inner_text()


def test_nothing_leaves_the_page_and_the_console_is_quiet(page: Page) -> None:
    assert page.heard == []  # type: ignore[attr-defined]
    assert page.evaluate("performance.getEntriesByType('resource').filter(e => !e.name.startsWith('data:')).length") == 0
    refused = "fetch('http://127.0.0.1:9/').then(() => 'sent', () => 'refused')"
    assert page.evaluate(refused) == "refused"
    page.heard.clear()  # type: ignore[attr-defined]


def test_names_are_text(page: Page) -> None:
    assert page.evaluate("window.hacked") is None
    names = column(page, "Campaign")
    assert {HOSTILE, BREAKOUT, FORMULA} <= set(names)
    assert page.locator("img").count() == 0


def test_sorting_by_a_heading(page: Page) -> None:
    head = page.locator("#campaign-table th", has_text="CLV-ROAS")
    head.locator("button").click()
    values = [amount(text) for text in column(page, "CLV-ROAS") if text != "–"]
    assert values == sorted(values, reverse=True)
    assert head.get_attribute("aria-sort") == "descending"
    head.locator("button").press("Enter")  # by keyboard
    values = [amount(text) for text in column(page, "CLV-ROAS") if text != "–"]
    assert values == sorted(values)
    assert column(page, "CLV-ROAS")[-1] == "–"  # what is not known stays last


def test_finding_and_filtering(page: Page) -> None:
    page.locator("#platform").select_option("google")
    assert set(column(page, "Platform")) == {"google"}
    page.locator("#platform").select_option("")
    page.locator("#find").fill("campaign 7")
    assert column(page, "Campaign") == ["Campaign 7 retargeting"]
    assert page.locator("#found").inner_text() == "1 campaign"
    page.locator("#find").fill("")


def test_export_downloads_what_is_shown(page: Page, tmp_path: Path) -> None:
    page.locator("#platform").select_option("tiktok")
    with page.expect_download() as wait:
        page.locator("#download").click()
    wait.value.save_as(tmp_path / "out.csv")
    page.locator("#platform").select_option("")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "out.csv").read_text("utf-8-sig"))))
    assert {row["platform"] for row in rows} == {"tiktok"}
    assert f"'{FORMULA}" in {row["campaign_name"] for row in rows}  # no formula runs in a spreadsheet
    assert all(float(row["spend"]) > 0 for row in rows)


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (390, "light")])
def test_no_accessibility_fault(open_page: Open, page_file: Path, width: int, scheme: str) -> None:
    page = open_page(page_file, width, scheme)
    page.locator("details").evaluate_all("all => all.forEach(one => { one.open = true; })")
    found = Axe().run(page).response["violations"]
    assert [(one["id"], one["nodes"][0]["html"][:120]) for one in found] == []


def test_a_phone_never_scrolls_sideways(open_page: Open, page_file: Path, tmp_path: Path) -> None:
    page = open_page(page_file, 390)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.screenshot(path=tmp_path / "phone.png", full_page=True)
    assert (tmp_path / "phone.png").stat().st_size > 100_000


PAPER = 703  # px between margins of 12 mm on A4: whatever is wider would be cut off, or shrink the whole print


def test_it_prints_whole(open_page: Open, tmp_path: Path) -> None:
    """Ten audiences on three platforms, long names: no table and no chart is wider than the paper."""
    long = "Prospecting | lookalike 1-3% | US+CA+MX+GB+DE | 25-54 | all placements | creative refresh week 47 version 12 final"
    names = [long, "VIP_2026_a_name_without_any_space_that_goes_on_and_on_and_on", "عملاء القيمة", "新規顧客 🎄", *"ABCDEF"]
    rows = [audience(one, name=name, account="act_1111111111111111") for name in names for one in ("meta", "google", "tiktok")]
    page = open_page(render(report(audiences=rows), tmp_path / "big.html"), PAPER)
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate("document.documentElement.scrollWidth") <= PAPER
    wide = "all => all.filter(one => one.getBoundingClientRect().right > 703).map(one => one.outerHTML.slice(0, 80))"
    assert page.locator("table, .chart svg.main-svg").evaluate_all(wide) == []
    page.emulate_media(media="screen")
    assert len(page.pdf(format="A4")) > 100_000


def test_predicted_values_and_contradictions_are_told(page: Page) -> None:
    signals = page.locator("table", has=page.locator("thead", has_text="Told before"))
    assert signals.locator("tbody tr").count() == 2
    told = signals.locator("tbody tr").nth(1).inner_text().split()
    assert told[:2] == ["google", "acct1"]
    assert "46" in told
    assert BREAKOUT in signals.inner_text()
    assert "3 (NO IDENTIFIERS 3)" in signals.inner_text()
    against = page.locator("table", has=page.locator("thead", has_text="Credited to"))
    assert against.locator("tbody tr").inner_text().split("\t") == [
        "meta", "click ids, campaign by UTM parameters", "order id: google", "17", "$812",
    ]  # fmt: skip


def test_growth_has_a_chart_of_people_and_of_what_each_is_worth(page: Page) -> None:
    figure = page.locator("#figure-growth")
    assert "customers +25.0%, value per customer" in figure.inner_text()
    assert figure.locator(".scatterlayer .trace").count() >= 3
    assert "per customer, USD" in (figure.locator(".y2title").text_content() or "")


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize(
    "bare",
    [
        {"returns": {}, "audiences": [], "match": {}, "signals": [], "previous": None},
        {"returns": {}, "tiers": None, "lorenz": None, "deciles": None, "models": (), "audiences": [], "match": {},
         "signals": [], "left_out": {}, "previous": None, "warnings": []},
    ],
    ids=["no campaigns, no contacts", "nothing but customers"],
)  # fmt: skip
def test_a_page_of_little_is_whole(open_page: Open, tmp_path: Path, bare: dict[str, Any], width: int) -> None:
    page = open_page(render(report(**bare), tmp_path / "bare.html"), width)
    assert page.heard == []  # type: ignore[attr-defined]
    assert page.evaluate("document.documentElement.scrollWidth") == width
    links = page.locator("nav a").evaluate_all("all => all.map(one => one.hash)")
    assert [one for one in links if page.locator(one).count() != 1] == []
    assert page.locator("main section").count() >= len(links)
    for section in page.locator("main section").all():
        assert len(section.inner_text()) > len(section.locator("h2").first.inner_text()) + 10, "no empty section"
