"""People's rights over the real clients: audiences that left config, erasure, retirement, withdrawal, drift behind our back."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from connectors.engine.audience import Account, AudienceRequest
from connectors.engine.forget import forget
from connectors.engine.identity import IdentityRules
from connectors.engine.leftover import Lifecycle
from connectors.engine.status import status
from tests.connectors.engine.world import LOOSE, digest
from tests.faults.stage import ACCOUNTS, Stage, connect, people_of, stage

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from connectors.engine.outcome import PushOutcome
    from tests.connectors.engine.world import Person

PLATFORMS = ("meta", "google", "tiktok")
OTHER = AudienceRequest("other", "Group 2", guardrails=LOOSE, where="false")
NO: dict[str, str | None] = {"country": "US", "consent_ad_user_data": "denied"}


def config(here: Stage, *asked: AudienceRequest, retired: tuple[str, ...] = ()) -> Lifecycle:
    return Lifecycle(asked, retired=frozenset(retired), accounts=frozenset({(here.name, ACCOUNTS[here.name])}))


def nights(here: Stage, people: Sequence[Person], **options: Any) -> PushOutcome:
    """The outcome of the last of the pushes that it takes until nothing is pending or left to do."""
    for _ in range(7):
        outcome = here.push(people, **options)
        if not outcome.exit_code and not any(one["pending"] or one["undelivered"] for one in outcome.audiences):
            return outcome
        here.rest()
    raise AssertionError([(one["state"], one["detail"], one["pending"]) for one in outcome.audiences])


def erase(here: Stage, *ids: str) -> dict[str, Any]:
    here.count += 1
    connector = connect(here.name, here.addresses, here.now)
    try:
        account = Account(connector, IdentityRules())
        return forget(here.ledger, ids, [account], work=here.folder / f"work{here.count}", now=here.now)
    finally:
        connector.close()


def crowd_of(name: str) -> list[Person]:
    """More than the platform's floor, with ids that nothing else holds by chance."""
    people = [*people_of(name), *people_of(name, start=6000)[:20]]
    return [replace(one, id=f"customer-{one.id}") for one in people]


def mail(one: Person) -> str:
    return digest(one.emails[0]).hex()


def traces(here: Stage, *people: Person) -> list[str]:
    """Where anything of these people is left: state folder and sandbox, raw, hashed (hex, binary, base64), or the id itself."""
    here.ledger.journal.scrub()
    needles: list[bytes] = []
    for one in people:
        for text in (*one.emails, *one.phones):
            hashed = digest(text)
            needles += [text.encode(), hashed, hashed.hex().encode(), hashed.hex().upper().encode(), base64.b64encode(hashed)]
        needles.append(one.id.encode())
    held = {path.name: path.read_bytes() for path in (here.folder / "state").rglob("*") if path.is_file()}
    state = here.sandbox.state()
    held["sandbox"] = json.dumps({name: state[name] for name in ("audiences", "lookalikes") if name in state}).encode()
    return sorted(name for name, content in held.items() for needle in needles if needle in content)


@pytest.mark.parametrize("name", PLATFORMS)
def test_an_audience_that_left_config_still_lets_people_leave_until_it_is_retired(tmp_path: Path, name: str) -> None:
    with stage(name, tmp_path) as here:
        crowd = crowd_of(name)
        all_of = here.requests[0]
        nights(here, crowd, lifecycle=config(here, all_of))
        here.requests = (OTHER,)
        here.rest()
        said_no = [replace(one, contact=NO) if one is crowd[3] else one for one in crowd]
        nights(here, said_no, lifecycle=config(here, OTHER))
        assert here.held() == {mail(one) for one in crowd if one is not crowd[3]}
        here.rest()
        erase(here, "customer-7", "customer-8")
        nights(here, said_no, lifecycle=config(here, OTHER))
        assert here.held() == {mail(one) for one in crowd if one not in (crowd[3], crowd[7], crowd[8])}
        assert traces(here, crowd[7], crowd[8]) == []
        assert status(here.ledger)["erasing"] == []
        here.rest()
        nights(here, said_no, lifecycle=config(here, OTHER, retired=("all",)))
        assert [one for one in here.sandbox.state()["audiences"].values() if one["name"] == all_of.title] == []
        assert here.ledger.audiences() == []
        assert [path for path in (tmp_path / "state" / "snapshots").iterdir() if path.is_file()] == []


@pytest.mark.parametrize("name", PLATFORMS)
def test_withdrawn_consent_is_a_removal_of_the_next_run(tmp_path: Path, name: str) -> None:
    with stage(name, tmp_path) as here:
        crowd = crowd_of(name)
        nights(here, crowd)
        here.rest()
        said_no = [replace(one, contact=NO) if one in crowd[3:5] else one for one in crowd]
        assert here.push(said_no).audiences[0]["remove"] == 2
        here.settle(said_no)
        assert here.held() == {mail(one) for one in crowd if one not in crowd[3:5]}
        assert traces(here, crowd[3], crowd[4]) == []


