"""The table of error codes is complete, and each class of code leads to the class of error that it names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from google.ads.datamanager_v1 import types as dm
from google.ads.googleads.v26.errors import types as ads

from connectors import errors
from connectors.google.codes import DATA_MANAGER, GRPC, PROCESSING, Code, lookup, table
from connectors.google.faults import EXISTS, GONE, GoneError, RefusedMembersError
from connectors.protocol import LookalikeSpec, Operation
from tests.connectors.google.conftest import TOP, batch, people

if TYPE_CHECKING:
    from tests.connectors.google.conftest import World

# What the platform's fact sheet says of single codes: number and class. Numbers are the wire's.
FACTS = {
    (DATA_MANAGER, "REQUIRED_FIELD_MISSING"): (7, errors.RowsRejectedError),
    (DATA_MANAGER, "INVALID_HEX_ENCODING"): (9, errors.RowsRejectedError),
    (DATA_MANAGER, "INVALID_SHA256_FORMAT"): (11, errors.RowsRejectedError),
    (DATA_MANAGER, "INVALID_POSTAL_CODE"): (12, errors.RowsRejectedError),
    (DATA_MANAGER, "INVALID_USER_LIST_TYPE"): (15, errors.FatalError),
    (DATA_MANAGER, "INVALID_AUDIENCE_MEMBER"): (16, errors.RowsRejectedError),
    (DATA_MANAGER, "TOO_MANY_AUDIENCE_MEMBERS"): (17, errors.FatalError),
    (DATA_MANAGER, "TOO_MANY_USER_IDENTIFIERS"): (18, errors.RowsRejectedError),
    (DATA_MANAGER, "INVALID_USER_LIST_ID"): (23, errors.FatalError),
    (DATA_MANAGER, "TERMS_AND_CONDITIONS_NOT_SIGNED"): (26, errors.ConfigurationError),
    (DATA_MANAGER, "NOT_ALLOWLISTED"): (47, errors.ConfigurationError),
    (DATA_MANAGER, "INVALID_REQUEST_ID"): (48, errors.OutcomeUnknownError),
    (DATA_MANAGER, "EU_POLITICAL_ADVERTISING_DECLARATION_REQUIRED"): (101, errors.ConfigurationError),
    (DATA_MANAGER, "INVALID_REMOVE_AS_OF_TIME"): (125, errors.FatalError),
    (DATA_MANAGER, "REQUEST_TOO_OLD"): (126, errors.OutcomeUnknownError),
    (PROCESSING, "DENIED_CONSENT"): (4, errors.RowsRejectedError),
    (PROCESSING, "NO_CONSENT"): (5, errors.RowsRejectedError),
    (PROCESSING, "UNKNOWN_CONSENT"): (6, errors.RowsRejectedError),
    ("quota_error", "RESOURCE_EXHAUSTED"): (2, errors.RetriableError),
    ("quota_error", "RESOURCE_TEMPORARILY_EXHAUSTED"): (4, errors.RetriableError),
    ("quota_error", "EXCESSIVE_SHORT_TERM_QUERY_RESOURCE_CONSUMPTION"): (5, errors.RetriableError),
    ("quota_error", "EXCESSIVE_LONG_TERM_QUERY_RESOURCE_CONSUMPTION"): (6, errors.RetriableError),
    ("internal_error", "INTERNAL_ERROR"): (2, errors.RetriableError),
    ("internal_error", "TRANSIENT_ERROR"): (4, errors.RetriableError),
    ("database_error", "CONCURRENT_MODIFICATION"): (2, errors.RetriableError),
    ("request_error", "RPC_DEADLINE_TOO_SHORT"): (33, errors.RetriableError),
    ("request_error", "UNSUPPORTED_VERSION"): (38, errors.ConfigurationError),
    ("authentication_error", "OAUTH_TOKEN_INVALID"): (15, errors.ConfigurationError),
    ("authentication_error", "NOT_ADS_USER"): (14, errors.ConfigurationError),
    ("authorization_error", "USER_PERMISSION_DENIED"): (2, errors.ConfigurationError),
    ("authorization_error", "CLOUD_PROJECT_NOT_APPROVED_FOR_PRODUCTION"): (32, errors.ConfigurationError),
    ("authorization_error", "CUSTOMER_NOT_ENABLED"): (24, errors.ConfigurationError),
    ("not_allowlisted_error", "CUSTOMER_NOT_ALLOWLISTED_FOR_THIS_FEATURE"): (2, errors.ConfigurationError),
    ("date_range_error", "REQUESTED_DATE_GRANULARITY_NOT_SUPPORTED"): (7, errors.FatalError),
    ("click_view_error", "DATE_TOO_OLD"): (3, errors.FatalError),
    ("user_list_error", "NAME_ALREADY_USED"): (12, errors.ConfigurationError),
    ("user_list_error", "SEED_LIST_DOES_NOT_EXIST"): (42, errors.FatalError),
    ("user_list_error", "INVALID_COUNTRY_CODES"): (45, errors.ConfigurationError),
    ("user_list_error", "DUPLICATE_LOOKALIKE"): (46, errors.FatalError),
    ("offline_user_data_job_error", "CONFLICTING_OPERATION"): (19, errors.FatalError),
    (GRPC, "UNAUTHENTICATED"): (16, errors.ConfigurationError),
    (GRPC, "UNAVAILABLE"): (14, errors.RetriableError),
}
ENUMS = {
    source: name for source, _ in table() if (name := "".join(part.title() for part in source.split("_"))).endswith("Error")
}


def test_the_facts_are_in_the_table() -> None:
    found = {key: (row.number, row.error) for key, row in table().items() if key in FACTS}
    assert found == FACTS


def test_every_reason_of_the_data_manager_is_there() -> None:
    wanted = {one.name: int(one) for one in dm.ErrorReason if one}  # type: ignore[attr-defined]
    assert {code: row.number for (source, code), row in table().items() if source == DATA_MANAGER} == wanted
    reasons = {re.sub("^PROCESSING_ERROR_(REASON_)?", "", one.name): int(one) for one in dm.ProcessingErrorReason if one}  # type: ignore[attr-defined]
    assert {code: row.number for (source, code), row in table().items() if source == PROCESSING} == reasons


@pytest.mark.parametrize(("source", "name"), ENUMS.items())
def test_every_code_of_the_error_enums_is_there(source: str, name: str) -> None:
    enum = getattr(getattr(ads, f"{name}Enum"), name)
    wanted = {one.name: int(one) for one in enum if int(one) > 1}
    assert {code: row.number for (place, code), row in table().items() if place == source} == wanted


def test_there_are_twenty_such_enums() -> None:
    assert len(ENUMS) == 20


def test_every_row_says_what_to_do() -> None:
    for row in table().values():
        assert row.meaning, row
        assert row.remedy, row
        assert issubclass(row.error, errors.SyncError), row
    assert {code for _, code in table()} >= EXISTS | GONE


def test_an_unknown_code_is_fatal() -> None:
    row = lookup(DATA_MANAGER, "SOMETHING_NEW")
    assert row.error is errors.FatalError
    assert row.remedy


RAISED = [
    row
    for row in table().values()
    if row.source == DATA_MANAGER and row.error is not errors.RetriableError and row.code not in EXISTS
]


@pytest.mark.parametrize("row", RAISED, ids=lambda row: row.code)
def test_each_refusal_of_members_becomes_its_error(shared: World, row: Code) -> None:
    """Over the real client and wire: class, code and remedy are the table's."""
    connector = shared.made[0]
    handle = connector.find_or_create(TOP)
    fault = {"reason": row.code, "fields": ["audience_members[0]"] if row.error is errors.RowsRejectedError else []}
    shared.sandbox.faults.add(match="audienceMembers:ingest", detail=fault)
    if row.error is errors.RowsRejectedError:
        receipt = connector.send(handle, batch(Operation.ADD, people([1, 2])))
        assert (receipt.rejected_rows, receipt.pending) == ({0: row.code}, 1)
        return
    with pytest.raises(row.error) as caught:
        connector.send(handle, batch(Operation.ADD, people([1, 2])))
    assert (caught.value.code, caught.value.remedy, caught.value.platform) == (row.code, row.remedy, "google")
    assert isinstance(caught.value, GoneError) == (row.code in GONE)


