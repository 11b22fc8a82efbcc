"""Orders that a platform reports as its own find the customers whose first orders they are, over real files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from clv_core.findings import InputError
from connectors import claims, config, translate
from connectors.errors import ConfigurationError
from tests.connectors.test_newcomers import settings as base

ORDERS = (
    "customer_id,order_id,ordered_at,amount,tiktok_order\n"
    "ann,o1,2026-01-01,10,\n"
    "ann,o2,2026-02-01,10,T2\n"
    "bob,o3,2026-01-05,10,T3\n"
    "bob,o4,2026-01-05,10,\n"
    "cat,o5,2026-01-09,-10,\n"
    "cat,o6,2026-01-10,10,T6\n"
)
NAMED = "# platform_orders: "


def read(tmp_path: Path, reported: str, links: pa.Table | None = None, more: str = "") -> claims.Claims | None:
    block = f"platform_orders:\n  path: ../data/reported.csv\n{more}# platform_orders: "
    settings = base(tmp_path, ORDERS, **{NAMED: block})
    (tmp_path / "data" / "reported.csv").write_text(reported)
    return claims.read(settings, links)


def rows(found: claims.Claims | None) -> list[dict[str, Any]]:
    assert found is not None
    return [{k: v for k, v in row.items() if v} for row in found.table.to_pylist()]


def test_only_first_orders_are_evidence(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        "Transaction ID,Source,Account ID,Campaign ID\n o1 ,google,g1,11\no2,meta,,22\no4,tiktok,,33\n"
        "o5,meta,,44\no6,meta,,55\n",
    )
    assert rows(found) == [
        {"customer_id": "ann", "platform": "google", "account_id": "g1", "campaign_id": "11"},
        {"customer_id": "bob", "platform": "tiktok", "campaign_id": "33"},
        {"customer_id": "cat", "platform": "meta", "campaign_id": "55"},  # the refund before it is no order
    ]
    assert found is not None
    assert (found.reported, found.warnings) == (5, ())


def test_another_column_of_the_orders_may_hold_the_platforms_id(tmp_path: Path) -> None:
    found = read(tmp_path, "order_id,platform,campaign_id\nT3,tiktok,33\n", more="  order_column: tiktok_order\n")
    assert rows(found) == [{"customer_id": "bob", "platform": "tiktok", "campaign_id": "33"}]
    for wrong in ("order_column: nowhere",):
        with pytest.raises(InputError, match="nowhere"):
            read(tmp_path / wrong[:2], "order_id,platform\nT3,tiktok\n", more=f"  {wrong}\n")


def test_customers_joined_to_one_person_have_one_first_order(tmp_path: Path) -> None:
    links = pa.table({"customer_id": ["ann", "bob"], "person_id": ["ann", "ann"]})
    found = read(tmp_path, "order_id,platform,campaign_id\no1,google,11\no3,tiktok,33\n", links)
    assert rows(found) == [{"customer_id": "ann", "platform": "google", "campaign_id": "11"}]


def test_orders_nobody_knows_are_said(tmp_path: Path) -> None:
    found = read(tmp_path, "order_id,platform,campaign_id\nX1,google,11\no1,google,11\n")
    assert found is not None
    assert "1 of 2 orders in platform_orders are not among the orders" in found.warnings[0]


def test_without_a_platform_column_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="'platform' is missing"):
        read(tmp_path, "order_id,campaign_id\no1,11\n")


def test_no_platform_orders_no_claims(tmp_path: Path) -> None:
    assert claims.read(base(tmp_path, ORDERS)) is None


def test_aliases_and_organic_words_come_from_config(tmp_path: Path) -> None:
    settings = base(tmp_path, ORDERS)
    labels = tmp_path / "config" / "labels.yaml"
    text = labels.read_text().replace("  # aliases: {insta_paid: meta}", "  aliases: {Insta_Paid: Meta}")
    labels.write_text(text.replace("  # organic: [podcast]", "  organic: [Podcast]"))
    rules = translate.attribution(config.load(settings.folder), None, None)
    assert (rules.aliases["insta_paid"], rules.aliases["fb"], "podcast" in rules.organic) == ("meta", "meta", True)
    assert rules.precedence == ("ids", "click_id", "order_id", "utm")
    labels.write_text(text.replace("[ids, click_id, order_id, utm]", "[ids, ids]"))
    with pytest.raises(ConfigurationError, match="each basis once"):
        config.load(settings.folder)


def test_the_report_shows_what_orders_say_and_what_contradicts_them(tmp_path: Path) -> None:
    """From config's tables to the run's own: the claims on first orders win over UTM parameters, and the page tells."""
    from connectors import job
    from connectors.archive import Archive

    orders = "".join(f"{n},o{n}-{k},2026-0{1 + k}-{1 + n % 27:02d},{5 + n % 40}\n" for n in range(90) for k in range(1 + n % 3))
    contacts = "".join(f"{n},a{n}@example.com,US,{'google' if n % 2 else ''}\n" for n in range(90))
    settings = base(tmp_path, "customer_id,order_id,ordered_at,amount\n" + orders, **{
        NAMED: "platform_orders:\n  path: ../data/reported.csv\n# platform_orders: ", "as_of: yesterday": "as_of: last_order",
    })  # fmt: skip
    (tmp_path / "data" / "contacts.csv").write_text("customer_id,email,country,utm_source\n" + contacts)
    (tmp_path / "data" / "reported.csv").write_text("order_id,platform,campaign_id\n" + "o1-0,meta,55\no2-0,meta,55\n")
    for name, text in (
        ("platforms", "file:\n  folder: ../lists\n  accounts: [{account_id: meta, format: meta}]\n"),
        ("audiences", "audiences: [{name: everyone, title: Everyone, platforms: [file]}]\n"),
    ):
        (settings.folder / f"{name}.yaml").write_text(text)
    job.run(config.load(settings.folder), shown=lambda *_: None)
    last = Archive.of(settings).last("returns_coverage")
    assert last is not None
    tables = {name: last.table(f"returns_{name}") for name in ("coverage", "contradictions")}
    told = {(row["source"], row["basis"]): row for row in tables["coverage"].to_pylist()}  # type: ignore[union-attr]
    assert (told["paid", "order_id"]["customers"], told["paid", "order_id"]["contradicted"]) == (2, 1)
    assert (told["paid", "utm"]["customers"], told["unknown", "none"]["customers"]) == (44, 44)
    [against] = tables["contradictions"].to_pylist()  # type: ignore[union-attr]
    assert (against["platform"], against["said"], against["customers"]) == ("meta", "utm: google", 1)
