"""TikTok's block in platforms.yaml: what is taken, and what is refused."""

from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import ValidationError

from connectors.engine.normalise import RULES
from connectors.tiktok import platform, recipe
from connectors.tiktok.settings import TikTokSettings

ACCOUNTS = [{"account_id": "7000000000000000001"}]


@pytest.mark.parametrize(
    ("block", "words"),
    [
        ({"credentials": {"access_token": "abcdef"}}, "references"),
        ({"credentials": "anonymous"}, "anonymous is only for addresses on this machine"),
        ({"credentials": {"access_token": "env:T"}, "api_base": "http://ads.example.com"}, "plain http"),
        ({"credentials": {"access_token": "env:T"}, "api_base": "ads.example.com"}, "https://"),
        ({"credentials": {"access_token": "env:T"}, "requests_per_second": 0}, "greater than 0"),
        ({"credentials": {"access_token": "env:T"}, "phone_form": "national"}, "plus"),
        ({"credentials": {"access_token": "env:T"}, "colour": "red"}, "Extra inputs"),
        ({}, "credentials"),
    ],
)
def test_refused(block: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        TikTokSettings.model_validate({**block, "accounts": ACCOUNTS})


@pytest.mark.parametrize("given", ["http://127.0.0.1:8805", "http://127.0.0.1:8805/", "http://127.0.0.1:8805/open_api/v1.3/"])
def test_the_version_belongs_to_the_client(given: str) -> None:
    assert TikTokSettings.model_validate({"api_base": given, "credentials": "anonymous"}).api_base == "http://127.0.0.1:8805"


@pytest.mark.parametrize(
    ("forms", "rules"),
    [
        ({}, ["email_plain", "phone_e164", "mobile_ad_id"]),
        ({"phone_form": "digits"}, ["email_plain", "phone_digits", "mobile_ad_id"]),
        ({"email_form": "without_tag"}, ["email_without_tag", "phone_e164", "mobile_ad_id"]),
        ({"email_form": "bare"}, ["email_bare", "phone_e164", "mobile_ad_id"]),
    ],
)
def test_the_forms_choose_the_rules(forms: dict[str, str], rules: list[str]) -> None:
    base = {"api_base": "http://127.0.0.1:1", "credentials": "anonymous", "accounts": ACCOUNTS}
    settings = TikTokSettings.model_validate({**base, **forms})
    connector = platform.connect(settings, settings.accounts[0])
    assert [one.rule for one in connector.capabilities.recipe.fields] == rules
    assert set(rules) <= set(RULES)
    connector.close()


def test_another_form_is_another_recipe() -> None:
    assert recipe().version != recipe(phone="phone_digits").version != recipe("email_bare").version


def test_the_platform_object_is_light() -> None:
    heavy = "{'httpx', 'pyarrow', 'numpy', 'pandas', 'duckdb', 'connectors.tiktok.client'}"
    code = f"import sys, connectors.tiktok as t; assert t.platform.name == 'tiktok'; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_capabilities_follow_the_fact_sheet() -> None:
    limits = platform.capabilities
    assert not limits.value_weighted
    assert limits.settles
    assert limits.minimum_size == limits.removal_floor == limits.lookalike_minimum == 1000
    assert limits.maximum_audiences == 400
    assert limits.replace_interval_hours == 24
    assert limits.exclusion_path == "stream"
    assert limits.recipe.columns() == ("EMAIL", "EMAIL#2", "EMAIL#3", "PHONE", "PHONE#2", "PHONE#3", "MAID")
