"""The machine's own faults, on every platform: answers that come too late, a clock that is wrong, two runs at once."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from connectors.engine.ledger import open_ledger
from connectors.errors import LockedError
from tests.connectors.engine.world import person
from tests.faults.stage import Stage, people_of, stage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WRITES = {"meta": "/users", "google": "audienceMembers:", "tiktok": "POST /open_api/v1.3/dmp/custom_audience/"}


@pytest.fixture(params=["meta", "google", "tiktok"])
def here(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    with stage(request.param, tmp_path) as made:
        yield made


@pytest.mark.parametrize("times", [1, 20], ids=["one slow answer", "all answers slow"])
def test_an_answer_that_comes_too_late_is_carried_out_all_the_same(here: Stage, times: int) -> None:
    """What was sent is applied after the client has given up on it: neither lost nor doubled, nor said to be accepted."""
    crowd = people_of(here.name)
    here.timeout = 0.25
    here.sandbox.faults.add(match=WRITES[here.name], kind="delay", times=times, detail={"seconds": 0.4})
    outcome = here.push(crowd)
    if times > 1:
        line = outcome.audiences[0]
        assert outcome.exit_code == 4
        assert (line["accepted"], line["pending"]) == (0, 0)
        assert line["unknown"] + line["undelivered"] == len(crowd)
    here.sandbox.faults.clear()
    here.timeout = None
    here.settle(crowd)
    here.assert_exact(crowd)


def test_a_machine_whose_clock_is_a_year_wrong_for_a_night_loses_nobody(here: Stage) -> None:
    """While work is pending at the platform, and for the plan as for the push."""
    crowd = people_of(here.name)
    here.push(crowd)
    for number, days in enumerate((366, -366)):
        here.off = timedelta(days=days)
        crowd = [*crowd[2:], person(3000 + number)]
        here.push(crowd)
        here.off = timedelta()
        here.rest()
        here.settle(crowd)
        here.assert_exact(crowd)


@pytest.mark.parametrize("minutes", [9, -9])
def test_a_replace_by_a_clock_some_minutes_wrong_loses_nobody(here: Stage, minutes: int) -> None:
    """Google removes whom it last added before a time that this machine names: those just sent must not be among them."""
    crowd = people_of(here.name)
    here.off = timedelta(minutes=minutes)
    here.settle(crowd)
    here.rest()
    crowd = [*crowd[2:], person(3000)]
    here.push(crowd, refresh=True)
    here.rest()
    here.settle(crowd)
    here.assert_exact(crowd)


def test_a_second_run_on_the_same_state_sends_nothing(here: Stage) -> None:
    crowd = people_of(here.name)
    here.settle(crowd)
    here.rest()
    writes = len(here.writes())
    other = open_ledger(here.folder / "state")
    with other.run("push", here.now()), pytest.raises(LockedError, match="another run holds"):
        here.push(crowd[1:])
    other.close()
    assert len(here.writes()) == writes
    here.settle(crowd[1:])
    here.assert_exact(crowd[1:])
