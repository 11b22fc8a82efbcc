"""`clvsync check` over the real clients and sandboxes: what it finds wrong, what it says to do, and that it only reads."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from ruamel.yaml import YAML

from connectors import checkup, config, registry
from connectors.archive import Archive
from connectors.demo import starter
from connectors.protocol import utc_now

PLATFORMS = ("meta", "google", "tiktok")
WRITES = {"create", "update", "mutate", "delete", "remove", "remove_all", "replace", "add", "event", "write"}
CONTACTS = "customer_id,email,country,utm_source\n" + "".join(f"{n},a{n}@example.com,US,google\n" for n in range(30))
ORDERS = "customer_id,order_id,ordered_at,amount\n" + "".join(
    f"{n},o{n}-{day},2026-0{1 + day}-05,{10 + n}\n" for n in range(30) for day in range(3)
)


class Shop:
    """A config folder with three sandboxes behind it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.sandboxes = folder / "config", {name: registry.platform(name).sandbox() for name in PLATFORMS}
        starter.write(self.folder)
        data = folder / "data"
        data.mkdir()
        (data / "orders.csv").write_text(ORDERS)
        (data / "contacts.csv").write_text(CONTACTS)
        self.change("sources", as_of="last_order")
        google, meta, tiktok = (self.sandboxes[name].start() for name in ("google", "meta", "tiktok"))
        blocks: dict[str, Any] = {
            "meta": {"api_base": meta["address"], "accounts": [{"account_id": "1111111111111111"}]},
            "google": {
                "data_manager_endpoint": google["data_manager"],
                "ads_endpoint": google["ads"],
                "accounts": [{"account_id": "1234567890"}],
            },
            "tiktok": {"api_base": tiktok["address"], "accounts": [{"account_id": "7000000000000000001"}]},
        }
        (self.folder / "platforms.yaml").unlink()
        self.change("platforms", **{name: {"credentials": "anonymous", **block} for name, block in blocks.items()})

    def change(self, name: str, **fields: Any) -> None:
        """Nothing: the YAML file has these values at its top."""
        path, yaml = self.folder / f"{name}.yaml", YAML()
        held = yaml.load(path.read_text()) if path.exists() else {}
        with path.open("w") as file:
            yaml.dump({**held, **fields}, file)

    def audience(self, **fields: Any) -> None:
        """Nothing: there is this audience alone."""
        given = {"name": "best", "title": "Best", "platforms": ["meta", "google"], **fields}
        self.change("audiences", audiences=[given])

    def check(self) -> dict[str, dict[str, Any]]:
        """The findings by subject."""
        return {one["subject"]: one for one in checkup.check(self.folder)}


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    made = Shop(tmp_path)
    yield made
    for sandbox in made.sandboxes.values():
        sandbox.stop()


def test_all_in_order_and_every_request_is_a_read(shop: Shop, tmp_path: Path) -> None:
    shop.change("sources", write_back={"path": "../scores.csv"})
    before = sorted(tmp_path.rglob("*"))
    found = shop.check()
    assert {one["subject"]: one["detail"] for one in found.values() if not one["ok"]} == {}
    assert found["contacts"]["detail"] == "30 people; filled: email 100%, country 100%"
    assert found["orders and contacts"]["detail"].startswith("30 of 30 customers")
    assert found["audience value_seed"]["ok"]
    for name, sandbox in shop.sandboxes.items():
        log = sandbox.requests
        assert log, name
        assert not {one.get("operation") for one in log} & WRITES, name
        assert sandbox.state(members=False)["audiences"] == {}
    assert sorted(tmp_path.rglob("*")) == before, "no file was made, no state folder either"


@pytest.mark.parametrize(
    ("fields", "word", "remedy"),
    [
        ({"who": {"where": "clv > 'many apples'"}}, "condition", "SQL"),
        ({"who": {"where": "no_such_column = 1"}}, "no_such_column", "columns of scores and contacts"),
        ({"who": {"where": "true; DROP TABLE x"}}, "condition", "SQL"),
        ({"lookalikes": [{"countries": ["USA"]}]}, "'USA'", "write US"),
        ({"lookalikes": [{"countries": ["Atlantis"]}]}, "'Atlantis'", "ISO codes"),
        ({"title": "Rich people with diabetes"}, "meta:", "audiences.yaml"),
        ({"lookalikes": [{"countries": ["US"]}], "platforms": ["meta", "tiktok"]}, "", ""),
    ],
)
def test_an_audience_that_can_not_work_is_found(shop: Shop, fields: dict[str, Any], word: str, remedy: str) -> None:
    shop.audience(**fields)
    one = shop.check()["audience best"]
    assert one["ok"] is not bool(word)
    assert word in one["detail"]
    assert remedy in one["remedy"]


def test_a_platform_without_an_account_is_found(shop: Shop) -> None:
    shop.audience()
    shop.change("platforms", google={"credentials": "anonymous", "data_manager_endpoint": "http://127.0.0.1:1",
                                     "ads_endpoint": "insecure:127.0.0.1:1"})  # fmt: skip
    found = shop.check()
    assert not found["google"]["ok"]
    assert "google has no account" in found["audience best"]["detail"]


def test_contacts_of_other_customers_are_found(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "data" / "contacts.csv").write_text("customer_id,email\ncus-1,a@example.com\n")
    found = shop.check()
    assert not found["orders and contacts"]["ok"]
    assert "prefixes" in found["orders and contacts"]["remedy"]
    assert "utm_source" in found["sources of customers"]["remedy"]
    (tmp_path / "data" / "contacts.csv").write_text("customer_id,note\n1,x\n")
    assert "none has any identifier" in shop.check()["contacts"]["detail"]


