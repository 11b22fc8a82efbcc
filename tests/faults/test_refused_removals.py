"""A platform that keeps people who must leave: replaced, then deleted; never reported as done while they are there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from connectors.engine.status import status
from tests.faults.stage import Stage, people_of, stage

if TYPE_CHECKING:
    from pathlib import Path


def refusing(here: Stage) -> None:
    """Nothing: the platform answers the next write, a removal, as it does when too few would be left."""
    told: dict[str, dict[str, Any]] = {
        "meta": {"code": 200, "subcode": 1870047, "message": "Too few people would be left."},
        "tiktok": {"code": 40002, "message": "The audience size is less than 1,000 after this operation."},
    }
    match = {"meta": "/users", "tiktok": "POST /open_api/v1.3/dmp/custom_audience/update/"}[here.name]
    here.sandbox.faults.add(match=match, kind="error", detail=told[here.name])


@pytest.mark.parametrize("name", ["meta", "tiktok"])
def test_a_refused_removal_is_replaced_and_nobody_stays(tmp_path: Path, name: str) -> None:
    with stage(name, tmp_path) as here:
        crowd = people_of(name)
        here.settle(crowd)
        here.rest()
        left = crowd[3:]
        refusing(here)
        outcome = here.push(left)
        assert outcome.exit_code in (0, 4)
        assert any("refused" in note for note in outcome.audiences[0]["notes"])
        here.sandbox.faults.clear()
        here.settle(left)
        here.assert_exact(left)


@pytest.mark.parametrize(("name", "fewer"), [("meta", 60), ("tiktok", 900)])
def test_an_audience_below_the_platforms_floor_still_loses_whom_it_must(tmp_path: Path, name: str, fewer: int) -> None:
    """Nobody who left is there in the end, whatever it takes; and until then the ledger says that they are."""
    with stage(name, tmp_path) as here:
        crowd = people_of(name)
        here.settle(crowd)
        left = crowd[:fewer]
        for _ in range(5):
            here.rest()
            here.push(left)
            gone = {text for one in crowd[fewer:] for text in one.emails}
            there = _held(here) & {_hex(text) for text in gone}
            (line,) = status(here.ledger)["audiences"]
            if not there:
                break
            assert line["members"] > fewer or line["escalated"] or line["pending"], "people are there and nothing says so"
        assert not there
        here.settle(left)
        assert _held(here) <= {_hex(text) for one in left for text in one.emails}


def _hex(text: str) -> str:
    from tests.connectors.engine.world import digest

    return digest(text).hex()


def _held(here: Stage) -> set[str]:
    """Digests in every audience that the platform has."""
    from tests.faults.stage import EMAILS, HEX

    return {text for one in here.sandbox.state()["audiences"].values() for text in HEX.findall(str(one["members"]))} & EMAILS
