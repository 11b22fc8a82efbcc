"""The stand-in's Data Manager refuses what Google's does, told by a plain HTTP client."""

from __future__ import annotations

import base64
import hashlib
import uuid
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.connectors.google.conftest import ACCOUNT
from tests.connectors.google.plain import PARENT, Plain, address, hexed, member, refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.connectors.google.conftest import World


@pytest.fixture
def plain(world: World) -> Plain:
    return Plain(world)


EMAIL = "audience_members[0].composite_data.user_data.user_identifiers[0].email_address"
PLACE = "audience_members[0].composite_data.user_data.user_identifiers[0].address"
MEMBERS: list[tuple[str, Callable[[Plain], dict[str, Any]], str, str]] = [
    ("no encoding", lambda _: {"encoding": None}, "REQUIRED_FIELD_MISSING", "encoding"),
    ("raw e-mail", lambda _: {"audienceMembers": [member({"emailAddress": "a@example.com"})]}, "INVALID_HEX_ENCODING", EMAIL),
    (
        "upper case",
        lambda _: {"audienceMembers": [member({"emailAddress": hexed("a").upper()})]},
        "INVALID_SHA256_FORMAT",
        EMAIL,
    ),
    (
        "md5",
        lambda _: {"audienceMembers": [member({"emailAddress": "d41d8cd98f00b204e9800998ecf8427e"})]},
        "INVALID_SHA256_FORMAT",
        EMAIL,
    ),
    (
        "hex said to be base64",
        lambda _: {"encoding": "BASE64", "audienceMembers": [member({"emailAddress": "***"})]},
        "INVALID_BASE64_ENCODING",
        EMAIL,
    ),
    (
        "short base64",
        lambda _: {"encoding": "BASE64", "audienceMembers": [member({"emailAddress": "YWJj"})]},
        "INVALID_SHA256_FORMAT",
        EMAIL,
    ),
    ("10,001 members", lambda _: {"audienceMembers": [member()] * 10_001}, "TOO_MANY_AUDIENCE_MEMBERS", "audience_members"),
    ("no members", lambda _: {"audienceMembers": []}, "REQUIRED_FIELD_MISSING", "audience_members"),
    (
        "11 identifiers",
        lambda _: {"audienceMembers": [member(*[{"emailAddress": hexed(str(one))} for one in range(11)])]},
        "TOO_MANY_USER_IDENTIFIERS",
        "audience_members[0].composite_data.user_data.user_identifiers",
    ),
    ("11 destinations", lambda one: {"destinations": [one.destination()] * 11}, "TOO_MANY_DESTINATIONS", "destinations"),
    ("no destination", lambda _: {"destinations": []}, "REQUIRED_FIELD_MISSING", "destinations"),
    (
        "the same reference twice",
        lambda one: {"destinations": [one.destination(reference="a")] * 2},
        "DUPLICATE_DESTINATION_REFERENCE",
        "destinations",
    ),
    (
        "unknown list",
        lambda one: {"destinations": [one.destination(productDestinationId="1")]},
        "INVALID_USER_LIST_ID",
        "destinations[0].product_destination_id",
    ),
    (
        "a resource name for an id",
        lambda one: {"destinations": [one.destination(productDestinationId=f"{PARENT}/userLists/{one.list_id}")]},
        "INVALID_USER_LIST_ID",
        "destinations[0].product_destination_id",
    ),
    (
        "another account's list",
        lambda one: {
            "destinations": [one.destination(operatingAccount={"accountType": "GOOGLE_ADS", "accountId": "2222222222"})]
        },
        "INVALID_USER_LIST_ID",
        "destinations[0].product_destination_id",
    ),
    (
        "an account with hyphens",
        lambda one: {
            "destinations": [one.destination(operatingAccount={"accountType": "GOOGLE_ADS", "accountId": "123-456-7890"})]
        },
        "INVALID_DESTINATION",
        "destinations[0].operating_account",
    ),
    (
        "two kinds of data",
        lambda _: {"audienceMembers": [member(), {"mobileData": {"mobileIds": [str(uuid.UUID(int=1))]}}]},
        "MULTIPLE_DATA_TYPES_NOT_ALLOWED",
        "audience_members",
    ),
    (
        "mobile ids into a contact list",
        lambda _: {"audienceMembers": [{"mobileData": {"mobileIds": [str(uuid.UUID(int=1))]}}]},
        "INVALID_USER_LIST_TYPE",
        "destinations[0].product_destination_id",
    ),
    (
        "a mobile id that is none",
        lambda _: {"audienceMembers": [{"mobileData": {"mobileIds": ["abcd-1234"]}}]},
        "INVALID_MOBILE_ID_FORMAT",
        "audience_members[0].mobile_data.mobile_ids",
    ),
    *(
        (
            f"address without {name}",
            lambda _, name=name: {"audienceMembers": [member(address(**{name: None}))]},
            "REQUIRED_FIELD_MISSING",
            f"{PLACE}.{field}",
        )
        for name, field in {
            "givenName": "given_name",
            "familyName": "family_name",
            "regionCode": "region_code",
            "postalCode": "postal_code",
        }.items()
    ),
    (
        "raw name",
        lambda _: {"audienceMembers": [member(address(givenName="jane"))]},
        "INVALID_HEX_ENCODING",
        f"{PLACE}.given_name",
    ),
    (
        "lower-case country",
        lambda _: {"audienceMembers": [member(address(regionCode="us"))]},
        "INVALID_REGION_CODE",
        f"{PLACE}.region_code",
    ),
    (
        "US postal code of 4",
        lambda _: {"audienceMembers": [member(address(postalCode="1234"))]},
        "INVALID_POSTAL_CODE",
        f"{PLACE}.postal_code",
    ),
    ("empty member", lambda _: {"audienceMembers": [{}]}, "REQUIRED_FIELD_MISSING", "audience_members[0]"),
]


