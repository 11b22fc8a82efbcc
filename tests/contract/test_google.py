"""Google earns the contract over the real SDKs, on both of the Data Manager's transports."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from connectors.google import platform
from connectors.testing import ConnectorSuite, Rig, ValueSuite

if TYPE_CHECKING:
    from collections.abc import Iterator

ACCOUNT, ACTION = "1234567890", "777001"
THROTTLE = {"reason": "RESOURCE_EXHAUSTED", "quota_limit": "IngestionMutateRequestsPerMinutePerProject"}


ADS_THROTTLE = {"source": "quota_error", "code": "RESOURCE_TEMPORARILY_EXHAUSTED", "status": "RESOURCE_EXHAUSTED"}
ADS_REFUSAL = {"source": "authorization_error", "code": "USER_PERMISSION_DENIED", "status": "PERMISSION_DENIED"}


def _rig(transport: str, writes: str, creates: str, *, http: bool, jobs: bool = False) -> Iterator[Rig]:
    sandbox = platform.sandbox()
    sandbox.ads.allowlisted = jobs
    sandbox.store.actions = {ACTION}
    addresses = sandbox.start()
    settings = platform.settings.model_validate(
        {
            "data_manager_endpoint": addresses[transport],
            "ads_endpoint": addresses["ads"],
            "credentials": "anonymous",
            "members_api": "ads_jobs" if jobs else "data_manager",
            "accounts": [{"account_id": ACCOUNT, "predicted_value": {"action": ACTION}}],
        }
    )
    waits: list[float] = []
    connector = platform.connect(settings, settings.accounts[0], now=sandbox.clock.now, sleep=waits.append)
    yield Rig(
        connector,
        sandbox,
        writes=writes,
        creates=creates,
        events="vents",  # events:ingest, IngestEvents
        throttle={**ADS_THROTTLE, "retry_delay": 3} if jobs else THROTTLE,
        refusal=ADS_REFUSAL if jobs else {"reason": "TERMS_AND_CONDITIONS_NOT_SIGNED"},
        waits=waits,
        http=http,
    )
    connector.close()
    sandbox.stop()


class TestGoogleOverRest(ConnectorSuite, ValueSuite):
    """The whole contract, with the Data Manager's REST transport."""

    @pytest.fixture
    def rig(self) -> Iterator[Rig]:
        yield from _rig("data_manager", "audienceMembers:", "POST /v1/accountTypes", http=True)


class TestGoogleOverGrpc(ConnectorSuite, ValueSuite):
    """The whole contract, with gRPC."""

    @pytest.fixture
    def rig(self) -> Iterator[Rig]:
        yield from _rig("ads", "IngestAudienceMembers", "CreateUserList", http=False)


class TestGoogleWithUploadJobs(ConnectorSuite):
    """The whole contract (but for replacing), with the upload jobs of accounts that are still allowed them."""

    @pytest.fixture
    def rig(self) -> Iterator[Rig]:
        yield from _rig("ads", "AddOfflineUserDataJobOperations", "CreateUserList", http=False, jobs=True)
