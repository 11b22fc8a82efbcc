"""No token, secret, proof, digest or address reaches a log, an exception, a URL, the terminal or a file, whatever goes wrong.

Every library logs at DEBUG here, and each kind of failure is provoked: those of the platforms, of gateways, of the network and
of the SDK while it builds its own exceptions.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import logging
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from connectors.errors import SyncError
from connectors.protocol import AudienceSpec, Batch, LookalikeSpec, Operation
from connectors.registry import platform as platform_of
from connectors.sandbox import HttpServer, Response
from tests.connectors.google.keys import key_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from connectors.protocol import Connector
    from connectors.sandbox import Request

TOKEN, SECRET = "EAAveryS3cretT0kenOfNobody", "app-s3cret-0123456789abcdef"
PROOF = hmac.new(SECRET.encode(), TOKEN.encode(), hashlib.sha256).hexdigest()
DIGEST = hashlib.sha256(b"mary@example.com").digest()
PRIVATE = (TOKEN, SECRET, DIGEST.hex(), "mary@example.com", "+15559876543")
LEAK = f"access_token={TOKEN} secret={SECRET} {DIGEST.hex()} mary@example.com +15559876543"
JSON = {"Content-Type": "application/json"}


def page(body: Any, status: int = 400) -> dict[str, Any]:
    """A fault that answers with this body."""
    text = body if isinstance(body, str) else json.dumps(body)
    return {"kind": "http", "times": 99, "detail": {"status": status, "headers": JSON, "body": text}}


FAULTS: dict[str, dict[str, dict[str, Any]]] = {
    "meta": {
        "a token that has ended": {"kind": "error", "detail": {"code": 190, "subcode": 463, "message": LEAK}},
        "an unknown code": {"kind": "error", "detail": {"code": 987_654, "message": LEAK}},
        "error_data as text": {"kind": "error", "detail": {"code": 100, "message": LEAK, "error_data": LEAK}},
        "an error that is text": page({"error": LEAK}, 500),
        "an error of a strange shape": page({"error": {"code": LEAK, "message": [LEAK], "error_subcode": LEAK}}),
        "error_data that is no JSON": page({"error": {"code": 100, "message": "m", "error_data": "{" + LEAK}}),
        "a page": page(f"<html>{LEAK}</html>", 502),
        "an empty answer": page("", 500),
        "success that is none": page("success " + LEAK, 200),
        "a list": page([LEAK], 200),
        "no answer": {"kind": "reset", "times": 99},
        "a lost reply": {"kind": "lost_reply", "times": 99},
    },
    "google": {
        "no permission": {"match": "/v1/", "detail": {"reason": "PERMISSION_DENIED", "message": LEAK}},
        "an unknown code": {"match": "/v1/", "detail": {"reason": "A_REASON_OF_ITS_OWN", "message": LEAK}},
        "a member at fault": {"match": "/v1/", "detail": {"reason": "INVALID_SHA256_FORMAT", "message": LEAK}},
        "an error that is text": page({"error": LEAK}, 500),
        "an error of a strange shape": page({"error": {"code": LEAK, "message": [LEAK], "details": LEAK}}),
        "details of no kind": page({"error": {"code": 403, "message": LEAK, "details": [{"@type": LEAK, "x": LEAK}]}}, 403),
        "a page": page(f"<html>{LEAK}</html>", 502),
        "a wrong path": page(LEAK, 404),
        "a redirect": {**page("", 307), "detail": {"status": 307, "headers": {"Location": f"https://x.example/?{LEAK}"}}},
        "an empty answer": page("", 500),
        "success that is none": page("success " + LEAK, 200),
        "a list": page([LEAK], 200),
        "no answer": {"kind": "reset", "times": 99},
        "a lost reply": {"kind": "lost_reply", "times": 99},
    },
    "tiktok": {
        "a bad token": {"kind": "error", "detail": {"code": 40105, "message": LEAK}},
        "an unknown code": {"kind": "error", "detail": {"code": 49_999, "message": LEAK}},
        "an explained error": {"kind": "error", "detail": {"code": 40002, "message": LEAK}},
        "a page": page(f"<html>{LEAK}</html>", 502),
        "a wrong path": page(LEAK, 404),
        "an empty answer": page("", 504),
        "a list": page([LEAK], 200),
        "a strange envelope": page({"code": LEAK, "message": LEAK}, 200),
        "partial success": {"kind": "error", "times": 99, "detail": {"code": 20001, "message": LEAK}},
        "no answer": {"kind": "reset", "times": 99},
        "a lost reply": {"kind": "lost_reply", "times": 99},
    },
}
CASES = [(name, fault) for name, faults in FAULTS.items() for fault in faults]
CALLS: dict[str, Callable[[Connector], Any]] = {
    "check": lambda one: [repr(found) for found in one.check()],
    "find_or_create": lambda one: one.find_or_create(AudienceSpec("a", "Seed A")),
    "send": lambda one: one.send(_handle(one), _batch(one)),
    "lookalike": lambda one: one.find_or_create_lookalike(_handle(one), LookalikeSpec("l", "Look", ("US",))),
    "delete": lambda one: one.delete(_handle(one)),
    "campaign_days": lambda one: list(one.campaign_days(_today(), _today())),
}


def _today() -> Any:
    from connectors.protocol import utc_now

    return utc_now().date()


def _handle(one: Connector) -> Any:
    from connectors.protocol import AudienceHandle

    return AudienceHandle(one.capabilities.platform, one.account_id, AudienceSpec("a", "Seed A"), "23850000000000001", "stream")


def _batch(one: Connector) -> Batch:
    fields = one.capabilities.recipe.fields
    hashed = {name: field.hashed for field in fields for name in field.columns()}
    first = next(name for name in one.capabilities.recipe.columns() if name.upper().startswith("EMAIL"))
    columns = {
        name: pa.array([DIGEST if name == first else None], pa.binary(32) if hashed.get(name, True) else pa.string())
        for name in one.capabilities.recipe.columns()
    }
    rows = pa.record_batch(columns)
    return Batch("b", Operation.ADD, 1, lambda: iter([rows]), 7, 1, True, 1)


@pytest.fixture
def heard() -> list[str]:
    """Method, path and query of every request."""
    return []


@pytest.fixture
def connect(
    heard: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Callable[[str], tuple[Connector, Any]]]:
    """A function for a connector with every secret that the platform takes, and its sandbox."""
    monkeypatch.setenv("PLATFORM_TOKEN", TOKEN)
    monkeypatch.setenv("PLATFORM_SECRET", SECRET)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    made: list[Any] = []

    def build(name: str) -> tuple[Connector, Any]:
        sandbox = platform_of(name).sandbox()
        if name == "tiktok":
            sandbox.limits.enabled = False
            sandbox.apps["123"] = SECRET
            sandbox.accounts["7000000000000000001"] = sandbox.account
        answer: Callable[[Request, Any], Response] = sandbox._answer

        def listen(request: Request, handle: Any) -> Response:
            heard.append(f"{request.method} {request.path} {request.query}")
            return answer(request, handle)

        sandbox._answer = listen
        block, account = blocks(name, sandbox.start())
        settings = platform_of(name).settings.model_validate({**block, "timeout_seconds": 5, "accounts": [account]})
        connector = platform_of(name).connect(settings, settings.accounts[0], now=sandbox.clock.now, sleep=lambda _: None)  # type: ignore[call-arg]
        made.extend([connector.close, sandbox.stop])
        return connector, sandbox

    def blocks(name: str, places: dict[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
        if name == "google":
            tokens = HttpServer(lambda _: Response.of_json({"access_token": TOKEN, "expires_in": 3600}))
            made.append(tokens.stop)
            monkeypatch.setenv("GOOGLE_KEY", key_file(tmp_path / "key.json", tokens.address).read_text())
            (tmp_path / "key.json").unlink()
            addresses = {"data_manager_endpoint": places["data_manager"], "ads_endpoint": places["ads"]}
            return {**addresses, "credentials": {"json_key_file": "env:GOOGLE_KEY"}}, {"account_id": "1234567890"}
        credentials = {"access_token": "env:PLATFORM_TOKEN"}
        credentials |= (
            {"app_secret": "env:PLATFORM_SECRET"} if name == "meta" else {"app_id": "123", "secret": "env:PLATFORM_SECRET"}
        )
        account = {"account_id": "111" if name == "meta" else "7000000000000000001"}
        return {"api_base": places["address"], "credentials": credentials}, account

    yield build
    for close in made:
        close()


def chain(error: BaseException | None) -> Iterator[str]:
    """All that an error and those behind it could say, also with the values of local variables left out."""
    while error is not None:
        yield from (str(error), repr(error), repr(error.args), repr(vars(error)))
        yield "".join(traceback.format_exception(error))
        error = error.__cause__ or error.__context__


def provoke(connector: Connector) -> Iterator[str]:
    """What every call says or raises."""
    for call in CALLS.values():
        try:
            yield repr(call(connector))
        except SyncError as error:
            yield from chain(error)


@pytest.mark.parametrize(("name", "fault"), CASES, ids=[f"{name}: {fault}" for name, fault in CASES])
def test_nothing_private_is_said(
    name: str,
    fault: str,
    connect: Callable[[str], tuple[Connector, Any]],
    heard: list[str],
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    caplog.set_level(logging.DEBUG)
    for library in ("httpx", "httpcore", "urllib3", "requests", "facebook_business", "connectors"):
        logging.getLogger(library).setLevel(logging.DEBUG)
    connector, sandbox = connect(name)
    said: list[str] = []
    for _ in CALLS:
        sandbox.faults.add(**{"times": 99, **FAULTS[name][fault]})
    said += provoke(connector)
    told = capfd.readouterr()
    said += [told.out, told.err, *(record.getMessage() for record in caplog.records), *map(repr, caplog.records)]
    said += [str(record.args) + str(record.exc_info or "") for record in caplog.records]
    said += [path.read_text(errors="replace") for path in tmp_path.rglob("*") if path.is_file()]
    assert heard, "something was sent"
    private = PRIVATE if name != "google" else tuple(one for one in (*PRIVATE, "BEGIN PRIVATE KEY", "MIIEv") if one != SECRET)
    for secret in (*private, PROOF):
        assert not [text for text in said if secret in text], secret
    # TikTok takes the app's secret in the query of one call, and Meta the proof of each read, as their own SDKs send them
    asked = [one for one in heard if "/oauth2/advertiser/get/" not in one]
    assert not [one for one in asked if any(secret in one for secret in PRIVATE)]


@pytest.mark.parametrize("name", ["meta", "tiktok"])
def test_nothing_private_is_logged_when_all_goes_well(
    name: str,
    connect: Callable[[str], tuple[Connector, Any]],
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    for library in ("httpx", "httpcore", "urllib3", "requests", "facebook_business", "connectors"):
        logging.getLogger(library).setLevel(logging.DEBUG)
    connector, _ = connect(name)
    assert [one for one in connector.check() if not one.ok] == []
    handle = connector.find_or_create(AudienceSpec("a", "Seed A", exclusion=True))
    connector.send(handle, _batch(connector))
    text = "\n".join([*(record.getMessage() for record in caplog.records), *capfd.readouterr()])
    assert text, "the libraries did log"
    assert not [secret for secret in (*PRIVATE, PROOF) if secret in text]


def test_connections_never_print_their_headers() -> None:
    """The switch that makes http.client print every header, token and all, is off after importing all clients."""
    import connectors.meta.client
    import connectors.tiktok.client  # noqa: F401

    assert http.client.HTTPConnection.debuglevel == 0