def test_consent_that_nobody_can_read_is_a_hint(shop: Shop, tmp_path: Path) -> None:
    head = "customer_id,email,consent_ad_user_data,consent_ad_personalization\n"
    rows = "1,a@example.com,Subscribed,granted\n2,b@example.com, OUI ,\n3,c@example.com,Yes,0\n"
    (tmp_path / "data" / "contacts.csv").write_text(head + rows)
    found = shop.check()
    assert found["consent_ad_user_data"]["ok"]
    assert found["consent_ad_user_data"]["detail"] == "2 values can't be read and count as refusals"
    assert "granted or denied" in found["consent_ad_user_data"]["remedy"]
    assert "consent_ad_personalization" not in found


def test_a_stale_source_an_empty_table_and_orders_of_another_shop_are_found(shop: Shop, tmp_path: Path) -> None:
    shop.change("sources", as_of="2026-06-30", suppression={"path": "../data/none.csv"},
                platform_orders={"path": "../data/reported.csv"})  # fmt: skip
    (tmp_path / "data" / "none.csv").write_text("customer_id\n")
    (tmp_path / "data" / "reported.csv").write_text("order_id,platform\nX1,google\n")
    found = shop.check()
    assert not found["orders"]["ok"]
    assert "max_age_days" in found["orders"]["remedy"]
    assert "empty" in found["suppression"]["remedy"]
    assert not found["platform_orders"]["ok"]
    assert "order_column" in found["platform_orders"]["remedy"]


@pytest.mark.parametrize(
    ("write_back", "word"),
    [
        ({"path": "../nowhere/scores.csv"}, "can't be written"),
        ({"path": "../data/orders.csv"}, "something else"),
        ({"database": "../crm.sqlite", "table": "customers"}, "something else"),
        ({"database": "env:NO_SUCH_URL"}, "NO_SUCH_URL"),
    ],
)
def test_a_write_back_that_can_not_be_written_is_found(
    shop: Shop, tmp_path: Path, write_back: dict[str, str], word: str
) -> None:
    with sqlite3.connect(tmp_path / "crm.sqlite") as connection:
        connection.execute("CREATE TABLE customers (id TEXT)")
    connection.close()
    shop.change("sources", write_back=write_back)
    found = shop.check()["write_back"]
    assert not found["ok"]
    assert word in found["detail"]
    assert found["remedy"]


def test_an_action_for_predicted_values_is_looked_at(shop: Shop) -> None:
    google = shop.sandboxes["google"]
    google.store.actions = {"77"}
    facts = google.store.action_facts

    def action(number: str) -> dict[str, Any]:
        block = {"credentials": "anonymous", "data_manager_endpoint": google.start()["data_manager"],
                 "ads_endpoint": google.start()["ads"],
                 "accounts": [{"account_id": "1234567890", "predicted_value": {"action": number}}]}  # fmt: skip
        shop.change("platforms", google=block)
        return shop.check()["google 1234567890: predicted_value"]

    assert action("77")["detail"] == "Action 77, enabled"
    assert "no conversion action 78" in action("78")["detail"]
    facts["77"] = {"status": "HIDDEN"}
    assert "not enabled" in action("77")["detail"]
    facts["77"] = {"category": "PURCHASE", "primary_for_goal": True}
    assert "really brought" in action("77")["detail"]
    facts["77"] = {"category": "PURCHASE"}
    assert action("77")["ok"]


def test_labels_are_held_against_the_campaigns_pulled_so_far(shop: Shop, tmp_path: Path) -> None:
    assert "no campaign results" in shop.check()["labels"]["detail"]
    state = tmp_path / "state"
    state.mkdir()
    with sqlite3.connect(state / "results.sqlite") as connection:
        connection.execute("CREATE TABLE campaign_days (campaign_name, campaign_id, adset_id, ad_id)")
        connection.executemany(
            "INSERT INTO campaign_days VALUES (?, ?, ?, ?)", [("Founder story", "1", "", ""), ("X", "2", "", "7")]
        )
    connection.close()
    found = shop.check()["labels, creative"]
    assert found["ok"]
    assert found["detail"] == "1 of 2 campaigns have a label"
    assert "no campaign matches: transactional, retargeting, brand" in found["remedy"]
    assert "without a label: X" in found["remedy"]
    shop.change("labels", creative=[{"label": "ugc", "campaign_ids": ["7"]}], objective=[])
    assert "no campaign matches" not in shop.check()["labels, creative"]["remedy"]


def test_an_audience_that_selects_nobody_is_a_hint(shop: Shop) -> None:
    names = {"customer_id": [str(n) for n in range(30)], "clv": [float(n) for n in range(30)], "tier": ["high"] * 30,
             "lifecycle_stage": ["active"] * 30}  # fmt: skip
    Archive.of(config.load(shop.folder)).start(utc_now()).keep("scores", pa.table(names))
    shop.audience(who={"tiers": ["high"], "where": "clv >= 20 AND country = 'US'"})
    one = shop.check()["audience best"]
    assert (one["ok"], one["remedy"]) == (True, "")
    assert one["detail"].startswith("selects 10 of 30 scored customers")
    shop.audience(who={"tiers": ["low"]})
    one = shop.check()["audience best"]
    assert one["ok"]
    assert "nobody is selected" in one["remedy"]
