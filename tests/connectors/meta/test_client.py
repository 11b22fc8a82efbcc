"""What counts as success, which error becomes which of ours, how long is waited, and that no secret leaves."""

from __future__ import annotations

import json
import logging
import socket
import sys
import traceback
from typing import TYPE_CHECKING, Any

import pytest
from facebook_business.api import FacebookAdsApi

from connectors.errors import ConfigurationError, FatalError, OutcomeUnknownError, RetriableError, SyncError
from connectors.meta.client import GraphClient, quote
from connectors.meta.codes import CODES
from connectors.protocol import AudienceHandle, Operation
from tests.connectors.meta.conftest import PLAIN, SEED, TOKEN, batch_of, digest, held

if TYPE_CHECKING:
    from collections.abc import Callable

    from connectors.meta.connector import MetaConnector
    from connectors.meta.sandbox import MetaSandbox

JSON = {"Content-Type": "application/json"}


def everything_of(error: BaseException) -> str:
    """All that a log could show of an exception: its text, its chain, its attributes."""
    seen: list[str] = []
    at: BaseException | None = error
    while at is not None:
        seen += [*traceback.format_exception_only(at), repr(at), repr(at.args), repr(vars(at))]
        at = at.__cause__ or at.__context__
    return "\n".join(seen)


@pytest.mark.parametrize("row", CODES, ids=lambda row: f"{row.code}/{row.subcode}")
def test_every_code_becomes_its_error(connector: MetaConnector, box: MetaSandbox, seed: AudienceHandle, row: Any) -> None:
    box.audiences[seed.remote_id].name = SEED.name
    box.faults.add(match=f"POST /v26.0/{seed.remote_id}/users", times=99, detail={"code": row.code, "subcode": row.subcode})
    if row.tag == "closed":
        expected: type[SyncError] = row.raises
    elif row.tag == "missing":
        expected = RetriableError  # the audience is seconds old: replication lag
    else:
        expected = row.raises
    with pytest.raises(expected) as caught:
        connector.send(seed, batch_of(connector, Operation.ADD, range(3)))
    name = str(row.code) if row.subcode is None else f"{row.code}/{row.subcode}"
    assert caught.value.code == name
    assert caught.value.platform == "meta"
    assert row.meaning in caught.value.message
    assert caught.value.remedy
    calls = sum(entry.get("fault") == "error" for entry in box.requests)
    again = issubclass(expected, RetriableError) and (caught.value.retry_after or 0) <= 120  # type: ignore[attr-defined]
    assert calls == (6 if again else 2 if row.tag == "closed" else 1)


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        (200, "<html>all is well</html>", {}),
        (502, "<html>Bad Gateway</html>", {}),
        (200, "", {}),
        (500, "", {}),
        (200, "success", {}),
        (503, "Service Unavailable", {}),
        (429, "<html>slow down</html>", {}),
        (200, '{"success":false}', JSON),
        (200, '["audience_id"]', JSON),
        (200, '{"unexpected":1}', JSON),
    ],
)
def test_what_is_no_answer_is_sent_again_and_else_unknown(
    connector: MetaConnector, box: MetaSandbox, seed: AudienceHandle, status: int, body: str, headers: dict[str, str]
) -> None:
    detail = {"status": status, "body": body, "headers": headers}
    box.faults.add(match="/users", kind="http", detail=detail)
    assert connector.send(seed, batch_of(connector, Operation.ADD, range(5))).accepted == 5
    box.faults.add(match="/users", kind="http", times=99, detail=detail)
    with pytest.raises(OutcomeUnknownError):
        connector.send(seed, batch_of(connector, Operation.ADD, range(9), delivery=8))
    assert len(held(box, seed)) == 5


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        (414, "<html>Request-URI Too Large</html>", "no JSON object"),
        (413, "<html>Too Large</html>", "no JSON object"),
        (500, '{"error":"plain text"}', "plain text"),
        (400, '{"error":{"message":"(#100) x","code":100,"error_data":"not json"}}', "(#100) x"),
        (200, '{"error":{"message":"(#100) in a 200","code":100}}', "in a 200"),
        (400, '{"error":{}}', "not in our table"),
    ],
)
def test_answers_that_break_the_sdk_are_errors_of_ours(
    connector: MetaConnector, box: MetaSandbox, seed: AudienceHandle, status: int, body: str, says: str
) -> None:
    kind = {} if body.startswith("<") else JSON
    box.faults.add(match="/users", kind="http", detail={"status": status, "body": body, "headers": kind})
    with pytest.raises(FatalError) as caught:
        connector.send(seed, batch_of(connector, Operation.ADD, range(5)))
    assert says in str(caught.value)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_no_redirect_is_followed(connector: MetaConnector, box: MetaSandbox, seed: AudienceHandle, status: int) -> None:
    """Members and proofs go to the address in config and to no other, whoever answers there."""
    place = "/v26.0/elsewhere/users"
    detail = {"status": status, "body": "<html>moved</html>", "headers": {"Location": place}}
    box.faults.add(match="/users", kind="http", detail=detail)
    before = len(box.requests)
    with pytest.raises(FatalError, match=r"check meta\.api_base"):
        connector.send(seed, batch_of(connector, Operation.ADD, range(5)))
    assert len(box.requests) == before + 1


