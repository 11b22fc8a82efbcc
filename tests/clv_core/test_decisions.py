"""Verdicts only beyond noise; intervals that mean what they say; payback that is predicted where it is not yet seen."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from clv_core.decisions import decide, disagreements
from clv_core.labels import UNLABELLED, LabelRule, LabelRules, from_mapping
from clv_core.payback import with_payback
from clv_core.returns import ReturnSettings
from clv_core.spread import customer_variance, total_interval


def campaigns(*rows: tuple[str, float, float, float, float, float, int]) -> pa.Table:
    """Rows of id, spend, conversions, conversion value, lifetime value, half-width of its interval, customers."""
    return pa.Table.from_pylist([campaign(*row) for row in rows])


def campaign(name: str, spend: float, count: float, value: float, life: float, wide: float, people: int) -> dict[str, object]:
    def per(amount: float) -> float | None:
        return amount / spend if spend else None

    return {
        "platform": "meta", "campaign_id": name, "campaign_name": name, "spend": Decimal(str(spend)), "customers": people,
        "conversions": Decimal(str(count)), "conversion_value": Decimal(str(value)), "roas": per(value), "lifetime_value": life,
        "clv_roas": per(life), "clv_roas_low": per(life - wide), "clv_roas_high": per(life + wide),
        "clv_roas_margin": per(wide), "mean_age_days": 100.0,
    }  # fmt: skip


def verdicts(table: pa.Table) -> dict[str, str]:
    return {row["campaign_id"]: row["quadrant"] for row in table.to_pylist()}


WORLD = campaigns(
    ("gem", 1000, 400, 500, 5000, 300, 400), ("friend", 1000, 400, 4000, 1000, 200, 400),
    ("noisy", 1000, 400, 500, 3100, 900, 400), ("young", 1000, 20, 500, 9000, 100, 12), ("idle", 0, 0, 0, 500, 10, 90),
)  # fmt: skip


def test_only_what_lies_beyond_noise_gets_a_verdict() -> None:
    assert verdicts(decide(WORLD, ReturnSettings(target_roas=1.5, target_clv_roas=3.0))) == {
        "gem": "hidden gem", "friend": "false friend", "noisy": "unclear", "young": "too few customers", "idle": "no spend",
    }  # fmt: skip


def test_few_conversions_make_roas_unsure() -> None:
    few = campaigns(("gem", 1000, 4, 1000, 5000, 300, 400))
    assert verdicts(decide(few, ReturnSettings(target_roas=1.5, target_clv_roas=3.0)))["gem"] == "unclear"


def test_money_at_stake_is_what_the_same_spend_brings_elsewhere() -> None:
    rows = disagreements(decide(WORLD, ReturnSettings(target_roas=1.5, target_clv_roas=3.0)), "USD").to_pylist()
    assert [(row["campaign_id"], row["kind"]) for row in rows] == [("gem", "hidden gem"), ("friend", "false friend")]
    assert [row["at_stake"] for row in rows] == pytest.approx([2000, 2000])  # 1000 spent, 5.0 or 1.0 against 3.0
    assert [row["at_stake_low"] for row in rows] == pytest.approx([1700, 1800])
    assert "says cut" in rows[0]["sentence"]
    assert "scale it" in rows[0]["sentence"]
    assert "2,000 USD" in rows[0]["sentence"]


def test_older_campaigns_get_no_credit_for_their_age() -> None:
    """Two campaigns bring the same in the first year; one is two years older, so that its lifetime value is twice as large."""
    rows = [campaign("old", 1000, 400, 500, 4000, 100, 400), campaign("new", 1000, 400, 500, 2000, 100, 400),
            campaign("weak", 1000, 400, 4000, 2000, 100, 400)]  # fmt: skip
    for row, age, first_year in zip(rows, (800.0, 70.0, 70.0), (2000.0, 2000.0, 500.0), strict=True):
        each = first_year / 1000
        row |= {"mean_age_days": age, "equal_age_value": first_year, "equal_age_margin": 0.1, "equal_age_roas": each,
                "equal_age_roas_low": each - 0.1, "equal_age_roas_high": each + 0.1}  # fmt: skip
    found = {row["campaign_id"]: row for row in decide(pa.Table.from_pylist(rows), ReturnSettings()).to_pylist()}
    assert {name: (row["by_clv"], row["judged_by"]) for name, row in found.items()} == {
        "old": ("above", "equal age"), "new": ("above", "equal age"), "weak": ("below", "equal age"),
    }  # fmt: skip
    assert found["old"]["clv_roas_benchmark"] == pytest.approx(4500 / 3000)
    friend, *gems = disagreements(decide(pa.Table.from_pylist(rows), ReturnSettings()), "USD", 365).to_pylist()
    assert (
        "worth 2.00 times its spend in their first 365 days (90% sure: 1.90 to 2.10), against 1.50 overall"
        in gems[0]["sentence"]
    )
    assert (friend["campaign_id"], friend["at_stake"]) == ("weak", pytest.approx(1000.0))
    same = [row | {"mean_age_days": 80.0} for row in rows]
    told = {row["campaign_id"]: row["by_clv"] for row in decide(pa.Table.from_pylist(same), ReturnSettings()).to_pylist()}
    assert told == {"old": "above", "new": "below", "weak": "below"}  # alike in age: all that they brought and will bring
    target = decide(pa.Table.from_pylist(rows), ReturnSettings(target_clv_roas=3.0)).to_pylist()
    assert {row["judged_by"] for row in target} == {"lifetime"}  # a target is of lifetime value


def test_the_benchmark_is_the_average_of_paid_spend_when_no_target_is_set() -> None:
    [first, *_] = decide(WORLD, ReturnSettings()).to_pylist()
    assert first["roas_benchmark"] == pytest.approx((500 + 4000 + 500 + 500) / 4000)
    assert first["clv_roas_benchmark"] == pytest.approx((5000 + 1000 + 3100 + 9000) / 4000)


@pytest.mark.parametrize("shape", [0.2, 0.5, 1.0, 4.0, 60.0])
def test_variance_is_recovered_from_mean_and_quantile(shape: float) -> None:
    rng = np.random.default_rng(3)
    drawn = rng.gamma(shape, 10 / shape, 400_000)
    found = customer_variance(np.array([drawn.mean()]), np.array([np.quantile(drawn, 0.95)]))
    assert found[0] == pytest.approx(drawn.var(), rel=0.05)


def test_customers_worth_nothing_add_no_doubt() -> None:
    assert customer_variance(np.array([0.0, 5.0]), np.array([0.0, 0.0]))[0] == 0
    assert total_interval(np.zeros(1), np.zeros(1), np.array([0.0025]), np.zeros(1))[0] == 0


@pytest.mark.parametrize("people", [5, 60, 800])
def test_interval_of_a_total_holds_nine_in_ten(people: int) -> None:
    rng = np.random.default_rng(people)
    mean = rng.gamma(1.5, 20, people)
    totals = rng.gamma(0.6, 1, (4000, people)) @ (mean / 0.6)
    own, silence = np.array([(mean**2 / 0.6).sum()]), np.array([-50.0 * people])
    low, high = total_interval(np.array([mean.sum()]), own, np.zeros(1), silence)
    assert ((totals >= low[0]) & (totals <= high[0])).mean() == pytest.approx(0.9, abs=0.02)


def payback(spend: float, realised: float, future: tuple[float, float, float]) -> tuple[object, ...]:
    columns = {"campaign_id": ["c"], "customers": [50], "spend": [spend], "realised_value": [realised]}
    predicted = dict(zip(("predicted_low", "predicted_clv", "predicted_high"), ([value] for value in future), strict=True))
    seen = pa.table({"campaign_id": ["c"], "observed_days": pa.array([None], pa.int64()), "mean_age": [40.0]})
    [row] = with_payback(pa.table({**columns, **predicted}), seen, ["campaign_id"], horizon_days=360, minimum=30).to_pylist()
    return tuple(row[name] for name in ("payback_kind", "payback_days", "payback_earliest", "payback_latest"))


def test_payback_is_predicted_with_an_interval() -> None:
    assert payback(1000, 800, (300, 400, 720)) == ("predicted", 220, 140, 280)  # 200 short: 40 + 360 * 200 / 400


def test_payback_beyond_the_horizon_says_so_but_names_the_lucky_case() -> None:
    assert payback(1000, 500, (300, 400, 720)) == ("beyond the horizon", None, 290, None)


def test_labels_ids_beat_names_and_narrow_ids_beat_wide_ones() -> None:
    rules = LabelRules((LabelRule("story", names=("story",)), LabelRule("brand", ids=("c9",)), LabelRule("offer", ids=("a1",))))
    assert rules.label("creative", "A STORY", ("a0", "s0", "c0")) == "story"
    assert rules.label("creative", "A story", ("a0", "s0", "c9")) == "brand"
    assert rules.label("creative", "A story", ("a1", "s0", "c9")) == "offer"
    assert rules.label("objective", "A story", ("a1", "s0", "c9")) == UNLABELLED


def test_label_patterns() -> None:
    rules = from_mapping({"one": ["pre*"], "two": ["mid"]}, {"keep": ["?x"]})
    assert [rules.label("creative", name, ()) for name in ("Prefix", "no prefix", "amidst")] == ["one", UNLABELLED, "two"]
    assert rules.label("objective", "ax", ()) == "keep"
