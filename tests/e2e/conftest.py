"""A user's view: the real command in processes of its own, against sandboxes in another process."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from connectors.demo import world

COMMAND = [sys.executable, "-m", "connectors.cli"]


def clvsync(*arguments: str, cwd: Path | None = None, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """What a command printed and how it ended."""
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, check=False, cwd=cwd, env={**os.environ, **(env or {})}
    )


@dataclass
class Rehearsal:
    """A config folder with the demo's world, pointed at running sandboxes."""

    folder: Path
    addresses: dict[str, dict[str, str]]

    def clvsync(self, *arguments: str) -> Any:
        """The JSON document of a command that must succeed."""
        found = clvsync(*arguments, "--config", str(self.folder), "--json")
        assert found.returncode == 0, found.stderr[-3000:]
        return json.loads(found.stdout)

    def state(self, platform: str, members: bool = True) -> dict[str, Any]:
        """What a sandbox holds."""
        address = f"{self.addresses[platform]['admin']}/_sandbox/state?members={int(members)}"
        with urllib.request.urlopen(address, timeout=60) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def post(self, platform: str, what: str, body: dict[str, Any]) -> None:
        """Nothing: a fault is set, or the clock moved."""
        address = f"{self.addresses[platform]['admin']}/_sandbox/{what}"
        request = urllib.request.Request(address, json.dumps(body).encode(), {"Content-Type": "application/json"})
        urllib.request.urlopen(request, timeout=60).close()

    def writes(self, platform: str) -> int:
        """How many calls that write members the sandbox has seen."""
        log = self.state(platform, members=False)["requests"]
        return sum(entry.get("operation") in ("add", "remove", "replace") for entry in log)


@pytest.fixture(scope="session")
def sandboxes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, dict[str, str]]]:
    process = subprocess.Popen([*COMMAND, "sandbox", "--free-ports", "--json"], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    yield json.loads(process.stdout.readline())
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0


def rehearsal_in(folder: Path, addresses: dict[str, dict[str, str]]) -> Rehearsal:
    """The demo's config and data in `folder`, as `clvsync init --demo` writes them, with these addresses."""
    made = clvsync("init", str(folder), "--demo")
    assert made.returncode == 0, made.stderr
    text = (folder / "platforms.yaml").read_text()
    for default, address in world.replacements(addresses).items():
        assert default in text
        text = text.replace(default, address)
    (folder / "platforms.yaml").write_text(text)
    return Rehearsal(folder, addresses)


@pytest.fixture
def rehearsal(tmp_path: Path, sandboxes: dict[str, dict[str, str]]) -> Rehearsal:
    return rehearsal_in(tmp_path / "config", sandboxes)


def raw_identifiers(folder: Path) -> list[str]:
    """Raw e-mail addresses, last names with rare letters and phones of the demo's contacts, to look for where none may be."""
    text = (folder / "data" / "contacts.csv").read_text()
    return [*re.findall(r"[\w.]+@example\.(?:com|org|net)", text)[:500], "(at)example", "Châtelain", "7700 900", "555-01"]
