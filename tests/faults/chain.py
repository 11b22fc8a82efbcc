"""One delivery in batches of one row, over which many runs each meet another code: cheap enough to try every code there is."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from connectors.engine.audience import Account, AudienceRequest
from connectors.engine.identity import IdentityRules
from connectors.engine.members import build_members
from connectors.engine.plan import Plan, make_plan
from connectors.engine.push import push
from connectors.registry import platform as platform_of
from tests.connectors.engine.world import LOOSE, contacts, person, scores
from tests.faults.stage import EMAILS, HEX, Stage, settings_of, stage

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.connectors.engine.world import Person

FOREVER = 100_000
WRITES = {
    "meta": "/users",
    "google": "audienceMembers:",
    "google-grpc": "AudienceMembers",
    "google-jobs": "AddOfflineUserDataJobOperations",
    "tiktok": "/segment/mapping/",
    "tiktok-file": "POST /open_api/v1.3/dmp/custom_audience/update/",
}
"""Where members are written, by platform and path to it."""


def fault_of(path: str, code: str, **more: Any) -> dict[str, Any]:
    """What the path's sandbox is told, to answer with a code as the demands name it."""
    if path == "meta":
        whole, _, part = code.partition("/")
        return {"code": int(whole), **({"subcode": int(part)} if part else {}), **more}
    if path.startswith("tiktok"):
        return {"code": int(code), "message": "No.", **more}
    source, _, name = code.partition(":")
    if source.endswith("_error"):
        status = {"quota_error": "RESOURCE_EXHAUSTED", "internal_error": "INTERNAL"}.get(source, "INVALID_ARGUMENT")
        return {"source": source, "code": name, "status": status, **more}
    return {"reason": name, **({"status": name} if source == "grpc" else {}), **more}


@dataclass
class Chain:
    """Runs over one open delivery. `waits`: every wait that a client would have made."""

    here: Stage
    path: str
    people: Sequence[Person]
    waits: list[float] = field(default_factory=list)
    passed: float = 0

    def __post_init__(self) -> None:
        here = self.here
        members = build_members(scores(self.people), contacts(self.people), ledger=here.ledger, work=here.folder / "chain")
        self.account = Account(self._connect(), IdentityRules())
        self.plan = make_plan(here.ledger, members, here.requests, [self.account], now=here.now())
        self.item = self.plan.items[0]
        self.members = members

    def _connect(self) -> Any:
        name, addresses = self.here.name, dict(self.here.addresses)
        if self.path == "google-grpc":
            addresses["data_manager"] = addresses["ads"]
        settings = settings_of(name, addresses)
        options: dict[str, Any] = {"now": self.here.now, "sleep": self.waits.append}
        if name == "google":
            jobs = self.path == "google-jobs"
            settings = settings.model_copy(update={"members_api": "ads_jobs" if jobs else "data_manager"})
        connector: Any = platform_of(name).connect(settings, settings.accounts[0], **options)
        if name == "tiktok":
            connector._client._pacer._clock = self._clock
        if name == "meta":
            connector._client._holds._clock = self._clock
        if self.path != "tiktok-file":
            connector.capabilities = replace(
                connector.capabilities, batch_rows=1, concurrent_batches=1
            )  # one at a time: waits are counted
        return connector

    def _clock(self) -> float:
        return time.monotonic() + self.passed + sum(self.waits)

    def run(self) -> dict[str, Any]:
        """The audience's outcome of one more run; whatever it leaves open, the next one goes on with."""
        self.passed += 86_400 + sum(self.waits)  # the platforms' quotas are free again, and blocks are over
        self.here.sandbox.clock.advance(seconds=120)
        now = self.here.now()
        self.plan.planner.now = now
        item = self.plan.planner.plan(self.account, self.item.request, self.item.spec, self.item.wanted)
        plan = Plan([item], self.plan.planner, {}, {}, self.members, {})
        self.waits.clear()
        return push(plan, self.here.ledger, now=self.here.now).audiences[0]

    def meet(self, code: str, *, first: int = 0, skip: int = 0, then: str = "", **more: Any) -> dict[str, Any]:
        """The outcome of a run whose first write is answered `first` times with the code, and every later one for ever.

        `skip`: writes that get through before that; `then`: another code for the later ones.
        """
        match, told = WRITES[self.path], fault_of(self.path, code, **more)
        faults = self.here.sandbox.faults
        if first:
            faults.add(match=match, kind="error", times=first, detail=told)
        faults.add(match=match, kind="error", times=FOREVER, skip=skip, detail=fault_of(self.path, then) if then else told)
        outcome = self.run()
        faults.clear()
        return outcome

    def faulty(self) -> list[dict[str, Any]]:
        """The calls that a fault answered."""
        return [one for one in self.here.sandbox.requests if "fault" in one]

    def finish(self) -> None:
        """Nothing: runs without faults, two days apart, until nothing is left to do."""
        for _ in range(5):
            outcome = self.run()
            if outcome["exit_code"] == 0 and outcome["state"] in ("done", "unchanged") and not outcome["sent"]:
                return
            self.here.rest()
        raise AssertionError(f"never done: {outcome}")

    def held(self) -> Counter[str]:
        """Every e-mail digest in the audience with how often it is there."""
        (found,) = [one for one in self.here.sandbox.state()["audiences"].values() if one["name"] == "Customers"]
        return Counter(text for row in found["members"] for text in EMAILS & set(HEX.findall(str(row))))

    def close(self) -> None:
        """Nothing: connections and work files are gone."""
        self.account.connector.close()
        self.members.close()


def chain(path: str, folder: Path, stack: Any, rows: int) -> Chain:
    """A chain over `rows` people who are to join an audience that has one member."""
    name = path.partition("-")[0]
    request = AudienceRequest("all", "Customers", guardrails=LOOSE, platforms=(name,), exclusion=path == "tiktok")
    here = stack.enter_context(stage(name, folder, [request]))
    start = 1_100 if path == "tiktok-file" else 1
    if path == "google-jobs":
        here.sandbox.ads.allowlisted = True
    here.settle([person(n) for n in range(start)])
    here.rest()
    made = Chain(here, path, [person(n) for n in range(start + rows)])
    stack.callback(made.close)
    return made
