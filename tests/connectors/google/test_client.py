"""The clients: addresses, TLS, credentials as people have them, silence in the logs, no network before it is needed."""

from __future__ import annotations

import logging
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import grpc
import pytest
import requests
from google.ads.datamanager_v1 import types as dm

from connectors.errors import ConfigurationError, FatalError, OutcomeUnknownError, RetriableError
from connectors.google import platform
from connectors.google.client import hold_loggers, member_request, wrap
from connectors.google.pace import Pace
from connectors.protocol import AudienceSpec, LookalikeSpec, Operation
from connectors.sandbox import HttpServer, Request, Response
from tests.connectors.google.conftest import ACCOUNT, TOP, batch, connect, digest, people

if TYPE_CHECKING:
    from pathlib import Path

    from connectors.sandbox import Request
    from tests.connectors.google.conftest import World

SECRET = "1//refresh-token-SECRET"
pytestmark = pytest.mark.usefixtures("bare")


def test_connecting_opens_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a socket nor a file of credentials: both may be missing until a call needs them."""

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    connector = connect(credentials={"json_key_file": "env:NOT_SET"})
    connector.close()
    with pytest.raises(ConfigurationError, match="NOT_SET"):
        connector.find_or_create(TOP)


def test_over_tls_with_the_sdks_own_roots_variable(tmp_path: Path) -> None:
    """No patching: `host:port`, a certificate, GRPC_DEFAULT_SSL_ROOTS_FILE_PATH. Closing over and over never hangs."""
    certificate = tmp_path / "roots.pem"
    sandbox = platform.sandbox(certificate=certificate)
    address = sandbox.start()["tls"]
    script = f"""
from connectors.google import platform
from connectors.protocol import AudienceSpec
given = {{"accounts": [{{"account_id": "{ACCOUNT}"}}], "data_manager_endpoint": "{address}", "ads_endpoint": "{address}",
         "credentials": "anonymous"}}
settings = platform.settings.model_validate(given)
for _ in range(200):  # gRPC used to hang in about one close of a hundred
    connector = platform.connect(settings, settings.accounts[0])
    said = [one.ok for one in connector.check()]
    connector.close()