def test_error_data_as_json_text_is_understood(connector: MetaConnector, box: MetaSandbox, seed: AudienceHandle) -> None:
    data = json.dumps({"blame_field_specs": [["payload"]]})
    box.faults.add(match="/users", detail={"code": 190, "subcode": 463, "error_data": data})
    with pytest.raises(FatalError, match="expired"):
        connector.send(seed, batch_of(connector, Operation.ADD, range(5)))


@pytest.mark.parametrize(
    ("code", "headers", "wait"),
    [
        (80003, {"X-Ad-Account-Usage": '{"acc_id_util_pct":100,"reset_time_duration":42}'}, 42),
        (80003, {"X-Business-Use-Case-Usage": '{"1":[{"type":"custom_audience","estimated_time_to_regain_access":1}]}'}, 60),
        (17, {}, 60),
    ],
)
def test_a_throttle_waits_as_long_as_meta_says(
    connector: MetaConnector,
    box: MetaSandbox,
    seed: AudienceHandle,
    sleeps: list[float],
    code: int,
    headers: dict[str, str],
    wait: float,
) -> None:
    box.faults.add(match="/users", detail={"code": code, "headers": headers})
    assert connector.send(seed, batch_of(connector, Operation.ADD, range(5))).accepted == 5
    assert sleeps == [wait]


def test_a_wait_of_minutes_is_left_to_the_next_run(
    connector: MetaConnector, box: MetaSandbox, seed: AudienceHandle, sleeps: list[float]
) -> None:
    usage = {"X-Business-Use-Case-Usage": '{"1":[{"type":"custom_audience","estimated_time_to_regain_access":7}]}'}
    box.faults.add(match="/users", detail={"code": 80003, "headers": usage})
    with pytest.raises(RetriableError) as caught:
        connector.send(seed, batch_of(connector, Operation.ADD, range(5)))
    assert (caught.value.retry_after, caught.value.exit_code, sleeps) == (420, 4, [])


def test_calls_slow_down_before_the_quota_is_full_and_stop_in_time(
    connector: MetaConnector, box: MetaSandbox, seed: AudienceHandle, sleeps: list[float]
) -> None:
    account = box.account("111")
    account.score, account.scored_at = 0.80 * box.tier.score, box.clock.now().timestamp()
    connector.status(seed)
    connector.status(seed)
    assert len(sleeps) == 1
    assert 0 < sleeps[0] < 30
    account.score = 0.97 * box.tier.score
    account.scored_at = box.clock.now().timestamp()
    connector.status(seed)
    connector.status(seed)
    assert sleeps[-1] == 60


