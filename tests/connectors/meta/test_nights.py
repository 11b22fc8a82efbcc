"""Nights of the engine with Meta over the real wire: lookalikes and the seeds they hold, names, full accounts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from connectors.engine.audience import AudienceRequest
from connectors.protocol import LookalikeSpec
from tests.connectors.engine.world import LOOSE, person
from tests.faults.stage import Stage, stage

if TYPE_CHECKING:
    from pathlib import Path

    from tests.connectors.engine.world import Person

LOOK = LookalikeSpec("look", "Like customers", ("US",))
REQUEST = AudienceRequest("all", "Customers", guardrails=LOOSE, platforms=("meta",), lookalikes=(LOOK,))


def crowd(first: int, last: int) -> list[Person]:
    return [person(n) for n in range(first, last)]


def with_lookalike(here: Stage) -> str:
    """The id of the lookalike that the second night makes."""
    here.push(crowd(0, 140))
    here.rest(2)
    shown = here.push(crowd(0, 140)).audiences[0]["lookalikes"][0]
    assert shown["state"] == "made"
    return str(shown["remote_id"])


def test_who_must_leave_leaves_although_a_lookalike_holds_the_seed(tmp_path: Path) -> None:
    """Meta refuses the removal, the replace, then the deletion (2656): our lookalike goes first and comes back later."""
    with stage("meta", tmp_path, [REQUEST]) as here:
        old = with_lookalike(here)
        (seed,) = here.sandbox.state()["audiences"]
        here.sandbox.faults.add(match="/users", detail={"code": 200, "subcode": 1870047}, times=2)
        outcome = here.push(crowd(5, 140))
        notes = " ".join(outcome.audiences[0]["notes"])
        assert "the lookalike 'Like customers' was deleted, since its seed could not be otherwise" in notes
        assert outcome.exit_code == 0
        assert outcome.audiences[0]["lookalikes"][0]["state"] == "waiting"
        here.rest(2)
        shown = here.push(crowd(5, 140)).audiences[0]["lookalikes"][0]
        assert shown["state"] == "made"
        assert shown["remote_id"] != old
        state = here.sandbox.state()
        assert list(state["lookalikes"]) == [shown["remote_id"]]
        assert [state["lookalikes"][shown["remote_id"]]["seed"]] == list(state["audiences"]) != [seed]
        assert len(here.held()) == 135


def test_a_seed_that_others_use_is_never_said_to_be_gone(tmp_path: Path) -> None:
    with stage("meta", tmp_path, [replace(REQUEST, value_update="add")]) as here:
        with_lookalike(here)
        (seed,) = here.sandbox.state()["audiences"]
        foreign = here.sandbox.new_audience("1111111111111111", "Theirs", "LOOKALIKE")
        foreign.origin, foreign.spec = seed, {"ratio": 0.05, "target_countries": ["DE"], "country": "DE"}
        here.sandbox.faults.add(match="/users", detail={"code": 200, "subcode": 1870047}, times=9)
        outcomes = [here.push(crowd(5, 140)) for _ in range(3)]
        told = outcomes[-1].audiences[0]
        assert (outcomes[-1].exit_code, told["state"]) == (1, "failed")
        assert foreign.id in told["detail"]
        assert "delete its lookalikes first" in told["detail"]
        assert len(here.held()) == 140
        assert len(here.sandbox.state()["lookalikes"]) == 2, "none of ours was deleted for nothing"


def test_a_new_title_reaches_meta_unless_lookalikes_are_built_on_it(tmp_path: Path) -> None:
    with stage("meta", tmp_path, [replace(REQUEST, lookalikes=())]) as here:
        here.push(crowd(0, 140))
        here.requests = (replace(REQUEST, title="Customers B"),)
        assert "renamed at the platform" in here.push(crowd(0, 140)).audiences[0]["notes"][-1]
        assert len(here.held("Customers B")) == 140
        here.rest(2)
        here.push(crowd(0, 140))
        here.requests = (replace(REQUEST, title="Customers C"),)
        outcome = here.push(crowd(0, 140))
        assert outcome.exit_code == 0
        assert "the platform still shows the name 'Customers B'" in outcome.audiences[0]["notes"][-1]


def test_a_full_account_is_told_before_anything_is_sent(tmp_path: Path) -> None:
    with stage("meta", tmp_path, [REQUEST]) as here:
        for number in range(500):
            here.sandbox.new_audience("1111111111111111", f"Old {number}", "CUSTOM")
        outcome = here.push(crowd(0, 140))
        assert outcome.exit_code == 3
        assert "holds 500 audiences of 500" in outcome.audiences[0]["guardrail"]
        del here.sandbox.audiences[next(iter(here.sandbox.audiences))]
        assert here.push(crowd(0, 140)).exit_code == 0


def test_a_name_that_meta_blocks_is_told_before_anything_is_made(tmp_path: Path) -> None:
    with stage("meta", tmp_path, [replace(REQUEST, title="Wealthy customers")]) as here:
        outcome = here.push(crowd(0, 140))
        assert outcome.exit_code == 3
        assert "'wealthy'" in outcome.audiences[0]["guardrail"]
        assert here.push(crowd(0, 140), force="we know better").exit_code == 2
        assert here.sandbox.state()["audiences"] == {}


def test_a_blocked_audience_is_told_every_night(tmp_path: Path) -> None:
    with stage("meta", tmp_path, [REQUEST]) as here:
        with_lookalike(here)
        (seed,) = here.sandbox.state()["audiences"]
        here.sandbox.audiences[seed].flagged = ["name"]
        outcome = here.push(crowd(0, 140))
        assert (outcome.exit_code, outcome.audiences[0]["state"]) == (1, "blocked")
        assert "its name" in outcome.audiences[0]["detail"]
