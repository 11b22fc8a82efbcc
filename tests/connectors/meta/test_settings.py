"""Meta's block in platforms.yaml: what is refused, and the words a person reads."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from connectors.meta.settings import MetaSettings
from connectors.neutral import flagged_words

TOKEN = {"access_token": "env:META_TOKEN"}
ACCOUNT = [{"account_id": "111"}]


def test_the_defaults_are_the_current_api() -> None:
    settings = MetaSettings(credentials=TOKEN, accounts=ACCOUNT)  # type: ignore[arg-type]
    assert (settings.api_base, settings.api_version) == ("https://graph.facebook.com", "v26.0")
    assert settings.accounts[0].customer_file_source == "USER_PROVIDED_ONLY"
    assert not settings.external_id


def test_an_account_may_be_written_with_its_prefix() -> None:
    settings = MetaSettings(credentials=TOKEN, accounts=[{"account_id": "act_42"}])  # type: ignore[arg-type, list-item]
    assert settings.accounts[0].account_id == "42"


@pytest.mark.parametrize(
    ("block", "says"),
    [
        ({"credentials": {"access_token": "EAAliteral"}}, "secrets are references"),
        ({"credentials": "anonymous"}, "sandbox on this machine only"),
        ({"credentials": TOKEN, "api_base": "http://graph.facebook.com"}, "plain http"),
        ({"credentials": TOKEN, "api_base": "graph.facebook.com"}, "write an address"),
        ({"credentials": TOKEN, "api_version": "26"}, "v26.0"),
        ({"credentials": TOKEN, "accounts": [{"account_id": "my shop"}]}, "digits"),
        ({"credentials": TOKEN, "attribution_windows": ["7d_view"]}, "2026-01-12"),
        ({"credentials": TOKEN, "attribution_windows": ["1d_click", "7d_click"]}, "one click window"),
        ({"credentials": TOKEN, "attribution_windows": []}, "at least 1"),
        ({"credentials": TOKEN, "purchase_actions": []}, "at least 1"),
        ({"credentials": TOKEN, "limited_data_use": "texas"}, "california"),
        ({"credentials": TOKEN, "nonsense": 1}, "Extra inputs"),
        ({}, "credentials are missing"),
    ],
)
def test_mistakes_are_told(block: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        MetaSettings(**{"accounts": ACCOUNT, **block})


def test_a_sandbox_on_this_machine_needs_no_token() -> None:
    assert MetaSettings(api_base="http://127.0.0.1:8801", credentials="anonymous", accounts=ACCOUNT)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Seed A 2026-11", []),
        ("Top customers, high value", []),
        ("Richmond and Mortgageville fans", []),
        ("HIGH INCOME seniors", ["income"]),
        ("diabetes_list", ["diabetes"]),
        ("People in debt with cancer", ["debt", "cancer"]),
        ("Net worth > 1M", ["net worth"]),
    ],
)
def test_words_that_meta_blocks(text: str, words: list[str]) -> None:
    assert flagged_words(text) == words