@pytest.mark.parametrize(("fields", "reason", "place"), [row[1:] for row in MEMBERS], ids=[row[0] for row in MEMBERS])
@pytest.mark.parametrize("method", ["ingest", "remove"])
def test_members_that_google_refuses(
    plain: Plain, method: str, fields: Callable[[Plain], dict[str, Any]], reason: str, place: str
) -> None:
    assert refusal(getattr(plain, method)(**fields(plain))) == (400, reason, [place])
    assert plain.count() == 0, "a refused request changes nothing"
    assert plain.world.sandbox.requests[-1]["code"] == reason


TERMS = [{"termsOfService": None}, {"termsOfService": {"customerMatchTermsOfServiceStatus": "REJECTED"}}]


@pytest.mark.parametrize("fields", TERMS, ids=["missing", "rejected"])
def test_terms_must_be_accepted_in_each_request(plain: Plain, fields: dict[str, Any]) -> None:
    assert refusal(plain.ingest(**fields))[:2] == (400, "TERMS_AND_CONDITIONS_NOT_SIGNED")


def test_one_bad_member_spoils_all_and_all_are_named(plain: Plain) -> None:
    members = [member({"emailAddress": hexed(str(one)) if one % 40 else "raw"}) for one in range(100)]
    status, reason, fields = refusal(plain.ingest(audienceMembers=members))
    assert (status, reason) == (400, "INVALID_HEX_ENCODING")
    assert fields == [EMAIL.replace("members[0]", f"members[{one}]") for one in (0, 40, 80)]
    assert plain.count() == 0


