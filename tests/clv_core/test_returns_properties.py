"""Whatever comes in, every table adds up to all orders and all spend, to the cent."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from clv_core.attribution import SCHEMA as ACQUISITION
from clv_core.returns import GROUPINGS, ReturnSettings, returns
from clv_core.spend import empty_days

AS_OF = date(2026, 3, 31)
ONE = ReturnSettings(minimum_customers=1, threads=1)
days = st.integers(0, 100).map(lambda n: date(2026, 1, 1) + timedelta(days=n))
cents = st.integers(-50_000, 90_000).map(lambda n: Decimal(n) / 100)
people = st.sampled_from([f"p{n}" for n in range(8)])
places = st.sampled_from(
    [("meta", "c1", "s1", "a1"), ("meta", "c1", "s1", "a2"), ("google", "g1", "", ""), ("tiktok", "t1", "x", "")]
)
orders = st.lists(st.tuples(people, days, cents), min_size=1, max_size=30)
spends = st.lists(
    st.tuples(places, days, st.integers(0, 90_000).map(lambda n: Decimal(n) / 100), st.integers(0, 3)), max_size=30
)
sources = st.dictionaries(people, st.tuples(places, st.sampled_from(["paid", "organic", "email"]), st.one_of(st.none(), days)))


def world(orders: list[Any], spends: list[Any], sources: dict[str, Any]) -> dict[str, pa.Table]:
    acquisition = [
        dict(zip(ACQUISITION.names, (who, came, *(place if kind == "paid" else ("",) * 4), kind, "ids"), strict=True))
        for who, (place, kind, came) in sources.items()
    ]
    spent = [
        {
            "platform": place[0], "account_id": "a", "date": day, "campaign_id": place[1], "campaign_name": f"n {place[1]}",
            "adset_id": place[2], "ad_id": place[3], "spend": amount, "impressions": 1, "clicks": 1, "conversions": Decimal(1),
            "conversion_value": amount, "currency": "USD", "pulled_at": datetime(2026, 4, 1 + pull, tzinfo=UTC),
        }
        for place, day, amount, pull in spends
    ]  # fmt: skip
    names = [f"p{n}" for n in range(6)]
    return {
        "days": pa.table({
            "customer_id": [o[0] for o in orders], "day": [o[1] for o in orders], "amount": [float(o[2]) for o in orders],
        }),
        "acquisition": pa.Table.from_pylist(acquisition, schema=ACQUISITION),
        "campaign_days": pa.Table.from_pylist(spent, schema=empty_days().schema),
        "scores": pa.table({"customer_id": names, "clv": [10.0 * n for n in range(6)], "clv_high": [25.0 * n for n in range(6)],
                            "tier": ["high", "low", "low", "middle", "high", "low"]}),
    }  # fmt: skip


@settings(max_examples=15, deadline=None)
@given(orders, spends, sources)
def test_every_table_adds_up(orders: list[Any], spends: list[Any], sources: dict[str, Any]) -> None:
    found = returns(**world(orders, spends, sources), currency="USD", as_of=AS_OF, settings=ONE)
    ordered = sum((amount for _, day, amount in orders if day <= AS_OF), Decimal(0))
    latest: dict[Any, tuple[int, Decimal]] = {}
    for place, day, amount, pull in spends:
        if day <= AS_OF:  # of two statements pulled at one moment the larger stands
            latest[place, day] = max(latest.get((place, day), (-1, Decimal(0))), (pull, amount))
    customers = len({who for who, day, _ in orders if day <= AS_OF})
    everyone = [row for row in found.totals.to_pylist() if row["scope"] == "all"]
    assert (everyone[0]["realised_value"] if everyone else 0) == ordered
    spent = everyone[0]["spend"] if everyone else Decimal(0)
    assert spent == sum((amount for _, amount in latest.values()), Decimal(0))
    for name in GROUPINGS:
        rows = getattr(found, name).to_pylist()
        assert sum((row["realised_value"] for row in rows), Decimal(0)) == ordered, name
        assert sum((row["spend"] for row in rows), Decimal(0)) == spent, name
        assert sum(row["customers"] for row in rows) == customers, name
    assert sum(row["customers"] for row in found.coverage.to_pylist()) == customers


@settings(max_examples=5, deadline=None)
@given(orders, spends, sources, st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(orders: list[Any], spends: list[Any], sources: dict[str, Any], random: Any) -> None:
    spends = list({(place, day): (place, day, amount, pull) for place, day, amount, pull in spends}.values())
    before = returns(**world(orders, spends, sources), currency="USD", as_of=AS_OF, settings=ONE)
    for rows in (orders, spends):
        random.shuffle(rows)
    after = returns(**world(orders, spends, sources), currency="USD", as_of=AS_OF, settings=ONE)
    money = ("platform", "campaign_id", "spend", "realised_value", "customers", "quadrant", "payback_days")
    assert before.campaigns.select(money).to_pylist() == after.campaigns.select(money).to_pylist()
    assert before.retention.num_rows == after.retention.num_rows
