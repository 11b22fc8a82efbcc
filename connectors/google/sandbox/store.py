"""What the stand-in holds: accounts, lists with their members, requests under way, quotas.

Members are kept as packed bytes (about 70 to 200 each) with the time of the last add, so a million fit. A member is the set
of identifiers sent for one person; a removal takes everybody away who shares one of the identifiers sent.
"""

from __future__ import annotations

import base64
import math
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from connectors.google.sandbox.refusals import DataManagerError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from connectors.sandbox import Clock

DAY = 86_400
GRANTED = 1
KINDS = {b"e": "emailAddress", b"p": "phoneNumber"}


def consents(flags: Iterable[int]) -> dict[str, str]:
    """Consents as the wire names them; what was not said is absent."""
    named = zip(("adUserData", "adPersonalization"), flags, strict=True)
    return {name: "CONSENT_GRANTED" if flag == GRANTED else "CONSENT_DENIED" for name, flag in named if flag}


def pack(identifiers: list[bytes]) -> bytes:
    """One member as bytes, whatever the order of its identifiers."""
    return b"".join(sorted(identifiers))


def split(member: bytes) -> list[bytes]:
    """The identifiers of a packed member, each with its kind's letter."""
    found, place = [], 0
    while place < len(member):
        kind = member[place]
        if kind in b"ep":
            size = 33
        elif kind == ord("a"):
            size = 68 + member[place + 67]
        else:
            size = 2 + member[place + 1]
        found.append(member[place : place + size])
        place += size
    return found


def unpack(member: bytes) -> list[dict[str, Any]]:
    """The identifiers of a packed member, as the wire names them."""
    return [_shown(one) for one in split(member)]


def _shown(one: bytes) -> dict[str, Any]:
    if one[:1] in KINDS:
        return {KINDS[one[:1]]: one[1:].hex()}
    if one[:1] == b"a":
        given, family, region, postal = one[1:33].hex(), one[33:65].hex(), one[65:67].decode(), one[68:].decode()
        return {"address": {"givenName": given, "familyName": family, "regionCode": region, "postalCode": postal}}
    return {"mobileId": one[2:].decode()}


@dataclass
class UserList:
    """A list of uploaded people, or a lookalike."""

    id: int
    account: str
    name: str
    description: str = ""
    kind: str = "ingested"  # or "lookalike"
    key_type: int = 1  # CONTACT_ID
    open: bool = True
    days: int = 540
    created: float = 0
    members: dict[bytes, float] = field(default_factory=dict)
    seeds: tuple[int, ...] = ()
    level: int = 0
    countries: tuple[str, ...] = ()
    types: set[str] = field(default_factory=set)
    flags: dict[bytes, tuple[int, ...]] = field(default_factory=dict)
    """The consents that were sent with members, of whom not both were granted."""

    def take(self, joining: Iterable[bytes], now: float, flags: Mapping[bytes, tuple[int, ...]]) -> None:
        """Nothing: they are members; `flags` holds the consents of those among them for whom not both were granted."""
        joined = dict.fromkeys(joining, now)
        self.members.update(joined)
        for member in joined if self.flags else ():
            self.flags.pop(member, None)
        self.flags.update(flags)

    def shown(self) -> Iterator[dict[str, Any]]:
        """The members as sent: identifiers and consents."""
        for member in self.members:
            yield {"userIdentifiers": unpack(member), "consent": consents(self.flags.get(member, (GRANTED, GRANTED)))}

    def drop(self, leaving: Iterable[bytes]) -> None:
        """Nothing: everybody who shares an identifier with those leaving is gone: people are matched, not rows."""
        gone = {one for member in leaving for one in split(member)}
        if not gone:
            return
        self.members = {member: at for member, at in self.members.items() if gone.isdisjoint(split(member))}

    def active(self, since: float, now: float) -> int:
        """Members added before `since` and not yet expired."""
        oldest = now - self.days * DAY
        return sum(1 for at in self.members.values() if oldest < at <= since)

    def to_dict(self) -> dict[str, Any]:
        """All of it, for a file."""
        kept = {name: value for name, value in vars(self).items() if name not in ("members", "types", "flags")}
        packed = [[base64.b64encode(member).decode(), at, *self.flags.get(member, ())] for member, at in self.members.items()]
        return {**kept, "types": sorted(self.types), "members": packed}

    @classmethod
    def from_dict(cls, held: Mapping[str, Any]) -> UserList:
        """The list that `to_dict` gave."""
        members = {base64.b64decode(member): float(at) for member, at, *_ in held["members"]}
        flags = {base64.b64decode(member): tuple(said) for member, _, *said in held["members"] if said}
        fixed = {"seeds": tuple(held["seeds"]), "countries": tuple(held["countries"]), "types": set(held["types"])}
        return cls(**{**held, **fixed, "members": members, "flags": flags})


