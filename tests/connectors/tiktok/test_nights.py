"""Nights of the engine with TikTok over the real wire: exclusions by stream, audiences around the floor of 1,000."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from connectors.engine.audience import AudienceRequest
from connectors.protocol import LookalikeSpec
from tests.connectors.engine.world import LOOSE, person
from tests.faults.stage import Stage, stage

if TYPE_CHECKING:
    from tests.connectors.engine.world import Person

LOOK = LookalikeSpec("look", "Like customers", ("US",))


def crowd(first: int, last: int) -> list[Person]:
    return [person(n) for n in range(first, last)]


def calls(here: Stage, ending: str) -> int:
    return sum(one["path"].endswith(ending) for one in here.sandbox.requests)


def test_an_exclusion_follows_every_night_without_being_made_anew(tmp_path: Path) -> None:
    request = AudienceRequest("all", "Customers", exclusion=True, guardrails=LOOSE, platforms=("tiktok",))
    with stage("tiktok", tmp_path, [request]) as here:
        here.push(crowd(0, 1500))
        here.assert_exact(crowd(0, 1500))
        made = list(here.sandbox.state()["audiences"])
        for night in range(1, 4):
            here.rest(24)
            outcome = here.push(crowd(20 * night, 1500 + 30 * night))
            assert outcome.exit_code == 0
            assert outcome.audiences[0]["pending"] == 0
            here.assert_exact(crowd(20 * night, 1500 + 30 * night))
        assert list(here.sandbox.state()["audiences"]) == made
        assert calls(here, "/file/upload/") == 0


def test_forty_eight_hours_make_seed_then_lookalike_then_nothing(tmp_path: Path) -> None:
    request = AudienceRequest("all", "Customers", guardrails=LOOSE, platforms=("tiktok",), lookalikes=(LOOK,))
    with stage("tiktok", tmp_path, [request]) as here:
        first = here.push(crowd(0, 1200))
        assert (first.exit_code, first.audiences[0]["pending"]) == (0, 1200)
        assert first.audiences[0]["lookalikes"][0]["state"] == "waiting"
        here.rest(48)
        second = here.push(crowd(0, 1200))
        assert second.audiences[0]["lookalikes"][0]["state"] == "made"
        assert second.changed == 0
        uploads = calls(here, "/file/upload/")
        here.rest(24)
        assert here.push(crowd(0, 1200)).exit_code == 0
        assert calls(here, "/file/upload/") == uploads == 1
        assert calls(here, "/lookalike/create/") == 1


def test_an_audience_that_began_too_small_grows_into_a_usable_one(tmp_path: Path) -> None:
    request = AudienceRequest("all", "Customers", guardrails=LOOSE, platforms=("tiktok",))
    with stage("tiktok", tmp_path, [request]) as here:
        assert here.push(crowd(0, 800)).exit_code == 0
        here.rest(48)
        here.push(crowd(0, 800))
        here.rest(48)
        here.settle(crowd(0, 1300))
        here.assert_exact(crowd(0, 1300))
        (audience,) = here.sandbox.state()["audiences"].values()
        assert audience["is_valid"]


def test_who_must_leave_leaves_also_below_the_floor(tmp_path: Path) -> None:
    """TikTok refuses the removal, then the replace: the audience is deleted, and never said to be in order before."""
    request = AudienceRequest("all", "Customers", guardrails=LOOSE, platforms=("tiktok",))
    with stage("tiktok", tmp_path, [request]) as here:
        here.settle(crowd(0, 1300))
        notes = []
        for _ in range(3):
            assert len(here.held()) == 1300
            here.rest(49)
            outcome = here.push(crowd(0, 900))
            notes.append(" ".join(outcome.audiences[0]["notes"]))
        assert "REMOVE was not carried out" in notes[1]
        assert "REPLACE was not carried out" in notes[2]
        assert here.sandbox.state()["audiences"] == {}
        here.rest(49)
        here.settle(crowd(0, 1100))  # made anew as soon as it can be used
        here.assert_exact(crowd(0, 1100))


def test_a_lookalike_follows_its_seed(tmp_path: Path) -> None:
    """Refreshed after the seed has changed and settled, at most every third day; left alone when nothing changed."""
    request = AudienceRequest("all", "Customers", guardrails=LOOSE, platforms=("tiktok",), lookalikes=(LOOK,))
    with stage("tiktok", tmp_path, [request]) as here:
        here.push(crowd(0, 1200))
        here.rest(48)
        assert here.push(crowd(0, 1200)).audiences[0]["lookalikes"][0]["state"] == "made"
        here.rest(96)
        assert calls(here, "/lookalike/update/") == 0
        here.push(crowd(0, 1250))
        assert calls(here, "/lookalike/update/") == 0  # the seed is being built
        here.rest(48)
        shown = here.push(crowd(0, 1250)).audiences[0]["lookalikes"][0]
        assert calls(here, "/lookalike/update/") == 1
        assert (shown["platform_state"], bool(shown["refreshed_at"])) == ("ready", True)
        here.rest(96)
        here.push(crowd(0, 1250))
        assert calls(here, "/lookalike/update/") == 1


def test_an_audience_made_anew_leaves_word_of_its_frozen_lookalike(tmp_path: Path) -> None:
    request = AudienceRequest("all", "Customers", guardrails=LOOSE, platforms=("tiktok",), lookalikes=(LOOK,))
    with stage("tiktok", tmp_path, [request]) as here:
        here.push(crowd(0, 1200))
        here.rest(48)
        old = here.push(crowd(0, 1200)).audiences[0]["lookalikes"][0]["remote_id"]
        (seed,) = here.sandbox.state()["audiences"]
        del here.sandbox.audiences.held[seed]  # somebody deleted it in TikTok's Audience Manager
        here.push(crowd(0, 1200))
        here.rest(48)
        shown = here.push(crowd(0, 1200)).audiences[0]["lookalikes"][0]
        assert shown["remote_id"] not in ("", old)
        assert f"{old} was made of one that is gone" in shown["detail"]
