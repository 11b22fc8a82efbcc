"""The client's manners on the wire: slash, header, JSON text, envelopes, gateways, throttles, secrets."""

from __future__ import annotations

import json
import logging

import pytest

from connectors.errors import ConfigurationError, FatalError, OutcomeUnknownError, RetriableError, SyncError
from connectors.tiktok.client import Client
from connectors.tiktok.connector import TikTokConnector
from connectors.tiktok.pace import MINUTE_LOCK, Pacer

from .conftest import ADVERTISER, Connect, Recorded, Waits, seed

TOKEN = "tok-3f1c8a9d7e-very-secret"


@pytest.fixture
def client(sandbox: Recorded, waits: Waits) -> Client:
    return Client(sandbox.address, TOKEN, Pacer(1e9, 1e9), timeout=5, sleep=waits)


def test_every_path_ends_with_a_slash_and_carries_the_version(sandbox: Recorded, tiktok: TikTokConnector) -> None:
    tiktok.check()
    assert sandbox.heard
    for request in sandbox.heard:
        assert request.path.startswith("/open_api/v1.3/")
        assert request.path.endswith("/")


def test_the_token_travels_in_its_header_alone(sandbox: Recorded, client: Client) -> None:
    client.get("/user/info/", {})
    request = sandbox.heard[0]
    assert request.headers["Access-Token"] == TOKEN
    assert "Authorization" not in request.headers
    assert TOKEN not in request.path + json.dumps(request.query)


def test_arrays_travel_as_json_text(sandbox: Recorded, client: Client) -> None:
    client.get("/advertiser/info/", {"advertiser_ids": [ADVERTISER], "fields": ["name"]})
    assert sandbox.heard[0].query == {"advertiser_ids": [f'["{ADVERTISER}"]'], "fields": ['["name"]']}


def test_a_wrong_path_is_fatal_with_its_text(client: Client) -> None:
    with pytest.raises(FatalError, match="404 page not found"):
        client.get("/no/such/thing/", {})


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_no_redirect_is_followed(status: int, sandbox: Recorded, client: Client) -> None:
    """Members and the token go to the address in config and to no other, whoever answers there."""
    detail = {"status": status, "body": "<html>moved</html>", "headers": {"Location": "/open_api/v1.3/elsewhere/"}}
    sandbox.faults.add(match="/segment/", kind="http", detail=detail)
    with pytest.raises(FatalError, match="check api_base"):
        client.post("/segment/mapping/", {"advertiser_ids": [ADVERTISER]})
    assert sandbox.heard == []


@pytest.mark.parametrize("body", ["<html><h1>504 Gateway Time-out</h1></html>", ""])
def test_a_gateway_page_is_tried_again(body: str, sandbox: Recorded, client: Client, waits: Waits) -> None:
    sandbox.faults.add(match="/user/info/", kind="http", times=2, detail={"status": 504, "body": body})
    assert client.get("/user/info/", {}).code == 0
    assert len(waits) == 2


def test_a_page_with_status_200_is_no_success(sandbox: Recorded, client: Client) -> None:
    sandbox.faults.add(match="/user/info/", kind="http", times=99, detail={"status": 200, "body": "<html>busy</html>"})
    with pytest.raises(RetriableError, match="without TikTok's JSON envelope"):
        client.get("/user/info/", {})


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "http", "detail": {"status": 504, "body": "<html>"}},
        {"kind": "lost_reply"},
        {"kind": "reset"},
        {"kind": "error", "detail": {"code": 50002, "message": "processing error"}},
        {"kind": "error", "detail": {"code": 40050, "message": "duplicate"}},
    ],
)
def test_a_call_that_may_have_been_applied_is_never_repeated_blindly(
    fault: dict[str, object], sandbox: Recorded, client: Client
) -> None:
    sandbox.faults.add(match="/segment/audience/", **fault)
    with pytest.raises(OutcomeUnknownError):
        client.post_once("/segment/audience/", {"advertiser_id": ADVERTISER, "custom_audience_name": "A"})
    assert sum(one["path"] == "/segment/audience/" and "fault" not in one for one in sandbox.requests) <= 1


def test_a_throttle_waits_longer_each_time(sandbox: Recorded, client: Client, waits: Waits) -> None:
    sandbox.faults.add(match="/user/info/", kind="error", times=2, detail={"code": 40100, "message": "Too many requests"})
    client.get("/user/info/", {})
    assert waits == [1.0, 2.0]


def test_the_limit_per_minute_suspends_the_app(sandbox: Recorded, client: Client) -> None:
    sandbox.faults.add(match="/user/info/", kind="error", times=99, detail={"code": 40016, "message": "Too many requests"})
    with pytest.raises(RetriableError) as first:
        client.get("/user/info/", {})
    assert first.value.retry_after == MINUTE_LOCK
    heard = len(sandbox.requests)
    with pytest.raises(RetriableError, match="suspended") as second:
        client.get("/advertiser/info/", {"advertiser_ids": [ADVERTISER]})
    assert second.value.retry_after is not None
    assert 0 < second.value.retry_after <= MINUTE_LOCK
    assert len(sandbox.requests) == heard  # nothing is sent while suspended