@dataclass
class Accepted:
    """A request under way: what its status will say once processed."""

    id: str
    operation: str
    destinations: list[dict[str, str]]
    at: float
    records: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    errors: dict[int, int] = field(default_factory=dict)
    kind: str = "composite_data"


class Store:
    """Everything the stand-in knows; the caller holds the sandbox's lock."""

    processing_minutes = 30.0
    matching_hours = 24.0
    match_rate = 0.8
    per_minute = 300
    per_day: Mapping[str, int] = {"Ingestion": 100_000, "Management": 50_000}

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.accounts: dict[str, dict[str, Any]] = {}
        self.lists: dict[int, UserList] = {}
        self.requests: dict[str, Accepted] = {}
        self.jobs: dict[str, dict[str, Any]] = {}
        self.events: list[dict[str, Any]] = []
        self.actions: set[str] = set()  # conversion actions that exist; none given: any number does
        self.action_facts: dict[str, dict[str, Any]] = {}  # name, status, category ... of an action, where not the usual
        self.rules: dict[str, dict[str, Any]] = {}
        self.rule_sets: dict[str, dict[str, Any]] = {}
        self._calls: dict[str, deque[float]] = {}
        self._days: dict[tuple[str, int], int] = {}
        self._next = 8_000_000_000

    def now(self) -> float:
        """The sandbox's time in seconds."""
        return self.clock.now().timestamp()

    def restore(self, held: Mapping[str, Any]) -> None:
        """Nothing: all but the lists is what a dump held."""
        self.accounts, self.rules, self.rule_sets = dict(held["accounts"]), dict(held["rules"]), dict(held["rule_sets"])
        self._next, self.events, self.actions = int(held["next"]), list(held["events"]), set(held["actions"])
        self.jobs = {}
        for name, job in held["jobs"].items():
            work = [(kind, base64.b64decode(member)) for kind, member in job["operations"]]
            self.jobs[name] = {**job, "operations": work}
        self.requests = {}
        for one in held["requests"]:
            errors = {int(reason): int(count) for reason, count in one["errors"].items()}
            self.requests[one["id"]] = Accepted(**{**one, "errors": errors})

    def account(self, account_id: str) -> dict[str, Any]:
        """The account's properties; any ten-digit account exists."""
        plain = {"currency": "USD", "time_zone": "America/New_York", "manager": False, "parent": "", "name": "Sandbox"}
        return {**plain, **self.accounts.get(account_id, {})}

    def new_id(self) -> int:
        """A number never used before."""
        self._next += 1
        return self._next

    def add_list(self, made: UserList) -> UserList:
        """The list, now held."""
        self.lists[made.id] = made
        return made

    def lists_of(self, account: str) -> Iterator[UserList]:
        """The account's lists in order of making."""
        return (one for one in self.lists.values() if one.account == account)

    def sizes(self, held: UserList) -> int:
        """People matched by now, rounded to two significant digits as Google shows them."""
        now = self.now()
        settled = now - self.matching_hours * 3600
        if held.kind == "lookalike":
            ready = held.created <= settled
            seeds = sum(self.sizes(self.lists[seed]) for seed in held.seeds if seed in self.lists)
            return _rounded(seeds * 100 * held.level) if ready else 0
        return _rounded(int(held.active(settled, now) * self.match_rate))

    def processed(self, request: Accepted) -> bool:
        """Whether enough time went by for this request's outcome."""
        return self.now() >= request.at + self.processing_minutes * 60

    def spend(self, bucket: str) -> None:
        """Nothing, or a refusal: `IngestionMutate`, `IngestionRead`, `ManagementMutate`, `ManagementRead`."""
        now = self.now()
        calls = self._calls.setdefault(bucket, deque())
        while calls and now - calls[0] >= 60:
            calls.popleft()
        day = (bucket, int(now // DAY))
        most = self.per_day["Ingestion" if bucket.startswith("Ingestion") else "Management"]
        period = "Day" if self._days.get(day, 0) >= most else "Minute" if len(calls) >= self.per_minute else ""
        if period:
            limit = f"{bucket}RequestsPer{period}PerProject"
            raise DataManagerError(
                "RESOURCE_EXHAUSTED",
                "Too many requests.",
                metadata={"quota_limit": limit, "service": "datamanager.googleapis.com"},
            )
        calls.append(now)
        self._days[day] = self._days.get(day, 0) + 1


def _rounded(count: int) -> int:
    if count < 100:
        return count
    step = 10 ** (int(math.log10(count)) - 1)
    return int(count // step * step)