def test_enums_are_names_or_numbers_and_fields_camel_or_snake(plain: Plain) -> None:
    digest = base64.b64encode(hashlib.sha256(b"n").digest()).decode()
    numbers = {
        "destinations": [
            {"operating_account": {"account_type": 1, "account_id": ACCOUNT}, "product_destination_id": plain.list_id}
        ],
        "audience_members": [{"user_data": {"user_identifiers": [{"email_address": digest}]}}],
        "encoding": 2,
        "terms_of_service": {"customer_match_terms_of_service_status": 1},
    }
    status, answer = plain.call("POST", "audienceMembers:ingest?$alt=json;enum-encoding=int", numbers)
    assert (status, plain.count()) == (200, 1)
    plain.world.sandbox.clock.advance(hours=1)
    path = f"requestStatus:retrieve?requestId={answer['requestId']}"
    named = plain.call("GET", path)[1]["requestStatusPerDestination"][0]
    counted = plain.call("GET", f"{path}&$alt=json;enum-encoding=int")[1]["requestStatusPerDestination"][0]
    assert (named["requestStatus"], counted["requestStatus"]) == ("SUCCESS", 1)
    kept = named["audienceMembersIngestionStatus"]["userDataIngestionStatus"]
    assert kept == {"recordCount": "1", "userIdentifierCount": "1", "uploadMatchRateRange": "MATCH_RATE_RANGE_71_TO_80"}


@pytest.mark.parametrize("body", [{"audienceMembres": []}, {"encoding": "HEXADECIMAL"}, {"consent": 3}, [1]])
def test_json_that_fits_no_message_is_refused(plain: Plain, body: Any) -> None:
    status, answer = plain.call("POST", "audienceMembers:ingest", body)
    assert (status, answer["error"]["status"]) == (400, "INVALID_ARGUMENT")


def test_validating_only_changes_nothing_and_has_no_status(plain: Plain) -> None:
    status, answer = plain.ingest(validateOnly=True)
    assert (status, plain.count()) == (200, 0)
    path = f"requestStatus:retrieve?requestId={answer['requestId']}"
    assert refusal(plain.call("GET", path))[1] == "INVALID_REQUEST_ID"


def test_outcomes_come_with_time_and_go_after_50_days(plain: Plain) -> None:
    path = f"requestStatus:retrieve?requestId={plain.ingest()[1]['requestId']}"
    states = []
    for hours in (0, 1, 51 * 24):
        plain.world.sandbox.clock.advance(hours=hours)
        status, answer = plain.call("GET", path)
        states.append(
            answer["requestStatusPerDestination"][0]["requestStatus"] if status == 200 else refusal((status, answer))[1]
        )
    assert states == ["PROCESSING", "SUCCESS", "REQUEST_TOO_OLD"]


EUROPE = [address(regionCode="DE", postalCode="10115")]
GRANTED, DENIED = "CONSENT_GRANTED", "CONSENT_DENIED"
CONSENTS = [
    ("both granted", {"adUserData": GRANTED, "adPersonalization": GRANTED}, {}, "SUCCESS", ""),
    ("one missing", {"adUserData": GRANTED}, {}, "FAILED", "NO_CONSENT"),
    ("none", None, {}, "FAILED", "NO_CONSENT"),
    ("denied", {"adUserData": DENIED, "adPersonalization": GRANTED}, {}, "FAILED", "DENIED_CONSENT"),
    ("the member's own wins", None, {"consent": {"adUserData": GRANTED, "adPersonalization": GRANTED}}, "SUCCESS", ""),
]


@pytest.mark.parametrize(("consent", "own", "state", "reason"), [row[1:] for row in CONSENTS], ids=[row[0] for row in CONSENTS])
def test_europeans_without_consent_are_dropped_while_processing(
    plain: Plain, consent: Any, own: dict[str, Any], state: str, reason: str
) -> None:
    status, answer = plain.ingest(consent=consent, audienceMembers=[{**member(*EUROPE), **own}])
    assert status == 200
    plain.world.sandbox.clock.advance(hours=1)
    (found,) = plain.call("GET", f"requestStatus:retrieve?requestId={answer['requestId']}")[1]["requestStatusPerDestination"]
    assert found["requestStatus"] == state
    counts = found.get("errorInfo", {}).get("errorCounts", [])
    assert counts == ([{"recordCount": "1", "reason": f"PROCESSING_ERROR_REASON_{reason}"}] if reason else [])
    assert plain.count() == (0 if reason else 1)


