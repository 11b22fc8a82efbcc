"""Profiles of tiers, movements between them, stages and churn: every figure worked out by hand on a base of six."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pyarrow as pa
import pytest

from clv_core.concentration import stage_table
from clv_core.movements import churn, movements
from clv_core.profiles import SCHEMA, profiles
from clv_core.transactions import Transactions
from tests.clv_core.bases import orders

AS_OF = date(2024, 6, 30)
# who, tier, stage, clv, frequency, recency and T in weeks, p_alive, value to date
SCORED = [
    ("ann", "high", "active", 300.0, 3.0, 24.0, 26.0, 0.95, 400.0),
    ("bob", "high", "active", 100.0, 1.0, 10.0, 12.0, 0.85, 120.0),
    ("cid", "middle", "at_risk", 60.0, 2.0, 8.0, 26.0, 0.40, 90.0),
    ("dot", "middle", "new", 40.0, 0.0, 0.0, 2.0, 0.80, 50.0),
    ("eva", "low", "lapsed", 10.0, 0.0, 0.0, 26.0, 0.10, 20.0),
    ("fay", "low", "lapsed", 0.0, 0.0, 0.0, 20.0, 0.05, 5.0),
]
NAMES = ("customer_id", "tier", "lifecycle_stage", "clv", "frequency", "recency", "T", "p_alive", "value_to_date")


def scores(**changed: str) -> pa.Table:
    """The scores, with some customers' tiers changed; gus is known from engagement alone."""
    rows = [(*row[:1], changed.get(row[0], row[1]), *row[2:]) for row in SCORED]
    rows.append(("gus", "none", "prospect", 0.0, 0.0, 0.0, 0.0, 0.0, 0.0))
    table = pa.Table.from_pylist([dict(zip(NAMES, row, strict=True)) for row in rows])
    more = dict.fromkeys(("expected_orders", "clv_high"), table["clv"])
    more["lifetime_value"] = pa.array([700.0, 220, 150, 90, 30, 5, 0])
    for name, column in more.items():
        table = table.append_column(name, column)
    return table


def bought() -> Transactions:
    rows = [
        ("ann", date(2024, 1, 1), 100.0, "books", "web"), ("ann", date(2024, 6, 16), 300.0, "music", "shop"),
        ("bob", date(2024, 4, 7), 120.0, "books", "web"),
        ("cid", date(2024, 1, 1), 40.0, "books", "web"), ("cid", date(2024, 2, 26), 60.0, "games", "web"),
        ("cid", date(2024, 3, 1), -10.0, "games", "web"),
        ("dot", date(2024, 6, 16), 50.0, None, "web"),
        ("eva", date(2024, 1, 1), 30.0, "books", "web"), ("eva", date(2024, 1, 9), -10.0, "books", "web"),
        ("fay", date(2024, 2, 11), 5.0, "books", "shop"), ("fay", date(2024, 7, 1), 999.0, "music", "shop"),
    ]  # fmt: skip
    found = orders([row[:3] for row in rows], product_category=[row[3] for row in rows], channel=[row[4] for row in rows])
    return replace(found, currency="USD")


CONTACTS = pa.table({
    "customer_id": ["ann", "bob", "cid", "dot", "eva", "fay"], "country": ["DE", "US", "DE", None, "US", ""],
})  # fmt: skip
EVENTS = pa.table({
    "customer_id": ["ann", "ann", "cid", "eva", "eva", "fay", "gus", "bob"],
    "at": [date(2024, 5, 1), date(2024, 5, 2), date(2024, 3, 1), date(2024, 1, 5), date(2024, 2, 5), date(2024, 2, 12),
           date(2024, 6, 1), date(2024, 7, 9)],
    "kind": ["email_open", "email_click", "email_open", "email_open", "email_open", "email_open", "landing_page", "email_open"],
    "tactic": ["email", "email", "email", "email", "email", "email", "social", "email"],
    "message": ["spring", "spring", "spring", "hello", "sale", "sale", "sale", "late"],
})  # fmt: skip


