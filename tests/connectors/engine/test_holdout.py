"""Experiments are on record from the first push on; another share is another experiment."""

from __future__ import annotations

from pathlib import Path

from connectors.engine.audience import AudienceRequest
from connectors.engine.holdout import held_out, holdouts, salt_of
from tests.connectors.engine.world import LOOSE, World, person, row


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


def test_another_share_moves_people_and_a_refresh_never_sends_the_held_out(tmp_path: Path) -> None:
    people = [person(number) for number in range(300)]

    def held(share: float) -> set[str]:
        arms = held_out([one.id for one in people], salt_of(world.ledger, "all"), share)
        return {one.id for one, out in zip(people, arms, strict=True) if out}

    def asked(share: float) -> None:
        world.requests = (AudienceRequest("all", "Customers", guardrails=LOOSE, holdout=share),)

    world = World(tmp_path)
    asked(0.1)
    world.push(people)
    asked(0.3)
    line = world.push(people).audiences[0]
    assert (line["add"], line["remove"]) == (0, len(held(0.3) - held(0.1)))
    world.push(people, refresh=True)
    assert world.shelf.members("Customers") == {row(one) for one in people if one.id not in held(0.3)}
    (kept,) = holdouts(world.ledger)
    assert kept["share"] == 0.3
    asked(0.0)
    assert world.push(people).audiences[0]["add"] == len(held(0.3))
    assert world.shelf.members("Customers") == {row(one) for one in people}


def test_two_audiences_draw_apart_and_a_state_folder_draws_its_own(tmp_path: Path) -> None:
    one, other = World(tmp_path / "one"), World(tmp_path / "other")
    ids = [str(number) for number in range(4000)]
    draws = [held_out(ids, salt_of(world.ledger, name), 0.2) for world, name in ((one, "a"), (one, "b"), (other, "a"))]
    for first, second in ((0, 1), (0, 2)):
        both = sum(x and y for x, y in zip(draws[first], draws[second], strict=True))
        assert 100 < both < 230, "about a fifth of a fifth: independent"
