"""The scores table: its columns, its invariants, its fall-backs on tiny and odd bases."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from clv_core.scoring import SCHEMA, Scores, ScoreSettings, score
from clv_core.tiers import TierRules
from clv_core.totals import group_totals
from clv_core.transactions import InputError
from clv_core.uncertainty import Uncertainty
from tests.clv_core.bases import START, orders, shop

AS_OF = START + timedelta(days=80 * 7 - 1)
PLAIN = ScoreSettings(candidates=("mbg_nbd",), horizon_days=180)


@pytest.fixture(scope="module")
def scored() -> Scores:
    return score(orders(shop()), AS_OF, ScoreSettings(horizon_days=180))


def _numbers(table: pa.Table, name: str) -> np.ndarray:
    return np.asarray(table[name], dtype=float)


def test_columns_are_those_of_the_interface(scored: Scores) -> None:
    assert scored.table.schema.remove_metadata() == SCHEMA
    assert scored.table.num_rows == 600
    assert scored.table["customer_id"].combine_chunks().null_count == 0
    assert all(np.isfinite(_numbers(scored.table, f.name)).all() for f in SCHEMA if f.type == pa.float64())


def test_values_hang_together(scored: Scores) -> None:
    table = scored.table
    clv, value, alive = (_numbers(table, name) for name in ("clv", "expected_value", "p_alive"))
    assert ((alive >= 0) & (alive <= 1)).all()
    assert ((clv >= 0) & (clv <= value + 1e-9)).all()
    assert (clv > 0.9 * value - 1e-9).all()  # half a year at 10% a year costs at most 5%
    assert (_numbers(table, "clv_low") <= _numbers(table, "clv_high")).all()
    np.testing.assert_allclose(_numbers(table, "lifetime_value"), _numbers(table, "value_to_date") + clv)
    seed = _numbers(table, "seed_value")
    assert (seed >= 0).all()
    np.testing.assert_allclose(seed, np.round(clv, 2))
    assert set(table["tier"].to_pylist()) == {"high", "middle", "low"}
    assert set(table["lifecycle_stage"].to_pylist()) <= {"new", "active", "at_risk", "lapsed"}
    assert set(table["model"].to_pylist()) == {scored.choice.model}


def test_row_order_and_ids_change_nothing(scored: Scores) -> None:
    rows = shop()
    shuffled = [(f"x{one[0][::-1]}", *one[1:]) for one in (rows[k] for k in np.random.default_rng(1).permutation(len(rows)))]
    again = score(orders(shuffled), AS_OF, ScoreSettings(horizon_days=180))
    mine = dict(zip(scored.table["customer_id"].to_pylist(), scored.table["clv"].to_pylist(), strict=True))
    theirs = dict(zip(again.table["customer_id"].to_pylist(), again.table["clv"].to_pylist(), strict=True))
    assert {f"x{name[::-1]}" for name in mine} == set(theirs)
    for name, value in mine.items():
        assert theirs[f"x{name[::-1]}"] == pytest.approx(value, rel=1e-6, abs=1e-9)


def test_the_same_orders_in_another_order_give_the_same_cents() -> None:
    """Else a nightly run would resend values of people for whom nothing happened. Many customers are alike here."""
    rows = [(who, day, 10.0 if n % 3 else 15.0) for n, (who, day, _) in enumerate(shop(1200, seed=21))]
    order = np.random.default_rng(2).permutation(len(rows))
    settings = ScoreSettings(horizon_days=180)
    first, second = (
        score(orders(each), AS_OF, settings).table.sort_by("customer_id") for each in (rows, [rows[k] for k in order])
    )
    for name in ("seed_value", "tier", "lifecycle_stage", "model"):
        assert first[name].to_pylist() == second[name].to_pylist(), name


def test_a_split_same_day_order_changes_nothing() -> None:
    rows = shop(300)
    split = [part for who, day, amount in rows for part in ((who, day, round(amount - 1.0, 2)), (who, day, 1.0))]
    settings = ScoreSettings(horizon_days=180)  # all candidates: the learner must not count lines either
    first, second = (score(orders(each), AS_OF, settings).table.sort_by("customer_id") for each in (rows, split))
    for name in ("frequency", "p_alive", "expected_orders", "clv", "clv_low", "clv_high"):
        np.testing.assert_allclose(_numbers(first, name), _numbers(second, name), rtol=1e-6, atol=1e-6, err_msg=name)


def test_expected_orders_grow_with_the_horizon() -> None:
    t = orders(shop(200))
    each = [ScoreSettings(candidates=("mbg_nbd",), horizon_days=n) for n in (30, 90, 365)]
    found = [score(t, AS_OF, one).table.sort_by("customer_id") for one in each]
    a, b, c = (_numbers(one, "expected_orders") for one in found)
    assert (a < b).all()
    assert (b < c).all()


def test_nothing_after_as_of_counts() -> None:
    rows = shop(300)
    cut = START + timedelta(days=300)
    early = score(orders([row for row in rows if row[1] <= cut]), cut, PLAIN).table.sort_by("customer_id")
    late = score(orders(rows), cut, PLAIN).table.sort_by("customer_id")
    assert early["customer_id"].to_pylist() == late["customer_id"].to_pylist()
    np.testing.assert_allclose(_numbers(early, "clv"), _numbers(late, "clv"), rtol=1e-9)


def test_discount_lowers_clv_not_expected_value() -> None:
    t = orders(shop(200))
    plain, dear = (score(t, AS_OF, ScoreSettings(candidates=("mbg_nbd",), annual_discount=r)).table for r in (0.0, 0.5))
    assert np.array_equal(_numbers(plain, "clv"), _numbers(plain, "expected_value"))
    assert pc.sum(dear["clv"]).as_py() < 0.95 * pc.sum(plain["clv"]).as_py()
    assert pc.sum(dear["expected_value"]).as_py() == pytest.approx(pc.sum(plain["expected_value"]).as_py())


def test_seed_floor_lifts_small_values_but_never_nothing() -> None:
    table = score(orders(shop(200)), AS_OF, ScoreSettings(candidates=("mbg_nbd",), seed_floor=5.0)).table
    seed, clv = _numbers(table, "seed_value"), _numbers(table, "clv")
    assert seed[clv > 0].min() >= 5.0
    assert (seed[clv == 0] == 0).all()


def test_previous_scores_hold_tiers_and_show_movements(scored: Scores) -> None:
    t = orders(shop())
    later = AS_OF + timedelta(days=14)
    free = score(
        t, later, ScoreSettings(horizon_days=180, tiers=TierRules(hysteresis=0)), choice=scored.choice, previous=scored.table
    )
    held = score(t, later, ScoreSettings(horizon_days=180), choice=scored.choice, previous=scored.table)

    def moved(one: Scores) -> int:
        return sum(row["customers"] for row in one.movements.to_pylist() if row["from_tier"] != row["to_tier"])

    assert sum(held.movements["customers"].to_pylist()) == 600
    assert moved(held) < moved(free)


def test_engagement_adds_people_who_never_bought() -> None:
    events = pa.table({
        "customer_id": ["fan", "c00001", "late"], "kind": ["email_click"] * 3,
        "tactic": ["email"] * 3, "message": ["hi", "hi", "bye"],
        "at": [AS_OF - timedelta(days=3), AS_OF, AS_OF + timedelta(days=1)],
    })  # fmt: skip
    found = score(orders(shop(200)), AS_OF, PLAIN, engagement=events)
    rows = {row["customer_id"]: row for row in found.table.to_pylist()}
    assert rows["fan"]["lifecycle_stage"] == "prospect"
    assert (rows["fan"]["clv"], rows["fan"]["seed_value"], rows["fan"]["tier"]) == (0.0, 0.0, "none")
    assert "late" not in rows
    assert len(rows) == 201
    assert [(row["tactic"], row["message"], row["customers"]) for row in found.churn.to_pylist()] == [("email", "hi", 2)]


def test_engagement_dates_may_be_text_and_bad_ones_are_named() -> None:
    t = orders(shop(200))
    day = (AS_OF - timedelta(days=3)).isoformat()
    events = pa.table({"customer_id": ["fan", "c00001"], "at": [day, f"{day} 10:00:00"], "kind": ["open", "open"]})
    assert "fan" in score(t, AS_OF, PLAIN, engagement=events).table["customer_id"].to_pylist()
    wrong = events.set_column(1, "at", pa.array([day, "soon"]))
    with pytest.raises(InputError, match=r"row 2: column at: .*YYYY-MM-DD"):
        score(t, AS_OF, PLAIN, engagement=wrong)
    with pytest.raises(InputError, match="customer_id"):
        score(t, AS_OF, PLAIN, engagement=events.drop_columns("customer_id"))


def test_profiles_describe_the_tiers(scored: Scores) -> None:
    rows = {row["tier"]: row for row in scored.profiles.to_pylist()}
    assert sum(row["customers"] for row in rows.values()) == 600
    assert sum(row["clv_share"] for row in rows.values()) == pytest.approx(1.0)
    assert rows["high"]["mean_clv"] > rows["middle"]["mean_clv"] > rows["low"]["mean_clv"]
    assert rows["high"]["distance_to_next"] is None
    assert rows["low"]["distance_to_next"] > 0
    assert any("ordered once" in reason or "silent" in reason for reason in rows["low"]["why"])


def test_profiles_name_labels_refunds_and_countries() -> None:
    rows = shop(200)
    rows += [(f"c{n:05d}", AS_OF, -1.0) for n in range(0, 200, 4)]
    labels = ["Books" if one[0] < "c00100" else "Music" for one in rows]
    t = orders(rows, product_category=labels, channel=["web"] * len(rows))
    contacts = pa.table({"customer_id": [f"c{n:05d}" for n in range(200)], "country": ["DE", "US"] * 100})
    found = score(t, AS_OF, PLAIN, contacts=contacts).profiles.to_pylist()
    assert sum(row["customers"] * row["refund_share"] for row in found) == pytest.approx(50)
    assert all(row["channels"] == [{"label": "web", "share": 1.0}] for row in found)
    assert all({one["label"] for one in row["categories"]} == {"Books", "Music"} for row in found)
    assert all(sum(one["share"] for one in row["countries"]) == pytest.approx(1.0) for row in found)
    assert all(row["one_category_share"] == 1.0 for row in found)


def test_totals_carry_three_kinds_of_doubt(scored: Scores) -> None:
    groups = pa.table({"customer_id": scored.table["customer_id"], "group": scored.table["tier"]})
    found = {row["group"]: row for row in group_totals(scored.table, groups).to_pylist()}
    assert sum(row["clv"] for row in found.values()) == pytest.approx(pc.sum(scored.table["clv"]).as_py())
    assert all(row["clv_low"] < row["clv"] < row["clv_high"] for row in found.values())
    document = Uncertainty.of(scored.table)
    assert document is not None
    sure = {**document.document, "level_error": 0.0}
    narrow = group_totals(scored.table.replace_schema_metadata({b"clv_uncertainty": Uncertainty(sure).to_json()}), groups)
    assert all(row["clv_high"] < found[row["group"]]["clv_high"] for row in narrow.to_pylist())
    assert group_totals(scored.table.replace_schema_metadata(None), groups).num_rows == 3


def test_totals_ignore_unknown_customers_and_take_several_groups() -> None:
    table = score(orders(shop(200)), AS_OF, PLAIN).table
    groups = pa.table({"customer_id": ["c00001", "c00001", "nobody"], "group": ["a", "b", "a"]})
    assert [(row["group"], row["customers"]) for row in group_totals(table, groups).to_pylist()] == [("a", 1), ("b", 1)]


@pytest.mark.parametrize(
    "rows",
    [
        [("only", START, 20.0)],
        [("only", START, 20.0), ("only", START + timedelta(days=9), 30.0)],
        [(f"c{n}", START, 10.0) for n in range(30)],
        [(f"c{n}", START + timedelta(days=n), 10.0 + n) for n in range(30)],
        [(f"c{n}", START + timedelta(days=7 * k), 25.0) for n in range(40) for k in range(10)],
        [(f"c{n}", START + timedelta(days=7 * k), 0.0) for n in range(20) for k in range(1 + n % 3)],
    ],
    ids=["one order", "one customer", "one day", "no repeat buyers", "clockwork", "all free"],
)
def test_tiny_and_odd_bases_still_score(rows: list[tuple[str, date, float]]) -> None:
    t = orders(rows)
    found = score(t, t.last_day + timedelta(days=7), ScoreSettings())
    assert found.table.num_rows == len({row[0] for row in rows})
    for name in ("clv", "clv_low", "clv_high", "expected_orders", "seed_value"):
        values = _numbers(found.table, name)
        assert np.isfinite(values).all(), name
        assert (values >= 0).all(), name
    assert found.warnings
    assert all(warning.strip() for warning in found.warnings)


def test_nobody_to_score_says_what_to_change() -> None:
    with pytest.raises(InputError, match="choose a later as_of"):
        score(orders([("a", START, 1.0)]), START - timedelta(days=1), PLAIN)


def test_wrong_candidates_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="crystal_ball"):
        ScoreSettings(candidates=("crystal_ball",))
    with pytest.raises(ValueError, match="no order model"):
        ScoreSettings(candidates=("early_life",))