def shown(values: list[dict[str, Any]]) -> dict[str, float]:
    return {one["label"]: round(one["share"], 4) for one in values}


@pytest.fixture(scope="module")
def found() -> dict[str, dict[str, Any]]:
    table = profiles(bought(), scores(), AS_OF, CONTACTS, EVENTS)
    assert table.schema == SCHEMA
    return {row["tier"]: row for row in table.to_pylist()}


def test_size_and_share_of_value(found: dict[str, dict[str, Any]]) -> None:
    assert list(found) == ["high", "middle", "low"]
    for tier, clv, share in (("high", 400.0, 400 / 510), ("middle", 100.0, 100 / 510), ("low", 10.0, 10 / 510)):
        row = found[tier]
        assert (row["customers"], row["customer_share"], row["clv"]) == (2, pytest.approx(1 / 3), clv)
        assert (row["clv_share"], row["mean_clv"]) == (pytest.approx(share), clv / 2)


def test_orders_spend_and_recency(found: dict[str, dict[str, Any]]) -> None:
    habits = {tier: (row["mean_orders"], row["mean_spend"], row["days_since_last"]) for tier, row in found.items()}
    assert habits == {"high": (3.0, 260.0, 14.0), "middle": (2.0, 70.0, 70.0), "low": (1.0, 12.5, 161.0)}
    assert [round(row["mean_p_alive"], 3) for row in found.values()] == [0.9, 0.6, 0.075]


def test_labels_are_shares_of_what_was_spent_by_then(found: dict[str, dict[str, Any]]) -> None:
    # ann 100 books + 300 music, bob 120 books: refunds and what came after the day don't count.
    assert shown(found["high"]["categories"]) == {"music": round(300 / 520, 4), "books": round(220 / 520, 4)}
    assert shown(found["high"]["channels"]) == {"shop": round(300 / 520, 4), "web": round(220 / 520, 4)}
    assert shown(found["middle"]["categories"]) == {"games": 0.6, "books": 0.4}  # dot's category is unknown
    assert shown(found["low"]["categories"]) == {"books": 1.0}
    assert shown(found["low"]["channels"]) == {"web": round(30 / 35, 4), "shop": round(5 / 35, 4)}


def test_stages_countries_and_engagement(found: dict[str, dict[str, Any]]) -> None:
    assert shown(found["high"]["stages"]) == {"active": 1.0}
    assert shown(found["middle"]["stages"]) == {"at_risk": 0.5, "new": 0.5}
    assert shown(found["high"]["countries"]) == {"DE": 0.5, "US": 0.5}
    assert shown(found["middle"]["countries"]) == {"DE": 1.0}  # dot's is unknown
    assert shown(found["low"]["countries"]) == {"US": 1.0}
    assert shown(found["high"]["engagement"]) == {"email_click": 0.5, "email_open": 0.5}  # bob's event is yet to come
    assert shown(found["low"]["engagement"]) == {"email_open": 1.0}


def test_why_the_low_tier_is_low(found: dict[str, dict[str, Any]]) -> None:
    """Of all six: 2 sent something back, 3 of 5 with a category know one only, gaps are 8, 10 and 4 weeks, 3 ordered once."""
    low = found["low"]
    assert (low["refund_share"], low["one_category_share"], low["one_order_share"]) == (0.5, 1.0, 1.0)
    # Nine in ten of the mean gaps 4, 8 and 10 lie below 9.6 weeks; cid (18), eva and fay have been silent for longer.
    assert (low["long_gap_share"], found["middle"]["long_gap_share"]) == (1.0, 0.5)
    assert low["distance_to_next"] == pytest.approx(35.0)  # 30 and 40 lack to dot's 40
    assert found["middle"]["distance_to_next"] == pytest.approx(50.0)  # 40 and 60 lack to bob's 100
    assert found["high"]["distance_to_next"] is None
    assert low["why"] == [
        "100% have been away longer than nine in ten customers usually are between orders (50% of all)",
        "100% have ordered once (50% of all)",
        "100% have bought from one category only (60% of all)",
        "50% of them have sent something back (33% of all customers)",
        "half of them lack at least 35.00 USD of predicted value to the next tier",
    ]
    assert found["high"]["why"] == found["middle"]["why"] == []


