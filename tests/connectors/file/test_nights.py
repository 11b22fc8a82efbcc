"""Nights of the engine with lists in a folder: after each, the list is what was wanted, and a quiet night writes nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from connectors.engine.audience import Account, AudienceRequest
from connectors.engine.identity import IdentityRules
from connectors.engine.ledger import open_ledger
from connectors.engine.members import build_members
from connectors.engine.outcome import PushOutcome
from connectors.engine.plan import make_plan
from connectors.engine.push import push
from connectors.file import platform
from tests.connectors.engine.world import LOOSE, Person, contacts, digest, person, scores


class Nights:
    """One folder of lists and one state folder."""

    def __init__(self, folder: Path, request: AudienceRequest) -> None:
        accounts = [{"account_id": "uploads", "format": "meta"}]
        self.settings = platform.settings.model_validate({"folder": str(folder / "lists"), "accounts": accounts})
        self.folder, self.request, self.count = folder, request, 0
        self.time = datetime(2026, 11, 22, tzinfo=UTC)

    def push(self, people: list[Person]) -> PushOutcome:
        self.count, self.time = self.count + 1, self.time + timedelta(days=1)
        ledger = open_ledger(self.folder / "state")
        members = build_members(scores(people), contacts(people), ledger=ledger, work=self.folder / f"work{self.count}")
        connector = platform.connect(self.settings, self.settings.accounts[0], now=lambda: self.time)
        try:
            account = Account(connector, IdentityRules())
            plan = make_plan(ledger, members, [self.request], [account], now=self.time)
            return push(plan, ledger, now=lambda: self.time)
        finally:
            connector.close()
            members.close()
            ledger.close()

    def lines(self) -> list[str]:
        return (self.folder / "lists" / "uploads" / "customers.csv").read_text().splitlines()


def test_every_night_the_list_is_what_is_wanted(tmp_path: Path) -> None:
    nights = Nights(tmp_path, AudienceRequest("all", "Customers", value_weighted=True, guardrails=LOOSE))
    for first, last in ((0, 300), (20, 310), (10, 290)):
        people = [person(n) for n in range(first, last)]
        outcome = nights.push(people)
        assert outcome.exit_code == 0
        wanted = {digest(text).hex() for one in people for text in one.emails}
        assert {line.split(",")[0] for line in nights.lines()[1:]} == wanted
        assert len(nights.lines()) == len(people) + 1
        assert all(float(line.rpartition(",")[2]) >= 0 for line in nights.lines()[1:])


def test_a_quiet_night_writes_nothing(tmp_path: Path) -> None:
    nights = Nights(tmp_path, AudienceRequest("all", "Customers", guardrails=LOOSE))
    people = [person(n) for n in range(200)]
    nights.push(people)
    path = tmp_path / "lists" / "uploads" / "customers.csv"
    before = path.stat().st_mtime_ns, path.stat().st_ino
    outcome = nights.push(people)
    assert (outcome.exit_code, outcome.changed) == (0, 0)
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == before


def test_a_list_that_someone_deleted_is_written_again_whole(tmp_path: Path) -> None:
    nights = Nights(tmp_path, AudienceRequest("all", "Customers", guardrails=LOOSE))
    people = [person(n) for n in range(200)]
    nights.push(people)
    (tmp_path / "lists" / "uploads" / "customers.csv").unlink()
    assert nights.push(people).exit_code == 0
    assert len(nights.lines()) == 201