ADS = [row for row in table().values() if row.source.endswith("_error") and row.source != "query_error"]
STATUS = {"quota_error": "RESOURCE_EXHAUSTED", "internal_error": "INTERNAL", "authentication_error": "UNAUTHENTICATED"}


@pytest.mark.parametrize("row", ADS, ids=lambda row: f"{row.source}-{row.code}")
def test_each_refusal_of_google_ads_becomes_its_error(shared: World, row: Code) -> None:
    """Also those of INTERNAL and RESOURCE_EXHAUSTED, which the SDK doesn't decode."""
    client = shared.made[0].client
    fault = {"source": row.source, "code": row.code, "status": STATUS.get(row.source, "INVALID_ARGUMENT")}
    shared.sandbox.faults.add(match="SearchStream", times=6, detail=fault)
    try:
        with pytest.raises(errors.SyncError) as caught:
            client.query("SELECT customer.id FROM customer")
    finally:
        shared.sandbox.faults.clear()
    assert caught.value.code == row.code
    if row.code in GONE or row.code in EXISTS:
        assert caught.value.remedy == row.remedy
    elif row.error is errors.RowsRejectedError:
        assert isinstance(caught.value, (errors.FatalError, RefusedMembersError))
    else:
        assert isinstance(caught.value, row.error)
        assert row.error is errors.RetriableError or caught.value.remedy == row.remedy


def test_the_quotas_own_wait_is_kept(world: World) -> None:
    """RESOURCE_EXHAUSTED carries it in the trailing metadata, where the SDK leaves it."""
    fault = {"source": "quota_error", "code": "RESOURCE_TEMPORARILY_EXHAUSTED", "status": "RESOURCE_EXHAUSTED"}
    world.sandbox.faults.add(match="SearchStream", detail={**fault, "retry_delay": 7.5})
    connector = world.connect()
    assert len(connector.client.query("SELECT customer.id FROM customer")) == 1
    assert world.waits == [7.5]


def test_a_lookalike_refused_for_good_says_why(world: World) -> None:
    connector = world.connect()
    seed = world.filled(connector, range(200))
    fault = {"source": "authorization_error", "code": "USER_PERMISSION_DENIED", "status": "PERMISSION_DENIED"}
    world.sandbox.faults.add(match="MutateUserLists", detail=fault)
    with pytest.raises(errors.ConfigurationError, match="login_account_id"):
        connector.find_or_create_lookalike(seed, LookalikeSpec("l", "L", ("US",)))
