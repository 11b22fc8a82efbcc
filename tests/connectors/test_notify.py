"""The webhook: told of failures and stops, over a real socket; never a reason for a run to fail, never told a secret."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from connectors import notify
from connectors.config import Notify
from connectors.errors import FatalError
from connectors.job import Outcome
from connectors.sandbox import HttpServer, Request, Response


@dataclass
class Settings:
    notify: Notify


@dataclass
class Hook:
    told: list[dict[str, Any]] = field(default_factory=list)
    status: int = 200

    def __call__(self, request: Request) -> Response:
        self.told.append(request.json())
        return Response(self.status)


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hook]:
    hook = Hook()
    server = HttpServer(hook)
    monkeypatch.setenv("HOOK", server.address)
    yield hook
    server.stop()


def settings(always: bool = False) -> Any:
    return Settings(Notify(webhook="env:HOOK", always=always))


def outcome(code: int, **audience: Any) -> Outcome:
    line = {"platform": "meta", "audience": "seed", "guardrail": "", "exit_code": code, "state": "done", "detail": "",
            "accepted": 3, "pending": 2, "unknown": 1, "undelivered": 0, "rejected": {"bad": 4}}  # fmt: skip
    return Outcome(code, audiences=[{**line, **audience}])


def test_a_stopped_run_is_told_with_its_guardrail(hook: Hook) -> None:
    with notify.watched(settings()) as box:
        box.append(outcome(3, guardrail="90% of the members would be removed"))
    (told,) = hook.told
    assert told["exit_code"] == 3
    assert "guardrail" in told["text"]
    assert "meta seed: 90% of the members would be removed" in told["text"]
    assert "accepted 3, rejected 4, pending 2, unknown 1" in told["text"]


def test_a_quiet_night_is_told_only_when_asked(hook: Hook) -> None:
    with notify.watched(settings()) as box:
        box.append(outcome(0))
    assert hook.told == []
    with notify.watched(settings(always=True)) as box:
        box.append(outcome(0))
    assert len(hook.told) == 1


def test_an_exception_is_told_without_its_secrets_and_goes_on(hook: Hook) -> None:
    with pytest.raises(FatalError), notify.watched(settings()):
        raise FatalError("refused at https://x/?access_token=EAABsecret for mary@example.com")
    assert hook.told[0]["exit_code"] == 1
    assert "EAABsecret" not in hook.told[0]["text"]
    assert "mary@" not in hook.told[0]["text"]


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/secret-path", "nonsense"])
def test_a_webhook_that_fails_never_fails_the_run(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, address: str
) -> None:
    monkeypatch.setenv("HOOK", address)
    with notify.watched(settings()) as box:
        box.append(outcome(4))
    assert "did not take the message" in caplog.text
    assert "secret-path" not in caplog.text


def test_without_a_webhook_nobody_is_told(hook: Hook) -> None:
    assert notify.tell(Settings(Notify()), 1, ["x"], {}) is False  # type: ignore[arg-type]
    assert hook.told == []
