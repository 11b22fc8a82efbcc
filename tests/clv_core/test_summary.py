"""The summary against a plain loop over the orders, and what must not change it."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta
from decimal import Decimal
from random import Random
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clv_core.summary import SCHEMA, summarise
from clv_core.transactions import check_orders

START = date(2024, 1, 1)
Order = tuple[str, int, int]  # customer, day, cents (refunds negative)
order_lists = st.lists(
    st.tuples(st.sampled_from("abcdé"), st.integers(0, 40), st.integers(-3000, 9000)), min_size=1, max_size=40
)


def table(rows: list[Order]) -> pa.Table:
    return pa.table(
        {
            "customer_id": [who for who, _, _ in rows],
            "date": [START + timedelta(days=day) for _, day, _ in rows],
            "amount": pa.array([Decimal(cents) / 100 for *_, cents in rows], pa.decimal128(12, 2)),
        }
    )


def summary(rows: list[Order], as_of: int, **more: Any) -> dict[str, dict[str, Any]]:
    found = summarise(check_orders(table(rows)), START + timedelta(days=as_of), **more)
    assert found.schema == SCHEMA
    return {row["customer_id"]: row for row in found.to_pylist()}


def by_hand(rows: list[Order], as_of: int) -> dict[str, dict[str, Any]]:
    """Frequency, recency, T, values: purchases merged by day, refunds given to the latest purchase day before them."""
    result = {}
    people = defaultdict(list)
    for who, day, cents in rows:
        if day <= as_of:
            people[who].append((day, cents))
    for who, known in people.items():
        bought = sorted({day for day, cents in known if cents >= 0})
        if not bought:
            continue
        first = sum(cents for day, cents in known if len(bought) == 1 or day < bought[1])
        total, x = sum(cents for _, cents in known), len(bought) - 1
        result[who] = {
            "frequency": x,
            "recency": (bought[-1] - bought[0]) / 7,
            "T": (as_of - bought[0]) / 7,
            "monetary_value": (total - first) / 100 / x if x else 0.0,
            "first_value": first / 100,
            "value_to_date": total / 100,
            "order_days": x + 1,
        }
    return result


@settings(max_examples=30, deadline=None)
@given(order_lists, st.integers(0, 45))
def test_the_summary_is_the_plain_loop(rows: list[Order], as_of: int) -> None:
    rows = [*rows, ("z", 0, 100)]
    found, expected = summary(rows, as_of), by_hand(rows, as_of)
    assert found.keys() == expected.keys()
    for who, values in expected.items():
        assert {name: found[who][name] for name in values} == pytest.approx(values, abs=1e-9)


@settings(max_examples=12, deadline=None)
@given(order_lists, st.randoms(use_true_random=False))
def test_order_of_rows_and_names_change_nothing(rows: list[Order], random: Random) -> None:
    rows = [*rows, ("z", 0, 100)]
    shuffled = random.sample(rows, len(rows))
    assert summary(shuffled, 30) == summary(rows, 30)
    renamed = summary([(f"customer-{who}", day, cents) for who, day, cents in rows], 30)
    assert {who.removeprefix("customer-"): {**row, "customer_id": ""} for who, row in renamed.items()} == {
        who: {**row, "customer_id": ""} for who, row in summary(rows, 30).items()
    }


@settings(max_examples=12, deadline=None)
@given(order_lists, st.integers(0, 500))
def test_splitting_an_order_of_a_day_changes_nothing(rows: list[Order], part: int) -> None:
    rows = [(who, day, abs(cents)) for who, day, cents in rows]
    (who, day, cents), *rest = rows
    split = [(who, day, min(part, cents)), (who, day, cents - min(part, cents)), *rest]
    assert summary(split, 50) == summary(rows, 50)


def test_totals_of_all_days_equal_those_worked_out_again() -> None:
    rows = [("a", 0, 500), ("a", 7, 250), ("a", 7, 250), ("b", 3, 100)]
    t = check_orders(table(rows))
    assert t.totals
    last = START + timedelta(days=7)
    t.connection.execute(f"CREATE TABLE again AS SELECT * FROM {t.relation}")
    again = summarise(t.over("again", customers=t.customers), last)
    assert sorted(again.to_pylist(), key=str) == sorted(summarise(t, last).to_pylist(), key=str)


def test_since_leaves_earlier_days_out() -> None:
    rows = [("a", 0, 500), ("a", 7, 100), ("a", 14, 200), ("b", 1, 100)]
    found = summary(rows, 21, since=START + timedelta(days=5))
    assert found.keys() == {"a"}
    assert (found["a"]["frequency"], found["a"]["T"], found["a"]["first_value"]) == (1.0, 2.0, 1.0)


def test_a_later_refund_does_not_change_what_was_known_before() -> None:
    before = summary([("a", 0, 500), ("a", 7, 300)], 8)
    after = summary([("a", 0, 500), ("a", 7, 300), ("a", 9, -300)], 8)
    assert before == after
    assert summary([("a", 0, 500), ("a", 7, 300), ("a", 9, -300)], 9)["a"]["monetary_value"] == 0.0
