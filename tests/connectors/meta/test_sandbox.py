"""What the sandbox refuses, told with a plain HTTP client, code by code; one line per documented limit or rule."""

from __future__ import annotations

import hashlib
import http.client
import json
import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import pytest

from connectors.meta.sandbox import MetaSandbox
from connectors.meta.sandbox.limits import TIERS

if TYPE_CHECKING:
    from collections.abc import Callable

HASH = hashlib.sha256(b"mary@example.com").hexdigest()
EMPTY = hashlib.sha256(b"").hexdigest()
EDGE = "/v26.0/act_111/customaudiences"
CUSTOM = {"name": "Seed", "subtype": "CUSTOM", "customer_file_source": "USER_PROVIDED_ONLY"}


class Http:
    """Plain calls to the sandbox."""

    def __init__(self, box: MetaSandbox) -> None:
        self.port = int(box.address.rpartition(":")[2])  # type: ignore[attr-defined]

    def __call__(self, method: str, path: str, body: Any = None, *, form: bool = False, **headers: str) -> tuple[int, Any]:
        """Status and JSON (or text) of an answer; parameters travel as JSON, or as a form."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        raw, kind = None, {}
        if body is not None and form:
            raw = urlencode({name: one if isinstance(one, str) else json.dumps(one) for name, one in body.items()})
            kind = {"Content-Type": "application/x-www-form-urlencoded"}
        elif body is not None:
            raw, kind = json.dumps(body), {"Content-Type": "application/json"}
        connection.request(method, path, raw, {**kind, **headers})
        answer = connection.getresponse()
        text = answer.read().decode()
        self.headers = dict(answer.getheaders())
        connection.close()
        return answer.status, json.loads(text) if text.startswith(("{", "[")) else text

    def refused(self, method: str, path: str, body: Any = None, **more: Any) -> tuple[int, int | None]:
        """Code and subcode of the error that a call gets."""
        status, answer = self(method, path, body, **more)
        assert status >= 400
        assert set(answer["error"]) >= {"message", "type", "code", "fbtrace_id"}
        return answer["error"]["code"], answer["error"].get("error_subcode")


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


def upload(
    rows: Any, schema: Any = ("EMAIL",), *, seq: int = 1, last: bool = True, session: Any = 5, **more: Any
) -> dict[str, Any]:
    block = {"session_id": session, "batch_seq": seq, "last_batch_flag": last}
    listed = list(schema) if isinstance(schema, tuple) else schema
    return {"payload": {"schema": listed, "data": rows}, "session": block, **more}


def mail(number: int) -> str:
    return hashlib.sha256(f"{number}@example.com".encode()).hexdigest()


def fill(http_: Http, audience: str, count: int, **more: Any) -> None:
    status, answer = http_("POST", f"/v26.0/{audience}/users", upload([[mail(n)] for n in range(count)], **more))
    assert (status, answer["num_received"], answer["num_invalid_entries"]) == (200, count, 0)


@pytest.mark.parametrize("path", ["/v24.0/act_111", "/v9.0/act_111", "/act_111", "/v26/act_111"])
def test_old_and_missing_versions(http_: Http, path: str) -> None:
    assert http_.refused("GET", path) == (2635, None)


@pytest.mark.parametrize("version", ["v25.0", "v26.0"])
def test_living_versions_and_their_headers(http_: Http, version: str) -> None:
    assert http_("GET", f"/{version}/act_111")[1] == {"id": "act_111"}
    assert http_.headers["facebook-api-version"] == version
    assert json.loads(http_.headers["X-Ad-Account-Usage"])["ads_api_access_tier"] == "standard_access"
    assert json.loads(http_.headers["X-Business-Use-Case-Usage"])["111"][0]["type"] == "custom_audience"


@pytest.mark.parametrize(("token", "code"), [("old", (190, 463)), ("wrong", (190, 467)), ("", (190, 467))])
def test_tokens(http_: Http, box: MetaSandbox, token: str, code: tuple[int, int]) -> None:
    box.tokens = {"good": "valid", "old": "expired"}
    assert http_.refused("GET", f"/v26.0/act_111?access_token={token}") == code
    assert http_.refused("GET", "/v26.0/act_111", Authorization=f"Bearer {token}") == code
    assert http_.refused("POST", EDGE, {**CUSTOM, "access_token": token}) == code
    for call in (
        ("GET", "/v26.0/act_111?access_token=good", None),
        ("POST", "/v26.0/act_111/insights", {"access_token": "good"}),
    ):
        assert http_(*call)[0] == 200
    assert http_("GET", "/v26.0/act_111", Authorization="Bearer good")[0] == 200


def test_proofs(http_: Http, box: MetaSandbox) -> None:
    box.app_secret = "app-secret"
    assert http_.refused("GET", "/v26.0/act_111?access_token=TOKEN") == (100, None)
    assert http_.refused("GET", "/v26.0/act_111?access_token=TOKEN&appsecret_proof=00") == (100, None)
    proof = "751c15abbdb90f81415b11b21396d338bc185878789c386aa590704207aba2a8"
    assert http_("GET", f"/v26.0/act_111?access_token=TOKEN&appsecret_proof={proof}")[0] == 200


def test_a_long_url_is_dropped_without_a_word(http_: Http, box: MetaSandbox, plain: str) -> None:
    fill(http_, plain, 500)
    payload = json.dumps({"schema": ["EMAIL"], "data": [[mail(n)] for n in range(480)]})
    with pytest.raises(http.client.RemoteDisconnected):
        http_("DELETE", f"/v26.0/{plain}/users?payload={quote(payload)}")
    assert len(box.audiences[plain].members) == 500
    assert box.requests[-1]["operation"] == "dropped"
    status, text = http_("DELETE", f"/v26.0/{plain}/users?payload={'x' * 70_000}")
    assert (status, text.startswith("<!DOCTYPE")) == (414, True)


def test_a_long_url_can_meet_a_page_instead(http_: Http, box: MetaSandbox, plain: str) -> None:
    box.long_urls = "page"
    status, text = http_("DELETE", f"/v26.0/{plain}/users?payload={'x' * 40_000}")
    assert (status, text.startswith("<!DOCTYPE html>")) == (414, True)


@pytest.mark.parametrize(("cumulative", "counts"), [(False, [2, 1]), (True, [2, 3])])
def test_rows_received_are_told_by_batch_or_by_session(
    http_: Http, box: MetaSandbox, plain: str, cumulative: bool, counts: list[int]
) -> None:
    box.cumulative = cumulative
    users = f"/v26.0/{plain}/users"
    told = [
        http_("POST", users, upload([[mail(1)], [mail(2)]], last=False))[1]["num_received"],
        http_("POST", users, upload([[mail(3)]], seq=2))[1]["num_received"],
    ]
    assert told == counts


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, (100, None)),
        ({**CUSTOM, "name": ""}, (100, None)),
        ({**CUSTOM, "subtype": "WEBSITE2"}, (100, None)),
        ({"name": "a", "subtype": "CUSTOM"}, (100, None)),
        ({**CUSTOM, "customer_file_source": "ELSEWHERE"}, (100, None)),
        ({**CUSTOM, "is_value_based": "maybe"}, (100, None)),
        ({**CUSTOM, "retention_days": 181}, (100, None)),
        ({**CUSTOM, "audience_labels": ["RICH"]}, (100, None)),
        ({**CUSTOM, "surprise": 1}, (100, None)),
    ],
)
def test_creations_refused(http_: Http, box: MetaSandbox, body: dict[str, Any], code: tuple[int, int | None]) -> None:
    assert http_.refused("POST", EDGE, body) == code
    assert http_.refused("POST", EDGE, body, form=True) == code
    assert box.audiences == {}


def test_terms_and_permission_to_create(http_: Http, box: MetaSandbox) -> None:
    account = box.account("111")
    account.value_tos = False
    assert http_.refused("POST", EDGE, {**CUSTOM, "is_value_based": 1}) == (200, 1870090)
    assert http_("GET", "/v26.0/act_111?fields=tos_accepted")[1]["tos_accepted"] == {"custom_audience_tos": 1}
    account.tos = False
    assert http_.refused("POST", EDGE, CUSTOM) == (200, 1870034)
    assert http_("GET", "/v26.0/act_111?fields=tos_accepted")[1]["tos_accepted"] == {}
    account.may_write = False
    assert http_.refused("POST", EDGE, CUSTOM) == (2654, 1713092)


def test_five_hundred_lists_are_the_most(http_: Http, box: MetaSandbox) -> None:
    for number in range(500):
        box.new_audience("111", f"List {number}", "CUSTOM")
    assert http_.refused("POST", EDGE, CUSTOM) == (2654, None)
    assert http_("POST", "/v26.0/act_222/customaudiences", CUSTOM)[0] == 200


def test_audiences_named_for_health_or_money_are_blocked(http_: Http, box: MetaSandbox) -> None:
    made = http_("POST", EDGE, {**CUSTOM, "description": "high income"})[1]["id"]
    fields = "operation_status,delivery_status,fields_violating_integrity_policy"
    answer = http_("GET", f"/v26.0/{made}?fields={fields}")[1]
    assert (answer["operation_status"]["code"], answer["fields_violating_integrity_policy"]) == (471, ["description"])
    assert http_.refused("POST", f"/v26.0/{made}/users", upload([[HASH]])) == (100, 1713230)
    assert http_.refused("POST", f"/v26.0/{made}/usersreplace", upload([[HASH]])) == (100, 1713230)
    assert http_.refused("POST", f"/v26.0/{made}", {"name": "Fine"}) == (100, 1713231)
    look = {"name": "L", "subtype": "LOOKALIKE", "origin_audience_id": made, "lookalike_spec": {"ratio": 0.01, "country": "US"}}
    assert http_.refused("POST", EDGE, look) == (100, 1713232)


ROW_ERRORS: list[tuple[Any, Any, tuple[int, int | None]]] = [
    ([[HASH]] * 10_001, ("EMAIL",), (1, 99)),
    ([[HASH, HASH]], ("EMAIL",), (100, None)),
    ([[]], ("EMAIL",), (100, None)),
    ([HASH], ("EMAIL",), (100, None)),
    ([], ("EMAIL",), (100, None)),
    ([[HASH]], (), (100, None)),
    ([[HASH]], ("E_MAIL",), (100, None)),
    ([[HASH, HASH]], ("EMAIL", "EMAIL"), (100, None)),
    ([[[]]], ("DATA_PROCESSING_OPTIONS",), (100, None)),
    ([[HASH]], "EMAIL_SHA256", (2650, None)),
    ([[HASH, ["CCPA"]]], ("EMAIL", "DATA_PROCESSING_OPTIONS"), (100, None)),
    ([[HASH, ["LDU"], "US"]], ("EMAIL", "DATA_PROCESSING_OPTIONS", "DATA_PROCESSING_OPTIONS_COUNTRY"), (100, None)),
    ([[HASH, 5]], ("EMAIL", "EXTERN_ID"), (100, None)),
    ([[HASH, 5.5]], ("EMAIL", "LOOKALIKE_VALUE"), (100, None)),
]


@pytest.mark.parametrize(("rows", "schema", "code"), ROW_ERRORS)
def test_uploads_refused_whole(
    http_: Http, box: MetaSandbox, plain: str, rows: Any, schema: Any, code: tuple[int, int]
) -> None:
    for edge in ("users", "usersreplace"):
        assert http_.refused("POST", f"/v26.0/{plain}/{edge}", upload(rows, schema)) == code
    assert box.audiences[plain].members == {}


@pytest.mark.parametrize("value", [-1, "44.5", True, None, "", [1]])
def test_values_must_be_plain_numbers(http_: Http, valued: str, value: Any) -> None:
    body = upload([[HASH, value]], ("EMAIL", "LOOKALIKE_VALUE"))
    assert http_.refused("POST", f"/v26.0/{valued}/users", body) == (100, None)


def test_a_value_based_list_takes_only_rows_with_values(http_: Http, box: MetaSandbox, valued: str) -> None:
    for edge in ("users", "usersreplace"):
        assert http_.refused("POST", f"/v26.0/{valued}/{edge}", upload([[HASH]])) == (100, None)
    for value in (0, 44.5, 140):
        http_("POST", f"/v26.0/{valued}/users", upload([[HASH, value]], ("EMAIL", "LOOKALIKE_VALUE"), session=10 + int(value)))
    (member,) = box.state()["audiences"][valued]["members"]
    assert member == {"EMAIL": HASH, "LOOKALIKE_VALUE": 140}


@pytest.mark.parametrize(
    ("schema", "row"),
    [
        (("EMAIL",), ["mary@example.com"]),
        (("EMAIL",), [HASH.upper()]),
        (("EMAIL",), [HASH[:-1]]),
        (("EMAIL",), [EMPTY]),
        (("PHONE",), ["15559876543"]),
        (("FN", "LN"), [HASH, "smith"]),
        (("COUNTRY", "EMAIL"), ["US", HASH]),
        (("MADID",), [HASH]),
        (("MADID",), ["38400000-8CF0-11BD-B23E-10B96E40000D"]),
        (("EMAIL", "PHONE"), ["", ""]),
        (("EXTERN_ID",), [""]),
    ],
)
def test_bad_rows_are_invalid_entries_and_good_ones_stay(
    http_: Http, box: MetaSandbox, plain: str, schema: tuple[str, ...], row: list[str]
) -> None:
    good = [HASH if name not in ("MADID", "EXTERN_ID") else "38400000-8cf0-11bd-b23e-10b96e40000d" for name in schema]
    status, answer = http_("POST", f"/v26.0/{plain}/users", upload([row, good, row], schema))
    assert (status, answer["num_received"], answer["num_invalid_entries"]) == (200, 3, 2)
    assert set(answer["invalid_entry_samples"]) == {"0", "2"}
    assert len(box.audiences[plain].members) == 1


@pytest.mark.parametrize(
    "session",
    [
        None,
        {},
        {"session_id": 0, "batch_seq": 1, "last_batch_flag": True},
        {"session_id": -5, "batch_seq": 1, "last_batch_flag": True},
        {"session_id": 2**63, "batch_seq": 1, "last_batch_flag": True},
        {"session_id": 5, "batch_seq": 0, "last_batch_flag": True},
        {"session_id": 5, "batch_seq": 2, "last_batch_flag": True},
        {"session_id": 5, "batch_seq": 1},
        {"session_id": 5, "batch_seq": 1, "last_batch_flag": "yes"},
    ],
)
def test_sessions_are_required_and_well_formed(http_: Http, plain: str, session: Any) -> None:
    body = upload([[HASH]])
    body["session"] = session
    if session is None:
        del body["session"]
    assert http_.refused("POST", f"/v26.0/{plain}/users", body) == (100, None)


def test_sessions_can_be_left_out_where_the_sandbox_is_told_so(http_: Http, box: MetaSandbox, plain: str) -> None:
    box.strict_sessions = False
    body = upload([[HASH]])
    del body["session"]
    assert http_("POST", f"/v26.0/{plain}/users", body)[0] == 200


def test_a_session_keeps_its_schema_order_and_end(http_: Http, box: MetaSandbox, plain: str) -> None:
    users = f"/v26.0/{plain}/users"
    assert http_("POST", users, upload([[HASH]], last=False))[0] == 200
    assert http_.refused("POST", users, upload([[HASH, ""]], ("EMAIL", "PHONE"), seq=2)) == (100, None)
    assert http_.refused("POST", users, upload([[HASH]], seq=3)) == (100, None)
    assert http_("POST", users, upload([[HASH]], seq=1, last=False))[0] == 200  # the last one, sent again
    assert http_.refused("DELETE", users, upload([[HASH]], seq=2)) == (100, None)
    assert http_("POST", users, upload([[HASH]], seq=2))[0] == 200
    assert http_.refused("POST", users, upload([[HASH]], seq=3)) == (2650, 1870159)
    other = http_("POST", EDGE, {**CUSTOM, "name": "Other"})[1]["id"]
    assert http_.refused("POST", f"/v26.0/{other}/users", upload([[HASH]])) == (100, None)
    data = http_("GET", f"/v26.0/{plain}/sessions?session_id=5")[1]["data"]
    assert [(one["session_id"], one["num_received"], one["num_matched"], one["stage"]) for one in data] == [
        ("5", "3", "-1", "uploading")
    ]


def test_a_session_ends_after_ninety_minutes(http_: Http, box: MetaSandbox, plain: str) -> None:
    users = f"/v26.0/{plain}/users"
    http_("POST", users, upload([[HASH]], last=False))
    box.clock.advance(seconds=89 * 60)
    assert http_("POST", users, upload([[HASH]], seq=2, last=False))[0] == 200
    box.clock.advance(seconds=2 * 60)
    assert http_.refused("POST", users, upload([[HASH]], seq=3)) == (2650, 1870158)


@pytest.mark.parametrize("way", ["POST+method", "POST+lower", "DELETE+json", "DELETE+form"])
def test_removals_by_every_documented_way(http_: Http, box: MetaSandbox, plain: str, way: str) -> None:
    fill(http_, plain, 200)
    users, body = f"/v26.0/{plain}/users", upload([[mail(1)], [mail(2)]], session=6)
    if way.startswith("POST"):
        method = "DELETE" if way == "POST+method" else "delete"
        status, answer = http_("POST", users, {**body, "method": method}, form=True)
    else:
        status, answer = http_("DELETE", users, body, form=way == "DELETE+form")
    assert (status, answer["num_received"]) == (200, 2)
    assert len(box.audiences[plain].members) == 198


def test_a_removal_that_leaves_fewer_than_a_hundred_is_refused(http_: Http, box: MetaSandbox, plain: str) -> None:
    fill(http_, plain, 120)
    users = f"/v26.0/{plain}/users"
    assert http_.refused("DELETE", users, upload([[mail(n)] for n in range(21)], session=6)) == (200, 1870047)
    assert http_("DELETE", users, upload([[mail(n)] for n in range(20)], session=7))[0] == 200
    assert http_("DELETE", users, upload([[mail(900)]], session=8))[0] == 200  # nobody of the list
    box.removal_floor = 0
    assert http_("DELETE", users, upload([[mail(50)]], session=9))[0] == 200


def test_people_are_found_by_any_identifier(http_: Http, box: MetaSandbox, plain: str) -> None:
    box.removal_floor = 0
    schema, users = ("EXTERN_ID", "EMAIL", "PHONE"), f"/v26.0/{plain}/users"
    http_("POST", users, upload([[f"c{n}", mail(n), mail(n + 1000)] for n in range(9)], schema))
    http_("DELETE", users, upload([["c1"]], ("EXTERN_ID",), session=6))
    http_("DELETE", users, upload([[mail(1002)]], ("PHONE",), session=7))
    http_("DELETE", users, upload([[mail(3), mail(77)]], ("EMAIL", "PHONE"), session=8))
    held = {row["EXTERN_ID"] for row in box.state()["audiences"][plain]["members"]}
    assert held == {"c0", "c4", "c5", "c6", "c7", "c8"}


def test_replace_is_a_state_machine(http_: Http, box: MetaSandbox, plain: str) -> None:
    fill(http_, plain, 150)
    edge, users = f"/v26.0/{plain}/usersreplace", f"/v26.0/{plain}/users"
    body = [[mail(n)] for n in range(100, 300)]
    assert http_.refused("POST", edge, upload(body, session=8, seq=2)) == (2650, 1870147)
    assert http_("POST", edge, upload(body[:100], session=8, last=False))[0] == 200
    assert http_.refused("POST", edge, upload(body, session=9)) == (2650, 1870145)
    assert http_.refused("POST", users, upload(body, session=10)) == (2650, 1870145)
    assert http_.refused("DELETE", users, upload(body, session=10)) == (2650, 1870145)
    assert http_("GET", f"/v26.0/{plain}?fields=operation_status")[1]["operation_status"]["code"] == 414
    assert http_("POST", edge, upload(body[150:], session=8, seq=7, last=False))[0] == 200  # any order, any number
    assert http_("POST", edge, upload(body[150:], session=8, seq=7, last=False))[0] == 200  # and again
    assert len(box.audiences[plain].members) == 150
    assert http_("POST", edge, upload(body[100:150], session=8, seq=3, last=True))[0] == 200
    assert len(box.audiences[plain].members) == 200
    assert http_.refused("POST", edge, upload(body, session=8, seq=4)) == (2650, 1870159)
    assert http_.refused("POST", users, upload(body, session=11)) == (2650, 1870145)  # still being processed
    box.clock.advance(hours=1)
    assert http_("POST", users, upload(body, session=12))[0] == 200


def test_a_replace_closes_by_itself_with_what_has_arrived(http_: Http, box: MetaSandbox, plain: str) -> None:
    fill(http_, plain, 150)
    edge = f"/v26.0/{plain}/usersreplace"
    http_("POST", edge, upload([[mail(1)], [mail(2)]], session=8, last=False))
    box.clock.advance(seconds=91 * 60)
    assert http_.refused("POST", edge, upload([[mail(3)]], session=8, seq=2)) == (2650, 1870158)
    assert len(box.audiences[plain].members) == 2


def test_a_replace_sent_again_from_its_first_batch_starts_over(http_: Http, box: MetaSandbox, plain: str) -> None:
    edge = f"/v26.0/{plain}/usersreplace"
    http_("POST", edge, upload([[mail(1)]], session=8, last=False))
    http_("POST", edge, upload([[mail(2)]], session=8, last=False))
    http_("POST", edge, upload([[mail(3)]], session=8, seq=2))
    assert {row["EMAIL"] for row in box.state()["audiences"][plain]["members"]} == {mail(2), mail(3)}


def test_very_large_lists_and_lookalikes_can_not_be_replaced(http_: Http, box: MetaSandbox, plain: str) -> None:
    fill(http_, plain, 200)
    box.replace_limit = 200
    assert http_.refused("POST", f"/v26.0/{plain}/usersreplace", upload([[HASH]], session=8)) == (2650, 1870144)
    look = box.new_audience("111", "Look", "LOOKALIKE")
    assert http_.refused("POST", f"/v26.0/{look.id}/usersreplace", upload([[HASH]], session=9)) == (2650, None)
    assert http_.refused("POST", f"/v26.0/{look.id}/users", upload([[HASH]], session=9)) == (100, 1713228)


@pytest.fixture
def look(http_: Http, plain: str, box: MetaSandbox) -> Callable[..., dict[str, Any]]:
    """A function for a lookalike's body, on a seed of 200."""
    fill(http_, plain, 200)

    def body(name: str = "Look", origin: str = plain, **spec: Any) -> dict[str, Any]:
        return {"name": name, "subtype": "LOOKALIKE", "origin_audience_id": origin, "lookalike_spec": spec}

    return body


