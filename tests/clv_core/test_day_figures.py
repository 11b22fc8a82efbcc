"""Figures of customers' days: what is read batch by batch is what the days say, and nothing after the cut."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pytest

from clv_core import day_figures
from clv_core.day_figures import DayFigures
from clv_core.early_features import features
from clv_core.transactions import check_orders
from clv_core.windows import snapshot

START = date(2024, 1, 1)
Day = tuple[int, float]  # days since START, amount


def _by_hand(days: list[Day]) -> dict[str, float]:
    """The figures of one customer's days, one entry a day."""
    bought = [day for day, amount in days if amount >= 0]
    first = min(bought)
    return {
        "orders30": sum(day <= first + 30 for day in bought),
        "spend30": sum(amount for day, amount in days if day <= first + 30),
        "second_gap": min((day - first for day in bought if day > first), default=np.nan),
        "last_value": max(days)[1],
        "largest_value": max(amount for _, amount in days),
        "refunds": sum(amount < 0 for _, amount in days),
    }


@pytest.mark.parametrize("batch", [7, 1 << 19])
def test_figures_are_those_of_the_days_up_to_the_cut(batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(day_figures, "BATCH", batch)
    rng = np.random.default_rng(1)
    people = {f"c{n}": sorted(set(rng.integers(0, 200, rng.integers(1, 9)).tolist())) for n in range(60)}
    days = {who: [(d, round(float(rng.normal(30, 30)), 2)) for d in when] for who, when in people.items()}
    rows = [(who, START + timedelta(days=d), amount) for who, those in days.items() for d, amount in those]
    t = check_orders(pa.table(dict(zip(("customer_id", "ordered_at", "amount"), zip(*rows, strict=True), strict=True))))
    past = snapshot(t, START + timedelta(days=120))
    figures = DayFigures.of(t, past).columns()
    assert len(past) > 40
    for place, who in enumerate(past.customer_id.to_pylist()):
        known = _by_hand([one for one in days[who] if one[0] <= 120])
        assert {name: float(column[place]) for name, column in figures.items()} == pytest.approx(known, nan_ok=True), who


def test_labels_are_of_the_first_and_last_order_that_has_one() -> None:
    days = [START + timedelta(days=n) for n in (0, 5, 9, 3, 40)]
    rows = {
        "customer_id": ["a", "a", "a", "b", "a"], "ordered_at": days, "amount": [10.0, 20.0, 30.0, 5.0, 9.0],
        "product_category": [None, "Tea", "Cups", None, "Late"],
    }  # fmt: skip
    t = check_orders(pa.table(rows))
    past = snapshot(t, START + timedelta(days=20))
    known, at = features(t, past), past.customer_id.to_pylist().index("a")
    other = 1 - at
    assert [known.labels[name][at].as_py() for name in ("first_category", "last_category")] == ["Tea", "Cups"]
    assert [known.labels[name][other].as_py() for name in ("first_category", "last_category")] == [None, None]
    assert known.numbers["categories"][[at, other]].tolist() == [2.0, 0.0]
