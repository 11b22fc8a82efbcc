"""The page in a real Chromium: charts, table, export, quiet console, no network, no accessibility fault."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.browser.sample import BREAKOUT, FORMULA, HOSTILE

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


def test_it_prints(page: Page) -> None:
    assert len(page.pdf(format="A4")) > 100_000
