"""Kill the process before every journal commit of a night's run, go on, and end with exactly the wanted members."""

from __future__ import annotations

import multiprocessing
import signal
from typing import TYPE_CHECKING, Any

import pytest

from tests.connectors.engine.world import Person, person
from tests.faults import victim
from tests.faults.stage import Stage, people_of, stage

if TYPE_CHECKING:
    from pathlib import Path

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(
    ["tests.faults.victim", "connectors.meta.connector", "connectors.google.connector", "connectors.writeback", "pytest"]
)
MOST_COMMITS = 60


def killed(here: Stage, people: list[Person], commit: int, *, refresh: bool = False, room: int = 0) -> int:
    """The exit code of a push in a process of its own, killed before its commit number `commit`."""
    told = (here.name, here.addresses, str(here.folder), people, here.now(), commit, refresh, room)
    process = FORKS.Process(target=victim.run, args=told)
    process.start()
    process.join(60)
    code: Any = process.exitcode
    assert code is not None, "the run hangs"
    return int(code)


def night(crowd: list[Person], number: int) -> list[Person]:
    """The crowd of another night: a few leave, a few come, one has another address now."""
    leavers = {number % len(crowd), (7 * number + 3) % len(crowd), (11 * number + 5) % len(crowd)}
    kept = [one for place, one in enumerate(crowd) if place not in leavers]
    changed = person(int(kept[0].id), emails=(f"new{number}@example.com",), phones=kept[0].phones)
    return [*kept[1:], changed, *[person(1_500 + 4 * number + extra) for extra in range(3)]]


@pytest.mark.parametrize("name", ["meta", "google", "tiktok"])
def test_killed_anywhere_the_next_run_ends_with_exactly_the_wanted_members(tmp_path: Path, name: str) -> None:
    with stage(name, tmp_path) as here:
        crowd = people_of(name)
        for commit in range(1, MOST_COMMITS):
            code = killed(here, crowd, commit)
            assert code in (0, -signal.SIGKILL)
            here.settle(crowd)
            here.assert_exact(crowd)
            if code == 0 and commit > 3:
                break
            crowd = night(crowd, commit)
            here.rest()
        else:
            pytest.fail("the run never got through")


@pytest.mark.parametrize("name", ["meta", "google", "tiktok"])
def test_a_replace_killed_anywhere_is_finished_or_begun_again(tmp_path: Path, name: str) -> None:
    with stage(name, tmp_path) as here:
        crowd = people_of(name)
        here.settle(crowd)
        for commit in range(4, MOST_COMMITS):
            here.rest()
            crowd = night(crowd, commit)
            code = killed(here, crowd, commit, refresh=True)
            assert code in (0, -signal.SIGKILL)
            if commit % 2:
                here.rest(2)  # too late to go on with a session of Meta's
            here.settle(crowd)
            here.assert_exact(crowd)
            if code == 0:
                break
        else:
            pytest.fail("the run never got through")


ROOM = {
    "meta": (4_000, 70_000, 140_000, 200_000, 280_000, 50_000_000),
    "google": (70_000, 200_000, 50_000_000),
    "tiktok": (100_000, 250_000, 50_000_000),
}
"""Bytes that a file may have: the journal's log, the work files, a delivery or the snapshot finds no room."""


@pytest.mark.parametrize("name", sorted(ROOM))
def test_a_full_disk_stops_the_run_and_the_next_one_goes_on(tmp_path: Path, name: str) -> None:
    with stage(name, tmp_path) as here:
        crowd = people_of(name)
        here.settle(crowd)
        codes = set()
        for number, room in enumerate(ROOM[name], 1):
            here.rest()
            crowd = night(crowd, number)
            codes.add(killed(here, crowd, 0, room=room))
            assert here.ledger.journal.one("PRAGMA quick_check") == {"quick_check": "ok"}
            here.settle(crowd)
            here.assert_exact(crowd)
        assert codes == {0, 1}, "some runs had room enough and some had not"
