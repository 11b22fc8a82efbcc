"""A fresh TikTok sandbox per test, and connectors to it over real sockets that never really wait."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from connectors.protocol import AudienceHandle, AudienceSpec, Batch, Operation
from connectors.sandbox import Clock, Request, Response
from connectors.tiktok import CAPABILITIES, PHONE_RULES, recipe
from connectors.tiktok.connector import TikTokConnector
from connectors.tiktok.pace import Pacer
from connectors.tiktok.sandbox import TikTokSandbox
from connectors.tiktok.settings import TikTokSettings

if TYPE_CHECKING:
    from .plain import Plain

ADVERTISER = "7000000000000000001"


class Recorded(TikTokSandbox):
    """A sandbox that keeps the requests it got."""

    def __init__(self) -> None:
        super().__init__()
        self.limits.enabled = False
        self.heard: list[Request] = []
        self.address = ""

    def handle(self, request: Request) -> Response:
        self.heard.append(request)
        return super().handle(request)

    def bodies(self, ending: str) -> list[Any]:
        """The JSON bodies of calls whose path ends so."""
        return [one.json() for one in self.heard if one.path.endswith(ending)]

    def paths(self) -> list[str]:
        return [one.path.removeprefix("/open_api/v1.3") for one in self.heard]


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sandbox's clock moves only when it is told to, so that this machine's speed decides nothing."""
    start = datetime.now(UTC)
    monkeypatch.setattr(Clock, "now", lambda clock: start + clock.offset)


@pytest.fixture
def sandbox() -> Iterator[Recorded]:
    one = Recorded()
    one.address = one.start()["address"]
    yield one
    one.stop()


class Waits(list[float]):
    """The waits that were asked for instead of slept."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)


@pytest.fixture
def waits() -> Waits:
    return Waits()


Connect = Callable[..., TikTokConnector]


@pytest.fixture
def connect(sandbox: Recorded, waits: Waits) -> Iterator[Connect]:
    made: list[TikTokConnector] = []

    def connector(account: dict[str, str] | None = None, **changes: Any) -> TikTokConnector:
        block = {"api_base": sandbox.address, "credentials": "anonymous", "timeout_seconds": 10, **changes}
        settings = TikTokSettings.model_validate({**block, "accounts": [account or {"account_id": ADVERTISER}]})
        limits = replace(CAPABILITIES, recipe=recipe(phone=PHONE_RULES[settings.phone_form]))
        pacer = Pacer(1e9, 1e9)
        made.append(TikTokConnector(settings, settings.accounts[0], limits, now=sandbox.clock.now, sleep=waits, pacer=pacer))
        return made[-1]

    yield connector
    for one in made:
        one.close()


@pytest.fixture
def tiktok(connect: Connect) -> TikTokConnector:
    return connect()


def digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def person(number: int) -> dict[str, bytes]:
    """One person's identifiers: an e-mail, for every second a phone too."""
    email = {"EMAIL": digest(f"p{number}@example.com")}
    return {**email, "PHONE": digest(f"+1202555{number:04d}")} if number % 2 else email


def people(numbers: Iterable[int]) -> list[dict[str, bytes]]:
    return [person(number) for number in numbers]


def batch(operation: Operation, rows: list[dict[str, bytes]], *, chunk: int = 700) -> Batch:
    """A batch of these rows, in chunks, with all columns of the recipe."""
    columns = CAPABILITIES.recipe.columns()

    def chunks() -> Iterator[pa.RecordBatch]:
        for start in range(0, len(rows), chunk):
            part = rows[start : start + chunk]
            yield pa.record_batch({name: pa.array([row.get(name) for row in part], pa.binary(32)) for name in columns})

    return Batch(f"{operation}-{len(rows)}", operation, len(rows), chunks, total_rows=len(rows))


def seed(name: str = "Customers A") -> AudienceSpec:
    return AudienceSpec(key="seed", name=name)


def exclusion(name: str = "All customers") -> AudienceSpec:
    return AudienceSpec(key="all", name=name, exclusion=True)


def made(connector: TikTokConnector, sandbox: Recorded, numbers: Iterable[int] = range(1500)) -> AudienceHandle:
    """A seed that is built and usable."""
    handle = connector.find_or_create(seed())
    receipt = connector.send(handle, batch(Operation.ADD, people(numbers)))
    sandbox.clock.advance(hours=25)
    return replace(handle, remote_id=receipt.remote_id)


def held(sandbox: Recorded, handle: AudienceHandle) -> set[str]:
    """Every digest that the platform holds for an audience."""
    members = sandbox.state()["audiences"][handle.remote_id]["members"]
    return {one for row in members for digests in row.values() for one in digests}


def digests(rows: Iterable[dict[str, bytes]]) -> set[str]:
    return {value.hex() for row in rows for value in row.values()}


@pytest.fixture
def plain(sandbox: Recorded) -> Plain:
    """A plain client of the sandbox."""
    from .plain import Plain

    return Plain(sandbox)
