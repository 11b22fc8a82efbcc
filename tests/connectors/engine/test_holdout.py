"""Experiments are on record from the first push on; another share is another experiment."""

from __future__ import annotations

from pathlib import Path

from connectors.engine.audience import AudienceRequest
from connectors.engine.holdout import held_out, holdouts, salt_of
from tests.connectors.engine.world import LOOSE, World, person


def test_a_push_keeps_the_held_out_away_and_the_experiment_on_record(tmp_path: Path) -> None:
    world = World(tmp_path, requests=(AudienceRequest("all", "Customers", guardrails=LOOSE, holdout=0.25),))
    people = [person(number) for number in range(300)]
    outcome = world.push(people)
    out = held_out([one.id for one in people], salt_of(world.ledger, "all"), 0.25)
    assert sum(out) == outcome.audiences[0]["held_out"]
    assert len(world.shelf.members("Customers")) == 300 - sum(out)
    (kept,) = holdouts(world.ledger)
    assert (kept["audience"], kept["share"]) == ("all", 0.25)


def test_a_larger_share_holds_out_the_same_people_and_more() -> None:
    ids = [str(number) for number in range(2000)]
    small, large = held_out(ids, "salt", 0.1), held_out(ids, "salt", 0.3)
    assert all(more for less, more in zip(small, large, strict=True) if less)
    assert 140 < sum(small) < 260
    assert held_out(ids, "other", 0.1) != small