@pytest.mark.parametrize(
    ("spec", "code"),
    [
        ({"ratio": 0.01}, (100, None)),
        ({"country": "US"}, (100, None)),
        ({"type": "custom_ratio", "country": "US"}, (100, None)),
        ({"type": "value", "ratio": 0.01, "country": "US"}, (100, None)),
        ({"type": "reach", "ratio": 0.01, "country": "US"}, (100, None)),
        ({"ratio": 0.015, "country": "US"}, (100, None)),
        ({"ratio": 0.21, "country": "US"}, (100, None)),
        ({"ratio": 0, "country": "US"}, (100, None)),
        ({"ratio": "0.01", "country": "US"}, (100, None)),
        ({"ratio": True, "country": "US"}, (100, None)),
        ({"ratio": 0.02, "starting_ratio": 0.02, "country": "US"}, (100, None)),
        ({"ratio": 0.01, "country": "us"}, (2654, 1713089)),
        ({"ratio": 0.01, "country": "USA"}, (2654, 1713089)),
        ({"ratio": 0.01, "target_countries": ["US"]}, (100, None)),
        ({"ratio": 0.01, "location_spec": {"geo_locations": {"cities": []}}}, (100, None)),
        ({"ratio": 0.01, "location_spec": {"geo_locations": {"countries": []}}}, (2654, 1713089)),
    ],
)
def test_lookalikes_refused(
    http_: Http, look: Callable[..., dict[str, Any]], spec: dict[str, Any], code: tuple[int, int | None]
) -> None:
    assert http_.refused("POST", EDGE, look(**spec)) == code


