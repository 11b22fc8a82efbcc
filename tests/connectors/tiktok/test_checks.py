"""What `clvsync check` finds in a TikTok advertiser account, and what is foreseen of names and lookalikes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from connectors.protocol import AudienceSpec, LookalikeSpec
from connectors.tiktok.sandbox.reports import Account

from .conftest import ADVERTISER, Connect, Recorded, exclusion, made, seed

if TYPE_CHECKING:
    from connectors.protocol import Check
    from connectors.tiktok.connector import TikTokConnector

PIXEL = "C4ABCDEFGH0123456789"
WANTED = {"account_id": ADVERTISER, "predicted_value": {"pixel_code": PIXEL, "page_url": "https://shop.example/"}}
LOOK = LookalikeSpec("look", "Look A", ("US",))


def found(connector: TikTokConnector) -> dict[str, Check]:
    return {one.subject.split(" ", 2)[2]: one for one in connector.check()}


def test_all_in_order(sandbox: Recorded, connect: Connect) -> None:
    sandbox.accounts[ADVERTISER] = Account("EUR", "Europe/Berlin")
    sandbox.pixels = {PIXEL}
    checks = found(connect({**WANTED, "currency": "EUR", "timezone": "Europe/Berlin"}))
    assert {name: (one.ok, one.detail) for name, one in checks.items()} == {
        "token": (True, "valid; it doesn't expire"),
        "account": (True, "STATUS_ENABLE, EUR, Europe/Berlin"),
        "audiences": (True, "0 of 400, lookalikes included"),
        "reports": (True, "reports can be read"),
        "pixel for predicted values": (True, "Shop"),
    }
    assert all(one.method == "GET" for one in sandbox.heard)


@pytest.mark.parametrize(
    ("account", "detail", "remedy"),
    [
        (Account("USD", "Asia/Tokyo"), "its currency is USD, not EUR", "correct currency"),
        (Account("EUR", "Asia/Tokyo"), "its timezone is Asia/Tokyo, not Europe/Berlin", "correct timezone"),
        (Account("EUR", "Europe/Berlin", status="STATUS_DISABLE"), "STATUS_DISABLE", "Ads Manager"),
        (Account("EUR", "Europe/Berlin", status="STATUS_PENDING_CONFIRM"), "STATUS_PENDING_CONFIRM", "Ads Manager"),
    ],
)
def test_what_is_wrong_with_an_account(sandbox: Recorded, connect: Connect, account: Account, detail: str, remedy: str) -> None:
    sandbox.accounts[ADVERTISER] = account
    checks = found(connect({"account_id": ADVERTISER, "currency": "EUR", "timezone": "Europe/Berlin"}))
    assert [name for name, one in checks.items() if not one.ok] == ["account"]
    assert detail in checks["account"].detail
    assert remedy in checks["account"].remedy


@pytest.mark.parametrize(
    ("scopes", "failing"), [({30, 31}, ["reports"]), ({31, 44}, ["audiences"]), (set(), ["audiences", "reports"])]
)
def test_missing_scopes_are_told(sandbox: Recorded, connect: Connect, scopes: set[int], failing: list[str]) -> None:
    sandbox.access.grants = {"anonymous": (frozenset({ADVERTISER}), frozenset(scopes))}
    checks = found(connect())
    assert [name for name, one in checks.items() if not one.ok] == failing
    assert all("authorise the app again" in checks[name].remedy for name in failing)


def test_a_pixel_of_somebody_else_is_told(sandbox: Recorded, connect: Connect) -> None:
    sandbox.pixels = {"CSOMEBODYELSES"}
    check = found(connect(WANTED))["pixel for predicted values"]
    assert (check.ok, check.detail, check.remedy) == (False, f"this advertiser has no pixel {PIXEL}", "correct pixel_code")


def test_all_audiences_count_lookalikes_too(sandbox: Recorded, tiktok: TikTokConnector) -> None:
    handle = made(tiktok, sandbox)
    tiktok.find_or_create_lookalike(handle, LOOK)
    tiktok.find_or_create(exclusion())
    counted = tiktok.count_audiences()
    assert (counted.audiences, counted.lookalikes) == (3, 0)
    assert found(tiktok)["audiences"].detail == "3 of 400, lookalikes included"


@pytest.mark.parametrize(
    ("spec", "options", "words"),
    [
        (seed(), {}, ""),
        (seed("n" * 128), {}, ""),
        (seed("n" * 129), {}, "up to 128 characters"),
        (exclusion("n" * 71), {}, "up to 70 characters"),
        (seed("Wealthy people"), {}, "'wealthy'"),
        (LOOK, {}, ""),
        (replace(LOOK, name="n" * 129), {}, "up to 128 characters"),
        (replace(LOOK, name="Like the rich"), {}, "'rich'"),
        (replace(LOOK, countries=("US", "ZZ")), {}, "no location id is known for ZZ"),
        (replace(LOOK, countries=("ZZ",)), {"ZZ": "42"}, ""),
    ],
)
def test_what_tiktok_would_refuse_is_foreseen(
    sandbox: Recorded, connect: Connect, spec: AudienceSpec | LookalikeSpec, options: dict[str, Any], words: str
) -> None:
    said = connect(lookalike={"location_ids": options}).objection(spec)
    assert words in said
    assert bool(said) is bool(words)
    assert sandbox.heard == []
