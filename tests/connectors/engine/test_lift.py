"""Lift between exposed and held-out people: the arms are those of the push, the interval holds what is true."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest

from connectors.engine.audience import AudienceRequest
from connectors.engine.lift import compare, holdouts, measure_lift
from tests.connectors.engine.world import LOOSE, World, person

if TYPE_CHECKING:
    from pathlib import Path


def test_the_arms_of_the_report_are_those_of_the_push(tmp_path: Path) -> None:
    world = World(tmp_path, requests=(AudienceRequest("all", "Customers", guardrails=LOOSE, holdout=0.25),))
    people = [person(number) for number in range(300)]
    outcome = world.push(people)
    sent = world.shelf.members("Customers")
    from tests.connectors.engine.world import row

    table = pa.table({"customer_id": [one.id for one in people], "value": [5.0 if row(one) in sent else 2.0 for one in people]})
    lift = measure_lift(world.ledger, "all", table)
    assert lift is not None
    assert (lift.held_out, lift.exposed) == (outcome.audiences[0]["held_out"], len(sent))
    assert (lift.mean_exposed, lift.mean_held_out, lift.difference) == (5.0, 2.0, 3.0)
    (kept,) = holdouts(world.ledger)
    assert (kept["audience"], kept["share"]) == ("all", 0.25)
    assert measure_lift(world.ledger, "other", table) is None


def test_welch_by_hand() -> None:
    # means 3 and 1; variances 2.5 and 1; standard error sqrt(2.5 / 5 + 1 / 3) = 0.9128709
    lift = compare(np.array([1.0, 2, 3, 4, 5]), np.array([0.0, 1, 2]), 0.95)
    assert lift.low == pytest.approx(2 - 1.959964 * 0.9128709, abs=1e-5)
    assert lift.high == pytest.approx(2 + 1.959964 * 0.9128709, abs=1e-5)


def test_the_interval_covers_the_true_difference_about_as_often_as_it_says() -> None:
    draw = np.random.default_rng(7)
    covered = 0
    for _ in range(400):
        lift = compare(draw.gamma(2, 10, 900), draw.gamma(2, 9, 100), 0.9)
        assert lift.low is not None
        assert lift.high is not None
        covered += lift.low <= 2.0 <= lift.high
    assert 0.85 < covered / 400 < 0.95


def test_one_person_makes_no_interval() -> None:
    lift = compare(np.array([1.0, 2.0]), np.array([4.0]), 0.95)
    assert (lift.low, lift.high, lift.difference) == (None, None, -2.5)