def test_lookalikes_need_a_seed_of_this_account_and_of_a_hundred(
    http_: Http, box: MetaSandbox, plain: str, look: Callable[..., dict[str, Any]]
) -> None:
    spec = {"ratio": 0.01, "country": "US"}
    assert http_.refused("POST", EDGE, look(origin="1", **spec)) == (2654, None)
    assert http_.refused("POST", "/v26.0/act_222/customaudiences", look(**spec)) == (2654, None)
    small = http_("POST", EDGE, {**CUSTOM, "name": "Small"})[1]["id"]
    fill(http_, small, 120, session=6)  # 96 matched
    assert http_.refused("POST", EDGE, look(origin=small, **spec)) == (2654, None)
    assert http_("POST", EDGE, look(**spec))[0] == 200
    assert http_.refused("POST", EDGE, look("Same", **spec)) == (2654, None)
    assert http_.refused("DELETE", f"/v26.0/{plain}") == (2656, None)


def test_lookalikes_populate_in_hours(http_: Http, box: MetaSandbox, look: Callable[..., dict[str, Any]]) -> None:
    made = http_("POST", EDGE, look(type="similarity", country="US"))[1]["id"]
    fields = f"/v26.0/{made}?fields=operation_status,approximate_count_lower_bound,lookalike_spec"
    fresh = http_("GET", fields)[1]
    assert (fresh["operation_status"]["code"], fresh["approximate_count_lower_bound"]) == (441, -1)
    box.clock.advance(hours=7)
    grown = http_("GET", fields)[1]
    assert (grown["operation_status"]["code"], grown["approximate_count_lower_bound"]) == (200, 2_000_000)
    assert grown["lookalike_spec"]["origin"][0]["type"] == "custom_audience"


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/v26.0/4711", (100, 33)),
        ("/v26.0/{id}?fields=members", (100, None)),
        ("/v26.0/{id}/nonsense", (2500, None)),
        ("/v26.0/act_111?fields=balance", (100, None)),
        ("/v26.0/act_111/nonsense", (2500, None)),
        ("/v26.0/act_111/customaudiences?limit=1000", (1, 99)),
        ("/v26.0/act_111/customaudiences?fields=rule", (1, 99)),
        ("/v26.0/act_111/customaudiences?after=???", (100, None)),
        ("/v26.0/act_111/customaudiences?limit=many", (100, None)),
        ("/v26.0/act_111/customaudiences?limit=%FF%FE", (100, None)),
        ("/v26.0/act_111/insights?filtering=[1]", (100, None)),
        ("/v26.0/", (2500, None)),
    ],
)
def test_reads_refused(http_: Http, plain: str, path: str, code: tuple[int, int | None]) -> None:
    assert http_.refused("GET", path.replace("{id}", plain)) == code


