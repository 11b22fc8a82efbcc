"""Random nights: people come, leave, change, withdraw; config changes; platform, clock and machine fail; the end is exact."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from connectors.engine.audience import Account, AudienceRequest, ValueBand
from connectors.engine.forget import forget
from connectors.engine.identity import IdentityRules
from connectors.engine.leftover import Lifecycle
from connectors.errors import (
    ConfigurationError,
    FatalError,
    NotReadyError,
    OutcomeUnknownError,
    RetriableError,
    RowsRejectedError,
)
from tests.connectors.engine.dying import Killed, dying
from tests.connectors.engine.platform import LIMITS, Shelf
from tests.connectors.engine.world import LOOSE, Person, World, person, row

if TYPE_CHECKING:
    from datetime import datetime

    from connectors.engine.outcome import PushOutcome
    from connectors.protocol import Batch

IDS = st.integers(0, 30)
LATER = replace(LIMITS, settles=True, mixed_operations=False)
KINDS = {
    "plain": (LIMITS, False),
    "by person": (LIMITS, True),
    "settles": (LATER, False),
    "floor": (replace(LIMITS, removal_floor=5), False),
    "daily": (replace(LATER, edit_interval_hours=24, replace_interval_hours=24), False),
    "expires": (replace(LIMITS, membership_days=60), False),
    "values by replace": (replace(LIMITS, value_updates="replace"), False),
}
ERRORS = (
    RetriableError("busy"),
    NotReadyError("building"),
    FatalError("refused"),
    ConfigurationError("the token has expired"),
    OutcomeUnknownError("no answer"),
    ValueError("a defect"),
)
BAND = ValueBand()


class Watch:
    """The machine's clock: the true time, or wrong by `off`."""

    def __init__(self, true: Any) -> None:
        self.true, self.off = true, timedelta()

    def __call__(self) -> datetime:
        moment: datetime = self.true() + self.off
        return moment


class Machine(World):
    """A world whose own clock may be wrong."""

    def __post_init__(self) -> None:
        self.watch = Watch(self.shelf.clock)
        super().__post_init__()

    @property
    def clock(self) -> Any:
        """The machine's clock."""
        return self.watch


