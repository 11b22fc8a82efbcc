"""Click ids find their campaign through Google's click report, over the real client; what was read is remembered."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from clv_core.attribution import AttributionRules, attribute
from connectors import clicks, registry, sources
from connectors.engine.audience import Account
from connectors.engine.identity import IdentityRules
from connectors.protocol import utc_now


@pytest.fixture
def google() -> Iterator[tuple[Any, Account]]:
    platform = registry.platform("google")
    sandbox = platform.sandbox()
    addresses = sandbox.start()
    block = platform.settings.model_validate({
        "data_manager_endpoint": addresses["data_manager"], "ads_endpoint": addresses["ads"], "credentials": "anonymous",
        "accounts": [{"account_id": "1234567890"}],
    })  # fmt: skip
    connector = platform.connect(block, block.accounts[0])
    yield sandbox, Account(connector, IdentityRules())
    connector.close()
    sandbox.stop()


def people(click_id: str | None) -> pa.Table:
    empty = sources.nobody()
    row = dict.fromkeys(empty.column_names) | {"customer_id": "1", "click_id": click_id}
    return pa.Table.from_pylist([row], schema=empty.schema)


def test_a_gclid_finds_its_campaign(google: tuple[Any, Account], tmp_path: Path) -> None:
    sandbox, account = google
    until = utc_now().date() - timedelta(days=1)
    day = until - timedelta(days=5)
    sandbox.reports.clicks = [{"gclid": "Cj0KCQ-1", "date": day.isoformat(), "campaign_id": "77", "adset_id": "88"}]
    found = clicks.pull(tmp_path, people("Cj0KCQ-1"), [account], until)
    assert found == {"known": 1, "detail": ""}
    (customer,) = attribute(people("Cj0KCQ-1"), None, AttributionRules(clicks=clicks.read(tmp_path))).to_pylist()
    assert (customer["platform"], customer["campaign_id"], customer["adset_id"], customer["basis"]) == (
        "google",
        "77",
        "88",
        "click_id",
    )
    sandbox.reports.clicks = []
    assert clicks.pull(tmp_path, people("Cj0KCQ-1"), [account], until)["known"] == 1, "what was read once is remembered"


def test_a_managers_clicks_are_of_its_clients_and_read_once(google: tuple[Any, Account], tmp_path: Path) -> None:
    sandbox, account = google
    sandbox.accounts["1234567890"] = {"manager": True}
    sandbox.accounts["1111111111"] = {"parent": "1234567890"}
    client: Any = account.connector.client  # type: ignore[attr-defined]
    client.account = client.account.model_copy(update={"login_account_id": "1234567890"})
    until = utc_now().date() - timedelta(days=1)
    sandbox.reports.clicks = [
        {"gclid": "g", "date": until.isoformat(), "campaign_id": "77", "account_id": "1111111111"},
    ]
    clicks.pull(tmp_path, people("gclid=g"), [account], until)
    known = clicks.read(tmp_path)
    assert known is not None
    assert (known["account_id"].to_pylist(), known["through"].to_pylist()) == (["1111111111"], ["1234567890"])
    before = len(sandbox.requests)
    clicks.pull(tmp_path, people("gclid=g"), [account], until)
    assert len(sandbox.requests) - before < 10, "only the last days are read again"


def test_nobody_is_asked_when_no_contact_has_a_click_id(google: tuple[Any, Account], tmp_path: Path) -> None:
    sandbox, account = google
    assert clicks.pull(tmp_path, people(None), [account], date(2026, 11, 1)) == {"known": 0, "detail": ""}
    assert sandbox.requests == []


def test_a_click_report_that_fails_stops_nothing(google: tuple[Any, Account], tmp_path: Path) -> None:
    sandbox, account = google
    refusal = {"error_code": {"authorization_error": "USER_PERMISSION_DENIED"}, "code": "PERMISSION_DENIED"}
    sandbox.faults.add(match="SearchStream", kind="error", times=1000, detail=refusal)
    found = clicks.pull(tmp_path, people("Cj0KCQ-1"), [account], utc_now().date() - timedelta(days=1))
    assert found["known"] == 0
    assert "google 1234567890" in found["detail"]
    assert clicks.read(tmp_path) is None
