"""What `clvsync check` finds in a Meta ad account, with what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from connectors.protocol import Operation
from tests.connectors.meta.conftest import PLAIN, SEED, batch_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from connectors.meta.connector import MetaConnector
    from connectors.meta.sandbox import MetaSandbox
    from connectors.protocol import Check

WANTED = {"predicted_value": {"dataset_id": "900100"}}


def found(connector: MetaConnector) -> dict[str, Check]:
    return {one.subject.partition(": ")[2]: one for one in connector.check()}


def test_all_in_order(connect: Callable[..., MetaConnector], box: MetaSandbox) -> None:
    box.account("111").currency, box.account("111").timezone = "EUR", "Europe/Berlin"
    box.datasets = {"900100": "Shop"}
    checks = found(connect(account={**WANTED, "currency": "EUR", "timezone": "Europe/Berlin"}))
    assert [one.ok for one in checks.values()] == [True] * len(checks)
    assert {name: one.detail for name, one in checks.items()} == {
        "account": "active, EUR, Europe/Berlin",
        "customer-list terms": "accepted",
        "value-based terms": "accepted",
        "permissions": "ads_management, ads_read",
        "audiences": "0 of 500 customer lists, 0 of 500 lookalikes",
        "ads_read": "reports can be read",
        "dataset for predicted values": "Shop, no event so far",
    }
    assert {entry.get("operation") for entry in box.requests} <= {"account", "user", "list", "report", "read"}


@pytest.mark.parametrize(
    ("account", "subject", "detail", "remedy"),
    [
        ({"status": 2}, "account", "disabled", "Account Quality"),
        ({"status": 3}, "account", "unsettled", "Billing"),
        ({"status": 101}, "account", "closed", "Billing"),
        ({"tos": False}, "customer-list terms", "not accepted", "tos/?act=111"),
        ({"value_tos": False}, "value-based terms", "not accepted", "value_based/tos.php"),
        ({"currency": "CHF"}, "currency", "Meta says CHF, config EUR", "currency: CHF"),
        ({"timezone": "Asia/Tokyo"}, "timezone", "Meta says Asia/Tokyo, config UTC", "timezone: Asia/Tokyo"),
    ],
)
def test_what_is_wrong_with_an_account(
    connect: Callable[..., MetaConnector], box: MetaSandbox, account: dict[str, Any], subject: str, detail: str, remedy: str
) -> None:
    held = box.account("111")
    held.currency = "EUR"
    for name, value in account.items():
        setattr(held, name, value)
    checks = found(connect(account={"currency": "EUR", "timezone": "UTC"}))
    assert [name for name, one in checks.items() if not one.ok] == [subject]
    assert detail in checks[subject].detail
    assert remedy in checks[subject].remedy


def test_a_missing_permission_is_named(connector: MetaConnector, box: MetaSandbox) -> None:
    box.permissions = ["ads_read"]
    check = found(connector)["permissions"]
    assert (check.ok, check.detail) == (False, "missing: ads_management")
    assert "ads_management" in check.remedy


@pytest.mark.parametrize("fault", [{"code": 2500}, {"code": 100}, {"code": 10}])
def test_a_token_that_is_not_told_of_its_permissions_is_no_failure(
    connector: MetaConnector, box: MetaSandbox, fault: dict[str, int]
) -> None:
    box.faults.add(match="/me/permissions", detail=fault)
    checks = found(connector)
    assert "permissions" not in checks
    assert all(one.ok for one in checks.values())


@pytest.mark.parametrize(("code", "subcode", "words"), [(190, 463, "new system-user token"), (100, 33, "check the id")])
def test_a_token_that_has_ended_stops_the_checks(
    connector: MetaConnector, box: MetaSandbox, code: int, subcode: int, words: str
) -> None:
    box.faults.add(match="GET", times=9, detail={"code": code, "subcode": subcode})
    (check,) = connector.check()
    assert not check.ok
    assert words in check.remedy


def test_blocked_audiences_and_the_number_of_them_are_told(connector: MetaConnector, box: MetaSandbox) -> None:
    for number in range(7):
        box.new_audience("111", f"List {number}", "CUSTOM")
    box.new_audience("111", "Look", "LOOKALIKE").spec = {"ratio": 0.01, "target_countries": ["US"]}
    box.new_audience("111", "Visitors", "WEBSITE")
    blocked = connector.find_or_create(PLAIN)
    box.audiences[blocked.remote_id].flagged = ["name"]
    detail = found(connector)["audiences"].detail
    assert detail == "8 of 500 customer lists, 1 of 500 lookalikes; blocked by Meta: 'Customers A'"
    counted = connector.count_audiences()
    assert (counted.audiences, counted.lookalikes) == (8, 1)


def test_a_dataset_of_somebody_else_is_told(connect: Callable[..., MetaConnector], box: MetaSandbox) -> None:
    box.datasets = {"42": "Theirs"}
    check = found(connect(account=WANTED))["dataset for predicted values"]
    assert (check.ok, "missing or not visible" in check.detail) == (False, True)


def test_a_flagged_audience_says_what_is_wrong_with_it(connector: MetaConnector, box: MetaSandbox) -> None:
    seed = connector.find_or_create(SEED)
    connector.send(seed, batch_of(connector, Operation.ADD, range(200)))
    box.audiences[seed.remote_id].flagged = ["name", "description"]
    status = connector.status(seed)
    assert status.state.value == "blocked"
    assert "its name and description" in status.detail
    box.audiences[seed.remote_id].flagged = []
    box.audiences[seed.remote_id].forced_status = 100
    assert "deleted on 20" in connector.status(seed).detail
    assert connector.status(seed).updated is not None
