"""Google's settings: what is taken, what is refused, and where."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from pydantic import ValidationError

from connectors.google import CAPABILITIES, RECIPE, platform
from connectors.google.settings import GoogleSettings


def settings(**given: Any) -> GoogleSettings:
    return GoogleSettings.model_validate({"accounts": [{"account_id": "1234567890"}], **given})


def test_the_defaults_are_googles_own_addresses() -> None:
    made = settings()
    assert (made.data_manager_endpoint, made.ads_endpoint) == (
        "datamanager.googleapis.com:443",
        "googleads.googleapis.com:443",
    )
    assert (made.membership_days, made.credentials, made.terms_accepted) == (540, "environment", True)


@pytest.mark.parametrize("written", ["1234567890", "123-456-7890", 1234567890])
def test_account_ids_are_ten_digits_with_or_without_hyphens(written: object) -> None:
    assert settings(accounts=[{"account_id": written}]).accounts[0].account_id == "1234567890"


@pytest.mark.parametrize(
    "address",
    ["localhost:7001", "127.0.0.1:7001", "insecure:127.0.0.1:7001", "http://127.0.0.1:7001", "http://127.0.0.1:7001/"],
)
def test_local_addresses_in_all_three_forms(address: str) -> None:
    made = settings(data_manager_endpoint=address, ads_endpoint="insecure:127.0.0.1:7002", credentials="anonymous")
    assert made.data_manager_endpoint == address.rstrip("/")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"accounts": [{"account_id": "12345"}]}, "ten digits"),
        ({"data_manager_endpoint": "http://datamanager.example.com"}, "plain text"),
        ({"ads_endpoint": "insecure:10.0.0.1:443"}, "plain text"),
        ({"ads_endpoint": "http://127.0.0.1:1"}, "gRPC only"),
        ({"credentials": "anonymous"}, "local servers only"),
        ({"data_manager_endpoint": "127.0.0.1:1", "credentials": "anonymous"}, "ads_endpoint is googleads"),
        ({"credentials": {"json_key_file": "/etc/key.json"}}, "references"),
        ({"credentials": {"json_key_file": '{"private_key": "..."}'}}, "references"),
        ({"credentials": {}}, "exactly one"),
        ({"credentials": {"google_ads_yaml": "a.yaml", "application_default": True}}, "exactly one"),
        ({"membership_days": 541}, "540"),
        ({"value_multipliers": {"top": 2}}, "'high'"),
        ({"value_multipliers": {"high": 0}}, "greater than 0"),
        ({"acounts": []}, "Extra inputs"),
        ({"data_manager_endpoint": "not an address"}, "host:port"),
    ],
)
def test_what_is_refused_and_why(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        settings(**given)
    assert said in str(caught.value)


def test_the_recipe_is_googles() -> None:
    """Ten identifiers at most per person: three e-mails, three phones and one address make seven."""
    assert RECIPE.columns() == (
        *("email", "email#2", "email#3", "phone", "phone#2", "phone#3"),
        *("given_name", "family_name", "region_code", "postal_code"),
        "consent_unrecorded",
    )
    fields = {one.name: one for one in RECIPE.fields}
    assert {name: one.rule for name, one in fields.items()} == {
        "email": "email_google",
        "phone": "phone_e164",
        "given_name": "name_google_given",
        "family_name": "name_google_family",
        "region_code": "country_upper",
        "postal_code": "postal_google",
        "consent_unrecorded": "mark",
    }
    assert [name for name, one in fields.items() if not one.hashed] == ["region_code", "postal_code", "consent_unrecorded"]
    assert [name for name, one in fields.items() if one.note] == ["consent_unrecorded"]
    address = {"given_name", "family_name", "region_code", "postal_code"}
    assert all({*fields[name].requires, name} == address for name in address)
    assert (CAPABILITIES.batch_rows, CAPABILITIES.membership_days, CAPABILITIES.value_weighted) == (10_000, 540, False)


def test_importing_the_platform_loads_no_sdk() -> None:
    script = (
        "import sys; from connectors.google import platform; platform.settings();"
        "print([name for name in sys.modules if name.split('.')[0] in ('google', 'grpc', 'pyarrow', 'requests', 'proto')])"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
    assert platform.name == "google"
