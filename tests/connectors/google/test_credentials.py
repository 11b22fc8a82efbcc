"""Credentials: files and variables as people already have them, and a sign-in that fails."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from connectors.errors import ConfigurationError, RetriableError
from connectors.google import platform
from connectors.sandbox import HttpServer, Response
from tests.connectors.google.conftest import ACCOUNT, TOP, connect
from tests.connectors.google.keys import key_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from connectors.sandbox import Request
    from tests.connectors.google.conftest import World


SECRET = "1//refresh-token-SECRET"
pytestmark = pytest.mark.usefixtures("bare")


@pytest.fixture
def tokens() -> Iterator[tuple[str, list[dict[str, list[str]]]]]:
    """A token endpoint and the forms that it got."""
    forms: list[dict[str, list[str]]] = []

    def answer(request: Request) -> Response:
        forms.append(request.form())
        return Response.of_json({"access_token": "ya29.sandbox", "expires_in": 3600, "token_type": "Bearer"})

    server = HttpServer(answer)
    yield server.address, forms
    server.stop()


GRANT = Response.of_json({"error": "invalid_grant", "error_description": "Token has been expired or revoked."}, 400)


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (GRANT, ConfigurationError, "credentials were refused: .*revoked"),
        (Response.of_json({"error": "server_error"}, 503), RetriableError, "sign-in"),
        (None, RetriableError, "sign-in"),
    ],
    ids=["revoked", "in trouble", "out of reach"],
)
def test_a_sign_in_that_fails_is_no_broken_connection(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: Response | None, error: type[Exception], words: str
) -> None:
    """What only a person can mend is said at once; what passes says where the trouble is."""
    server = HttpServer(lambda _: answer) if answer else None
    monkeypatch.setenv(
        "GOOGLE_KEY", key_file(tmp_path / "key.json", server.address if server else "http://127.0.0.1:9").read_text()
    )
    connector = connect(**world.settings().model_dump() | {"credentials": {"json_key_file": "env:GOOGLE_KEY"}})
    connector.client._sleep = lambda _: None
    try:
        with pytest.raises(error, match=words):
            connector.find_or_create(TOP)
    finally:
        connector.close()
        if server:
            server.stop()


def test_a_sign_in_that_fails_over_grpc_is_no_broken_connection(tmp_path: Path) -> None:
    """There the credentials' failure arrives as if the service were away: trying again helps nobody, a remedy does."""
    certificate = tmp_path / "roots.pem"
    sandbox = platform.sandbox(certificate=certificate)
    address, server = sandbox.start()["tls"], HttpServer(lambda _: GRANT)
    script = f"""
from connectors.errors import SyncError
from connectors.google import platform
from connectors.protocol import AudienceSpec, utc_now
given = {{"accounts": [{{"account_id": "{ACCOUNT}"}}], "data_manager_endpoint": "{address}", "ads_endpoint": "{address}",
         "credentials": {{"json_key_file": "file:KEY"}}}}
today = utc_now().date()
for key in ("{key_file(tmp_path / "revoked.json", server.address)}", "{key_file(tmp_path / "away.json", "http://127.0.0.1:9")}"):
    given["credentials"]["json_key_file"] = "file:" + key
    settings = platform.settings.model_validate(given)
    connector = platform.connect(settings, settings.accounts[0], sleep=lambda seconds: print("waits"))
    for call in (lambda: connector.find_or_create(AudienceSpec("a", "A")), lambda: list(connector.campaign_days(today, today))):
        try:
            call()
        except SyncError as error:
            print(type(error).__name__, "revoked" in error.message, "sign-in" in error.message)
    connector.close()
"""
    try:
        environment = {"GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(certificate), "PATH": "/usr/bin:/bin"}
        found = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=60)
    finally:
        sandbox.stop()
        server.stop()
    told = found.stdout.splitlines()
    assert told[:2] == ["ConfigurationError True False"] * 2, found.stdout + found.stderr
    assert [one for one in told[2:] if one != "waits"] == ["UnreachableError False True"] * 2
    assert told.count("waits") == 10