class Nights(RuleBasedStateMachine):
    """One state folder and one platform through many runs."""

    @initialize(kind=st.sampled_from(sorted(KINDS)))
    def begin(self, kind: str) -> None:
        """A fresh world with two audiences: everybody with values, and the high tier."""
        limits, by_person = KINDS[kind]
        self.kind, self.folder = kind, Path(tempfile.mkdtemp())
        limits = replace(limits, batch_rows=100 if limits.edit_interval_hours else 3)
        self.world = Machine(self.folder, Shelf(limits, by_person=by_person), rules=IdentityRules(shared_limit=0))
        self.people: dict[int, Person] = {}
        self.rows: dict[int, set[Any]] = {}
        self.erased: set[int] = set()
        self.drifted = False
        self.top: AudienceRequest | None = AudienceRequest("top", "Best", tiers=("high",), guardrails=LOOSE)
        self.retired: set[str] = set()

    def requests(self) -> list[AudienceRequest]:
        """What config asks for tonight."""
        everybody = AudienceRequest("all", "Customers", value_weighted=True, guardrails=LOOSE, value_band=BAND)
        return [everybody, *([self.top] if self.top else [])]

    def push(self, **options: Any) -> PushOutcome:
        """A run."""
        self.world.requests = self.requests()
        places = frozenset({("shelf", "1")})
        cycle = Lifecycle(tuple(self.world.requests), retired=frozenset(self.retired), accounts=places)
        return self.world.push(list(self.people.values()), lifecycle=cycle, **options)

    @rule(
        ids=st.sets(IDS, min_size=1, max_size=12),
        phone=st.sampled_from([None, "+12125550100", "+12125550101"]),
        tier=st.sampled_from(["high", "low"]),
    )
    def come(self, ids: set[int], phone: str | None, tier: str) -> None:
        """People join the source, perhaps as a household with one phone."""
        for number in ids:
            self.keep(number, person(number, phones=(phone,) if phone else (), tier=tier))

    def keep(self, number: int, one: Person) -> None:
        """Nothing: the source has the person so."""
        self.people[number] = one
        self.rows.setdefault(number, set()).add(row(one))

    @rule(ids=st.sets(IDS, max_size=8))
    def leave(self, ids: set[int]) -> None:
        """People leave the source."""
        for number in ids:
            self.people.pop(number, None)

    @rule(number=IDS, mail=st.integers(0, 3))
    def move(self, number: int, mail: int) -> None:
        """Somebody has another address."""
        if number in self.people:
            self.keep(number, replace(self.people[number], emails=(f"p{number}.{mail}@example.com",)))

    @rule(ids=st.sets(IDS, max_size=10), factor=st.sampled_from([0.5, 0.97, 1.04, 3.0]))
    def reprice(self, ids: set[int], factor: float) -> None:
        """Values move, within the band or beyond it."""
        for number in ids & set(self.people):
            self.people[number] = replace(self.people[number], value=round(self.people[number].value * factor, 2))

    @rule(number=IDS)
    def withdraw(self, number: int) -> None:
        """Somebody says no."""
        if number in self.people:
            contact: dict[str, str | None] = {"country": "US", "consent_ad_user_data": "denied"}
            self.people[number] = replace(self.people[number], contact=contact)

    @rule(number=IDS)
    def erase(self, number: int) -> None:
        """Somebody is forgotten."""
        accounts = [Account(self.world.shelf.connect(), self.world.rules)]
        forget(self.world.ledger, [str(number)], accounts, work=self.folder / "forget", now=self.world.clock)
        self.erased.add(number)

    @rule(title=st.sampled_from(["Best", "Best customers"]), key=st.sampled_from(["top", "top2"]))
    def top_is_in_config(self, title: str, key: str) -> None:
        """The second audience is asked for, perhaps under another title or key."""
        self.top = AudienceRequest(key, title, tiers=("high",), guardrails=LOOSE)
        self.retired.discard(key)

    @rule(retire=st.booleans())
    def top_leaves_config(self, retire: bool) -> None:
        """The second audience is no longer asked for; perhaps it is to be deleted."""
        if self.top is not None and retire:
            self.retired.add(self.top.key)
        self.top = None

    @rule(after=st.integers(0, 6), error=st.sampled_from(ERRORS), refresh=st.booleans())
    def night_with_a_fault(self, after: int, error: Exception, refresh: bool) -> None:
        """A run that meets an error from its n-th batch on."""
        calls: list[str] = []

        def fault(batch: Batch) -> Exception | None:
            calls.append(batch.id)
            return error if len(calls) > after else None

        self.world.shelf.faults = [fault]
        self.push(refresh=refresh)
        self.world.shelf.faults = []

    @rule(after=st.integers(0, 4))
    def night_with_a_bad_row(self, after: int) -> None:
        """A run in which the platform refuses a row for good."""
        calls: list[str] = []

        def fault(batch: Batch) -> Exception | None:
            calls.append(batch.id)
            return RowsRejectedError("one bad row", rows={0: "bad"}) if len(calls) == after + 1 else None

        self.world.shelf.faults = [fault]
        self.push()
        self.world.shelf.faults = []
        self.drifted = self.drifted or len(calls) > after

    @rule(error=st.sampled_from(ERRORS), count=st.integers(1, 3))
    def night_with_faults_elsewhere(self, error: Exception, count: int) -> None:
        """A run whose other calls (find, status, settle, delete) fail."""
        self.world.shelf.other_faults = [error] * count
        self.push()
        self.world.shelf.other_faults = []

    @rule(lost=st.integers(1, 4), refresh=st.booleans())
    def night_with_lost_replies(self, lost: int, refresh: bool) -> None:
        """A run whose first replies are lost after they were carried out."""
        self.world.shelf.lost_replies = [OutcomeUnknownError("connection lost")] * lost
        self.push(refresh=refresh)
        self.world.shelf.lost_replies = []

    @rule(commit=st.integers(2, 40), refresh=st.booleans(), full=st.booleans())
    def night_cut_short(self, commit: int, refresh: bool, full: bool) -> None:
        """A run that is killed before a commit, or finds no room on the disk."""
        try:
            with dying(commit, sqlite3.OperationalError if full else Killed):
                self.push(refresh=refresh)
        except (Killed, FatalError, sqlite3.OperationalError):
            pass
        self.world.reopen()

    @rule(refresh=st.booleans())
    def night(self, refresh: bool) -> None:
        """A quiet run."""
        self.push(refresh=refresh)

    @rule(hours=st.one_of(st.integers(1, 60), st.just(24 * 20)))
    def wait(self, hours: int) -> None:
        """Time passes."""
        self.world.shelf.clock.advance(hours=hours)

    @rule(days=st.sampled_from([-366, -1, 0, 1, 366]))
    def clock_jumps(self, days: int) -> None:
        """The machine's clock is put wrong, or right again."""
        self.world.watch.off = timedelta(days=days)

    @precondition(lambda self: len(self.people) > 0)
    @rule()
    def audience_is_deleted_by_hand(self) -> None:
        """Somebody deletes the audiences at the platform."""
        self.world.shelf.audiences.clear()
        self.world.shelf.waiting.clear()

    @rule(ids=st.sets(IDS, min_size=1, max_size=6), stranger=st.booleans())
    def somebody_edits_the_audience(self, ids: set[int], stranger: bool) -> None:
        """Members are removed, or a stranger is added, at the platform: only a refresh can find out."""
        for held in self.world.shelf.audiences.values():
            for one in list(held.members):
                if any(one in self.rows.get(number, ()) for number in ids):
                    del held.members[one]
            if stranger:
                held.members[row(person(999))], held.since[row(person(999))] = None, self.world.shelf.clock()
        self.drifted = True

    def allowed(self) -> dict[int, Person]:
        """Who may be sent."""
        return {
            number: one
            for number, one in self.people.items()
            if number not in self.erased and one.contact.get("consent_ad_user_data") != "denied"
        }

    def held(self, key: str) -> dict[Any, Any] | None:
        """What the platform has in the audience of this key; None when there is none."""
        found = [one for one in self.world.ledger.audiences() if one["key"] == key]
        audience = self.world.shelf.audiences.get(found[0]["remote_id"]) if found else None
        if audience is None:
            return None
        self.world.shelf.expire(audience)
        return dict(audience.members)

    def teardown(self) -> None:
        """Whatever happened: after quiet nights the platform holds exactly the wanted people, and then nothing is sent."""
        if not hasattr(self, "world"):
            return
        self.world.watch.off = timedelta()
        for number in range(10):
            self.world.shelf.clock.advance(hours=24 * 9 if self.kind == "expires" else 30)
            self.push(force="an audience is emptied only when somebody says so", refresh=self.drifted and number < 3)
        before = len(self.world.shelf.writes())
        self.world.shelf.clock.advance(hours=30)
        last = self.push()
        held, top = self.held("all"), self.held(self.top.key) if self.top else None
        known = {one["key"]: one for one in self.world.ledger.audiences()}
        audiences = set(self.world.shelf.audiences)
        self.world.ledger.close()
        shutil.rmtree(self.folder)
        self.judge(held or {}, top or {}, known, audiences)
        assert last.exit_code == 0, [one["detail"] for one in last.audiences]
        assert last.changed == 0
        assert [one["pending"] for one in last.audiences if one["pending"]] == []
        assert len(self.world.shelf.writes()) == before

    def judge(self, held: dict[Any, Any], top: dict[Any, Any], known: dict[str, Any], audiences: set[str]) -> None:
        """Nothing; members, values, ledger and the number of audiences are as they must be."""
        wanted = self.allowed()
        assert set(held) == {row(one) for one in wanted.values()}
        if self.top:
            assert set(top) == {row(one) for one in wanted.values() if one.tier == "high"}
        for one in wanted.values():
            sent = float(held[row(one)])
            assert abs(sent - one.value) <= max(float(BAND.amount), BAND.share * sent) + 0.01
        gone = {number for number in self.rows if number not in wanted}
        for audience in self.world.shelf.audiences.values():
            strangers = {one for number in gone for one in self.rows[number]}
            assert not strangers & set(audience.members), "somebody who must not be there"
        assert (known["all"]["rows"] if "all" in known else 0) == len(held)
        assert audiences == {one["remote_id"] for one in known.values() if one["remote_id"]}, "an audience that nobody knows"


TestNights = Nights.TestCase
TestNights.settings = settings(
    max_examples=int(os.environ.get("SOAK_EXAMPLES", "6")),
    stateful_step_count=12,
    deadline=None,
    derandomize="SOAK_EXAMPLES" not in os.environ,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # a failure prints its steps; shrinking would take minutes
    suppress_health_check=list(HealthCheck),
)