def test_partial_success_is_an_answer_that_is_logged(
    sandbox: Recorded, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox.faults.add(match="/user/info/", kind="error", detail={"code": 20001, "message": "2 rows left out"})
    assert client.get("/user/info/", {}).code == 20001
    assert "2 rows left out" in caplog.text


def test_nobody_answers(waits: Waits) -> None:
    client = Client("http://127.0.0.1:9", TOKEN, Pacer(1e9, 1e9), timeout=1, sleep=waits)
    with pytest.raises(RetriableError, match="check api_base"):
        client.get("/user/info/", {})


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "error", "detail": {"code": 40105, "message": f"Access token {TOKEN} is incorrect."}},
        {"kind": "error", "detail": {"code": 40002, "message": f"bad id {'ab' * 32} of jane@example.com, +12025550123"}},
        {"kind": "http", "detail": {"status": 400, "body": f"{TOKEN} {'cd' * 32}"}},
        {"kind": "http", "times": 99, "detail": {"status": 502, "body": TOKEN}},
        {"kind": "reset", "times": 99},
    ],
)
def test_no_secret_or_identifier_reaches_errors_or_logs(
    fault: dict[str, object], sandbox: Recorded, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    sandbox.faults.add(match="/user/info/", **fault)
    with pytest.raises(SyncError) as caught:
        client.get("/user/info/", {})
    chain: list[str] = []
    error: BaseException | None = caught.value
    while error is not None:
        chain += [str(error), repr(error), repr(getattr(error, "args", ""))]
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    said = " ".join([*chain, caplog.text])
    for secret in (TOKEN, "ab" * 32, "cd" * 32, "jane@example.com", "+12025550123"):
        assert secret not in said


def test_check_reports_token_account_audiences_and_reports(connect: Connect) -> None:
    checks = connect().check()
    assert [(one.ok, one.subject.split(" ", 2)[2]) for one in checks] == [
        (True, "token"),
        (True, "account"),
        (True, "audiences"),
        (True, "reports"),
    ]
    assert checks[1].detail == "STATUS_ENABLE, USD, UTC"
    assert checks[2].detail == "0 of 400, lookalikes included"


def test_check_names_a_bad_token(sandbox: Recorded, connect: Connect) -> None:
    sandbox.access.revoked.add("anonymous")
    checks = connect().check()
    assert len(checks) == 1
    assert not checks[0].ok
    assert "access_token" in checks[0].remedy


@pytest.mark.parametrize(
    ("known", "granted", "words"),
    [
        ("app-secret-abc", {ADVERTISER}, ""),
        ("app-secret-abc", {"42"}, "not granted"),
        ("another", {ADVERTISER}, "do not match"),
    ],
)
def test_check_looks_at_the_grant_and_tells_no_secret(
    known: str,
    granted: set[str],
    words: str,
    sandbox: Recorded,
    connect: Connect,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("TIKTOK_TOKEN_FOR_TEST", TOKEN)
    monkeypatch.setenv("TIKTOK_SECRET_FOR_TEST", "app-secret-abc")
    sandbox.apps["123"] = known
    sandbox.access.grants = {TOKEN: (frozenset(granted), frozenset({30, 31, 44}))}
    credentials = {"access_token": "env:TIKTOK_TOKEN_FOR_TEST", "app_id": "123", "secret": "env:TIKTOK_SECRET_FOR_TEST"}
    checks = {one.subject.split()[-1]: one for one in connect(credentials=credentials).check()}
    assert checks["grant"].ok == (words == "")
    assert words in checks["grant"].detail
    assert checks["grant"].ok or checks["grant"].remedy
    said = caplog.text + " ".join(one.detail + one.remedy for one in checks.values())
    assert "app-secret-abc" not in said
    assert TOKEN not in said


@pytest.mark.parametrize(("field", "value"), [("currency", "EUR"), ("timezone", "Europe/Berlin")])
def test_check_compares_currency_and_time_zone(field: str, value: str, connect: Connect) -> None:
    account = connect({"account_id": ADVERTISER, field: value}).check()[1]
    assert not account.ok
    assert field in account.detail


def test_a_missing_grant_is_fatal_with_a_remedy(sandbox: Recorded, tiktok: TikTokConnector) -> None:
    sandbox.access.grants = {"anonymous": (frozenset({"42"}), frozenset({30, 31, 44}))}
    with pytest.raises(FatalError, match="authorise the app again"):
        tiktok.find_or_create(seed())


def test_a_missing_secret_is_named(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TIKTOK_TOKEN_FOR_TEST", raising=False)
    with pytest.raises(ConfigurationError, match="TIKTOK_TOKEN_FOR_TEST"):
        connect(credentials={"access_token": "env:TIKTOK_TOKEN_FOR_TEST"})
