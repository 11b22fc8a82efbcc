"""The three sandboxes behind their real clients, a state folder, and what must hold after every fault."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from connectors.engine.audience import Account, AudienceRequest
from connectors.engine.identity import IdentityRules
from connectors.engine.ledger import Ledger, open_ledger
from connectors.engine.members import build_members
from connectors.engine.plan import make_plan
from connectors.engine.push import push
from connectors.engine.snapshots import REFUSED
from connectors.protocol import utc_now
from connectors.registry import platform as platform_of
from tests.connectors.engine.world import LOOSE, Person, contacts, digest, person, scores

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from connectors.engine.outcome import PushOutcome
    from connectors.protocol import Connector

ACCOUNTS = {"meta": "1111111111111111", "google": "1234567890", "tiktok": "7000000000000000001"}
WRITES = {"add", "remove", "replace", "ingest", "remove_all"}
SIZES = {"meta": 130, "google": 60, "tiktok": 1100}
"""People enough for the platform to keep an audience usable, and few enough to be quick."""
HEX = re.compile(r"\b[0-9a-f]{64}\b")


def request_of(name: str) -> AudienceRequest:
    """One plain audience; TikTok's and Google's are the same thing."""
    return AudienceRequest("all", "Customers", guardrails=LOOSE, platforms=(name,))


def people_of(name: str, *, start: int = 0) -> list[Person]:
    """The platform's usual crowd; every third has a phone."""
    return [person(n, phones=(f"+1212{n % 10_000_000:07d}",) if n % 3 == 0 else ()) for n in range(start, start + SIZES[name])]


def settings_of(name: str, addresses: dict[str, str]) -> Any:
    """Settings that point at a sandbox."""
    places = {
        "meta": {"api_base": addresses.get("address")},
        "google": {"data_manager_endpoint": addresses.get("data_manager"), "ads_endpoint": addresses.get("ads")},
        "tiktok": {"api_base": addresses.get("address")},
    }[name]
    block = {**places, "credentials": "anonymous", "accounts": [{"account_id": ACCOUNTS[name]}]}
    return platform_of(name).settings.model_validate(block)


def connect(
    name: str, addresses: dict[str, str], now: Callable[[], datetime] = utc_now, *, timeout: float | None = None
) -> Connector:
    """A connector that never sleeps; `timeout`: the seconds it waits for an answer."""
    settings = settings_of(name, addresses)
    if timeout is not None:
        settings = settings.model_copy(update={"timeout_seconds": timeout})
    return platform_of(name).connect(settings, settings.accounts[0], now=now, sleep=lambda seconds: None)  # type: ignore[call-arg]


def small_batches(connector: Any) -> None:
    """Nothing: the connector says that it takes few rows at a time, so that a delivery has several batches.

    Not TikTok's: a file is one edit of the audience, which takes one a day.
    """
    if not connector.capabilities.edit_interval_hours:
        connector.capabilities = replace(connector.capabilities, batch_rows=40)


@dataclass
class Stage:
    """One platform's sandbox and one state folder."""

    name: str
    folder: Path
    sandbox: Any
    addresses: dict[str, str]
    count: int = 0
    requests: Sequence[AudienceRequest] = field(default_factory=tuple)
    timeout: float | None = None
    off: timedelta = timedelta()
    """How wrong the machine's clock is."""

    def __post_init__(self) -> None:
        self.requests = self.requests or (request_of(self.name),)
        self.ledger: Ledger = open_ledger(self.folder / "state")

    def now(self) -> datetime:
        """The machine's time: the sandbox's, unless it is wrong."""
        moment: datetime = self.sandbox.clock.now() + self.off
        return moment

    def push(self, people: Sequence[Person], *, force: str | None = None, **options: Any) -> PushOutcome:
        """A whole run, with connections of its own."""
        self.count += 1
        work = self.folder / f"work{self.count}"
        members = build_members(scores(people), contacts(people), ledger=self.ledger, work=work)
        connector = connect(self.name, self.addresses, self.now, timeout=self.timeout)
        small_batches(connector)
        try:
            account = Account(connector, IdentityRules())
            plan = make_plan(self.ledger, members, self.requests, [account], now=self.now(), **options)
            return push(plan, self.ledger, now=self.now, force=force)
        finally:
            connector.close()
            members.close()

    def rest(self, hours: float = 49) -> None:
        """Nothing: time enough for the platform to have worked everything off."""
        self.sandbox.clock.advance(hours=hours)

    def settle(self, people: Sequence[Person], *, runs: int = 6) -> PushOutcome:
        """The outcome of the last of as many runs as it takes, two days apart, until nothing is left to do."""
        outcome = self.push(people)
        for _ in range(runs):
            line = outcome.audiences[0]
            if outcome.exit_code == 0 and not line["pending"] and line["state"] in ("done", "unchanged") and not line["sent"]:
                return outcome
            self.rest()
            outcome = self.push(people)
        return outcome

    def held(self, title: str = "Customers") -> set[str]:
        """All e-mail digests that the platform holds in the audience of this name."""
        state = self.sandbox.state()["audiences"].values()
        found = [one for one in state if one["name"] == title]
        assert len(found) == 1, f"{len(found)} audiences are named {title}"
        return set(HEX.findall(json.dumps(found[0]["members"]))) & EMAILS

    def known(self) -> int:
        """Rows that the ledger believes to be at the platform."""
        import duckdb

        (row,) = self.ledger.audiences()
        path = self.ledger.snapshot_path(row)
        if path is None:
            return 0
        return int(duckdb.execute(f"SELECT count(*) FROM '{path}' WHERE state <> {REFUSED}").fetchall()[0][0])

    def writes(self) -> list[dict[str, Any]]:
        """Member writes in the sandbox's log."""
        return [one for one in self.sandbox.requests if one.get("operation") in WRITES]

    def assert_exact(self, people: Sequence[Person]) -> None:
        """Nothing: sandbox = wanted = ledger, and one more run changes nothing."""
        wanted = {digest(text).hex() for one in people for text in one.emails}
        assert self.held() == wanted
        assert self.known() == len(people)
        before = len(self.writes())
        again = self.push(people)
        assert again.exit_code == 0
        assert again.changed == 0
        assert len(self.writes()) == before


EMAILS = {digest(f"p{n}@example.com").hex() for n in range(20_000)} | {
    digest(f"new{n}@example.com").hex() for n in range(3_000)
}


@contextmanager
def stage(name: str, folder: Path, requests: Sequence[AudienceRequest] = ()) -> Iterator[Stage]:
    """A running sandbox of the platform and a fresh state folder."""
    sandbox = platform_of(name).sandbox()
    if name == "tiktok":
        sandbox.limits.enabled = False  # the clients here don't wait, so nothing would pace them
    addresses = sandbox.start()
    made = Stage(name, folder, sandbox, addresses, requests=tuple(requests))
    try:
        yield made
    finally:
        made.ledger.close()
        sandbox.stop()


__all__ = ["Stage", "connect", "people_of", "request_of", "stage"]
