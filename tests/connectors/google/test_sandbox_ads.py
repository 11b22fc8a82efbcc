"""The stand-in's Google Ads refuses what Google's does, told by a bare gRPC channel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.connectors.google.conftest import ACCOUNT
from tests.connectors.google.plain import Plain, ads, hexed, member

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.connectors.google.conftest import World


def seeds(world: World, people: int = 200) -> str:
    """A list with this many people, matched."""
    plain = Plain(world)
    plain.ingest(audienceMembers=[member({"emailAddress": hexed(str(one))}) for one in range(people)])
    world.sandbox.clock.advance(hours=48)
    return plain.list_id


def create(**fields: Any) -> dict[str, Any]:
    return {"customerId": ACCOUNT, "operations": [{"create": {"name": "Look", **fields}}]}


def lookalike(seed: str, **fields: Any) -> dict[str, Any]:
    info = {"seedUserListIds": [seed], "expansionLevel": "NARROW", "countryCodes": ["US"], **fields}
    return create(lookalikeUserList=info)


ADS_LISTS: list[tuple[str, Callable[[str], dict[str, Any]], str]] = [
    ("no seed", lambda seed: lookalike(seed, seedUserListIds=[]), "SEED_LIST_DOES_NOT_EXIST"),
    ("unknown seed", lambda seed: lookalike("1"), "SEED_LIST_DOES_NOT_EXIST"),
    ("another account's seed", lambda seed: {**lookalike(seed), "customerId": "2222222222"}, "INVALID_SEED_LIST_ACCESS_REASON"),
    ("alpha-3 country", lambda seed: lookalike(seed, countryCodes=["USA"]), "INVALID_COUNTRY_CODES"),
    ("no country", lambda seed: lookalike(seed, countryCodes=[]), "INVALID_COUNTRY_CODES"),
    ("no level", lambda seed: lookalike(seed, expansionLevel=0), "REQUIRED_FIELD_MISSING"),
    ("used name", lambda seed: create(name="Base", crmBasedUserList={"uploadKeyType": "CONTACT_INFO"}), "NAME_ALREADY_USED"),
    ("no name", lambda seed: create(name="", crmBasedUserList={}), "INVALID_NAME"),
    ("541 days", lambda seed: create(membershipLifeSpan="541", crmBasedUserList={}), "TOO_HIGH"),
    ("10000 days", lambda seed: create(membershipLifeSpan="10000", crmBasedUserList={}), "TOO_HIGH"),
    ("no kind", lambda seed: create(), "USER_LIST_MUTATE_NOT_SUPPORTED"),
    ("no operation", lambda seed: {"customerId": ACCOUNT, "operations": [{}]}, "OPERATION_REQUIRED"),
    ("an account with hyphens", lambda seed: {**lookalike(seed), "customerId": "123-456-7890"}, "INVALID_CUSTOMER_ID"),
    (
        "a list that is not there",
        lambda seed: {"customerId": ACCOUNT, "operations": [{"remove": f"customers/{ACCOUNT}/userLists/1"}]},
        "RESOURCE_NOT_FOUND",
    ),
    (
        "a name that is none",
        lambda seed: {"customerId": ACCOUNT, "operations": [{"remove": "userLists/1"}]},
        "RESOURCE_NAME_MALFORMED",
    ),
    (
        "another level of a lookalike",
        lambda seed: {
            "customerId": ACCOUNT,
            "operations": [
                {
                    "update": {"resourceName": f"customers/{ACCOUNT}/userLists/{seed}"},
                    "updateMask": "lookalikeUserList.expansionLevel",
                }
            ],
        },
        "IMMUTABLE_FIELD",
    ),
]


@pytest.mark.parametrize(("body", "code"), [row[1:] for row in ADS_LISTS], ids=[row[0] for row in ADS_LISTS])
def test_lists_that_google_ads_refuses(world: World, body: Callable[[str], dict[str, Any]], code: str) -> None:
    seed = seeds(world)
    assert ads(world, "UserListService", "MutateUserLists", body(seed)) == code
    assert len(world.sandbox.store.lists) == 1


def test_a_lookalike_twice_is_a_duplicate_and_a_small_seed_is_refused(world: World) -> None:
    seed = seeds(world)
    made = ads(world, "UserListService", "MutateUserLists", lookalike(seed, countryCodes=["US", "CA"]))
    assert made["results"][0]["resourceName"].startswith(f"customers/{ACCOUNT}/userLists/")
    again = lookalike(seed, countryCodes=["CA", "US"])
    again["operations"][0]["create"]["name"] = "Another"
    assert ads(world, "UserListService", "MutateUserLists", again) == "DUPLICATE_LOOKALIKE"
    of_itself = lookalike(made["results"][0]["resourceName"].rpartition("/")[2])
    assert ads(world, "UserListService", "MutateUserLists", of_itself) == "INVALID_SEED_LIST_TYPE"
    world.sandbox.clock.advance(hours=541 * 24)
    assert ads(world, "UserListService", "MutateUserLists", lookalike(seed, countryCodes=["MX"])) == "INVALID_SEED_LIST_TYPE"


@pytest.mark.parametrize("service", ["OfflineUserDataJobService/CreateOfflineUserDataJob", "UserDataService/UploadUserData"])
def test_uploads_through_google_ads_are_closed_to_newcomers(world: World, service: str) -> None:
    name, method = service.split("/")
    assert ads(world, name, method, {"customerId": ACCOUNT}) == "CUSTOMER_NOT_ALLOWLISTED_FOR_THIS_FEATURE"


def search(world: World, query: str, method: str = "SearchStream", **fields: Any) -> Any:
    return ads(world, "GoogleAdsService", method, {"customerId": ACCOUNT, "query": query, **fields})


QUERIES = [
    ("FROM customer", "EXPECTED_SELECT"),
    ("SELECT customer.id", "EXPECTED_FROM"),
    ("SELECT customer.id FROM", "UNEXPECTED_END_OF_QUERY"),
    ("SELECT customer.shoe_size FROM customer", "UNRECOGNIZED_FIELD"),
    ("SELECT customer FROM customer", "UNRECOGNIZED_FIELD"),
    ("SELECT customer.id FROM customers", "BAD_RESOURCE_TYPE_IN_FROM_CLAUSE"),
    ("SELECT customer.id FROM keyword_view", "PROHIBITED_RESOURCE_TYPE_IN_FROM_CLAUSE"),
    ("SELECT customer.id FROM customer LIMIT 0", "BAD_LIMIT_VALUE"),
    ("SELECT customer.id FROM customer WHERE customer.id ~ 1", "BAD_SYMBOL"),
    ("SELECT customer.id FROM customer WHERE customer.id LIKES 1", "BAD_OPERATOR"),
    ("SELECT customer.id FROM customer GROUP BY customer.id", "UNEXPECTED_INPUT"),
    ("SELECT campaign.id, segments.date FROM campaign", "EXPECTED_FILTERS_ON_DATE_RANGE"),
    ("SELECT campaign.id FROM campaign WHERE segments.date = '22.11.2026'", "INVALID_DATE_FORMAT"),
    ("SELECT campaign.id FROM campaign WHERE segments.device = 'MOBILE'", "EXPECTED_REFERENCED_FIELD_IN_SELECT_CLAUSE"),
    (
        "SELECT campaign.id, segments.date FROM campaign WHERE segments.date = '2015-01-01'",
        "REQUESTED_DATE_GRANULARITY_NOT_SUPPORTED",
    ),
    ("SELECT click_view.gclid FROM click_view", "EXPECTED_FILTER_ON_A_SINGLE_DAY"),
    (
        "SELECT click_view.gclid FROM click_view WHERE segments.date BETWEEN '2026-11-01' AND '2026-11-02'",
        "EXPECTED_FILTER_ON_A_SINGLE_DAY",
    ),
    ("SELECT click_view.gclid FROM click_view WHERE segments.date = '2020-11-01'", "DATE_TOO_OLD"),
]


@pytest.mark.parametrize(("query", "code"), QUERIES)
def test_queries_that_google_refuses(world: World, query: str, code: str) -> None:
    assert search(world, query) == code


def test_searching_takes_no_page_size_and_managers_have_no_metrics(world: World) -> None:
    query = "SELECT customer.id FROM customer"
    assert search(world, query, "Search", pageSize=100) == "PAGE_SIZE_NOT_SUPPORTED"
    assert search(world, query, "Search", pageToken="x") == "INVALID_PAGE_TOKEN"
    assert search(world, query, "Search")["results"] == search(world, query)
    world.sandbox.accounts[ACCOUNT] = {"manager": True}
    assert search(world, "SELECT metrics.clicks FROM campaign") == "REQUESTED_METRICS_FOR_MANAGER"


def test_search_pages_hold_10000_rows(world: World) -> None:
    place = {"campaign_name": "C", "date": world.now().date().isoformat(), "clicks": 1}
    world.sandbox.campaigns = [{**place, "campaign_id": str(one)} for one in range(1, 10_003)]
    query = "SELECT campaign.id, metrics.clicks FROM campaign"
    first = search(world, query, "Search")
    rest = search(world, query, "Search", pageToken=first["nextPageToken"])
    assert (len(first["results"]), len(rest["results"]), first["totalResultsCount"]) == (10_000, 2, "10002")
    assert len(search(world, query)) == 10_002


def test_conditions_and_order(world: World) -> None:
    for name in ("b", "a", "c"):
        Plain.create(_bare(world), displayName=name)
    base = "SELECT user_list.name FROM user_list"
    shown = {
        "WHERE user_list.name IN ('a', 'c') ORDER BY user_list.name DESC": ["c", "a"],
        "WHERE user_list.name LIKE 'b%'": ["b"],
        "WHERE user_list.type = 'CRM_BASED' AND user_list.name != 'a' ORDER BY user_list.name": ["b", "c"],
        "WHERE user_list.id >= 8000000002 LIMIT 1": ["a"],
        "WHERE user_list.type = 'LOOKALIKE'": [],
    }
    found = {tail: [row["userList"]["name"] for row in search(world, f"{base} {tail}")] for tail in shown}
    assert found == shown


def _bare(world: World) -> Plain:
    made = Plain.__new__(Plain)
    made.world, made.base = world, world.addresses["data_manager"]
    return made


def test_the_manager_header_of_google_ads(world: World) -> None:
    world.sandbox.accounts[ACCOUNT] = {"parent": "9999999999"}
    body = {"customerId": ACCOUNT, "query": "SELECT customer.id FROM customer"}

    def call(*metadata: tuple[str, str]) -> Any:
        return ads(world, "GoogleAdsService", "SearchStream", body, metadata)

    assert call() == "USER_PERMISSION_DENIED"
    assert call(("login-customer-id", "999-999-9999")) == "INVALID_LOGIN_CUSTOMER_ID"
    assert call(("login-customer-id", "9999999999"), ("developer-token", "ignored"))[0]["customer"]["id"] == ACCOUNT


def typed(user_list: str, category: str) -> dict[str, Any]:
    return {"customerId": ACCOUNT, "operations": [{"create": {"userList": user_list, "customerTypeCategory": category}}]}


def test_customer_types_have_their_own_rules(world: World) -> None:
    name = f"customers/{ACCOUNT}/userLists/{seeds(world)}"

    def mutate(body: dict[str, Any]) -> Any:
        return ads(world, "UserListCustomerTypeService", "MutateUserListCustomerTypes", body)

    assert mutate(typed(name, "PURCHASERS"))["results"][0]["resourceName"].endswith("~PURCHASERS")
    assert mutate(typed(name, "PURCHASERS")) == "RESOURCE_ALREADY_EXISTS"
    assert mutate(typed(name, "QUALIFIED_LEADS")) == "CONFLICTING_CUSTOMER_TYPES"
    assert mutate(typed(f"customers/{ACCOUNT}/userLists/1", "PURCHASERS")) == "NO_ACCESS_TO_USER_LIST"
    made = ads(world, "UserListService", "MutateUserLists", lookalike(name.rpartition("/")[2]))
    assert mutate(typed(made["results"][0]["resourceName"], "PURCHASERS")) == "USERLIST_NOT_ELIGIBLE"
    world.sandbox.accounts[ACCOUNT] = {"conversion_tracking": False}
    assert mutate(typed(name, "HIGH_VALUE_CUSTOMERS")).startswith("CONVERSION_TRACKING_NOT_ENABLED")


def test_value_rules_have_their_own_rules(world: World) -> None:
    name = f"customers/{ACCOUNT}/userLists/{seeds(world)}"

    def rule(**fields: Any) -> Any:
        plain = {"action": {"operation": "MULTIPLY", "value": 2}, "audienceCondition": {"userLists": [name]}, **fields}
        body = {"customerId": ACCOUNT, "operations": [{"create": plain}]}
        return ads(world, "ConversionValueRuleService", "MutateConversionValueRules", body)

    def rule_set(**fields: Any) -> Any:
        body = {"customerId": ACCOUNT, "operations": [{"create": {"attachmentType": "CUSTOMER", **fields}}]}
        return ads(world, "ConversionValueRuleSetService", "MutateConversionValueRuleSets", body)

    assert rule(audienceCondition={"userLists": ["customers/1/userLists/1"]}) == "INVALID_AUDIENCE_USER_LIST"
    assert rule(action={"operation": "MULTIPLY", "value": 0}) == "TOO_LOW"
    made = rule()["results"][0]["resourceName"]
    assert rule_set(conversionValueRules=["customers/1/conversionValueRules/1"]) == "INVALID_VALUE_RULE"
    assert rule_set(conversionValueRules=[made], dimensions=["AUDIENCE", "AUDIENCE"]) == "DUPLICATE_DIMENSIONS"
    assert rule_set(conversionValueRules=[made], dimensions=["AUDIENCE"])["results"]