def test_only_the_id_is_told_unless_asked(http_: Http, plain: str) -> None:
    assert http_("GET", f"/v26.0/{plain}")[1] == {"id": plain}
    assert http_("GET", f"/v26.0/{plain}?fields=name,subtype")[1] == {"name": "Seed", "subtype": "CUSTOM", "id": plain}
    assert http_("POST", f"/v26.0/{plain}", {"name": "New"})[1] == {"success": True}
    assert http_.refused("POST", f"/v26.0/{plain}", {"is_value_based": True}) == (100, None)
    assert http_("DELETE", f"/v26.0/{plain}")[1] == {"success": True}
    assert http_.refused("DELETE", f"/v26.0/{plain}") == (100, 33)


def report(**params: Any) -> str:
    return "/v26.0/act_111/insights?" + urlencode(
        {name: one if isinstance(one, str) else json.dumps(one) for name, one in params.items()}
    )


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"level": "creative"}, (100, None)),
        ({"fields": "spend,profit"}, (100, None)),
        ({"time_range": {"since": "2020-01-01", "until": "2026-01-01"}}, (3018, None)),
        ({"time_range": {"since": "2026-02-01", "until": "2026-01-01"}}, (100, None)),
        ({"time_range": {"from": "2026-02-01"}}, (100, None)),
        ({"time_range": "last month"}, (100, None)),
        ({"date_preset": "ever"}, (100, None)),
        ({"time_increment": 91}, (100, None)),
        ({"time_increment": 0}, (100, None)),
        ({"action_attribution_windows": ["3d_click"]}, (100, None)),
        ({"filtering": [{"field": "color", "operator": "IN", "value": []}]}, (100, None)),
    ],
)
def test_reports_refused(http_: Http, params: dict[str, Any], code: tuple[int, int | None]) -> None:
    assert http_.refused("GET", report(**params)) == code


