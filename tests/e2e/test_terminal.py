"""A push as a person at a terminal sees it: bars there and nowhere else, and Ctrl-C."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import time
from contextlib import contextmanager
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest

from connectors.registry import platform as platform_of
from tests.e2e.small import ACCOUNT, CUSTOMERS, begin, clvsync, digests, people, shop

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HEX = re.compile(r"\b[0-9a-f]{64}\b")
ESCAPE = "\x1b["


class Screen:
    """A terminal and what was written to it."""

    def __init__(self) -> None:
        self._master, slave = pty.openpty()
        self.name, self._slave, self._content = os.ttyname(slave), slave, bytearray()
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                self._content += os.read(self._master, 65_536)
            except OSError:
                return

    @property
    def text(self) -> str:
        return self._content.decode(errors="replace")

    def close(self) -> None:
        """Nothing: all that was written is in `text`."""
        os.close(self._slave)
        self._reader.join(10)
        os.close(self._master)


@contextmanager
def screen() -> Iterator[Screen]:
    made = Screen()
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def meta(tmp_path: Path) -> Iterator[Any]:
    sandbox: Any = platform_of("meta").sandbox()
    sandbox.folder = shop(tmp_path / "config", sandbox.start()["address"])
    yield sandbox
    sandbox.stop()


def held(meta: Any) -> set[str]:
    return set(HEX.findall(json.dumps(meta.state()["audiences"]))) & digests(range(CUSTOMERS))


def writes(meta: Any) -> list[Any]:
    return [one for one in meta.requests if one.get("operation") in ("add", "remove", "replace")]


def stop(process: Any, sent: Any) -> None:
    """Nothing: Ctrl-C was pressed while the platform had a batch and hadn't answered."""
    limit = time.monotonic() + 100
    while not sent() and process.is_alive() and time.monotonic() < limit:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGINT)


def test_bars_are_on_a_terminal_and_nowhere_else(meta: Any, tmp_path: Path) -> None:
    told = ("push", "--config", str(meta.folder))
    with screen() as shown:
        process = begin(*told, out=tmp_path / "first.out", terminal=shown.name)
        process.join(120)
    assert process.exitcode == 0
    assert f"meta/{ACCOUNT}/all" in shown.text
    assert f"{CUSTOMERS}/{CUSTOMERS}" in shown.text
    assert "━" in shown.text
    assert shown.text.count("\x1b[?25h") == shown.text.count("\x1b[?25l") > 0, "the cursor is back"
    assert ESCAPE not in (tmp_path / "first.out").read_text()

    people(meta.folder, range(1, CUSTOMERS))
    with screen() as shown:
        process = begin("--log-format", "json", *told, out=tmp_path / "second.out", terminal=shown.name)
        process.join(120)
    events = [json.loads(line)["event"] for line in shown.text.splitlines()]
    assert {"step", "batch", "audience", "push"} <= set(events), "JSON lines, also where a terminal is given"

    people(meta.folder, range(2, CUSTOMERS))
    code, out, error = clvsync(*told, "--json", out=tmp_path / "third.out")
    assert (code, error) == (0, "")
    assert json.loads(out)["audiences"][0]["remove"] == 1
    assert held(meta) == digests(range(2, CUSTOMERS))


def test_ctrl_c_lets_the_batch_under_way_end_and_the_next_run_goes_on(meta: Any, tmp_path: Path) -> None:
    audiences = "  - {name: all, title: Customers, platforms: [meta]}\n  - {name: more, title: Others, platforms: [meta]}\n"
    (meta.folder / "audiences.yaml").write_text(f"guardrails: {{min_size: 0}}\naudiences:\n{audiences}")
    told = ("push", "--config", str(meta.folder))
    meta.faults.add(match="/users", kind="delay", times=1, detail={"seconds": 1.5})
    with screen() as shown:
        process = begin(*told, out=tmp_path / "first.out", terminal=shown.name)
        stop(process, lambda: any("/users" in one["path"] for one in meta.requests))
        process.join(60)
    assert process.exitcode == 4
    assert "stopping after the batches under way" in shown.text
    assert "stopped by hand before everything was sent (run again to resume)" in shown.text
    assert "Traceback" not in shown.text
    assert held(meta) == digests(range(CUSTOMERS)), "the batch under way was not torn off"
    assert len(writes(meta)) == 1, "and no other one begun"

    code, out, _ = clvsync("status", "--config", str(meta.folder), "--json", "--offline", out=tmp_path / "status.out")
    assert code == 0
    assert [one["exit_code"] for one in json.loads(out)["runs"]][-1] == 4
    code, out, _ = clvsync(*told, "--json", out=tmp_path / "second.out")
    assert code == 0
    assert [one["state"] for one in json.loads(out)["audiences"]] == ["unchanged", "done"]
    assert len(writes(meta)) == 2


def test_a_second_ctrl_c_ends_the_wait_and_the_next_run_goes_on(meta: Any, tmp_path: Path) -> None:
    told = ("push", "--config", str(meta.folder))
    meta.faults.add(match="/users", kind="delay", times=1, detail={"seconds": 30})
    with screen() as shown:
        process = begin(*told, out=tmp_path / "first.out", terminal=shown.name)
        stop(process, lambda: any("/users" in one["path"] for one in meta.requests))
        stop(process, lambda: "stopping after" in shown.text)
        process.join(20)
        assert process.exitcode == 1, "nobody waits for the platform"
    assert shown.text.rstrip().endswith("stopped")
    meta.faults.clear()
    code, _, _ = clvsync(*told, out=tmp_path / "second.out")
    assert code == 0
    assert held(meta) == digests(range(CUSTOMERS))
