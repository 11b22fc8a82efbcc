"""Purchase days and totals by counting sorts: as exact as grouping by text, whatever keys, slices and days come along."""

from __future__ import annotations

from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clv_core import order_days
from clv_core.day_cells import alike, gather
from clv_core.day_table import Tables
from clv_core.summary import summarise
from clv_core.transactions import Transactions, check_orders

START = date(2024, 1, 1)


def orders(seed: int = 3, rows: int = 400) -> pa.Table:
    random = np.random.default_rng(seed)
    who = random.integers(0, 60, rows)
    return pa.table(
        {
            "customer_id": [f"{'long-' * (one % 4)}{one}" for one in who],
            "date": [START + timedelta(days=int(one)) for one in random.integers(0, 30, rows)],
            "amount": pa.array([Decimal(int(one)) / 100 for one in random.integers(-900, 5000, rows)], pa.decimal128(12, 2)),
            "channel": [("web", "shop", None)[one] for one in random.integers(0, 3, rows)],
        }
    )


def plain(t: Transactions) -> list[tuple[Any, ...]]:
    columns = "customer_id, day, amount, orders, exact_amount, channel"
    return sorted(t.connection.execute(f"SELECT {columns} FROM {t.relation}").fetchall(), key=repr)


def again(t: Transactions) -> list[dict[str, Any]]:
    """The summary by the SQL expression over the days, as warehouses work it out."""
    t.connection.execute(f"CREATE TABLE days_again AS SELECT * FROM {t.relation}")
    return in_order(summarise(t.over("days_again", customers=t.customers), t.last_day))


def in_order(table: pa.Table) -> list[dict[str, Any]]:
    return sorted(table.to_pylist(), key=lambda row: row["customer_id"])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=200), st.integers(0, 2**32 - 1))
def test_rows_of_a_key_find_the_same_row(small: list[int], spread: int) -> None:
    keys = np.array([one * (spread | 1) % 2**32 for one in small], dtype=np.uint32)
    found = alike(keys)
    assert (keys[found] == keys).all()
    assert len(np.unique(found)) == len(np.unique(keys))


def test_the_days_are_those_of_a_plain_loop() -> None:
    given_orders = orders()
    bought: Counter[tuple[str, date]] = Counter()
    spent: defaultdict[tuple[str, date], Decimal] = defaultdict(Decimal)
    for row in given_orders.to_pylist():
        cell = (row["customer_id"], row["date"])
        spent[cell] += row["amount"]
        bought[cell] += row["amount"] >= 0
    found = {row[:2]: (row[3], row[4]) for row in plain(check_orders(given_orders))}
    assert found == {cell: (bought[cell], spent[cell]) for cell in spent}


def test_days_are_made_once_when_somebody_asks() -> None:
    t = check_orders(orders())
    summarise(t, t.last_day)
    shown = "SELECT count(*) FROM duckdb_views() WHERE view_name = 'customer_days'"
    assert t.connection.execute(shown).fetchall() == [(0,)]
    with ThreadPoolExecutor(4) as pool:
        assert {future.result() for future in [pool.submit(t.tables) for _ in range(8)]} == {Tables(t.relation, t.lines)}
    assert plain(t) == plain(check_orders(orders()))


def test_the_summary_of_totals_is_that_of_the_days() -> None:
    t = check_orders(orders())
    assert t.refunds
    assert t.totals is not None
    assert in_order(summarise(t, t.last_day)) == [{**row} for row in again(t)]


@pytest.mark.parametrize("key", ["CAST(length(customer_id) AS UINTEGER)", "CAST(0 AS UINTEGER)"])
def test_customers_of_one_key_stay_apart(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    expected = check_orders(orders())
    monkeypatch.setattr(order_days, "KEY", key)
    found = check_orders(orders())
    assert plain(found) == plain(expected)
    assert in_order(summarise(found, found.last_day)) == in_order(summarise(expected, expected.last_day))


@pytest.mark.parametrize(("part", "bucket", "batch"), [(50, 4, 64), (1000, 3, 7), (399, 1, 1000)])
def test_slices_change_nothing(monkeypatch: pytest.MonkeyPatch, part: int, bucket: int, batch: int) -> None:
    expected = check_orders(orders())
    for name, value in (("PART", part), ("BUCKET", bucket), ("BATCH", batch)):
        monkeypatch.setattr(order_days, name, value)
    found = check_orders(orders())
    assert plain(found) == plain(expected)
    assert in_order(summarise(found, found.last_day)) == in_order(summarise(expected, expected.last_day))
    assert (found.customers, found.orders) == (expected.customers, expected.orders)


def test_sums_beyond_the_narrow_type_stay_exact() -> None:
    large = Decimal("600000000000.25")
    days = [START, START, START + timedelta(days=1)]
    t = check_orders(pa.table({"customer_id": ["a"] * 3, "date": days, "amount": pa.array([large] * 3, pa.decimal128(18, 2))}))
    assert [row[4] for row in plain(t)] == [2 * large, large]
    assert summarise(t, t.last_day)["value_to_date"].to_pylist() == [float(3 * large)]


def test_a_single_large_amount_is_read_whole() -> None:
    amounts = ["-999999999999.999999", "987654321012.345678"]
    days = [START, START]
    t = check_orders(pa.table({"customer_id": ["a", "b"], "date": days, "amount": amounts}).slice(1))
    assert summarise(t, START)["value_to_date"].to_pylist() == [987654321012.345678]
    source = pa.table({"customer_id": ["a", "b", "b"], "date": [*days, START], "amount": ["5", "4000000.01", "-4000000.01"]})
    assert [row[4] for row in plain(check_orders(source))] == [Decimal(5), Decimal(0)]


def test_days_further_apart_than_sixteen_bits() -> None:
    who = np.zeros(3, dtype=np.int32)
    totals, shared = gather(who, np.array([80_000, 0, 80_000], np.int32), np.array([5, 7, 6]), np.ones(3, np.bool_))
    assert (totals.n[0], totals.first_day[0], totals.last_day[0]) == (2, 0, 80_000)
    assert (totals.total[0], totals.first_value[0], shared.tolist()) == (18, 7, [0])


@pytest.mark.parametrize("blank", [" ", "\t", "\r", "\n"])
@pytest.mark.parametrize("at_end", [True, False])
def test_a_blank_at_either_end_of_an_id_is_seen(blank: str, at_end: bool) -> None:
    told = f"a{blank}" if at_end else f"{blank}a"
    t = check_orders(pa.table({"customer_id": ["a", told, f"b{blank}b"], "date": [START] * 3, "amount": [1, 2, 3]}))
    assert sorted(row[0] for row in plain(t)) == ["a", f"b{blank}b"]
