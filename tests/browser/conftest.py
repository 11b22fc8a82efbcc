"""One Chromium for the browser tests, and pages opened as a reader opens them: a file, no network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Page, sync_playwright

from connectors.engine.report import render
from tests.browser.chromium import FLAGS, REMEDY, find
from tests.browser.sample import report

Open = Callable[..., Page]
Scheme = Literal["light", "dark"]


@pytest.fixture(scope="session")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample report on disk."""
    return render(report(), tmp_path_factory.mktemp("page") / "report.html")


@pytest.fixture(scope="session")
def open_page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Open]:
    """Opens a file at a width and colour scheme; `page.heard` lists what the console and the network said."""
    path = find()
    assert path is not None, REMEDY
    contexts: dict[str, Any] = {}
    with sync_playwright() as playwright:

        def opened(file: Path, width: int = 1280, scheme: Scheme = "light") -> Page:
            kind = f"{width}{scheme}"
            if kind not in contexts:
                contexts[kind] = playwright.chromium.launch_persistent_context(
                    str(tmp_path_factory.mktemp("profile")), executable_path=path, args=list(FLAGS), headless=True,
                    viewport={"width": width, "height": 900}, color_scheme=scheme, accept_downloads=True,
                )  # fmt: skip
            page: Page = contexts[kind].new_page()
            heard: list[str] = []
            page.on("console", lambda message: heard.append(f"{message.type}: {message.text}"))
            page.on("pageerror", lambda error: heard.append(f"error: {error}"))
            page.on("request", lambda request: heard.append(request.url) if not request.url.startswith("file:") else None)
            page.goto(file.as_uri())
            page.locator("body[data-ready]").wait_for()
            page.heard = heard  # type: ignore[attr-defined]
            return page

        yield opened
        for context in contexts.values():
            context.close()
