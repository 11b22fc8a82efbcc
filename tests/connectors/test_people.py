"""Customers joined to one person: value summed, identifiers gathered, consent never widened, and a record of why."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from clv_core.summary import summarise
from clv_core.transactions import Transactions, check_orders
from connectors import people, sources
from connectors.archive import Archive
from connectors.config.platforms import Identity

ORDERS = """customer_id,order_id,ordered_at,amount
1,a,2026-01-01,10
2,b,2026-01-01,5
2,c,2026-02-01,20
3,d,2026-01-05,7
9,e,2026-01-06,8
"""


@dataclass
class Settings:
    identity: Identity = field(default_factory=Identity)


def contacts(*rows: dict[str, Any]) -> pa.Table:
    empty = sources.nobody()
    return pa.Table.from_pylist([dict.fromkeys(empty.column_names) | row for row in rows], schema=empty.schema)


EVERYBODY = contacts(
    {"customer_id": "1", "email": ["mary@example.com"], "city": "Oslo", "consent_ad_user_data": "granted", "do_not_sell": None},
    {"customer_id": "2", "email": [" Mary@Example.com "], "phone": ["+15555550100"], "consent_ad_user_data": "denied"},
    {"customer_id": "3", "phone": ["+1 555 555 0100"], "consent_ad_user_data": "granted", "do_not_sell": "yes"},
    {"customer_id": "9", "email": ["other@example.com"], "consent_ad_user_data": "granted"},
)


def checked(folder: Path) -> Transactions:
    (folder / "orders.csv").write_text(ORDERS)
    return check_orders(folder / "orders.csv")


def settings(**switches: bool) -> Any:
    return Settings(Identity.model_validate(switches))


def test_off_by_default(tmp_path: Path) -> None:
    given = checked(tmp_path)
    assert people.merge(settings(), given, EVERYBODY, 2026) == (given, EVERYBODY, None)


def test_people_who_share_an_email_are_one(tmp_path: Path) -> None:
    merged, table, links = people.merge(settings(same_person_by_email=True), checked(tmp_path), EVERYBODY, 2026)
    assert links is not None
    assert {row["customer_id"]: (row["person_id"], row["why"]) for row in links.to_pylist()} == {
        "1": ("1", "own customer id"),
        "2": ("1", "same email"),
    }
    rows = {row["customer_id"]: row for row in summarise(merged, date(2026, 3, 1)).to_pylist()}
    assert sorted(rows) == ["1", "3", "9"]
    assert rows["1"]["value_to_date"] == 35
    assert rows["1"]["frequency"] == 1, "two orders of one day are one purchase day"
    assert merged.customers == 3
    person = next(row for row in table.to_pylist() if row["customer_id"] == "1")
    assert person["city"] == "Oslo"
    assert person["phone"] == ["+15555550100"]


def test_consent_is_never_widened_by_joining(tmp_path: Path) -> None:
    both = settings(same_person_by_email=True, same_person_by_phone=True)
    _, table, links = people.merge(both, checked(tmp_path), EVERYBODY, 2026)
    assert links is not None
    assert links.num_rows == 3
    (person,) = [row for row in table.to_pylist() if row["customer_id"] == "1"]
    assert person["consent_ad_user_data"] == "denied"
    assert person["consent_ad_personalization"] is None
    assert person["do_not_sell"] == "yes"
    other = next(row for row in table.to_pylist() if row["customer_id"] == "9")
    assert other["consent_ad_user_data"] == "granted"
    assert table.schema == EVERYBODY.schema


def test_whoever_is_erased_is_erased_with_all_their_ids(tmp_path: Path) -> None:
    _, _, links = people.merge(settings(same_person_by_email=True), checked(tmp_path), EVERYBODY, 2026)
    archive = Archive(tmp_path / "state")
    assert links is not None
    archive.start(datetime(2026, 11, 1, tzinfo=UTC)).keep("people", links)
    assert people.everyone(["2"], archive) == ["1", "2"]
    assert people.everyone(["9"], archive) == ["9"]