def test_reports_are_strings_with_overlapping_types_and_silent_dead_windows(http_: Http, box: MetaSandbox) -> None:
    day = box.clock.now().date().isoformat()
    ids = {"campaign_id": "1", "campaign_name": "A", "adset_id": "2", "ad_id": "3", "date": day}
    box.campaigns = [
        {**ids, "spend": "41.37", "impressions": "5210", "clicks": "0", "conversions": "5", "conversion_value": "100"},
        {**ids, "ad_id": "4", "spend": "1", "impressions": "1", "clicks": "0", "conversions": "0", "conversion_value": "0"},
    ]
    wanted = {"fields": "ad_id,spend,impressions,actions,action_values,purchase_roas", "level": "ad"}
    span = {"time_range": {"since": day, "until": day}}
    first, second = http_("GET", report(**wanted, **span, action_attribution_windows=["7d_view", "1d_view"]))[1]["data"]
    assert (first["spend"], first["impressions"], first["date_start"], first["date_stop"]) == ("41.37", "5210", day, day)
    kinds = {one["action_type"]: one for one in first["actions"]}
    assert set(kinds) == {"omni_purchase", "purchase", "offsite_conversion.fb_pixel_purchase"}
    assert kinds["purchase"] == {"action_type": "purchase", "value": "5", "1d_view": "1"}
    assert first["purchase_roas"][0]["value"] == "2.417211"
    assert "actions" not in second
    assert http_("GET", report())[1] == {"data": []}  # the default ends yesterday


