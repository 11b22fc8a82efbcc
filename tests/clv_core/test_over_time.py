"""Runs held to account, holdouts and life cycles, each against figures computed by hand."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from clv_core.attribution import SCHEMA as ACQUISITION
from clv_core.history import SNAPSHOT, accountability, growth, over_time
from clv_core.lift import lift
from clv_core.returns import ReturnSettings, returns
from tests.clv_core.test_returns_golden import AS_OF, LABELS, RATES, row, tables

DAYS = pa.table({
    "customer_id": ["anna", "anna", "bert", "bert", "cleo"], "amount": [100.0, 60.0, 40.0, 5.0, 70.0],
    "day": [date(2026, 1, 5), date(2026, 2, 10), date(2026, 1, 20), date(2026, 5, 1), date(2026, 3, 1)],
})  # fmt: skip
NOBODY = ACQUISITION.empty_table()


def said(run: str, as_of: date, grouping: str, key: str, customers: int, clv: tuple[float, float, float]) -> dict[str, Any]:
    low, middle, high = clv
    return {
        "run_id": run, "as_of": as_of, "horizon_days": 100, "grouping": grouping, "key": key, "customers": customers,
        "predicted_clv": middle, "predicted_low": low, "predicted_high": high,
    }  # fmt: skip


FEBRUARY = date(2026, 1, 31)
RUNS = pa.Table.from_pylist(
    [
        said("r1", FEBRUARY, "cohorts", "2026-01", 2, (80.0, 120.0, 160.0)),
        said("r1", FEBRUARY, "totals", "all", 2, (80.0, 120.0, 160.0)),
        said("r2", date(2026, 3, 20), "totals", "all", 3, (100.0, 150.0, 200.0)),
    ],
    schema=SNAPSHOT,
)


def test_a_run_is_held_to_what_it_said() -> None:
    rows = accountability(RUNS, DAYS, NOBODY, FEBRUARY + timedelta(days=50)).to_pylist()
    cohort = next(one for one in rows if one["grouping"] == "cohorts")
    # Half the horizon: 60 of 120 expected, 40 to 80; anna's 60 came. Cleo came after the run and does not count.
    assert (cohort["elapsed_days"], cohort["expected"], cohort["expected_low"], cohort["expected_high"]) == (50, 60, 40, 80)
    assert (cohort["actual"], cohort["ratio"], cohort["judged"]) == (60, 1, "within")


def test_beyond_the_horizon_nothing_more_counts() -> None:
    rows = accountability(RUNS, DAYS, NOBODY, date(2027, 1, 1)).to_pylist()
    first = next(one for one in rows if one["run_id"] == "r1" and one["grouping"] == "totals")
    assert (first["elapsed_days"], first["actual"], first["judged"]) == (100, 65, "below")  # 60 + 5, said 80 to 160


def test_a_young_run_is_not_judged() -> None:
    rows = accountability(RUNS, DAYS, NOBODY, date(2026, 3, 31)).to_pylist()
    assert next(one for one in rows if one["run_id"] == "r2")["judged"] == "too early"


def test_growth_of_the_base() -> None:
    rows = growth(RUNS).to_pylist()
    assert [(one["run_id"], one["predicted_each"], one["change"]) for one in rows] == [("r1", 60, None), ("r2", 50, 0.25)]


def test_snapshots_of_runs_add_up_over_time() -> None:
    made, settings = tables(), ReturnSettings(minimum_customers=1)
    found = returns(**made, currency="USD", as_of=AS_OF, rates=RATES, labels=LABELS, settings=settings)
    tables_now = over_time(found, "r3", [RUNS], made["days"], made["acquisition"])
    assert set(tables_now["growth"].column("run_id").to_pylist()) == {"r1", "r2", "r3"}
    mine = [one for one in tables_now["snapshot"].to_pylist() if one["grouping"] == "cohorts"]
    assert [(one["key"], one["customers"], one["realised_value"]) for one in mine] == [
        ("2026-01", 2, 170.10), ("2026-02", 2, 270.05), ("2026-03", 1, 5.55),
    ]  # fmt: skip
    assert "meta/m/c1" in tables_now["snapshot"].column("key").to_pylist()


def test_new_customers_second_orders_and_sources_by_month() -> None:
    made, settings = tables(), ReturnSettings(minimum_customers=1)
    found = returns(**made, currency="USD", as_of=AS_OF, rates=RATES, settings=settings)
    january, february, march = found.kpis.to_pylist()
    assert (january["customers"], january["paid_share"], january["first_value_each"]) == (2, 1.0, pytest.approx(70.05))
    assert (january["days_to_second"], january["orders_each"], january["second_within_90"]) == (
        36,
        1.5,
        None,
    )  # none is 90 days old
    assert (february["organic_share"], march["unknown_share"]) == (0.5, 1.0)
    assert january["cross_sell_share"] is None


def test_the_way_from_notice_to_second_order() -> None:
    made = tables()
    made["days"] = made["days"].append_column("product_category", pa.array(["a", "b", "b", "a", "a", "a", "a", "a", "a"]))
    events = pa.table({"customer_id": ["anna", "cleo", "zoe"], "at": [date(2025, 12, 26), date(2026, 1, 2), date(2026, 1, 1)]})
    found = returns(**made, currency="USD", as_of=AS_OF, rates=RATES, engagement=events)
    steps = {
        one["stage"]: (one["customers"], one["share_of_previous"], one["days_from_previous"])
        for one in found.funnel.to_pylist()
    }
    assert steps["noticed"] == (3, None, None)
    assert steps["first order"] == (5, pytest.approx(2 / 3), 20)  # 10 and 30 days
    assert steps["second order"] == (2, 0.4, 32)  # 36 and 28 days
    assert row(found.kpis, cohort="2026-01")["cross_sell_share"] == 0.5


def holdouts(effect: float) -> tuple[pa.Table, pa.Table]:
    rng = np.random.default_rng(8)
    names = [f"p{n}" for n in range(400)]
    held = [n % 4 == 0 for n in range(400)]
    since = date(2026, 1, 1)
    amounts = [float(v) + (0 if out else effect) for v, out in zip(rng.normal(50, 10, 400), held, strict=True)]
    table = {"customer_id": names, "audience": ["winback"] * 400, "held_out": held, "since": [since] * 400}
    days = {"customer_id": names * 2, "day": [since] * 400 + [date(2026, 2, 1)] * 400, "amount": [999.0] * 400 + amounts}
    return pa.table(table), pa.table(days)


def test_lift_counts_only_what_came_after_entry() -> None:
    [one] = lift(*holdouts(6.0), AS_OF).to_pylist()
    assert (one["audience"], one["treated"], one["held_out"], one["days"]) == ("winback", 300, 100, 89)
    assert one["lift_low"] < 6.0 < one["lift_high"]
    assert one["lift_total"] == pytest.approx(300 * one["lift_each"])
    assert one["held_out_each"] == pytest.approx(50, abs=3)
    assert "beyond noise" in one["sentence"]


def test_no_lift_is_claimed_within_noise_or_of_a_few() -> None:
    [one] = lift(*holdouts(0.0), AS_OF).to_pylist()
    assert one["sentence"] == "No difference beyond noise yet."
    groups, days = holdouts(50.0)
    [few] = lift(groups.slice(0, 60), days, AS_OF).to_pylist()
    assert (few["held_out"], few["lift_each"]) == (15, None)
    assert few["sentence"].startswith("Too few")