def test_remove_all_keeps_those_added_since(plain: Plain) -> None:
    plain.ingest()
    between = plain.world.now() + timedelta(minutes=30)
    plain.world.sandbox.clock.advance(hours=1)
    plain.ingest(audienceMembers=[member({"emailAddress": hexed("later")})])
    body = {"destinations": [plain.destination()], "removeAsOfTime": between.isoformat().replace("+00:00", "Z")}
    status, answer = plain.call("POST", "audienceMembers:removeAll", body)
    assert (status, plain.count()) == (200, 1)
    plain.world.sandbox.clock.advance(hours=1)
    (found,) = plain.call("GET", f"requestStatus:retrieve?requestId={answer['requestId']}")[1]["requestStatusPerDestination"]
    assert (found["requestStatus"], found["removeAllAudienceMembersStatus"]) == ("SUCCESS", {})
    future = (plain.world.now() + timedelta(hours=1)).isoformat().replace("+00:00", "Z")
    assert refusal(plain.call("POST", "audienceMembers:removeAll", {**body, "removeAsOfTime": future}))[1] == (
        "INVALID_REMOVE_AS_OF_TIME"
    )
    many = {**body, "destinations": [plain.destination()] * 11}
    assert refusal(plain.call("POST", "audienceMembers:removeAll", many))[1] == "TOO_MANY_DESTINATIONS"


LISTS: list[tuple[str, dict[str, Any], str]] = [
    ("no name", {"displayName": None}, "REQUIRED_FIELD_MISSING"),
    ("blank name", {"displayName": "  "}, "REQUIRED_FIELD_MISSING"),
    ("long name", {"displayName": "x" * 256}, "INVALID_DISPLAY_NAME"),
    ("used name", {"displayName": "Base"}, "DISPLAY_NAME_ALREADY_USED"),
    ("no kind", {"ingestedUserListInfo": None}, "REQUIRED_FIELD_MISSING"),
    ("541 days", {"membershipDuration": f"{541 * 86400}s"}, "MEMBERSHIP_DURATION_TOO_LONG"),
    ("half a day", {"membershipDuration": "43200s"}, "INVALID_ARGUMENT"),
    ("a split second", {"membershipDuration": "86400.5s"}, "INVALID_ARGUMENT"),
]


@pytest.mark.parametrize(("fields", "reason"), [row[1:] for row in LISTS], ids=[row[0] for row in LISTS])
def test_lists_that_google_refuses(plain: Plain, fields: dict[str, Any], reason: str) -> None:
    answer = plain.call("POST", f"{PARENT}/userLists", plain.user_list(**fields))
    assert refusal(answer)[:2] == (400, reason)
    assert len(plain.world.sandbox.state()["audiences"]) == 1


def test_lists_are_changed_only_where_google_lets_them(plain: Plain) -> None:
    path = f"{PARENT}/userLists/{plain.list_id}"
    plain.create(displayName="Other")
    status, changed = plain.call(
        "PATCH", f"{path}?updateMask=displayName,membershipDuration", {"displayName": "New", "membershipDuration": "86400s"}
    )
    assert (status, changed["displayName"], changed["membershipDuration"]) == (200, "New", "86400s")
    assert refusal(plain.call("PATCH", f"{path}?updateMask=displayName", {"displayName": "Other"}))[1] == (
        "DISPLAY_NAME_ALREADY_USED"
    )
    immutable = {"ingestedUserListInfo": {"uploadKeyTypes": ["MOBILE_ID"]}}
    assert refusal(plain.call("PATCH", f"{path}?updateMask=ingestedUserListInfo", immutable))[1] == "IMMUTABLE_FIELD_FOR_UPDATE"
    assert refusal(plain.call("PATCH", f"{path}?updateMask=readOnly", {}))[1] == "INVALID_UPDATE_MASK"
    closed = {"membershipStatus": "CLOSED"}
    assert plain.call("PATCH", f"{path}?updateMask=membershipStatus", closed)[0] == 200
    assert refusal(plain.ingest())[1] == "INVALID_USER_LIST_ID"
    assert plain.call("DELETE", path) == (200, {})
    assert refusal(plain.call("GET", path))[:2] == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("condition", "names"),
    [
        ('display_name = "Base"', ["Base"]),
        ('displayName="B \\"q\\""', ['B "q"']),
        ('display_name : "B"', ["Base", 'B "q"']),
        ('display_name != "Base" AND membership_status = "OPEN"', ['B "q"', "c"]),
        ('IN(display_name, "Base", "c")', ["Base", "c"]),
        ("id > 8000000002", ["c"]),
        ('ingested_user_list_info.upload_key_types : "CONTACT_ID"', ["Base", 'B "q"', "c"]),
        ("", ["Base", 'B "q"', "c"]),
        ("display_name ~ x", None),
        ('size = "1"', None),
        ('display_name = "a" OR id = 1', None),
        ("id = x", None),
    ],
)
def test_filters(plain: Plain, condition: str, names: list[str] | None) -> None:
    plain.create(displayName='B "q"')
    plain.create(displayName="c")
    status, answer = plain.call("GET", f"{PARENT}/userLists", params={"filter": condition})
    if names is None:
        assert refusal((status, answer))[1] == "INVALID_FILTER"
    else:
        assert [one["displayName"] for one in answer["userLists"]] == names


