"""Faults on the wire and at the platform: the run ends as the error's class demands, and a later run ends exact."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from connectors.commands.troubles import troubles
from connectors.engine.status import status
from connectors.job import Outcome
from tests.connectors.engine.world import person
from tests.faults.stage import Stage, connect, people_of, stage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WRITES = {"meta": "/users", "google": "audienceMembers:", "tiktok": "/dmp/custom_audience/"}
THROTTLE: dict[str, dict[str, Any]] = {
    "meta": {"code": 80003},
    "google": {"reason": "RESOURCE_EXHAUSTED", "quota_limit": "IngestionMutateRequestsPerMinutePerProject"},
    "tiktok": {"code": 40100, "message": "Too many requests."},
}
EXPIRED: dict[str, dict[str, Any]] = {
    "meta": {"code": 190, "subcode": 463},
    "google": {"reason": "TERMS_AND_CONDITIONS_NOT_SIGNED"},
    "tiktok": {"code": 40105, "message": "Access token is incorrect."},
}
PROXY = "<html><body>Bad gateway</body></html>"
FOREVER = 500


@pytest.fixture(params=["meta", "google", "tiktok"])
def here(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    with stage(request.param, tmp_path) as made:
        yield made


def fault(here: Stage, kind: str, *, times: int = 1, skip: int = 0, **detail: Any) -> None:
    """Nothing: the next member write (after `skip`) meets the fault."""
    here.sandbox.faults.add(match=WRITES[here.name], kind=kind, times=times, skip=skip, detail=detail)


@pytest.mark.parametrize("kind", ["reset", "lost_reply"])
@pytest.mark.parametrize("skip", [0, 1])
def test_a_dropped_connection_loses_nothing_and_doubles_nothing(here: Stage, kind: str, skip: int) -> None:
    crowd = people_of(here.name)
    fault(here, kind, skip=skip)
    here.push(crowd)
    here.sandbox.faults.clear()
    here.settle(crowd)
    here.assert_exact(crowd)


@pytest.mark.parametrize(("status", "body"), [(502, PROXY), (200, PROXY), (504, ""), (429, PROXY)])
def test_a_proxys_answer_is_never_taken_for_the_platforms(here: Stage, status: int, body: str) -> None:
    crowd = people_of(here.name)
    fault(here, "http", times=FOREVER, status=status, body=body)
    outcome = here.push(crowd)
    assert outcome.exit_code == 4
    line = outcome.audiences[0]
    assert (line["accepted"], line["pending"]) == (0, 0)
    assert line["unknown"] + line["undelivered"] == len(crowd)
    here.sandbox.faults.clear()
    here.settle(crowd)
    here.assert_exact(crowd)


def test_a_throttle_that_does_not_end_is_resumed_by_the_next_run(here: Stage) -> None:
    crowd = people_of(here.name)
    fault(here, "error", times=FOREVER, **THROTTLE[here.name])
    outcome = here.push(crowd)
    assert outcome.exit_code == 4
    assert "run again" in outcome.audiences[0]["detail"]
    here.sandbox.faults.clear()
    here.settle(crowd)
    here.assert_exact(crowd)


def test_a_token_that_ends_half_way_stops_the_audience_and_the_next_run_goes_on(here: Stage) -> None:
    crowd = people_of(here.name)
    here.settle(crowd)
    here.rest()
    crowd = [*crowd[5:], *[person(3000 + n) for n in range(90)]]
    fault(here, "error", times=FOREVER, skip=1, **EXPIRED[here.name])
    outcome = here.push(crowd)
    assert outcome.exit_code in (1, 2)
    assert outcome.audiences[0]["state"] == "failed"
    here.sandbox.faults.clear()
    here.settle(crowd)
    here.assert_exact(crowd)


def test_the_network_gone_for_an_hour(here: Stage) -> None:
    crowd = people_of(here.name)
    here.settle(crowd)
    here.rest()
    crowd = crowd[3:]
    here.sandbox.faults.add(match="", kind="reset", times=10_000)
    outcome = here.push(crowd)
    assert outcome.exit_code == 4
    here.sandbox.faults.clear()
    here.rest(1)
    here.settle(crowd)
    here.assert_exact(crowd)


def test_a_clock_that_jumps_loses_nobody(here: Stage) -> None:
    crowd = people_of(here.name)
    here.settle(crowd)
    here.sandbox.clock.advance(hours=-30)
    fewer = crowd[4:]
    here.push(fewer)
    here.sandbox.clock.advance(hours=24 * 40)
    here.settle(fewer)
    here.assert_exact(fewer)


DEAD: dict[str, dict[str, Any]] = {
    "meta": {"code": 190, "subcode": 463},
    "google": {"reason": "ACCESS_TOKEN_EXPIRED", "status": "UNAUTHENTICATED", "http": 401},
    "tiktok": {"code": 40105, "message": "Access token is incorrect."},
}
"""Google's reason is one of all its APIs, which the Data Manager's own list does not have."""


def test_a_dead_token_is_tried_once_for_all_audiences_of_an_account(here: Stage) -> None:
    crowd = people_of(here.name)
    three = tuple(replace(here.requests[0], key=f"k{n}", title=f"Customers {n}") for n in range(3))
    here.requests = three[:2]
    here.push(crowd)
    here.requests = three
    here.sandbox.faults.add(match="", kind="error", times=FOREVER, detail=DEAD[here.name])
    before = len(here.sandbox.requests)
    outcome = here.push(crowd)
    asked = len(here.sandbox.requests) - before
    assert asked == 1, "by the plan, where it asks how many audiences there are, else by the push"
    assert [one["state"] for one in outcome.audiences] == ["failed"] * 3
    assert outcome.exit_code in (1, 2)
    (line,) = troubles(Outcome(audiences=outcome.audiences))
    assert "k0, k1, k2 failed" in line
    assert "token" in line
    connector = connect(here.name, here.addresses, here.now)
    found = status(here.ledger, [connector])
    connector.close()
    assert len(here.sandbox.requests) - before - asked == 1, "status asks once, too"
    assert ["token" in one["detail"] for one in found["audiences"]] == [True, True]
