"""A started Meta sandbox and connectors over real sockets; nothing sleeps for real."""

from __future__ import annotations

import hashlib
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from connectors.meta import platform
from connectors.meta.connector import MetaConnector
from connectors.meta.sandbox import MetaSandbox
from connectors.protocol import AudienceHandle, AudienceSpec, Batch, Operation
from connectors.sandbox import HttpServer
from tests.connectors.meta.plain_http import CUSTOM, EDGE, Http

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from connectors.protocol import IdentifierField

TOKEN = "EAAsecretTOKEN0123456789"
SEED = AudienceSpec("seed", "Seed A", value_weighted=True, currency="USD")
PLAIN = AudienceSpec("all", "Customers A")


@pytest.fixture(scope="session")
def door() -> Iterator[list[Any]]:
    """One server for all tests: stopping one costs 50 ms. The last entry is the sandbox of the running test."""
    inside: list[Any] = []
    server = HttpServer(lambda request: inside[-1]._answer(request, inside[-1].handle))
    inside.append(server)
    yield inside
    server.stop()


@pytest.fixture
def box(door: list[Any]) -> Iterator[MetaSandbox]:
    """A fresh sandbox behind the server; its address is `box.address`."""
    sandbox = platform.sandbox()
    sandbox.address = door[0].address
    door.append(sandbox)
    yield sandbox
    sandbox.stop()
    door.remove(sandbox)


@pytest.fixture
def sleeps() -> list[float]:
    """The seconds that the connector would have slept."""
    return []


@pytest.fixture
def connect(box: MetaSandbox, sleeps: list[float], monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., MetaConnector]]:
    """A function that makes a connector to the sandbox, with a token and any setting."""
    monkeypatch.setenv("META_TOKEN", TOKEN)
    made: list[MetaConnector] = []

    def build(*, account: dict[str, Any] | None = None, **settings: Any) -> MetaConnector:
        block = {
            "api_base": box.address,  # type: ignore[attr-defined]
            "credentials": {"access_token": "env:META_TOKEN"},
            "accounts": [{"account_id": "111", **(account or {})}],
            **settings,
        }
        checked = platform.settings(**block)
        connector = platform.connect(checked, checked.accounts[0], now=box.clock.now, sleep=sleeps.append)
        assert isinstance(connector, MetaConnector)
        made.append(connector)
        return connector

    yield build
    for connector in made:
        connector.close()


@pytest.fixture
def connector(connect: Callable[..., MetaConnector]) -> MetaConnector:
    """A connector with the default settings."""
    return connect()


@pytest.fixture
def seed(connector: MetaConnector) -> AudienceHandle:
    """A value-based audience without members."""
    return connector.find_or_create(SEED)


def digest(text: str) -> bytes:
    """SHA-256, raw."""
    return hashlib.sha256(text.encode()).digest()


def members(
    fields: tuple[IdentifierField, ...], numbers: range, *, values: bool = True, filled: tuple[str, ...] = ("EMAIL", "COUNTRY")
) -> pa.RecordBatch:
    """Made-up members: the `filled` columns hold digests, the others are null."""
    columns: dict[str, pa.Array] = {}
    for field in fields:
        kind = pa.binary(32) if field.hashed else pa.string()
        if field.name in filled:
            texts = ["us" if field.name == "COUNTRY" else f"{field.name}{number}" for number in numbers]
            columns[field.name] = pa.array([digest(text) if field.hashed else text for text in texts], kind)
        else:
            columns[field.name] = pa.nulls(len(numbers), kind)
    if values:
        columns["value"] = pa.array([Decimal(number) + Decimal("0.50") for number in numbers], pa.decimal128(18, 2))
    return pa.record_batch(columns)


def batch_of(
    connector: MetaConnector,
    operation: Operation,
    numbers: range,
    *,
    delivery: int = 7,
    sequence: int = 1,
    last: bool = True,
    total: int = 0,
    values: bool | None = None,
    filled: tuple[str, ...] = ("EMAIL", "COUNTRY"),
) -> Batch:
    """A batch of made-up members in the connector's recipe."""
    with_values = operation is not Operation.REMOVE if values is None else values
    rows = members(connector.capabilities.recipe.fields, numbers, values=with_values, filled=filled)
    name = f"{operation}-{numbers.start}-{numbers.stop}-{sequence}"
    return Batch(name, operation, len(numbers), lambda: iter([rows]), delivery, sequence, last, total or len(numbers))


def held(box: MetaSandbox, handle: AudienceHandle) -> dict[str, Any]:
    """The members that the sandbox holds: e-mail digest -> row as sent."""
    rows = box.state()["audiences"][handle.remote_id]["members"]
    return {row["EMAIL"]: row for row in rows}


@pytest.fixture
def http_(box: MetaSandbox) -> Http:
    return Http(box)


@pytest.fixture
def plain(http_: Http) -> str:
    """A list without values."""
    return str(http_("POST", EDGE, CUSTOM)[1]["id"])


@pytest.fixture
def valued(http_: Http) -> str:
    """A value-based list."""
    return str(http_("POST", EDGE, {**CUSTOM, "name": "Valued", "is_value_based": True})[1]["id"])
