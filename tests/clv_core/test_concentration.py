"""Where value sits, by hand; and totals of groups against the second way to compute them."""

from __future__ import annotations

import pyarrow as pa
import pytest

from clv_core.concentration import lorenz, tier_table
from clv_core.returns import ReturnSettings, returns
from clv_core.totals import group_totals, totals_by
from tests.clv_core.world import AS_OF, simulate

SCORES = pa.table({
    "tier": ["low", "high", "low", "middle"], "clv": [0.0, 60.0, 10.0, 30.0], "lifetime_value": [5.0, 100.0, 15.0, 80.0],
    "value_to_date": [5.0, 40.0, 5.0, 50.0], "p_alive": [0.1, 0.9, 0.3, 0.8], "expected_orders": [0.0, 3.0, 0.5, 1.0],
    "frequency": [0.0, 5.0, 0.0, 2.0], "clv_high": [0.0, 60.0, 10.0, 30.0],
})  # fmt: skip


def test_lorenz_curve_by_hand() -> None:
    rows = lorenz(SCORES, points=4).to_pylist()
    assert [row["share_predicted"] for row in rows] == pytest.approx([0, 0.6, 0.9, 1, 1])
    assert [row["share_lifetime"] for row in rows] == pytest.approx([0, 0.5, 0.9, 0.975, 1])


def test_a_base_worth_nothing_is_spread_evenly() -> None:
    nothing = pa.table({"clv": [0.0, 0.0], "lifetime_value": [0.0, 0.0]})
    assert lorenz(nothing, points=2).column("share_predicted").to_pylist() == [0, 0.5, 1]


def test_tiers_by_hand() -> None:
    rows = {row["tier"]: row for row in tier_table(SCORES).to_pylist()}
    assert list(rows) == ["high", "middle", "low"]
    assert (rows["low"]["customers"], rows["low"]["share_customers"], rows["low"]["mean_clv"]) == (2, 0.5, 5.0)
    assert (rows["high"]["share_predicted"], rows["high"]["share_lifetime"]) == (0.6, 0.5)


def test_a_tiers_range_is_that_of_its_total_and_ranges_do_not_add_up() -> None:
    """Without models the level of all is taken to be 10% unsure; customers whose highest value is the mean have no chance."""
    rows = {row["tier"]: row for row in tier_table(SCORES).to_pylist()}
    assert (rows["high"]["predicted_low"], rows["high"]["predicted_high"]) == pytest.approx((50.46, 70.17), abs=0.1)
    assert rows["low"]["predicted_low"] < rows["low"]["predicted_clv"] == 10.0 < rows["low"]["predicted_high"]
    [*_, whole] = totals_by(SCORES, "tier").to_pylist()
    assert (whole["group"], whole["customers"], whole["clv"]) == (None, 4, 100.0)


def test_returns_and_group_totals_agree() -> None:
    world = simulate(customers=800)
    found = returns(world.scores, world.days, world.acquisition, world.campaign_days, currency="USD", as_of=AS_OF,
                    settings=ReturnSettings(by_record=False, threads=1))  # fmt: skip
    groups = pa.table({"customer_id": world.acquisition["customer_id"], "group": world.acquisition["campaign_id"]})
    other = {row["group"]: row for row in group_totals(world.scores, groups).to_pylist()}
    for row in found.campaigns.to_pylist():
        same = other[row["campaign_id"]]
        assert row["customers"] == same["customers"]
        assert (row["predicted_clv"], row["predicted_low"], row["predicted_high"]) == pytest.approx(
            (same["clv"], same["clv_low"], same["clv_high"])
        )


def test_who_never_bought_is_in_no_tier_and_no_customer() -> None:
    known = SCORES.append_column("lifecycle_stage", pa.array(["active"] * len(SCORES)))
    aware = {name: [None] for name in known.column_names} | {"tier": [""], "lifecycle_stage": ["prospect"], "clv": [0.0]}
    both = pa.concat_tables([known, pa.table(aware, known.schema)])
    assert tier_table(both) == tier_table(SCORES)
    assert lorenz(both) == lorenz(SCORES)
