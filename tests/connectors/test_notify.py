"""The webhook: told of failures and stops, over a real socket; never a reason for a run to fail, never told a secret."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from connectors import notify
from connectors.config.sources import Notify
from connectors.errors import FatalError
from connectors.job import Outcome
from connectors.sandbox import HttpServer, Request, Response


@dataclass
class Settings:
    notify: Notify


@dataclass
class Hook:
    told: list[dict[str, Any]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    """Statuses that are used up first; 0 drops the connection."""

    def __call__(self, request: Request) -> Response:
        status = self.answers.pop(0) if self.answers else 200
        self.told.append(request.json())
        return Response(status, drop=not status)


@pytest.fixture(autouse=True)
def _no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notify, "WAITS", (0.0, 0.0))


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


@pytest.mark.parametrize(
    ("answers", "calls", "taken"),
    [
        ([503, 0], 3, True),
        ([429], 2, True),
        ([500, 500, 500], 3, False),
        ([404], 1, False),
    ],
)
def test_a_passing_fault_of_the_webhook_is_tried_again(hook: Hook, answers: list[int], calls: int, taken: bool) -> None:
    hook.answers = answers
    assert notify.tell(settings(), 4, ["x"], {}) is taken
    assert len(hook.told) == calls


def test_what_a_platform_said_is_redacted_in_the_whole_message(hook: Hook) -> None:
    with notify.watched(settings()) as box:
        box.append(outcome(1, state="failed", detail="refused: access_token=EAABsecret of mary@example.com"))
    (told,) = hook.told
    assert "EAABsecret" not in str(told)
    assert "mary@" not in str(told)
    assert told["audiences"][0]["state"] == "failed"


def test_an_unexpected_error_is_told_by_its_class_alone(hook: Hook) -> None:
    with pytest.raises(RuntimeError), notify.watched(settings()):
        raise RuntimeError("row 3: Mary Leakname, 12 High Street")
    assert "Leakname" not in str(hook.told)
    assert "unexpected RuntimeError" in hook.told[0]["text"]