connector = platform.connect(settings, settings.accounts[0])
print(said, connector.find_or_create(AudienceSpec("a", "A", tier="high")).remote_id)
connector.close()
"""
    try:
        environment = {"GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(certificate), "PATH": "/usr/bin:/bin"}
        found = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=60)
        assert found.stdout.split() == ["[True,", "True,", "True]", "8000000001"], found.stderr
        untrusted = connect(data_manager_endpoint=address, ads_endpoint=address, credentials="anonymous")
        with pytest.raises(RetriableError, match="certificate"):
            untrusted.find_or_create(TOP)
        untrusted.close()
    finally:
        sandbox.stop()


@pytest.mark.parametrize("address", ["http://127.0.0.1:9", "insecure:127.0.0.1:9"])
def test_a_server_that_is_not_there_is_named(address: str) -> None:
    connector = connect(data_manager_endpoint=address, ads_endpoint="insecure:127.0.0.1:9", credentials="anonymous")
    with pytest.raises(RetriableError, match=address.replace(".", r"\.") + " can't be reached"):
        connector.find_or_create(AudienceSpec("a", "A"))
    checks = connector.check()
    assert [one.ok for one in checks] == [True, False, False]
    assert all("endpoint" in one.remedy for one in checks[1:])
    connector.close()


def test_a_server_that_is_not_google_ads_costs_the_extras_only(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """The list is made and filled; the customer type is warned about; reports and lookalikes say what to look at."""
    server = grpc.server(ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    connector = world.connect(ads_endpoint=f"insecure:127.0.0.1:{port}")
    try:
        handle = world.filled(connector, range(200))
        assert "the high-value customer type could not be set" in caplog.text
        with pytest.raises(FatalError, match="ads_endpoint"):
            connector.find_or_create_lookalike(handle, LookalikeSpec("l", "L", ("US",)))
        with pytest.raises(FatalError, match="ads_endpoint"):
            list(connector.campaign_days(world.now().date(), world.now().date()))
    finally:
        server.stop(0)


@pytest.mark.parametrize(
    "answer",
    [
        Response(200, b"<html>proxy</html>"),
        Response(502, b"<html>bad gateway</html>"),
        Response(200, b'["a list"]'),
        Response(500, b'["a list"]'),
        Response(503),
        Response(drop=True),
    ],
    ids=["html-200", "html-502", "list-200", "list-500", "empty-503", "dropped"],
)
def test_an_answer_that_is_none_is_never_success(answer: Response) -> None:
    server = HttpServer(lambda _: answer)
    connector = connect(data_manager_endpoint=server.address, ads_endpoint="insecure:127.0.0.1:9", credentials="anonymous")
    try:
        with pytest.raises((RetriableError, OutcomeUnknownError)) as caught:
            connector.find_or_create(TOP, "77")
        assert caught.value.exit_code == 4
    finally:
        connector.close()
        server.stop()


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_no_redirect_is_followed(status: int) -> None:
    """Members and the token go to the address in config and to no other, whoever answers there."""
    asked: list[str] = []

    def moved(request: Request) -> Response:
        asked.append(request.path)
        return Response(status, b"", {"Location": "/elsewhere"})

    server = HttpServer(moved)
    connector = connect(data_manager_endpoint=server.address, ads_endpoint="insecure:127.0.0.1:9", credentials="anonymous")
    try:
        with pytest.raises(ConfigurationError, match="is not followed"):
            connector.find_or_create(TOP, "77")
        assert len(asked) == 1
        assert "/elsewhere" not in asked
    finally:
        connector.close()
        server.stop()


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (401, "UNAUTHENTICATED", ConfigurationError),
        (403, "PERMISSION_DENIED", ConfigurationError),
        (409, "ABORTED", RetriableError),
    ],
)
def test_a_bare_status_without_details_is_read(status: int, code: str, error: type[Exception]) -> None:
    """Other gateways in front of Google answer with `error.status` alone (as recorded from real traffic)."""
    document = {"error": {"code": status, "message": "No.", "status": code, "details": []}}
    server = HttpServer(lambda _: Response.of_json(document, status))
    connector = connect(data_manager_endpoint=server.address, ads_endpoint="insecure:127.0.0.1:9", credentials="anonymous")
    try:
        with pytest.raises(error):
            connector.find_or_create(TOP, "77")
    finally:
        connector.close()
        server.stop()


def test_no_proxy_stands_between_this_machine_and_itself(world: World, transport: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "grpc_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY", "no_grpc_proxy"):
        monkeypatch.delenv(name, raising=False)
    assert [one.ok for one in world.connect(transport).check()] == [True, True, True]


class TestLogs:
    """Below WARNING, the SDKs print whole requests; nothing of that may reach any handler."""

    def test_no_digest_at_any_level(
        self, world: World, transport: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("GOOGLE_SDK_PYTHON_LOGGING_SCOPE", "google")
        connector = world.connect(transport)
        connector.find_or_create(TOP)
        caplog.set_level(logging.DEBUG)
        for name in list(logging.root.manager.loggerDict):
            if name.startswith("google"):
                logging.getLogger(name).setLevel(logging.DEBUG)
        handle = world.filled(connector, range(3))
        world.sandbox.faults.add(match="ngest", detail={"reason": "PERMISSION_DENIED", "message": digest("x").hex()})
        with pytest.raises(ConfigurationError) as caught:
            connector.send(handle, batch(Operation.ADD, people([1])))
        assert digest("x").hex() not in str(caught.value)
        assert "[removed]" in str(caught.value)
        assert not [one for one in caplog.records if digest("1@example.com").hex() in repr(vars(one))]

    def test_loggers_are_held_again_and_again(self) -> None:
        logger = logging.getLogger("google.ads.datamanager_v1.services.ingestion_service.client")
        hold_loggers()
        logger.setLevel(logging.DEBUG)
        hold_loggers()
        assert logger.level == logging.WARNING
        assert len(logger.filters) == 1


def test_the_pace_never_passes_300_a_minute() -> None:
    time, slept = [0.0], []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        time[0] += seconds

    pace, starts = Pace(300, clock=lambda: time[0], sleep=sleep), []
    for _ in range(1000):
        pace.wait("ingestion write")
        starts.append(time[0])
        time[0] += 0.01
    assert max(sum(start <= one < start + 60 for one in starts) for start in starts) <= 300
    assert time[0] < 4 * 60, "no slower than the limit asks for"


def test_names_are_paced_apart() -> None:
    slept: list[float] = []
    pace = Pace(1, clock=lambda: 0.0, sleep=slept.append)
    pace.wait("read")
    pace.wait("write")
    assert slept == []
    pace.wait("read")
    assert slept == [60.5]


def test_raw_requests_are_wrapped_without_a_copy() -> None:
    raw = member_request("ingest")
    wrapped = wrap(raw)
    raw.encoding = 1
    assert isinstance(wrapped, dm.IngestAudienceMembersRequest)
    assert wrapped.encoding == dm.Encoding.HEX


def test_closing_lets_the_connector_be_used_again(world: World, transport: str) -> None:
    connector = world.connect(transport)
    first = connector.find_or_create(TOP)
    connector.close()
    connector.close()
    assert connector.find_or_create(TOP) == first
    assert requests.get(f"{world.addresses['admin']}/_sandbox/state", timeout=5).status_code == 200
