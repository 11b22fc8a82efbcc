"""The shipped audiences on all three platforms in one run: value seed, tiers, exclusion, lookalikes."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from connectors.engine.audience import Account, AudienceRequest
from connectors.engine.identity import IdentityRules
from connectors.engine.ledger import open_ledger
from connectors.engine.members import build_members
from connectors.engine.plan import make_plan
from connectors.engine.push import push
from connectors.engine.status import status
from connectors.protocol import LookalikeSpec
from tests.connectors.engine.world import LOOSE, contacts, digest, person, scores
from tests.faults.stage import HEX, connect, stage

if TYPE_CHECKING:
    from pathlib import Path

    from connectors.engine.outcome import PushOutcome
    from tests.connectors.engine.world import Person
    from tests.faults.stage import Stage

TIERS = ("high", "middle", "low")
SEED = AudienceRequest(
    "seed",
    "Customer seed A",
    value_weighted=True,
    tier_lists=("high", "middle"),
    lookalikes=(LookalikeSpec("us", "Customer seed A lookalike US", ("US",)),),
    guardrails=LOOSE,
)
LEFT_OUT = AudienceRequest("left_out", "Customer group 0", exclusion=True, guardrails=LOOSE)
REQUESTS = (SEED, LEFT_OUT)


def crowd(count: int = 2_400) -> list[Person]:
    return [person(n, tier=TIERS[n % 2], value=100.0 - n / 100) for n in range(count)]


class Theatre:
    """All three sandboxes, one state folder."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self.stages = {name: stack.enter_context(stage(name, folder / name)) for name in ("meta", "google", "tiktok")}
        self.ledger = open_ledger(folder / "state")
        self.folder, self.count = folder, 0

    def push(self, people: list[Person]) -> PushOutcome:
        """A run with new connections."""
        self.count += 1
        members = build_members(scores(people), contacts(people), ledger=self.ledger, work=self.folder / f"w{self.count}")
        now = self.stages["meta"].now
        accounts = [Account(connect(name, one.addresses, one.now), IdentityRules()) for name, one in self.stages.items()]
        try:
            return push(make_plan(self.ledger, members, REQUESTS, accounts, now=now()), self.ledger, now=now)
        finally:
            members.close()
            for account in accounts:
                account.connector.close()

    def rest(self, hours: float = 49) -> None:
        """Nothing: all clocks have moved together."""
        for one in self.stages.values():
            one.rest(hours)

    def writes(self) -> int:
        """Member writes at all platforms."""
        return sum(len(one.writes()) for one in self.stages.values())


def emails(here: Stage, title: str) -> set[str]:
    (found,) = [one for one in here.sandbox.state()["audiences"].values() if one["name"] == title]
    return set(HEX.findall(json.dumps(found["members"])))


def of(people: list[Person]) -> set[str]:
    return {digest(one.emails[0]).hex() for one in people}


def test_the_shipped_audiences_in_one_run(tmp_path: Path) -> None:
    with ExitStack() as stack:
        theatre = Theatre(stack, tmp_path)
        people = crowd()
        first = theatre.push(people)
        assert first.exit_code == 0, [one["detail"] for one in first.audiences]
        for _ in range(3):
            theatre.rest()
            outcome = theatre.push(people)
            assert outcome.exit_code == 0, [one["detail"] for one in outcome.audiences]
            assert outcome.changed == 0
        states = {(one["platform"], one["audience"]): one for one in outcome.audiences}
        assert set(states) == {
            ("meta", "seed"),
            ("meta", "left_out"),
            ("google", "seed:high"),
            ("google", "seed:middle"),
            ("google", "left_out"),
            ("tiktok", "seed:high"),
            ("tiktok", "seed:middle"),
            ("tiktok", "left_out"),
        }
        likes = {place: [like["state"] for like in one["lookalikes"]] for place, one in states.items() if one["lookalikes"]}
        assert likes == {place: ["made"] for place in states if place[1] != "left_out"}
        for here in theatre.stages.values():
            assert emails(here, "Customer group 0") >= of(people)
        assert emails(theatre.stages["google"], "Customer seed A 1") >= of(people[::2])
        assert not emails(theatre.stages["tiktok"], "Customer seed A 2") & of(people[::2])
        pending = [one for one in status(theatre.ledger)["audiences"] if one["pending"]]
        assert pending == []


def test_values_reach_the_platform_that_takes_them_and_change_there(tmp_path: Path) -> None:
    with stage("meta", tmp_path, [replace(SEED, lookalikes=())]) as here:
        people = crowd(300)
        here.push(people)
        dearer = [replace(one, value=one.value * 2) for one in people]
        assert here.push(dearer).changed == 0
        here.rest(24 * 8)
        assert here.push(dearer).audiences[0]["mode"] == "replace"
        here.rest(3)
        assert here.push(dearer).exit_code == 0
        (found,) = here.sandbox.state()["audiences"].values()
        assert "199.98" in json.dumps(found["members"])
        assert found["value_based"]
        assert emails(here, "Customer seed A") >= of(people)
