"""First orders from the source: id, instant and day, whatever the format and zone."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors import config, newcomers
from connectors.demo import starter

SINCE = datetime(2026, 11, 15, tzinfo=UTC)


def settings(tmp_path: Path, orders: str, **changes: str) -> config.Settings:
    folder = tmp_path / "config"
    starter.write(folder)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "orders.csv").write_text(orders)
    text = (folder / "sources.yaml").read_text()
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    (folder / "sources.yaml").write_text(text)
    return config.load(folder)


def found(tmp_path: Path, orders: str, **changes: str) -> dict[str, dict[str, Any]]:
    table = newcomers.first_orders(settings(tmp_path, orders, **changes), SINCE)
    return {row.pop("customer_id"): row for row in table.to_pylist()}


def test_the_first_purchase_counts_and_only_if_recent(tmp_path: Path) -> None:
    rows = found(
        tmp_path,
        "customer_id,order_id,ordered_at,amount\n"
        "new,n2,2026-11-20T10:00:00Z,5\n"
        "new,n1,2026-11-19T02:30:00Z,5\n"
        "old,o1,2026-10-01T00:00:00Z,5\n"
        "old,o2,2026-11-19T00:00:00Z,5\n"
        "refund,r1,2026-11-16T00:00:00Z,-5\n"
        "refund,r2,2026-11-18T12:00:00Z,0\n",
    )
    assert set(rows) == {"new", "refund"}
    assert rows["new"] == {"order_id": "n1", "at": datetime(2026, 11, 19, 2, 30, tzinfo=UTC), "day": date(2026, 11, 18)}
    assert rows["refund"]["order_id"] == "r2"


def test_dates_are_of_the_business_and_ids_may_be_missing(tmp_path: Path) -> None:
    rows = found(tmp_path, "customer_id,ordered_at,amount\n007,2026-11-18,5\n")
    assert rows == {"007": {"order_id": None, "at": datetime(2026, 11, 18, 5, tzinfo=UTC), "day": date(2026, 11, 18)}}


def test_the_sources_own_column_names(tmp_path: Path) -> None:
    mapped = {"  columns: {}": "  columns: {ordered_at: bought, order_id: receipt}"}
    rows = found(tmp_path, "customer_id,receipt,bought,amount\na,x,2026-11-18,5\n", **mapped)
    assert rows["a"]["order_id"] == "x"


@pytest.mark.parametrize("given", [True, False])
def test_the_newest_rate_counts(tmp_path: Path, given: bool) -> None:
    (tmp_path / "rates.csv").write_text("date,currency,rate\n2026-11-02,EUR,1.20\n2026-11-01,EUR,1.10\n2026-11-01,GBP,1.30\n")
    changes = {"# rates:": f"rates: {{path: {tmp_path}/rates.csv}}\n#"} if given else {}
    made = newcomers.newest_rates(settings(tmp_path, "customer_id,ordered_at,amount\n", **changes))
    assert made == ({"EUR": Decimal("1.200000000"), "GBP": Decimal("1.300000000")} if given else {})