def test_a_full_quota_with_a_long_wait_ends_the_run(connector: MetaConnector, box: MetaSandbox, seed: AudienceHandle) -> None:
    usage = {"Content-Type": "application/json", "X-Ad-Account-Usage": '{"acc_id_util_pct":96,"reset_time_duration":200}'}
    body = '{"id":"1","operation_status":{"code":200},"delivery_status":{"code":200}}'
    box.faults.add(match=seed.remote_id, kind="http", detail={"status": 200, "body": body, "headers": usage})
    connector.status(seed)
    with pytest.raises(RetriableError, match="96% of the quota") as caught:
        connector.status(seed)
    assert caught.value.retry_after == 200


def test_an_audience_that_is_not_there_yet_is_asked_for_again(
    connector: MetaConnector, box: MetaSandbox, seed: AudienceHandle, sleeps: list[float]
) -> None:
    box.faults.add(
        match="/users", times=2, detail={"code": 803, "message": "Some of the aliases you requested do not exist: users"}
    )
    assert connector.send(seed, batch_of(connector, Operation.ADD, range(5))).accepted == 5
    assert sleeps == [10, 10]


def test_the_token_is_in_no_url_and_no_body(connect: Callable[..., MetaConnector], box: MetaSandbox) -> None:
    seen: list[str] = []
    inner = box.handle

    def listen(request: Any) -> Any:
        seen.append(f"{request.path}{request.query}{request.body!r}")
        assert request.headers["Authorization"] == f"Bearer {TOKEN}"
        return inner(request)

    box.handle = listen  # type: ignore[method-assign]
    box.tokens = {TOKEN: "valid"}
    connector = connect()
    other = box.listen(box.handle)
    connector._client._api._session.GRAPH = other.address
    handle = connector.find_or_create(PLAIN)
    connector.send(handle, batch_of(connector, Operation.ADD, range(3), values=False))
    assert len(seen) >= 3
    assert not [text for text in seen if TOKEN in text or "access_token" in text]


@pytest.fixture
def noisy(box: MetaSandbox) -> Callable[[str], None]:
    """A function that makes the next write to members fail in a way that could leak."""

    def prepare(way: str) -> None:
        if way in ("reset", "lost_reply"):
            box.faults.add(match="/users", kind=way, times=99)
        elif way == "html":
            box.faults.add(match="/users", kind="http", times=99, detail={"status": 502, "body": f"<p>{TOKEN}</p>"})
        else:
            text = f"Malformed access token {TOKEN} for a@example.com, +15559876543, {digest('EMAIL1').hex()}"
            box.faults.add(match="/users", times=99, detail={"code": 190, "message": text})

    return prepare