class TestCredentials:
    """Files and variables as people already have them."""

    def test_a_service_account_key_gets_a_token_for_both_apis(
        self,
        world: World,
        tmp_path: Path,
        tokens: tuple[str, list[dict[str, list[str]]]],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        address, forms = tokens
        key = key_file(tmp_path / "key.json", address)
        monkeypatch.setenv("GOOGLE_KEY", key.read_text())
        monkeypatch.setenv("GOOGLE_KEY_FILE", str(key))
        for reference in (f"file:{key}", "env:GOOGLE_KEY", "env:GOOGLE_KEY_FILE"):
            connector = connect(**world.settings().model_dump() | {"credentials": {"json_key_file": reference}})
            assert connector.find_or_create(TOP).remote_id
            connector.close()
        form = forms[0]
        claims = form["assertion"][0].split(".")[1]
        scope = json.loads(base64.urlsafe_b64decode(claims + "=="))["scope"]
        assert scope.split() == ["https://www.googleapis.com/auth/adwords", "https://www.googleapis.com/auth/datamanager"]
        assert len(forms) == 3

    def test_google_ads_yaml_gives_key_manager_and_address(
        self, world: World, tmp_path: Path, tokens: tuple[str, list[dict[str, list[str]]]]
    ) -> None:
        key = key_file(tmp_path / "key.json", tokens[0])
        text = f"use_proto_plus: true\nlogin_customer_id: 9999999999\njson_key_file_path: {key}\nendpoint: ads.example.com\n"
        (tmp_path / "google-ads.yaml").write_text(
            text + "linked_customer_id: 7777777777\nhttp_proxy: http://proxy.example:3128\n"
        )
        given = {"accounts": [{"account_id": ACCOUNT}], "data_manager_endpoint": world.addresses["data_manager"]}
        world.sandbox.accounts[ACCOUNT] = {"parent": "9999999999"}
        for credentials in ({"google_ads_yaml": str(tmp_path / "google-ads.yaml")}, "environment"):
            connector = connect(**given, credentials=credentials)
            client = connector.client
            assert (client.login_account, client.ads_address) == ("9999999999", "ads.example.com")
            assert (client.source.linked_customer_id, client.source.http_proxy) == ("7777777777", "http://proxy.example:3128")
            assert connector._audiences.find_or_create(TOP)[0].remote_id == "8000000001"
            connector.close()

    def test_the_linked_account_travels_as_a_header(self, world: World, tmp_path: Path, tokens: tuple[str, Any]) -> None:
        text = f"use_proto_plus: true\njson_key_file_path: {key_file(tmp_path / 'key.json', tokens[0])}\n"
        (tmp_path / "google-ads.yaml").write_text(text + "linked_customer_id: 7777777777\n")
        heard: list[dict[str, str]] = []
        honest = world.sandbox.ads.answer

        def answer(method: str, request: Any, headers: Any) -> Any:
            heard.append(dict(headers))
            return honest(method, request, headers)

        world.sandbox.ads.answer = answer  # type: ignore[method-assign]
        given = world.settings().model_dump() | {"credentials": {"google_ads_yaml": str(tmp_path / "google-ads.yaml")}}
        connector = connect(**given)
        connector.client.query("SELECT customer.id FROM customer")
        connector.close()
        assert [one.get("linked-customer-id") for one in heard] == ["7777777777"]

    def test_the_sdks_variables_are_read(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in {
            "USE_PROTO_PLUS": "true",
            "CLIENT_ID": "id",
            "CLIENT_SECRET": "secret",
            "REFRESH_TOKEN": SECRET,
            "LOGIN_CUSTOMER_ID": "9999999999",
        }.items():
            monkeypatch.setenv(f"GOOGLE_ADS_{name}", value)
        client = connect().client
        assert (client.source.kind, client.login_account) == ("installed_app", "9999999999")
        assert SECRET not in repr(client.source)
        assert client._credentials.refresh_token == SECRET

    def test_an_accounts_own_manager_wins(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        (tmp_path / "google-ads.yaml").write_text(
            "use_proto_plus: true\nlogin_customer_id: 9999999999\nclient_id: a\nclient_secret: b\nrefresh_token: c\n"
        )
        accounts = [{"account_id": ACCOUNT, "login_account_id": "8888888888"}]
        assert connect(accounts=accounts).client.login_account == "8888888888"

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("use_proto_plus: true\n", "no complete set of credentials"),
            ("developer_token: x\n", "use_proto_plus"),
            ("use_proto_plus: true\njson_key_file_path: /nowhere/key.json\n", "/nowhere/key.json is missing"),
        ],
    )
    def test_an_incomplete_file_is_explained(self, tmp_path: Path, text: str, said: str) -> None:
        place = tmp_path / "ads.yaml"
        place.write_text(text)
        with pytest.raises(ConfigurationError, match=said):
            _ = connect(credentials={"google_ads_yaml": str(place)}).client.source

    def test_a_missing_file_and_nothing_at_all_are_explained(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match="google_ads_yaml"):
            _ = connect(credentials={"google_ads_yaml": str(tmp_path / "none.yaml")}).client.source
        with pytest.raises(ConfigurationError, match="no Google credentials were found"):
            _ = connect().client.source

    def test_a_key_that_is_none_is_explained_without_showing_it(self, tmp_path: Path) -> None:
        place = tmp_path / "key.json"
        place.write_text('{"private_key": "SECRET"}')
        with pytest.raises(ConfigurationError, match="download the key again") as caught:
            _ = connect(credentials={"json_key_file": f"file:{place}"}).client.source
        assert "SECRET" not in str(caught.value)

    def test_a_refused_token_is_a_matter_of_configuration(self, world: World, tmp_path: Path) -> None:
        server = HttpServer(lambda _: Response.of_json({"error": "invalid_grant", "error_description": "revoked"}, 400))
        key = key_file(tmp_path / "key.json", server.address)
        given = world.settings().model_dump() | {"credentials": {"json_key_file": f"file:{key}"}}
        connector = connect(**given)
        with pytest.raises(ConfigurationError, match="renew the credentials"):
            connector.find_or_create(TOP)
        connector.close()
        server.stop()
