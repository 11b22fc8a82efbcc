"""What a night's log says: every step with its numbers, every retry and wait, and nobody's identifiers or tokens."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import pytest

from connectors import logs
from connectors.engine.audience import Account
from connectors.engine.identity import IdentityRules
from connectors.engine.members import build_members
from connectors.engine.plan import make_plan
from connectors.engine.push import push
from connectors.registry import platform as platform_of
from tests.connectors.engine.world import contacts, person, scores
from tests.faults.stage import ACCOUNTS, HEX, Stage, people_of, settings_of, stage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOKEN = "EAABwzLixnjYBAsecretsecret"
MATCH = {"meta": "/users", "google": "audienceMembers:", "tiktok": "POST /open_api/v1.3/dmp/custom_audience/"}
BUSY: dict[str, dict[str, Any]] = {
    "meta": {"code": 2},
    "google": {"reason": "INTERNAL_ERROR"},
    "tiktok": {"code": 40100, "message": f"Too many requests by p1@example.com with {TOKEN}."},
}
REFUSED: dict[str, dict[str, Any]] = {
    "meta": {"code": 190, "subcode": 463, "message": f"token {TOKEN} of p1@example.com has expired"},
    "google": {"reason": "PERMISSION_DENIED", "message": "p1@example.com may not"},
    "tiktok": {"code": 40105, "message": f"{TOKEN} of p1@example.com is wrong"},
}


@pytest.fixture(autouse=True)
def _usual_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def settings(here: Stage) -> Any:
    """Settings with a real token, where the platform has one to send."""
    if here.name == "google":
        return settings_of(here.name, here.addresses)
    block = {"api_base": here.addresses["address"], "credentials": {"access_token": "env:TOKEN"}}
    return platform_of(here.name).settings.model_validate({**block, "accounts": [{"account_id": ACCOUNTS[here.name]}]})


def run(here: Stage, people: list[Any]) -> Any:
    """A push with a connector of the product's own making."""
    here.count += 1
    work = here.folder / f"work{here.count}"
    members = build_members(scores(people), contacts(people), ledger=here.ledger, work=work)
    chosen = settings(here)
    connector = platform_of(here.name).connect(chosen, chosen.accounts[0], now=here.now, sleep=lambda seconds: None)  # type: ignore[call-arg]
    try:
        plan = make_plan(here.ledger, members, here.requests, [Account(connector, IdentityRules())], now=here.now())
        return push(plan, here.ledger, now=here.now)
    finally:
        connector.close()
        members.close()


@pytest.mark.parametrize("name", ["meta", "google", "tiktok"])
def test_the_log_tells_every_step_and_nobodys_secrets(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", TOKEN)
    kept = tmp_path / "log.jsonl"
    with stage(name, tmp_path) as here:
        logs.configure(level="debug", as_json=True, file=kept)
        crowd = people_of(name)
        here.sandbox.faults.add(match=MATCH[name], kind="error", times=2, detail=BUSY[name])
        assert run(here, crowd).exit_code == 0
        here.rest()
        run(here, crowd)
        here.sandbox.faults.add(match=MATCH[name], kind="error", times=10, detail=REFUSED[name])
        failed = run(here, [*crowd, person(4000)])
        assert failed.exit_code in (1, 2)
    text = kept.read_text()
    told = [json.loads(line) for line in text.splitlines()]
    by_event: dict[str, list[dict[str, Any]]] = {}
    for one in told:
        by_event.setdefault(one["event"], []).append(one)
    place = {"platform": name, "account": ACCOUNTS[name], "audience": "all"}
    first = by_event["batch"][0]
    assert place.items() <= first.items()
    assert (first["operation"], first["rows"], first["attempt"]) == ("add", len(crowd), 1)
    assert first["accepted"] + first["pending"] + first["rejected"] + first["unknown"] == len(crowd)
    assert first["seconds"] >= 0
    assert [one["attempt"] for one in by_event["call tried again"]][:2] == [1, 2]
    assert all(one["wait"] > 0 and one["error"] == "RetriableError" for one in by_event["call tried again"])
    assert by_event["batch"][-1]["level"] == by_event["audience"][-1]["level"] == by_event["push"][-1]["level"] == "warning"
    assert by_event["batch"][-1]["error"] in ("FatalError", "ConfigurationError")
    assert (by_event["audience"][-1]["state"], by_event["push"][-1]["exit_code"]) == ("failed", failed.exit_code)
    assert len(by_event["push"]) == len(by_event["audience"]) == 3
    assert (name == "meta") == ("batch settled" not in by_event)
    assert TOKEN not in text
    assert "example.com" not in text
    assert HEX.findall(text) == []