def test_report_pages_end_without_next(http_: Http, box: MetaSandbox) -> None:
    page = http_("GET", report(level="ad", time_increment=1, limit="100"))[1]
    count = len(page["data"])
    while "next" in page["paging"]:
        page = http_("GET", report(level="ad", time_increment=1, limit="100", after=page["paging"]["cursors"]["after"]))[1]
        count += len(page["data"])
    assert count == 180  # 30 days of 6 ads


def test_batches(http_: Http, box: MetaSandbox, plain: str) -> None:
    fill(http_, plain, 150)
    payload = quote(json.dumps({"schema": ["EMAIL"], "data": [[mail(1)]]}))
    parts = [
        {"method": "GET", "relative_url": f"{plain}?fields=name"},
        {"method": "GET", "relative_url": "4711"},
        {"method": "DELETE", "relative_url": f"{plain}/users", "body": f"payload={payload}"},
    ]
    status, answers = http_("POST", "/v26.0/", {"batch": parts}, form=True)
    assert (status, [one["code"] for one in answers]) == (200, [200, 400, 400])
    assert json.loads(answers[0]["body"]) == {"name": "Seed", "id": plain}
    assert "payload" in json.loads(answers[2]["body"])["error"]["message"]  # a DELETE's body is lost in a batch
    assert {"name", "value"} == set(answers[0]["headers"][0])
    assert http_.refused("POST", "/v26.0/", {"batch": parts * 17}) == (100, None)