@pytest.mark.parametrize("way", ["reset", "lost_reply", "html", "echo"])
def test_exceptions_and_logs_hold_no_secret(
    connect: Callable[..., MetaConnector],
    box: MetaSandbox,
    noisy: Callable[[str], None],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    way: str,
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("META_SECRET", "app-secret-of-ours")
    box.app_secret = "app-secret-of-ours"
    connector = connect(credentials={"access_token": "env:META_TOKEN", "app_secret": "env:META_SECRET"})
    handle = connector.find_or_create(PLAIN)
    noisy(way)
    with pytest.raises(SyncError) as caught:
        connector.send(handle, batch_of(connector, Operation.ADD, range(50), values=False))
    text = everything_of(caught.value) + "\n".join(record.getMessage() for record in caplog.records)
    secrets = (TOKEN, "app-secret-of-ours", digest("EMAIL1").hex(), digest("EMAIL49").hex(), "a@example.com", "15559876543")
    assert not [secret for secret in secrets if secret in text]


def test_a_dead_address_is_told_without_the_url(
    connect: Callable[..., MetaConnector], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    connector = connect(api_base=f"http://127.0.0.1:{port}")
    with pytest.raises(RetriableError, match=f"no connection to 127.0.0.1:{port}") as caught:
        connector.find_or_create(SEED)
    assert TOKEN not in everything_of(caught.value) + caplog.text


def test_a_server_that_speaks_no_tls_is_a_configuration_error(connect: Callable[..., MetaConnector], box: MetaSandbox) -> None:
    address = box.address.replace("http://", "https://")  # type: ignore[attr-defined]
    with pytest.raises(ConfigurationError, match="ca_bundle"):
        connect(api_base=address).find_or_create(SEED)


def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(
    connect: Callable[..., MetaConnector], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    assert connect().find_or_create(PLAIN).remote_id


def test_the_app_secret_proof_is_the_documented_one() -> None:
    client = GraphClient(api_base="http://127.0.0.1:1", api_version="v26.0", access_token="TOKEN", app_secret="app-secret")
    assert client._proof == {"appsecret_proof": "751c15abbdb90f81415b11b21396d338bc185878789c386aa590704207aba2a8"}
    client.close()


def test_a_wrong_proof_names_the_app_secret(connect: Callable[..., MetaConnector], box: MetaSandbox) -> None:
    box.app_secret = "another"
    with pytest.raises(FatalError, match="app_secret"):
        connect().find_or_create(PLAIN)


def test_the_sdks_global_state_stays_untouched(connector: MetaConnector) -> None:
    connector.find_or_create(PLAIN)
    assert FacebookAdsApi.get_default_api() is None
    assert sys.excepthook is sys.__excepthook__ or "facebook_business" not in sys.excepthook.__module__


@pytest.mark.parametrize("text", ["", "plain", '{"a":["b c",1.5]}', "100% & more + ü ~", "%22%25"])
def test_forms_are_encoded_as_the_standard_says(text: str) -> None:
    from urllib.parse import quote as standard

    assert quote(text).decode() == standard(text, safe="-._~")


class Slow:
    """A clock that only tests move."""

    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("code", "subcode", "wait", "all_calls"),
    [(613, None, 300, True), (17, 2446079, 900, True), (80003, None, 300, False), (368, None, 3_600, True)],
)
def test_a_long_throttle_or_a_block_is_not_hammered(
    box: MetaSandbox, sleeps: list[float], code: int, subcode: int | None, wait: float, all_calls: bool
) -> None:
    clock = Slow()
    client = GraphClient(api_base=box.address, api_version="v26.0", sleep=sleeps.append, clock=clock)  # type: ignore[attr-defined]
    usage = json.dumps({"acc_id_util_pct": 100, "reset_time_duration": wait})
    box.faults.add(match="GET", detail={"code": code, "subcode": subcode, "headers": {"X-Ad-Account-Usage": usage}})
    with pytest.raises(SyncError) as first:
        client.get("act_111")
    heard = len(box.requests)
    clock.now += wait / 2
    with pytest.raises(type(first.value)) as second:
        client.get("act_111")
    assert len(box.requests) == heard, "nothing was asked"
    assert second.value.code == first.value.code
    assert isinstance(second.value, FatalError) or second.value.retry_after == wait / 2  # type: ignore[attr-defined]
    if all_calls:
        with pytest.raises(type(first.value)):
            client.get("act_111", "insights", expect="data")
    else:
        assert client.get("act_111", "insights", expect="data")
    clock.now += wait / 2 + 1
    assert client.get("act_111") == {"id": "act_111"}
    assert sleeps == []
    client.close()


def test_an_upgraded_version_is_told_once(connector: MetaConnector, box: MetaSandbox, caplog: pytest.LogCaptureFixture) -> None:
    warning = f"This call has been auto-upgraded to v27.0 {TOKEN}"
    body = json.dumps({"id": "act_111"})
    answer = {"status": 200, "headers": {**JSON, "X-Ad-Api-Version-Warning": warning}, "body": body}
    box.faults.add(match="GET /v26.0/act_111", kind="http", detail=answer, times=2)
    checks = {one.subject: one for one in connector.check()}
    check = checks["meta 111: API version"]
    assert (check.ok, check.remedy) == (False, "raise meta.api_version")
    assert "auto-upgraded to v27.0" in check.detail
    assert caplog.text.count("auto-upgraded") == 1
    assert TOKEN not in caplog.text + check.detail
