"""Logs: no token, address, phone number or digest gets through; events are whole, and JSON lines are all JSON."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from connectors import events, logs
from connectors.errors import FatalError, RetriableError
from connectors.retries import retrying

DIGEST = hashlib.sha256(b"mary@example.com").hexdigest()
LINES = [
    ("GET https://graph.facebook.com/v26.0/act_1?access_token=EAABsecret&fields=id", "EAABsecret"),
    ('{"access_token": "EAABsecret", "x": 1}', "EAABsecret"),
    ("Authorization: Bearer ya29.secret", "ya29.secret"),
    ("Access-Token: tiktoksecret", "tiktoksecret"),
    ("appsecret_proof=abcdef0123456789", "abcdef0123456789"),
    ("token EAABsecretsecretsecret of nobody", "EAABsecret"),
    ("ya29.a0-secret_secret is refused", "a0-secret"),
    ("no way through http://buyer:pr0xyword@proxy:3128/", "pr0xyword"),
    ("-----BEGIN PRIVATE KEY-----\nMIIEvQIB\n-----END PRIVATE KEY-----", "MIIEv"),
    ("bad address mary.o'neil+shop@example.co.uk in row 3", "mary"),
    (f"hashed_email: {DIGEST}", DIGEST),
    ("phone +44 7700 900123 refused", "7700"),
]


@pytest.fixture(autouse=True)
def _usual_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for one in root.handlers[:]:
        if one not in handlers:
            root.removeHandler(one)
            one.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


@pytest.mark.parametrize(("line", "secret"), LINES)
def test_redaction(line: str, secret: str) -> None:
    assert secret not in logs.redact(line)
    assert logs.redact(logs.redact(line)) == logs.redact(line)


def test_harmless_text_stays() -> None:
    line = "2026-11-22 row 17: column 'ordered_at' is not a date; 23,570 customers; act_1111111111111111; v26.0"
    assert logs.redact(line) == line


@pytest.mark.parametrize("as_json", [False, True])
def test_every_logger_is_redacted(tmp_path: Path, capsys: pytest.CaptureFixture[str], as_json: bool) -> None:
    logs.configure(level="debug", as_json=as_json, file=tmp_path / "log.txt")
    try:
        raise ValueError("call failed: https://x/?access_token=EAABsecret for mary@example.com")
    except ValueError:
        logging.getLogger("some.library").exception("upload of %s failed", DIGEST)
    structlog.get_logger().warning("refused", url="https://x/?access_token=EAABsecret", rows=[{"email": "mary@example.com"}])
    events.tell("batch", wrong=True, detail=f"mary@example.com is {DIGEST}")
    shown, kept = capsys.readouterr().err, (tmp_path / "log.txt").read_text()
    for written in (shown, kept):
        for said in ("refused", "upload of", "batch", "ValueError"):
            assert said in written
        for secret in ("EAABsecret", "mary@example.com", DIGEST):
            assert secret not in written
    assert (tmp_path / "log.txt").stat().st_mode & 0o077 == 0
    for line in (kept + (shown if as_json else "")).splitlines():
        assert {"event", "level", "timestamp", "logger"} <= set(json.loads(line))


def test_a_person_sees_warnings_and_a_machine_sees_every_step(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(file=tmp_path / "log.txt")
    events.tell("batch", rows=3)
    events.tell("audience", wrong=True, detail="the answer says so")
    logging.getLogger("some.library").warning("careful")
    shown = capsys.readouterr().err
    assert "careful" in shown
    assert "batch" not in shown
    assert "the answer says so" not in shown, "the command's answer says it"
    told = [json.loads(line)["event"] for line in (tmp_path / "log.txt").read_text().splitlines()]
    assert told == ["batch", "audience", "careful"]


def test_events_have_their_fields_and_nothing_empty(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(as_json=True)
    with pytest.raises(FatalError), events.timed("batch", platform="meta", rows=3, attempt=2, guardrail=""):
        raise FatalError("refused", platform="meta", code="190")
    with events.timed("batch", platform="meta", rows=3) as told:
        told["accepted"] = 0
    wrong, good = lines(capsys)
    assert (wrong["level"], wrong["error"], wrong["code"], wrong["detail"]) == ("warning", "FatalError", "190", "refused")
    assert (wrong["attempt"], wrong["rows"]) == (2, 3)
    assert "guardrail" not in wrong
    assert (good["level"], good["accepted"]) == ("info", 0)
    assert good["seconds"] >= 0


def test_an_unexpected_error_is_told_by_its_class_alone(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(as_json=True)
    with pytest.raises(RuntimeError), events.timed("batch"):
        raise RuntimeError("row 3: Mary Leakname, 12 High Street")
    (told,) = lines(capsys)
    assert told["error"] == "RuntimeError"
    assert "Leakname" not in json.dumps(told)


def test_retries_and_waits_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(as_json=True)
    answers = iter([RetriableError("busy", retry_after=7, platform="meta", code="4"), None])

    def call() -> str:
        if error := next(answers):
            raise error
        return "done"

    waits: list[float] = []
    assert retrying(call, sleep=waits.append) == "done"
    events.pause("tiktok", 0.25, waits.append)
    again, paced = lines(capsys)
    assert waits == [7, 0.25]
    assert (again["event"], again["platform"], again["attempt"], again["wait"], again["code"]) == (
        "call tried again",
        "meta",
        1,
        7,
        "4",
    )
    assert (paced["event"], paced["platform"], paced["wait"]) == ("call paced", "tiktok", 0.25)


def test_a_program_without_logging_is_told_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    kept, root.handlers[:] = root.handlers[:], []
    events.tell("batch", rows=3, wrong=True)
    root.handlers[:] = kept
    assert capsys.readouterr() == ("", "")