@pytest.mark.parametrize("name", ["meta", "tiktok"])
def test_a_refused_removal_is_not_done_until_they_are_gone(tmp_path: Path, name: str) -> None:
    """Meta answers 1870047 below its floor, TikTok refuses to leave fewer than 1,000: replace, then delete the audience."""
    with stage(name, tmp_path) as here:
        crowd = crowd_of(name)[: {"meta": 100, "tiktok": 1000}[name]]
        nights(here, crowd)
        here.rest()
        said: list[tuple[int, int]] = []
        while not said or (said[-1][0] and len(said) < 8):
            outcome = erase(here, "customer-3")
            said.append((outcome["left"], outcome["exit_code"]))
            gone = all(mail(crowd[3]) not in json.dumps(one["members"]) for one in here.sandbox.state()["audiences"].values())
            assert gone or outcome["left"], "never reported as done before it is"
            here.rest()
        assert said[-1] == (0, 0)
        assert gone
        assert traces(here, crowd[3]) == []


def test_meta_is_asked_to_take_them_out_of_lists_that_others_made(tmp_path: Path) -> None:
    with stage("meta", tmp_path) as here:
        crowd = crowd_of("meta")
        nights(here, crowd)
        foreign = Stage("meta", tmp_path / "foreign", here.sandbox, here.addresses)
        foreign.requests = (AudienceRequest("theirs", "A list of others", guardrails=LOOSE),)
        foreign.push(crowd)
        foreign.ledger.close()
        outcome = erase(here, "customer-3")
        assert outcome["everywhere"] == [
            {"platform": "meta", "account": ACCOUNTS["meta"], "rows": 1, "state": "done", "detail": ""}
        ]
        for title in ("Customers", "A list of others"):
            assert here.held(title) == {mail(one) for one in crowd if one is not crowd[3]}
        assert any("Meta may take 24 hours" in one for one in outcome["notes"])


@pytest.mark.parametrize("name", PLATFORMS)
def test_a_platform_that_is_down_is_told_later_and_status_says_so(tmp_path: Path, name: str) -> None:
    with stage(name, tmp_path) as here:
        crowd = crowd_of(name)
        nights(here, crowd)
        here.rest()
        here.sandbox.faults.add(match="", kind="reset", times=10_000)
        outcome = erase(here, "customer-3")
        assert (outcome["exit_code"], outcome["left"]) == (4, 1)
        assert {one["customers"] for one in status(here.ledger)["erasing"]} == {1}
        here.sandbox.faults.clear()
        nights(here, crowd)
        assert here.held() == {mail(one) for one in crowd if one is not crowd[3]}
        assert status(here.ledger)["erasing"] == []
        assert traces(here, crowd[3]) == []


@pytest.mark.parametrize("name", ["google", "tiktok"])
def test_forget_while_a_push_is_pending_at_the_platform(tmp_path: Path, name: str) -> None:
    with stage(name, tmp_path) as here:
        crowd = crowd_of(name)
        here.push(crowd)
        erase(here, "customer-3")
        nights(here, crowd)
        here.rest()
        nights(here, crowd)
        assert here.held() == {mail(one) for one in crowd if one is not crowd[3]}
        assert traces(here, crowd[3]) == []
        assert status(here.ledger)["erasing"] == []


def test_an_unknown_person_costs_the_platform_no_call(tmp_path: Path) -> None:
    with stage("meta", tmp_path) as here:
        nights(here, crowd_of("meta"))
        before = len(here.sandbox.requests)
        assert erase(here, "nobody")["exit_code"] == 0
        assert len(here.sandbox.requests) == before


def lose(here: Stage, count: int) -> None:
    """Nothing: somebody took members out at the platform itself."""
    if here.name == "meta":
        (held,) = here.sandbox.audiences.values()
        for key in list(held.members)[:count]:
            del held.members[key]
    elif here.name == "google":
        (listed,) = [one for one in here.sandbox.store.lists.values() if one.members]
        for member in list(listed.members)[:count]:
            del listed.members[member]
    else:
        (audience,) = here.sandbox.audiences.held.values()
        audience.members = type(audience.members)(sorted(audience.members.rows)[count:])


@pytest.mark.parametrize("name", PLATFORMS)
def test_a_refresh_ends_with_exactly_the_wanted_after_others_changed_the_audience(tmp_path: Path, name: str) -> None:
    with stage(name, tmp_path) as here:
        crowd = crowd_of(name)
        nights(here, crowd)
        here.rest()
        strangers = Stage(name, tmp_path / "strangers", here.sandbox, here.addresses)
        added = [replace(one, id=f"stranger-{one.id}") for one in people_of(name, start=9000)]
        nights(strangers, added)
        strangers.ledger.close()
        lose(here, 5)
        drifted = here.held()
        wanted = {mail(one) for one in crowd}
        assert drifted - wanted
        assert wanted - drifted
        assert here.push(crowd).changed == 0, "nothing tells of it without a refresh"
        here.rest()
        first = here.push(crowd, refresh=True)
        again = here.push(crowd, refresh=True)
        assert (first.exit_code, again.exit_code) == (0, 0), "an interval is waited for, never a failure"
        assert first.audiences[0]["mode"] == "replace"
        nights(here, crowd)
        here.rest()
        nights(here, crowd)
        assert here.held() == wanted
        assert here.known() == len(crowd)
