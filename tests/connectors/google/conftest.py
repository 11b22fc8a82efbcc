"""A sandbox per test, connectors on either transport, and made-up people."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from connectors.google import RECIPE, platform
from connectors.protocol import AudienceSpec, Batch, Operation

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from connectors.google.connector import GoogleConnector
    from connectors.google.sandbox import GoogleSandbox
    from connectors.google.settings import GoogleSettings
    from connectors.protocol import AudienceHandle, Receipt

ACCOUNT = "1234567890"
TOP = AudienceSpec("top", "Top customers", tier="high")


def digest(text: str) -> bytes:
    """SHA-256, as members carry it."""
    return sha256(text.encode()).digest()


def people(numbers: Sequence[int], **columns: dict[int, Any]) -> pa.RecordBatch:
    """One e-mail per person; `columns` gives further values by person, e.g. `phone={3: digest("...")}`."""
    hashed = {name for one in RECIPE.fields if one.hashed for name in one.columns()}
    given: dict[str, dict[int, Any]] = {"email": {one: digest(f"{one}@example.com") for one in numbers}}
    given.update({name.replace("_2", "#2"): values for name, values in columns.items()})
    return pa.record_batch(
        {
            name: pa.array([given.get(name, {}).get(one) for one in numbers], pa.binary(32) if name in hashed else pa.string())
            for name in RECIPE.columns()
        }
    )


def batch(operation: Operation, rows: pa.RecordBatch, **options: Any) -> Batch:
    """A batch of one chunk."""
    return Batch("batch", operation, rows.num_rows, lambda: iter([rows]), **options)


def connect(**given: Any) -> Any:
    """A connector with these settings, which never sleeps."""
    settings = platform.settings.model_validate({"accounts": [{"account_id": ACCOUNT}], **given})
    return platform.connect(settings, settings.accounts[0], sleep=lambda _: None)


@dataclass
class World:
    """The sandbox, its addresses, and connectors to it."""

    sandbox: GoogleSandbox
    addresses: dict[str, str]
    waits: list[float] = field(default_factory=list)
    made: list[GoogleConnector] = field(default_factory=list)

    def settings(self, transport: str = "data_manager", **options: Any) -> GoogleSettings:
        """Settings that point at the sandbox; `transport` is data_manager (REST) or ads (gRPC)."""
        account = {"account_id": ACCOUNT, **options.pop("account", {})}
        given = {
            "data_manager_endpoint": self.addresses[transport],
            "ads_endpoint": self.addresses["ads"],
            "credentials": "anonymous",
            "accounts": [account],
            **options,
        }
        return platform.settings.model_validate(given)

    def connect(self, transport: str = "data_manager", **options: Any) -> GoogleConnector:
        """A connector whose waits are noted instead of slept."""
        settings = self.settings(transport, **options)
        made = platform.connect(settings, settings.accounts[0], now=self.sandbox.clock.now, sleep=self.waits.append)
        self.made.append(made)
        return made

    def members(self, handle: AudienceHandle) -> list[list[dict[str, Any]]]:
        """The identifiers of the list's members."""
        held = self.sandbox.state()["audiences"][handle.remote_id]["members"]
        return [one["userIdentifiers"] for one in held]

    def calls(self, method: str) -> list[dict[str, Any]]:
        """The request log's lines of one method."""
        return [one for one in self.sandbox.requests if one.get("method") == method]

    def filled(self, connector: GoogleConnector, numbers: Sequence[int], spec: AudienceSpec = TOP) -> AudienceHandle:
        """A list whose people are in, matched and counted."""
        handle = connector.find_or_create(spec)
        receipt = connector.send(handle, batch(Operation.ADD, people(numbers)))
        self.sandbox.clock.advance(hours=48)
        assert connector.settle(handle, receipt.reference, receipt.pending).accepted == len(numbers)
        return handle

    def settled(self, connector: GoogleConnector, handle: AudienceHandle, receipt: Receipt) -> Receipt:
        """What became of the pending rows an hour later."""
        self.sandbox.clock.advance(hours=1)
        return connector.settle(handle, receipt.reference, receipt.pending)

    def now(self) -> datetime:
        """The sandbox's time."""
        return self.sandbox.clock.now()


@pytest.fixture
def world() -> Iterator[World]:
    """A running sandbox."""
    sandbox = platform.sandbox()
    made = World(sandbox, sandbox.start())
    yield made
    for one in made.made:
        one.close()
    sandbox.stop()


@pytest.fixture(scope="module")
def shared() -> Iterator[World]:
    """One sandbox and connector for tables of many small cases."""
    sandbox = platform.sandbox()
    made = World(sandbox, sandbox.start())
    made.connect()
    sandbox.store.per_minute = 1_000_000
    yield made
    made.made[0].close()
    sandbox.stop()


@pytest.fixture(params=["data_manager", "ads"], ids=["rest", "grpc"])
def transport(request: pytest.FixtureRequest) -> str:
    """Both transports of the Data Manager."""
    return str(request.param)


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No credentials of this machine."""
    for name in ("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_ADS_CONFIGURATION_FILE_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