def test_pages(plain: Plain) -> None:
    for number in range(4):
        plain.create(displayName=str(number))
    path, found, token = f"{PARENT}/userLists?pageSize=2", [], ""
    while True:
        answer = plain.call("GET", f"{path}&pageToken={token}")[1]
        found.append([one["displayName"] for one in answer["userLists"]])
        token = answer.get("nextPageToken", "")
        if not token:
            break
    assert found == [["Base", "0"], ["1", "2"], ["3"]]
    assert refusal(plain.call("GET", f"{path}&pageToken=x"))[1] == "INVALID_PAGE_TOKEN"


def test_the_header_of_the_manager_is_read(plain: Plain) -> None:
    plain.world.sandbox.accounts[ACCOUNT] = {"parent": "9999999999"}
    path, name = f"{PARENT}/userLists", "accountTypes/GOOGLE_ADS/accounts/9999999999"
    assert plain.call("GET", path, headers={"login-account": name})[0] == 200
    assert refusal(plain.call("GET", path))[:2] == (403, "PERMISSION_DENIED")
    assert refusal(plain.call("GET", path, headers={"login-account": "9999999999"}))[1] == "INVALID_ARGUMENT"
    assert refusal(plain.ingest())[:2] == (403, "PERMISSION_DENIED")
    login = {"loginAccount": {"accountType": "GOOGLE_ADS", "accountId": "9999999999"}}
    assert plain.ingest(destinations=[plain.destination(**login)])[0] == 200


@pytest.mark.parametrize(
    ("bucket", "calls"),
    [
        ("IngestionMutate", lambda one: one.ingest()),
        ("IngestionRead", lambda one: one.call("GET", "requestStatus:retrieve?requestId=x")),
        ("ManagementMutate", lambda one: one.call("POST", f"{PARENT}/userLists", one.user_list(displayName=str(uuid.uuid4())))),
        ("ManagementRead", lambda one: one.call("GET", f"{PARENT}/userLists")),
    ],
)
def test_quotas_are_counted_apart(plain: Plain, bucket: str, calls: Callable[[Plain], tuple[int, dict[str, Any]]]) -> None:
    plain.world.sandbox.clock.advance(hours=1)
    plain.world.sandbox.store.per_minute = 3
    answers = [calls(plain) for _ in range(4)]
    assert [status == 429 for status, _ in answers] == [False, False, False, True]
    (info,) = [one for one in answers[-1][1]["error"]["details"] if "reason" in one]
    assert info["metadata"]["quota_limit"] == f"{bucket}RequestsPerMinutePerProject"
    plain.world.sandbox.clock.advance(seconds=61)
    assert calls(plain)[0] != 429


def test_what_is_no_method_is_not_found(plain: Plain) -> None:
    assert refusal(plain.call("GET", "nothing"))[:2] == (404, "NOT_FOUND")
    assert refusal(plain.call("GET", "audienceMembers:ingest"))[:2] == (404, "NOT_FOUND")
