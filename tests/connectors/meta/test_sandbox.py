"""What the sandbox refuses of writes, told with a plain HTTP client, code by code; one line per documented limit or rule."""

from __future__ import annotations

import http.client
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from connectors.meta.sandbox import MetaSandbox

if TYPE_CHECKING:
    pass

from tests.connectors.meta.plain_http import CUSTOM, EDGE, EMPTY, HASH, Http, fill, mail, upload


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
        ({**CUSTOM, "retention_days": 0}, (100, None)),
        ({**CUSTOM, "opt_out_link": "our page"}, (100, None)),
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
    made = http_("POST", EDGE, CUSTOM)[1]["id"]
    account.tos = False
    assert http_.refused("POST", EDGE, CUSTOM) == (200, 1870034)
    assert http_.refused("POST", f"/v26.0/{made}", {"name": "New"}) == (200, 1870034)
    assert http_("GET", "/v26.0/act_111?fields=tos_accepted")[1]["tos_accepted"] == {}
    account.tos, account.business = True, False
    assert http_.refused("POST", EDGE, CUSTOM) == (200, 1870050)
    account.may_write = False
    assert http_.refused("POST", EDGE, CUSTOM) == (2654, 1713092)


@pytest.mark.parametrize("lacking", ["business", "tos"])
def test_removing_everywhere_does_nothing_for_some_accounts(http_: Http, box: MetaSandbox, plain: str, lacking: str) -> None:
    fill(http_, plain, 150)
    setattr(box.account("111"), lacking, False)
    body = {"payload": {"schema": ["EMAIL"], "data": [[mail(1)]]}}
    assert http_("DELETE", "/v26.0/act_111/usersofanyaudience", body)[0] == 200
    assert len(box.audiences[plain].members) == 150
    setattr(box.account("111"), lacking, True)
    assert http_("DELETE", "/v26.0/act_111/usersofanyaudience", body)[0] == 200
    assert len(box.audiences[plain].members) == 149


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


def test_consent_is_true_or_false(http_: Http, box: MetaSandbox, plain: str) -> None:
    for edge, session in (("users", 5), ("usersreplace", 6)):
        assert (
            http_("POST", f"/v26.0/{plain}/{edge}", {**upload([[HASH]], session=session), "customer_consent": True})[0] == 200
        )
        box.clock.advance(hours=2)
        body = {**upload([[HASH]], session=session + 10), "customer_consent": "perhaps"}
        assert http_.refused("POST", f"/v26.0/{plain}/{edge}", body)[0] == 100


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
