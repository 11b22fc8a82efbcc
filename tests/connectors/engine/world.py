"""People, scores and contacts for engine tests, and one call that runs the whole thread."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from connectors.engine.audience import Account, AudienceRequest, Guardrails
from connectors.engine.identity import IdentityRules
from connectors.engine.ledger import Ledger, open_ledger
from connectors.engine.members import Members, build_members
from connectors.engine.plan import Plan, make_plan
from connectors.engine.push import push
from tests.connectors.engine.platform import Clock, Shelf

if TYPE_CHECKING:
    from collections.abc import Sequence

    from connectors.engine.outcome import PushOutcome

LOOSE = Guardrails(largest_share_removed=None, largest_share_added=None, minimum_size=0, minimum_share_identified=None)


@dataclass(frozen=True)
class Person:
    """One customer."""

    id: str
    emails: tuple[str, ...] = ()
    phones: tuple[str, ...] = ()
    value: float = 10.0
    tier: str = "high"
    stage: str = "active"
    contact: dict[str, str | None] = field(default_factory=dict)


def person(number: int, **changes: Any) -> Person:
    """Customer `number`, in the US, with an e-mail address of their own."""
    known: dict[str, Any] = {"id": str(number), "emails": (f"p{number}@example.com",), "contact": {"country": "US"}}
    return Person(**{**known, **changes})


def scores(people: Sequence[Person]) -> pa.Table:
    """The scores table (the columns that the engine reads, and one more)."""
    return pa.table(
        {
            "customer_id": pa.array([one.id for one in people], pa.string()),
            "clv": pa.array([one.value for one in people], pa.float64()),
            "seed_value": pa.array([one.value for one in people], pa.float64()),
            "currency": pa.array(["USD"] * len(people), pa.string()),
            "tier": pa.array([one.tier for one in people], pa.string()),
            "lifecycle_stage": pa.array([one.stage for one in people], pa.string()),
            "as_of": pa.array([date(2026, 11, 21)] * len(people), pa.date32()),
        }
    )


CONTACTS = ("country", "region", "consent_ad_user_data", "consent_ad_personalization", "do_not_sell", "city")


def contacts(people: Sequence[Person]) -> pa.Table:
    """The contacts table, one row per customer."""
    lists = pa.list_(pa.string())
    columns: dict[str, Any] = {
        "customer_id": pa.array([one.id for one in people], pa.string()),
        "email": pa.array([list(one.emails) for one in people], lists),
        "phone": pa.array([list(one.phones) for one in people], lists),
    }
    columns |= {name: pa.array([one.contact.get(name) for one in people], pa.string()) for name in CONTACTS}
    return pa.table(columns)


@dataclass
class World:
    """A state folder, a platform and a clock."""

    folder: Path
    shelf: Shelf = field(default_factory=Shelf)
    requests: Sequence[AudienceRequest] = (AudienceRequest("all", "Customers", guardrails=LOOSE),)
    key: bytes | None = None
    rules: IdentityRules = field(default_factory=IdentityRules)

    def __post_init__(self) -> None:
        self.ledger: Ledger = open_ledger(self.folder / "state", self.key)
        self.count = 0

    @property
    def clock(self) -> Clock:
        """The platform's clock."""
        return self.shelf.clock

    def members(self, people: Sequence[Person], **options: Any) -> Members:
        """Built members."""
        self.count += 1
        return build_members(
            scores(people), contacts(people), ledger=self.ledger, work=self.folder / f"work{self.count}", **options
        )

    def plan(self, people: Sequence[Person], *, members: Members | None = None, **options: Any) -> Plan:
        """A plan for the one account."""
        account = Account(self.shelf.connect(), self.rules)
        return make_plan(self.ledger, members or self.members(people), self.requests, [account], now=self.clock(), **options)

    def push(self, people: Sequence[Person], *, force: str | None = None, **options: Any) -> PushOutcome:
        """Plan and push."""
        plan = self.plan(people, **options)
        return push(plan, self.ledger, now=self.clock, force=force)

    def reopen(self) -> None:
        """Nothing: the ledger was closed and opened again, as by a new process."""
        self.ledger.close()
        self.ledger = open_ledger(self.folder / "state", self.key)


def digest(text: str) -> bytes:
    """SHA-256, as the platform expects it."""
    return hashlib.sha256(text.encode()).digest()


def row(one: Person, country: str | None = "US") -> tuple[Any, ...]:
    """What the platform should hold for a person (already normal identifiers)."""
    emails = [digest(text) for text in one.emails][:2]
    phone = digest(one.phones[0]) if one.phones else None
    return (*emails, *[None] * (2 - len(emails)), phone, country)
