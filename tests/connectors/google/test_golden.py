"""Request bodies, as the servers read them, against bodies written by hand from Google's pages.

On REST the SDK sends enum values as numbers; both transports are read into the same messages and shown with names.
"""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from google.protobuf import json_format

from connectors.protocol import AudienceSpec, LookalikeSpec, Operation
from tests.connectors.google.conftest import batch

if TYPE_CHECKING:
    from connectors.google.connector import GoogleConnector
    from tests.connectors.google.conftest import World

GOLDEN = Path(__file__).parents[2] / "golden" / "google"
TOP = AudienceSpec("top", "Top customers", "The best fifth", tier="high")


def golden(name: str) -> Any:
    return json.loads((GOLDEN / f"{name}.json").read_text())


def sha(text: str) -> bytes:
    return sha256(text.encode()).digest()


ROWS = pa.record_batch(
    {
        "email": pa.array([sha("jane.doe@example.com"), sha("joe@example.com")], pa.binary(32)),
        "email#2": pa.array([sha("jane@example.org"), None], pa.binary(32)),
        "email#3": pa.array([None, None], pa.binary(32)),
        "phone": pa.array([sha("+441632960961"), None], pa.binary(32)),
        "phone#2": pa.array([None, None], pa.binary(32)),
        "phone#3": pa.array([None, None], pa.binary(32)),
        "given_name": pa.array([sha("jane"), sha("joe")], pa.binary(32)),
        "family_name": pa.array([sha("doe"), None], pa.binary(32)),
        "region_code": pa.array(["GB", "GB"]),
        "postal_code": pa.array(["EC1A 1BB", "EC1A 1BB"]),
        "consent_unrecorded": pa.nulls(2, pa.string()),
    }
)


@pytest.fixture
def heard(world: World) -> list[tuple[str, Any]]:
    """What both servers were asked, in order, with enum names."""
    found: list[tuple[str, Any]] = []
    for server in (world.sandbox.data_manager, world.sandbox.ads):
        honest = server.answer

        def answer(method: str, request: Any, headers: Any, honest: Any = honest) -> Any:
            found.append((method, json_format.MessageToDict(request)))
            return honest(method, request, headers)

        server.answer = answer  # type: ignore[method-assign]
    return found


@pytest.fixture
def connector(world: World, transport: str) -> GoogleConnector:
    world.sandbox.clock.offset = datetime(2026, 11, 22, 12, tzinfo=UTC) - datetime.now(UTC)
    world.sandbox.accounts["1234567890"] = {"parent": "9999999999"}
    return world.connect(transport, account={"login_account_id": "999-999-9999"}, value_multipliers={"high": "1.5"})


def last(heard: list[tuple[str, Any]], method: str) -> Any:
    return [body for name, body in heard if name == method][-1]


def test_bodies_of_members(world: World, heard: list[tuple[str, Any]], connector: GoogleConnector) -> None:
    handle = connector.find_or_create(TOP)
    receipt = connector.send(handle, batch(Operation.ADD, ROWS))
    assert last(heard, "IngestAudienceMembers") == golden("audience_members_ingest")
    connector.send(handle, batch(Operation.REMOVE, ROWS))
    assert last(heard, "RemoveAudienceMembers") == golden("audience_members_remove")
    before = datetime(2026, 11, 20, 8, 30, tzinfo=UTC)
    replaced = connector.send(handle, batch(Operation.REPLACE, ROWS, replace_before=before))
    world.settled(connector, handle, replaced)
    assert last(heard, "RemoveAllAudienceMembers") == golden("audience_members_remove_all")
    connector.settle(handle, golden("request_status_retrieve")["requestId"], receipt.pending)
    assert last(heard, "RetrieveRequestStatus") == golden("request_status_retrieve")


def test_body_of_members_of_whom_one_granted_no_consent(heard: list[tuple[str, Any]], connector: GoogleConnector) -> None:
    rows = ROWS.set_column(ROWS.num_columns - 1, "consent_unrecorded", pa.array([None, "yes"]))
    connector.send(connector.find_or_create(TOP), batch(Operation.ADD, rows))
    assert last(heard, "IngestAudienceMembers") == golden("audience_members_ingest_mixed")


def test_bodies_of_lists(heard: list[tuple[str, Any]], connector: GoogleConnector) -> None:
    connector.find_or_create(TOP)
    assert last(heard, "ListUserLists") == golden("user_lists_list")
    assert last(heard, "CreateUserList") == golden("user_lists_create")
    assert last(heard, "MutateUserListCustomerTypes") == golden("customer_type_create")
    assert last(heard, "MutateConversionValueRules") == golden("value_rule_create")
    assert last(heard, "MutateConversionValueRuleSets") == golden("value_rule_set_create")


