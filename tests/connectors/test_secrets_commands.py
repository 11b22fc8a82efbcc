"""What the commands print, log and leave on disk while every platform, gateway and proxy fails in its own way: no secret.

Whole runs of the command line with everything logged at DEBUG, to stderr and to `--log-file`. Each answer repeats what a
careless server would: the token, the app's secret, the address that was asked, a member's digest and addresses.
"""

from __future__ import annotations

import hashlib
import json
import logging
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from connectors import registry
from connectors.cli import commands
from connectors.demo import starter
from connectors.sandbox import HttpServer, Response
from tests.connectors.google.keys import key_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TOKENS = {
    "meta": "EAAaTokenNobodyMaySee0123456789",
    "google": "ya29.a0-Token_nobody-may.see",
    "tiktok": "0f1e2d3c4b5a69788796a5b4",
}
SECRET = "app-s3cret-nobody-may-see"
PROXY = "proxy-passw0rd"
DIGEST = hashlib.sha256(b"person7@example.com").hexdigest()
PRIVATE = (SECRET, PROXY, DIGEST, "person7@example.com", "+15559876543", "BEGIN PRIVATE KEY", "MIIEv")
HTML = {"Content-Type": "text/html"}


def http(status: int, body: str, **headers: str) -> dict[str, Any]:
    return {"kind": "http", "detail": {"status": status, "body": body, "headers": {**HTML, **headers}}}


def faults(name: str) -> dict[str, dict[str, Any]]:
    """Ways to fail, each of which repeats what must not be seen."""
    token = TOKENS[name]
    held = "" if name == "google" else f"secret={SECRET} "  # Google's clients have none
    leak = f"{token} {held}{DIGEST} person7@example.com +15559876543"
    own = {
        "meta": {"code": 100, "message": leak, "error_user_msg": leak},
        "google": {"reason": "PERMISSION_DENIED", "message": leak},
        "tiktok": {"code": 40002, "message": leak},
    }
    return {
        "a refusal in its own words": {"match": "/v1/" if name == "google" else "", "detail": own[name]},
        "a page that repeats the address": http(502, f"<html>GET https://host/x?access_token={token}&{leak}</html>"),
        "a redirect with the token in it": http(307, "", Location=f"https://elsewhere.example/?{leak.replace(' ', '&')}"),
        "a proxy that asks who it is": http(407, leak, **{"Proxy-Authenticate": f'Basic realm="{leak}"'}),
    }


@pytest.fixture
def _usual_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for one in root.handlers[:]:
        if one not in handlers:
            root.removeHandler(one)
            one.close()
    root.handlers[:], root.level = handlers, level


@pytest.fixture
def tokens() -> Iterator[str]:
    """The address of a token endpoint."""
    told = {"access_token": TOKENS["google"], "expires_in": 3600, "token_type": "Bearer"}
    server = HttpServer(lambda _: Response.of_json(told))
    yield server.address
    server.stop()


def shop(folder: Path) -> None:
    """Nothing: config, orders and contacts are there, without platforms."""
    starter.write(folder)
    (data := folder.parent / "data").mkdir()
    draw, now = random.Random(4), datetime.now(UTC)
    orders = [
        f"c{who},o{who}-{number},{(now - timedelta(days=draw.uniform(2, 365))).isoformat()},{draw.uniform(5, 80):.2f}"
        for who in range(120)
        for number in range(draw.randint(1, 6))
    ]
    (data / "orders.csv").write_text("\n".join(["customer_id,order_id,ordered_at,amount", *orders]))
    people = [f"c{one},person{one}@example.com,US" for one in range(120)]
    (data / "contacts.csv").write_text("\n".join(["customer_id,email,country", *people]))
    (folder / "model.yaml").write_text("horizon_days: 90\ncandidates: [mbg_nbd]\ngate: {enabled: false}\n")


def block(name: str, addresses: dict[str, str], tokens: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The platform's block of platforms.yaml, with every secret that it takes."""
    if name == "google":
        monkeypatch.setenv("GOOGLE_KEY", key_file(folder / "key.json", tokens).read_text())
        (folder / "key.json").unlink()
        places = {"data_manager_endpoint": addresses["data_manager"], "ads_endpoint": addresses["ads"]}
        credentials: dict[str, str] = {"json_key_file": "env:GOOGLE_KEY"}
        account = "1234567890"
    else:
        monkeypatch.setenv("PLATFORM_TOKEN", TOKENS[name])
        monkeypatch.setenv("PLATFORM_SECRET", SECRET)
        places, credentials = {"api_base": addresses["address"]}, {"access_token": "env:PLATFORM_TOKEN"}
        more = {"app_secret": "env:PLATFORM_SECRET"} if name == "meta" else {"app_id": "123", "secret": "env:PLATFORM_SECRET"}
        credentials |= more
        account = "111" if name == "meta" else "7000000000000000001"
    return json.dumps({name: {**places, "credentials": credentials, "accounts": [{"account_id": account}]}})


def impatient(platform: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing: its connectors don't sleep between attempts."""
    connect: Callable[..., Any] = platform.connect
    monkeypatch.setattr(type(platform), "connect", lambda _, *given, **more: connect(*given, **more, sleep=lambda _: None))


def said(*arguments: str, log: Path) -> tuple[int, str]:
    """Exit code, and all that the command printed."""
    done = CliRunner().invoke(commands, ["--log-level", "debug", "--log-file", str(log), *arguments], standalone_mode=False)
    code = done.return_value if isinstance(done.return_value, int) else 1
    return code, done.output + repr(done.exception or "")


@pytest.mark.usefixtures("_usual_logging")
@pytest.mark.parametrize("name", ["meta", "google", "tiktok"])
def test_no_command_lets_a_secret_out_whatever_fails(
    name: str, tokens: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    folder, log = tmp_path / "config", tmp_path / "log.jsonl"
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    for variable in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "grpc_proxy"):
        monkeypatch.setenv(variable, f"http://buyer:{PROXY}@127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")  # the token endpoint
    shop(folder)
    platform = registry.platform(name)
    impatient(platform, monkeypatch)
    sandbox = platform.sandbox()
    if name == "tiktok":
        sandbox.limits.enabled = False
        sandbox.apps["123"] = SECRET
        sandbox.accounts["7000000000000000001"] = sandbox.account
    (folder / "audiences.yaml").write_text(
        f"guardrails: {{min_size: 0}}\naudiences:\n  - {{name: all, title: Group, platforms: [{name}], use: exclusion}}\n"
    )
    try:
        (folder / "platforms.yaml").write_text(block(name, sandbox.start(), tokens, tmp_path, monkeypatch))
        texts, codes = [], []
        for command, fault in zip(("push", "check", "push", "check"), faults(name).values(), strict=True):
            sandbox.faults.clear()
            sandbox.faults.add(times=999, **fault)
            code, text = said(command, "--config", str(folder), log=log)
            codes.append(code)
            texts.append(text)
        assert all(codes), "each of them failed"
        sandbox.faults.clear()
        for command in ("push", "pull"):
            code, text = said(command, "--config", str(folder), log=log)
            assert code == 0, text
            texts.append(text)
    finally:
        sandbox.stop()
    assert log.stat().st_size > 1_000
    kept = [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "contacts.csv"]
    texts += [*capfd.readouterr(), *(path.read_bytes().decode("latin-1") for path in kept)]
    for secret in (TOKENS[name], *PRIVATE):
        held = [text for text in texts if secret in text]
        assert not [text[max(0, text.index(secret) - 300) :][:600] for text in held], secret
