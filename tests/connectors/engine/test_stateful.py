"""Random nights: people come, leave, change, withdraw; the platform fails in every way; the end is always exact."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from connectors.engine.audience import Account
from connectors.engine.forget import forget
from connectors.engine.identity import IdentityRules
from connectors.errors import FatalError, NotReadyError, OutcomeUnknownError, RetriableError
from tests.connectors.engine.platform import LIMITS, Shelf
from tests.connectors.engine.world import Person, World, person, row

if TYPE_CHECKING:
    from connectors.protocol import Batch

IDS = st.integers(0, 30)
KINDS = {
    "plain": (LIMITS, False),
    "by person": (LIMITS, True),
    "settles": (replace(LIMITS, settles=True, mixed_operations=False), False),
    "floor": (replace(LIMITS, removal_floor=5), False),
    "daily": (replace(LIMITS, edit_interval_hours=24, replace_interval_hours=24, settles=True, mixed_operations=False), False),
}
ERRORS = (RetriableError("busy"), NotReadyError("building"), FatalError("refused"), OutcomeUnknownError("no answer"))


class Nights(RuleBasedStateMachine):
    """One state folder and one platform through many runs."""

    @initialize(kind=st.sampled_from(sorted(KINDS)))
    def begin(self, kind: str) -> None:
        """A fresh world."""
        limits, by_person = KINDS[kind]
        self.folder = Path(tempfile.mkdtemp())
        limits = replace(limits, batch_rows=100 if limits.edit_interval_hours else 3)
        self.world = World(self.folder, Shelf(limits, by_person=by_person), rules=IdentityRules(shared_limit=0))
        self.people: dict[int, Person] = {}
        self.erased: set[int] = set()

    @rule(ids=st.sets(IDS, min_size=1, max_size=12), phone=st.sampled_from([None, "+12125550100", "+12125550101"]))
    def come(self, ids: set[int], phone: str | None) -> None:
        """People join the source, perhaps as a household with one phone."""
        for number in ids:
            self.people[number] = person(number, phones=(phone,) if phone else ())

    @rule(ids=st.sets(IDS, max_size=8))
    def leave(self, ids: set[int]) -> None:
        """People leave the source."""
        for number in ids:
            self.people.pop(number, None)

    @rule(number=IDS, mail=st.integers(0, 3))
    def move(self, number: int, mail: int) -> None:
        """Somebody has another address."""
        if number in self.people:
            self.people[number] = replace(self.people[number], emails=(f"p{number}.{mail}@example.com",))

    @rule(number=IDS)
    def withdraw(self, number: int) -> None:
        """Somebody says no."""
        if number in self.people:
            contact = {"country": "US", "consent_ad_user_data": "denied"}
            self.people[number] = replace(self.people[number], contact=contact)

    @rule(number=IDS)
    def erase(self, number: int) -> None:
        """Somebody is forgotten."""
        accounts = [Account(self.world.shelf.connect(), self.world.rules)]
        forget(self.world.ledger, [str(number)], accounts, work=self.folder / "forget", now=self.world.clock)
        self.erased.add(number)

    @rule(after=st.integers(0, 6), error=st.sampled_from(ERRORS), refresh=st.booleans())
    def night_with_a_fault(self, after: int, error: Exception, refresh: bool) -> None:
        """A run that meets an error from its n-th batch on."""
        calls: list[str] = []

        def fault(batch: Batch) -> Exception | None:
            calls.append(batch.id)
            return error if len(calls) > after else None

        self.world.shelf.faults = [fault]
        self.world.push(list(self.people.values()), refresh=refresh)
        self.world.shelf.faults = []

    @rule(lost=st.integers(1, 4))
    def night_with_lost_replies(self, lost: int) -> None:
        """A run whose first replies are lost after they were carried out."""
        self.world.shelf.lost_replies = [OutcomeUnknownError("connection lost")] * lost
        self.world.push(list(self.people.values()))
        self.world.shelf.lost_replies = []

    @rule()
    def night(self) -> None:
        """A quiet run."""
        self.world.push(list(self.people.values()))

    @rule(hours=st.integers(1, 60))
    def wait(self, hours: int) -> None:
        """Time passes."""
        self.world.clock.advance(hours=hours)

    @precondition(lambda self: len(self.people) > 0)
    @rule()
    def audience_is_deleted_by_hand(self) -> None:
        """Somebody deletes the audience at the platform."""
        self.world.shelf.audiences.clear()
        self.world.shelf.waiting.clear()

    def teardown(self) -> None:
        """Whatever happened: after quiet nights the platform holds exactly the wanted people, and then nothing is sent."""
        if not hasattr(self, "world"):
            return
        people = list(self.people.values())
        for _ in range(8):
            self.world.clock.advance(hours=30)
            self.world.push(people, force="an audience is emptied only when somebody says so")
        before = len(self.world.shelf.writes())
        self.world.clock.advance(hours=30)
        last = self.world.push(people)
        wanted = {
            row(one)
            for number, one in self.people.items()
            if number not in self.erased and one.contact.get("consent_ad_user_data") != "denied"
        }
        held = self.world.shelf.members("Customers") if self.world.shelf.audiences else set()
        self.world.ledger.close()
        shutil.rmtree(self.folder)
        assert held == wanted
        assert (last.exit_code, last.changed, last.audiences[0]["pending"]) == (0, 0, 0)
        assert len(self.world.shelf.writes()) == before


TestNights = Nights.TestCase
TestNights.settings = settings(
    max_examples=int(os.environ.get("SOAK_EXAMPLES", "6")),
    stateful_step_count=12,
    deadline=None,
    derandomize="SOAK_EXAMPLES" not in os.environ,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # a failure prints its steps; shrinking would take minutes
    suppress_health_check=list(HealthCheck),
)