def test_bodies_of_lookalikes(world: World, heard: list[tuple[str, Any]], connector: GoogleConnector) -> None:
    seed = world.filled(connector, range(200), TOP)
    connector.find_or_create_lookalike(seed, LookalikeSpec("l", "Like the top", ("US", "CA")))
    assert last(heard, "MutateUserLists") == golden("lookalike_create")


def test_bodies_of_reports(heard: list[tuple[str, Any]], connector: GoogleConnector) -> None:
    list(connector.campaign_days(date(2026, 11, 1), date(2026, 11, 7)))
    assert last(heard, "SearchStream") == golden("report_campaign")
    list(connector.clicks(date(2026, 11, 7), date(2026, 11, 7)))
    assert last(heard, "SearchStream") == golden("report_clicks")


def test_body_of_a_predicted_value(world: World, heard: list[tuple[str, Any]], transport: str) -> None:
    rows = pa.record_batch(
        {
            "event_id": ["clv-2026-11-c1"],
            "at": pa.array([datetime(2026, 11, 20, 8, 30, tzinfo=UTC)], pa.timestamp("us", "UTC")),
            "value": pa.array([Decimal("123.45")], pa.decimal128(18, 2)),
            "currency": ["EUR"],
            "bucket": ["high"],
            "gclid": ["CjwKCAjw"],
            "email": pa.array([sha("jane.doe@example.com")], pa.binary(32)),
            "consent_unrecorded": pa.nulls(1, pa.string()),
        }
    )
    world.connect(transport, predicted_value_action="777001").send_predicted_values([rows])
    assert last(heard, "IngestEvents") == golden("events_ingest")


def test_bodies_of_upload_jobs(world: World, heard: list[tuple[str, Any]]) -> None:
    world.sandbox.ads.allowlisted = True
    connector = world.connect(members_api="ads_jobs", mark_high_value=False)
    connector.send(connector.find_or_create(TOP), batch(Operation.ADD, ROWS))
    assert last(heard, "CreateOfflineUserDataJob") == golden("job_create")
    assert last(heard, "AddOfflineUserDataJobOperations") == golden("job_add_operations")
    assert last(heard, "RunOfflineUserDataJob") == golden("job_run")


def test_every_golden_body_is_one_that_the_servers_take(world: World) -> None:
    """The hand-written bodies are checked too: the strict sandbox reads them and finds no fault in their form."""
    from google.ads.datamanager_v1 import types as dm
    from google.ads.googleads.v26.services import types as services

    kinds: dict[str, type[Any]] = {
        "audience_members_ingest": dm.IngestAudienceMembersRequest,
        "audience_members_ingest_mixed": dm.IngestAudienceMembersRequest,
        "audience_members_remove": dm.RemoveAudienceMembersRequest,
        "audience_members_remove_all": dm.RemoveAllAudienceMembersRequest,
        "events_ingest": dm.IngestEventsRequest,
        "user_lists_create": dm.CreateUserListRequest,
        "user_lists_list": dm.ListUserListsRequest,
        "request_status_retrieve": dm.RetrieveRequestStatusRequest,
        "lookalike_create": services.MutateUserListsRequest,
        "customer_type_create": services.MutateUserListCustomerTypesRequest,
        "value_rule_create": services.MutateConversionValueRulesRequest,
        "value_rule_set_create": services.MutateConversionValueRuleSetsRequest,
        "job_create": services.CreateOfflineUserDataJobRequest,
        "job_add_operations": services.AddOfflineUserDataJobOperationsRequest,
        "job_run": services.RunOfflineUserDataJobRequest,
        "report_campaign": services.SearchGoogleAdsStreamRequest,
        "report_clicks": services.SearchGoogleAdsStreamRequest,
    }
    assert {path.stem for path in GOLDEN.glob("*.json")} == set(kinds)
    for name, kind in kinds.items():
        json_format.ParseDict(golden(name), kind.pb(kind()))
    made = dm.CreateUserListRequest.pb(dm.CreateUserListRequest())
    json_format.ParseDict(golden("user_lists_create"), made)
    assert world.sandbox.data_manager.answer("CreateUserList", made, {}).id == 8_000_000_001
    ingest = dm.IngestAudienceMembersRequest.pb(dm.IngestAudienceMembersRequest())
    json_format.ParseDict(golden("audience_members_ingest"), ingest)
    assert world.sandbox.data_manager.answer("IngestAudienceMembers", ingest, {}).request_id
