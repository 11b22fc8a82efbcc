"""Tiers: shares are met, ties are cut stably, edges don't flicker; stages say where people are."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clv_core.stages import StageRules, stages
from clv_core.tiers import TierRules, edge_values, percentiles, tiers
from clv_core.windows import Snapshot


def _ids(n: int) -> pa.Array:
    return pa.array([f"c{k:04d}" for k in range(n)])


DEFAULT = TierRules()


def _cut(clv: list[float] | np.ndarray, rules: TierRules = DEFAULT, previous: pa.Table | None = None) -> list[str]:
    values = np.asarray(clv, dtype=float)
    found: list[str] = tiers(values, np.zeros(len(values)), _ids(len(values)), rules, previous).to_pylist()
    return found


def test_default_shares() -> None:
    found = _cut(np.arange(100.0))
    assert [found.count(tier) for tier in ("high", "middle", "low")] == [20, 50, 30]
    assert found[-20:] == ["high"] * 20


def test_ties_are_cut_by_spend_then_id_whatever_the_row_order() -> None:
    clv, spend = np.ones(10), np.array([5.0, 1, 1, 1, 1, 1, 1, 1, 1, 9])
    ids = _ids(10)
    rules = TierRules(high=0.3, middle=0.3)
    first = dict(zip(ids.to_pylist(), tiers(clv, spend, ids, rules).to_pylist(), strict=True))
    assert [name for name, tier in first.items() if tier == "high"] == ["c0000", "c0001", "c0009"]
    order = np.random.default_rng(2).permutation(10)
    again = dict(
        zip(
            ids.take(pa.array(order)).to_pylist(),
            tiers(clv, spend[order], ids.take(pa.array(order)), rules).to_pylist(),
            strict=True,
        )
    )
    assert first == again


@given(st.lists(st.integers(0, 6), min_size=1, max_size=60))
@settings(max_examples=60, deadline=None)
def test_tier_and_percentile_are_stable_under_row_order(values: list[int]) -> None:
    clv = np.array(values, dtype=float)
    ids, order = _ids(len(values)), np.random.default_rng(4).permutation(len(values))
    rules = TierRules()
    straight = tiers(clv, clv, ids, rules).take(pa.array(order)).to_pylist()
    assert straight == tiers(clv[order], clv[order], ids.take(pa.array(order)), rules).to_pylist()
    np.testing.assert_allclose(percentiles(clv)[order], percentiles(clv[order]))
    assert straight.count("high") == round(0.2 * len(values))


def test_percentiles() -> None:
    assert percentiles(np.array([3.0, 1.0, 1.0, 2.0])).tolist() == [87.5, 25.0, 25.0, 62.5]
    assert percentiles(np.zeros(0)).tolist() == []


def test_value_share_puts_the_customer_across_the_edge_into_the_better_tier() -> None:
    rules = TierRules(method="value_share", high=0.5, middle=0.3, hysteresis=0)
    assert _cut([60, 20, 10, 5, 5], rules) == ["high", "middle", "low", "low", "low"]
    assert _cut([40, 20, 20, 15, 5], rules) == ["high", "high", "middle", "low", "low"]
    assert _cut([0, 0, 0, 0], rules) == ["high", "high", "middle", "middle"]  # nothing to share out: customers are


def test_thresholds_are_in_money() -> None:
    rules = TierRules(method="threshold", high=100, middle=10, hysteresis=0)
    assert _cut([100, 99.99, 10, 9.99, 0], rules) == ["high", "middle", "middle", "low", "low"]


def test_people_near_an_edge_keep_their_tier() -> None:
    clv = np.arange(100.0)[::-1].copy()
    before = pa.table({"customer_id": _ids(100), "tier": _cut(clv)})
    moved = clv.copy()
    moved[[19, 20]] = moved[[20, 19]]  # two neighbours swap across the edge
    moved[60] = 1000.0  # one jumps to the top
    assert _cut(moved, TierRules(hysteresis=0))[20] == "middle"
    held = _cut(moved, TierRules(hysteresis=0.02), before)
    assert (held[19], held[20], held[60]) == ("high", "middle", "high")
    assert _cut(moved, TierRules(hysteresis=0), before) == _cut(moved, TierRules(hysteresis=0))


def test_threshold_band_is_relative() -> None:
    rules = TierRules(method="threshold", high=100, middle=10, hysteresis=0.05)
    before = pa.table({"customer_id": _ids(3), "tier": ["high", "high", "middle"]})
    assert _cut([96, 94, 104], rules, before) == ["high", "middle", "middle"]


def test_unknown_previous_customers_are_no_matter() -> None:
    before = pa.table({"customer_id": ["gone"], "tier": ["high"]})
    assert _cut(np.arange(10.0), TierRules(), before) == _cut(np.arange(10.0))


@pytest.mark.parametrize(
    "wrong",
    [
        {"method": "best"},
        {"high": 0.8, "middle": 0.5},
        {"high": 0.0},
        {"method": "threshold", "high": 5, "middle": 9},
        {"hysteresis": 1.5},
    ],
)
def test_impossible_rules_are_refused_with_what_to_change(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="tiers:"):
        TierRules(**wrong)


def test_edge_values() -> None:
    clv = np.array([9.0, 5.0, 3.0, 1.0])
    found = edge_values(clv, pa.array(["high", "middle", "middle", "low"]))
    assert found == {"high": 9.0, "middle": 3.0}


def _snapshot(x: list[float], t_x: list[float], T: list[float]) -> Snapshot:
    zero = np.zeros(len(x))
    return Snapshot(date(2024, 1, 1), _ids(len(x)), np.array(x), np.array(t_x), np.array(T), zero, zero, zero)


def test_stages() -> None:
    s = _snapshot([0, 9, 9, 9, 0], [0, 50, 48, 30, 0], [2, 52, 52, 32, 52])
    alive = np.array([0.9, 0.9, 0.4, 0.1, 0.6])
    assert stages(s, alive, StageRules()).to_pylist() == ["new", "active", "at_risk", "lapsed", "lapsed"]
    silent = _snapshot([9, 9, 9], [45, 45, 45], [54, 56, 66])  # the usual gap is 5 weeks: risk beyond 10, lapsed beyond 20
    assert stages(silent, np.array([0.9, 0.9, 0.9]), StageRules()).to_pylist() == ["active", "at_risk", "lapsed"]


def test_without_drop_out_nobody_is_at_risk_or_lapsed() -> None:
    s = _snapshot([0, 9, 9], [0, 50, 10], [2, 52, 52])
    assert set(stages(s, np.ones(3), StageRules()).to_pylist()) == {"new", "active"}
