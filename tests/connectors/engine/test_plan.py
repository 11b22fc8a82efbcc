"""What a plan says, and that making one changes nothing."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

from connectors.engine.audience import AudienceRequest, specs
from connectors.protocol import Batch, Operation
from tests.connectors.engine.platform import LIMITS, Shelf
from tests.connectors.engine.world import LOOSE, World, person

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PEOPLE = [person(number) for number in range(25)]


def fingerprint(folder: Path) -> dict[str, str]:
    """What the folder says; identifiers kept for the next plan are made of the contacts, and say nothing of audiences."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(("-wal", "-shm"))]
    files = [path for path in files if path.parent.name != "identities"]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_a_plan_tells_and_changes_nothing(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.push(PEOPLE)
    before, sent = fingerprint(tmp_path / "state"), len(world.shelf.log)
    (line,) = world.plan([*PEOPLE[5:], person(99)]).rows()
    expected = {"platform": "shelf", "account": "1", "audience": "all", "add": 1, "change": 0, "remove": 5, "guardrail": ""}
    assert {key: line[key] for key in expected} == expected
    assert fingerprint(tmp_path / "state") == before
    assert len(world.shelf.log) == sent


def test_a_plan_after_an_interrupted_run_knows_what_arrived(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.shelf.faults = [lambda batch: RuntimeError("bug") if batch.sequence == 3 else None]
    assert world.push(PEOPLE).exit_code == 1
    world.shelf.faults = []
    (same,) = world.plan(PEOPLE).rows()
    assert (same["mode"], same["add"]) == ("resume", 5)
    (other,) = world.plan([*PEOPLE[2:], person(99)]).rows()
    assert (other["mode"], other["add"], other["remove"]) == ("change", 6, 2)


def noting(ids: list[str]) -> Callable[[Batch], None]:
    def note(batch: Batch) -> None:
        ids.append(batch.id)

    return note


def test_the_same_rows_make_the_same_batches(tmp_path: Path) -> None:
    seen: list[list[str]] = []
    for number in (1, 2):
        world = World(tmp_path / str(number))
        ids: list[str] = []
        world.shelf.faults = [noting(ids)]
        world.push(PEOPLE)
        seen.append(ids)
    assert seen[0] == seen[1]
    assert len(set(seen[0])) == 3


def test_specs_follow_the_platforms_powers() -> None:
    seed = AudienceRequest("seed", "Seed A", value_weighted=True, tier_lists=("high", "middle"))
    assert [one.key for one in specs(seed, LIMITS, "USD")] == ["seed"]
    split = specs(seed, replace(LIMITS, value_weighted=False), "USD")
    assert [(one.key, one.name, one.tier, one.value_weighted) for one in split] == [
        ("seed:high", "Seed A 1", "high", False),
        ("seed:middle", "Seed A 2", "middle", False),
    ]
    plain = AudienceRequest("tiers", "Group", tier_lists=("low",))
    assert [one.key for one in specs(plain, LIMITS, "USD")] == ["tiers:low"]


def test_an_audience_too_small_to_be_edited_is_not_made(tmp_path: Path) -> None:
    world = World(tmp_path, Shelf(replace(LIMITS, edit_interval_hours=24, minimum_size=30, batch_rows=100)))
    outcome = world.push(PEOPLE)
    assert outcome.exit_code == 0
    assert world.shelf.audiences == {}
    assert "made once there are 30" in outcome.audiences[0]["notes"][0]


def test_streamed_exclusions_are_edited_at_any_time(tmp_path: Path) -> None:
    limits = replace(LIMITS, edit_interval_hours=24, exclusion_path="stream", minimum_size=30, batch_rows=100)
    request = AudienceRequest("out", "Left out", exclusion=True, guardrails=LOOSE)
    world = World(tmp_path, Shelf(limits), requests=(request,))
    world.push(PEOPLE)
    world.push([*PEOPLE[3:], person(77)])
    assert [one["operation"] for one in world.shelf.writes()] == ["add", "add", "remove"]
    assert Operation.REPLACE.value not in [one["operation"] for one in world.shelf.writes()]
