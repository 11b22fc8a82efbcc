"""The stand-ins' admin calls and the command that serves them: what is understood, and what is said of anything else."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from connectors import registry
from connectors.commands.sandbox import sandbox_command
from connectors.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator


class Admin:
    """A started stand-in and its admin address."""

    def __init__(self) -> None:
        self.sandbox = registry.platform("meta").sandbox()
        self.address = self.sandbox.start()["admin"]

    def post(self, path: str, body: Any) -> tuple[int, dict[str, Any]]:
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        try:
            with urllib.request.urlopen(f"{self.address}/_sandbox/{path}", data, timeout=10) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)


@pytest.fixture
def admin() -> Iterator[Admin]:
    made = Admin()
    yield made
    made.sandbox.stop()


@pytest.mark.parametrize(
    ("body", "waiting"),
    [
        ({"match": "/users", "kind": "reset"}, 1),
        ({"match": "/users", "detail": {"code": 2}}, 1),
        ([{"kind": "reset"}, {"kind": "lost_reply", "times": 3}], 2),
        ({"faults": [{"kind": "delay", "detail": {"seconds": 1}}]}, 1),
        ({"clear": True}, 0),
        ({}, 0),
    ],
)
def test_faults_in_every_form_wait_for_their_request(admin: Admin, body: Any, waiting: int) -> None:
    assert admin.post("faults", body) == (200, {"ok": True, "added": waiting})
    admin.sandbox.faults.add(match="nothing")
    taken = [admin.sandbox.faults.take("POST /v26.0/1/users") for _ in range(9)]
    assert len([one for one in taken if one]) == sum(one.get("times", 1) for one in listed(body))


def listed(body: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = body
    if isinstance(body, dict):
        found = body.get("faults", [body] if body.keys() - {"clear"} else [])
    return found


def test_clearing_takes_back_what_was_there_before(admin: Admin) -> None:
    admin.post("faults", {"kind": "reset"})
    assert admin.post("faults", {"clear": True, "kind": "lost_reply"}) == (200, {"ok": True, "added": 1})
    fault = admin.sandbox.faults.take("GET /")
    assert fault is not None
    assert fault.kind == "lost_reply"
    assert admin.sandbox.faults.take("GET /") is None


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("faults", {"kind": "explode"}, "lost_reply"),
        ("faults", {"kind": "reset", "after": 3}, "match, skip, times"),
        ("faults", ["reset"], "a fault has"),
        ("faults", "{", "Expecting"),
        ("clock", {"weeks": 1}, "days, hours, minutes, seconds"),
        ("clock", {}, "days, hours"),
        ("clock", {"hours": "soon"}, "could not convert"),
    ],
)
def test_what_is_not_understood_is_said(admin: Admin, path: str, body: Any, words: str) -> None:
    before = admin.sandbox.clock.offset
    status, told = admin.post(path, body)
    assert status == 400
    assert words in told["error"]
    assert admin.sandbox.clock.offset == before
    assert admin.sandbox.faults.take("GET /") is None


def test_the_clock_moves_by_all_that_is_given(admin: Admin) -> None:
    assert admin.post("clock", {"days": 1, "hours": 2, "minutes": 3, "seconds": 4})[0] == 200
    assert admin.sandbox.clock.offset.total_seconds() == 93_784
    assert admin.post("nothing", {})[0] == 404


@pytest.mark.parametrize("text", ["{", "[]", '{"meta": 3}'])
def test_files_that_the_command_cannot_read_are_named(tmp_path: Path, text: str) -> None:
    rows, kept = tmp_path / "rows.json", tmp_path / "state"
    rows.write_text(text)
    kept.mkdir()
    (kept / "meta.json").write_text(text)
    for options, name in ((["--campaigns", str(rows)], "rows.json"), (["--state", str(kept)], "meta.json")):
        done = CliRunner().invoke(sandbox_command, ["--platform", "meta", "--free-ports", *options], standalone_mode=False)
        assert isinstance(done.exception, ConfigurationError)
        assert name in done.exception.message
        assert done.exception.remedy
    assert (kept / "meta.json").read_text() == text, "what can't be read is left as it is"