def test_movements_between_runs() -> None:
    before = scores(ann="middle", dot="low").filter(pa.array([True] * 5 + [False, True]))  # fay is new since
    before = pa.concat_tables([before, scores().slice(0, 1).set_column(0, "customer_id", pa.array(["hal"]))])
    moved = {
        (row["from_tier"], row["to_tier"]): (row["customers"], row["clv"]) for row in movements(scores(), before).to_pylist()
    }
    assert moved == {
        ("middle", "high"): (1, 300.0), ("high", "high"): (1, 100.0), ("middle", "middle"): (1, 60.0),
        ("low", "middle"): (1, 40.0), ("low", "low"): (1, 10.0), ("new", "low"): (1, 0.0), ("high", "gone"): (1, 0.0),
        ("none", "none"): (1, 0.0),
    }  # fmt: skip
    assert movements(scores(), None).num_rows == 0


def test_churn_by_tactic_and_message() -> None:
    """cid is at risk since spring, eva lapsed after hello and then sale, fay after sale; gus has never bought."""
    found = {(row["tactic"], row["message"]): row for row in churn(scores(), EVENTS, AS_OF).to_pylist()}
    assert set(found) == {("email", "spring"), ("email", "hello"), ("email", "sale"), ("social", "sale")}

    def told(tactic: str, message: str) -> tuple[Any, ...]:
        row = found[tactic, message]
        return tuple(row[name] for name in ("customers", "buyers", "lapsed", "lapsed_share", "dropped_out", "drop_out_share"))

    assert told("email", "spring") == (2, 2, 0, 0.0, 1, 0.5)
    assert told("email", "hello") == (1, 1, 1, 1.0, 0, 0.0)  # eva's last was sale
    assert told("email", "sale") == (2, 2, 2, 1.0, 2, 1.0)
    assert told("social", "sale") == (1, 0, 0, None, 0, None)
    assert found["email", "spring"]["mean_p_alive"] == pytest.approx((0.95 + 0.40) / 2)
    assert found["social", "sale"]["mean_p_alive"] is None


def test_stages_by_hand() -> None:
    rows = {row["stage"]: row for row in stage_table(scores()).to_pylist()}
    assert list(rows) == ["prospect", "new", "active", "at_risk", "lapsed"]
    assert [row["customers"] for row in rows.values()] == [1, 1, 2, 1, 2]
    assert (rows["active"]["predicted_clv"], rows["active"]["share_predicted"]) == (400.0, pytest.approx(400 / 510))
    assert (rows["lapsed"]["mean_p_alive"], rows["lapsed"]["value_to_date"]) == (pytest.approx(0.075), 25.0)
    assert rows["prospect"]["share_customers"] == pytest.approx(1 / 7)


def test_lines_of_a_day_count_in_their_own_category_and_refunds_that_day_are_seen() -> None:
    """One row per line item, as most exports have it: eva's two lines are two categories, fay's return is a return."""
    rows = [
        ("eva", date(2024, 1, 1), 30.0, "books"), ("eva", date(2024, 1, 1), 10.0, "music"),
        ("fay", date(2024, 2, 11), 25.0, "books"), ("fay", date(2024, 2, 11), -20.0, "books"),
    ]  # fmt: skip
    t = orders([row[:3] for row in rows], product_category=[row[3] for row in rows])
    [low] = profiles(t, scores().slice(4, 2), AS_OF).to_pylist()
    assert {one["label"]: one["share"] for one in low["categories"]} == {
        "books": pytest.approx(55 / 65),
        "music": pytest.approx(10 / 65),
    }
    assert (low["one_category_share"], low["refund_share"]) == (0.5, 0.5)