def test_a_full_score_blocks_the_account_for_minutes(http_: Http, box: MetaSandbox) -> None:
    box.tier = TIERS["limited"]
    codes = [http_("GET", "/v26.0/act_111?fields=currency")[0] for _ in range(60)]
    assert codes == [200] * 60
    assert http_.refused("GET", "/v26.0/act_111") == (17, 2446079)
    assert json.loads(http_.headers["X-Ad-Account-Usage"])["reset_time_duration"] > 250
    box.clock.advance(seconds=301)
    assert http_("GET", "/v26.0/act_111")[0] == 200


def test_an_hour_of_audience_calls_can_be_used_up(http_: Http, box: MetaSandbox) -> None:
    account, now = box.account("111"), box.clock.now()
    account.hour, account.hour_calls = int(now.timestamp() // 3600), box.tier.audience_calls
    assert http_.refused("GET", EDGE) == (80003, 2446079)
    usage = json.loads(http_.headers["X-Business-Use-Case-Usage"])["111"][0]
    assert usage["call_count"] >= 100
    assert 0 < usage["estimated_time_to_regain_access"] <= 60


EVENT = {"event_name": "AppendValue", "action_source": "website", "event_id": "av-1", "user_data": {"external_id": HASH}}
ORIGINAL = {"event_name": "Purchase", "order_id": "9001", "event_id": "p-9001"}


@pytest.mark.parametrize(
    ("change", "accepted"),
    [
        ({}, True),
        ({"age": 8 * 86_400}, False),
        ({"age": -3_600}, False),
        ({"age": 8 * 86_400, "action_source": "physical_store"}, True),
        ({"custom_data": {"predicted_ltv": 0, "currency": "USD"}}, False),
        ({"custom_data": {"predicted_ltv": 412.7}}, False),
        ({"custom_data": {}}, False),
        ({"original_event_data": {"event_name": "Purchase"}}, False),
        ({"user_data": None}, True),
    ],
)
def test_events(http_: Http, box: MetaSandbox, change: dict[str, Any], accepted: bool) -> None:
    at = int(box.clock.now().timestamp()) - change.pop("age", 60)
    custom = {"predicted_ltv": 412.7, "currency": "USD"}
    event = {**EVENT, "event_time": at, "custom_data": custom, "original_event_data": ORIGINAL, **change}
    good = {**event, "custom_data": custom, "original_event_data": ORIGINAL, "event_id": "av-0"}
    good["event_time"] = int(box.clock.now().timestamp())
    status, answer = http_("POST", "/v26.0/777/events", {"data": [good, event]})
    assert (status == 200) is accepted
    assert len(box.events) == (2 if accepted else 0)  # one bad event refuses all
    assert not accepted or answer["events_received"] == 2


def test_an_event_sent_twice_counts_once_for_its_dataset(http_: Http, box: MetaSandbox) -> None:
    custom, at = {"predicted_ltv": 412.7, "currency": "USD"}, int(box.clock.now().timestamp())
    event = {**EVENT, "event_time": at, "custom_data": custom, "original_event_data": ORIGINAL}
    for dataset in ("777", "777", "778"):
        assert http_("POST", f"/v26.0/{dataset}/events", {"data": [event]})[1]["events_received"] == 1
    assert [one["dataset"] for one in box.events] == ["777", "778"]


def test_state_survives_a_restart(http_: Http, box: MetaSandbox, valued: str) -> None:
    body = upload([[HASH, "c1", 5.5]], ("EMAIL", "EXTERN_ID", "LOOKALIKE_VALUE"))
    http_("POST", f"/v26.0/{valued}/users", body)
    box.clock.advance(hours=30)
    again = MetaSandbox()
    again.load(json.loads(json.dumps(box.dump())))
    assert again.state() == box.state()
    assert again.new_audience("111", "Next", "CUSTOM").id not in box.audiences
    assert abs((again.clock.now() - box.clock.now()).total_seconds()) < 5


def test_an_unreadable_body_is_refused(http_: Http) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for body, kind in (
        (b"name=%FF%FE", form),
        (b"{", {"Content-Type": "application/json"}),
        (b"[]", {"Content-Type": "application/json"}),
    ):
        connection = http.client.HTTPConnection("127.0.0.1", http_.port, timeout=10)
        connection.request("POST", EDGE, body, kind)
        answer = connection.getresponse()
        assert (answer.status, json.loads(answer.read())["error"]["code"]) == (400, 100)
        connection.close()


def test_admin_calls_can_have_a_port_of_their_own() -> None:
    sandbox = MetaSandbox()
    with socket.socket() as first, socket.socket() as second:
        for one in (first, second):
            one.bind(("127.0.0.1", 0))
        ports = {"address": first.getsockname()[1], "admin": second.getsockname()[1]}
    told = sandbox.start(ports)
    sandbox.stop()
    assert told == {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}


def test_the_admin_calls(http_: Http, box: MetaSandbox, plain: str) -> None:
    http_("POST", "/_sandbox/faults", {"match": "GET", "kind": "error", "detail": {"code": 2, "message": "later"}})
    assert http_.refused("GET", f"/v26.0/{plain}") == (2, None)
    before = box.clock.now()
    http_("POST", "/_sandbox/clock", {"hours": 48})
    assert (box.clock.now() - before).days == 2
    state = http_("GET", "/_sandbox/state")[1]
    assert list(state["audiences"]) == [plain]
    assert [entry["operation"] for entry in state["requests"] if "operation" in entry] == ["create"]
