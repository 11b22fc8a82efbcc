"""The early-life learner: it sees the past alone, uses what first orders tell, and meets its windows' totals."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from clv_core.choice import choose
from clv_core.early_features import features
from clv_core.forecast import fit_basket_or_credibility, fit_first, forecast
from clv_core.models.base import CannotFitError
from clv_core.models.early_life import EarlyLife, Lesson
from clv_core.score_settings import ScoreSettings
from clv_core.transactions import Transactions
from clv_core.windows import LeakError, snapshot, window
from tests.clv_core.bases import START, orders, shop

CUT = START + timedelta(days=300)
END = START + timedelta(days=480)


def _lesson(t: Transactions, engagement: pa.Table | None = None) -> Lesson:
    at = window(t, CUT, (END - CUT).days, known_until=END)
    model, _ = fit_first(("mbg_nbd",), at.past)
    basket, _ = fit_basket_or_credibility("all_orders", at.past)
    return Lesson(at.past, features(t, at.past, engagement), forecast(model, basket, at.past, at.weeks), at.spend)


def _told(rows: list[tuple[str, date, float]]) -> tuple[Transactions, list[str]]:
    """The shop's orders with a first category that gives away who comes back."""
    last: dict[str, date] = {}
    for who, day, _ in rows:
        last[who] = max(day, last.get(who, day))
    labels = ["Loyal" if last[who] > CUT else "Fleeting" for who, _, _ in rows]
    return orders(rows, product_category=labels), labels


def test_first_order_labels_are_learned() -> None:
    rows = shop(1500, seed=5)
    t, _ = _told(rows)
    lesson = _lesson(t)
    loyal = np.array(lesson.known.labels["first_category"].to_pylist()) == "Loyal"
    predicted = EarlyLife.fit([lesson]).predict(lesson.past, lesson.known, lesson.baseline)
    assert predicted[loyal].mean() > 5 * predicted[~loyal].mean()


def test_level_meets_the_window() -> None:
    lesson = _lesson(orders(shop(1500, seed=6)))
    learner = EarlyLife.fit([lesson])
    predicted = learner.predict(lesson.past, lesson.known, lesson.baseline)
    assert predicted.sum() == pytest.approx(lesson.spend.sum(), rel=1e-6)
    assert (predicted >= 0).all()


def test_features_know_nothing_after_the_cut() -> None:
    rows = shop(300, seed=7)
    past = [row for row in rows if row[1] <= CUT]
    planted = [*rows, *((row[0], CUT + timedelta(days=1), 9999.0) for row in past)]
    events = pa.table(
        {"customer_id": [row[0] for row in past], "at": [CUT + timedelta(days=1)] * len(past), "kind": ["click"] * len(past)}
    )
    plain, t = orders(past), orders(planted)
    before, after = snapshot(plain, CUT), snapshot(t, CUT)  # each in an order of its own
    clean, seen = features(plain, before, events.slice(0, 0)), features(t, after, events)
    at = pc.index_in(after.customer_id, before.customer_id).to_numpy()
    for name, column in clean.numbers.items():
        np.testing.assert_array_equal(column[at], seen.numbers[name], err_msg=name)


def test_a_planted_leak_does_not_reach_the_choice() -> None:
    """Events dated after as_of name exactly who will spend: with and without them the learner must say the same."""
    rows = shop(800, seed=8)
    as_of = CUT
    buyers = sorted({who for who, day, _ in rows if day > as_of})
    leak = pa.table({"customer_id": buyers, "at": [as_of + timedelta(days=1)] * len(buyers), "kind": ["vip"] * len(buyers)})
    t = orders(rows)
    settings = ScoreSettings(horizon_days=120)
    with_leak, without = choose(t, as_of, settings, features=leak), choose(t, as_of, settings, features=leak.slice(0, 0))
    assert with_leak.learner is not None
    assert without.learner is not None
    assert with_leak.blend == without.blend
    lesson = _lesson(t)
    a, b = (one.learner.predict(lesson.past, lesson.known, lesson.baseline) for one in (with_leak, without) if one.learner)
    np.testing.assert_array_equal(a, b)


def test_the_planted_leak_would_pay_if_it_were_seen() -> None:
    """The same events dated before the cut do change the learner: so the test above can fail."""
    rows = shop(800, seed=8)
    t = orders(rows)
    buyers = sorted({who for who, day, _ in rows if CUT < day <= END})
    known = pa.table({"customer_id": buyers, "at": [CUT] * len(buyers), "kind": ["vip"] * len(buyers)})
    lesson = _lesson(t, known)
    predicted = EarlyLife.fit([lesson]).predict(lesson.past, lesson.known, lesson.baseline)
    bought = lesson.spend > 0
    assert predicted[bought].mean() > 10 * predicted[~bought].mean()


def test_engagement_without_dates_is_refused() -> None:
    t = orders(shop(50))
    with pytest.raises(LeakError, match="no column `at`"):
        features(t, snapshot(t, CUT), pa.table({"customer_id": ["a"], "kind": ["open"]}))


def test_too_few_customers_are_refused_with_numbers() -> None:
    with pytest.raises(CannotFitError, match="it needs 200 customers"):
        EarlyLife.fit([_lesson(orders(shop(120)))])
    with pytest.raises(CannotFitError):
        EarlyLife.fit([])
