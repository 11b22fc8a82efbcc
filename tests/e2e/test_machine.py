"""The machine's own troubles as a user meets them: a disk that is full, a state folder in use or read-only, a wrong clock."""

from __future__ import annotations

import errno
import json
import resource
import sqlite3
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from connectors import disk
from connectors.archive import Archive
from connectors.engine.ledger import open_ledger
from connectors.errors import FatalError
from connectors.protocol import utc_now
from connectors.registry import platform as platform_of
from tests.e2e.small import CUSTOMERS, clvsync, digests, people, shop
from tests.e2e.test_terminal import held

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def meta(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    sandbox: Any = platform_of("meta").sandbox()
    sandbox.folder = shop(tmp_path_factory.mktemp("machine") / "config", sandbox.start()["address"])
    yield sandbox
    sandbox.stop()


def limit(room: int) -> None:
    """Nothing: no file may grow beyond this, as on a disk that is full."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))


def test_a_full_disk_is_said_plainly_wherever_it_is_met_and_the_next_run_goes_on(meta: Any, tmp_path: Path) -> None:
    """In the journal, the work files and the run's tables, and on the page."""
    told = ("--config", str(meta.folder))
    for number, (command, room) in enumerate((("push", 2_000), ("push", 40_000), ("run", 400_000)), 1):
        people(meta.folder, range(number, CUSTOMERS))
        code, _, error = clvsync(command, *told, out=tmp_path / "run.out", before=partial(limit, room))
        assert code == 1
        assert error.startswith("error: the state folder ")
        assert "can't be written" in error
        assert "run again" in error or "has room" in error
        assert error.count("\n") == 1
    assert not (meta.folder / "state" / "report.html").exists()
    code, out, error = clvsync("push", *told, "--json", out=tmp_path / "run.out")
    assert (code, error) == (0, "")
    assert [one["state"] for one in json.loads(out)["audiences"]] == ["unchanged"], "sent before the page found no room"
    assert held(meta) == digests(range(3, CUSTOMERS))


def test_a_run_under_way_keeps_nobody_from_looking_and_everybody_from_sending(meta: Any, tmp_path: Path) -> None:
    ledger = open_ledger(meta.folder / "state")
    ends = {}
    with ledger.run("push", utc_now()):
        for command in ("status", "push"):
            found = clvsync(command, "--config", str(meta.folder), out=tmp_path / "locked.out")
            ends[command] = (found[0], found[2])
    ledger.close()
    assert ends["status"] == (0, "")
    assert ends["push"] == (5, "error: another run holds the state folder (wait for it to end, then run again)\n")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.EROFS, "Read-only file system", "/shop/state/journal.sqlite"), "Read-only file system"),
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
        (sqlite3.OperationalError("database or disk is full"), "disk is full"),
        (OSError(errno.EACCES, "Permission denied", "/shop/orders.csv"), ""),
        (sqlite3.OperationalError("no such table: orders"), ""),
    ],
)
def test_only_the_state_folders_own_troubles_are_told_as_such(error: Exception, said: str) -> None:
    with pytest.raises(FatalError if said else type(error), match=said) as found, disk.watched(Path("/shop/state")):
        raise error
    assert (found.value is error) == (not said)


def test_runs_are_named_in_their_order_though_the_clock_was_put_back(tmp_path: Path) -> None:
    archive, now = Archive(tmp_path), datetime(2026, 11, 22, 23, 59, tzinfo=UTC)
    made = [archive.start(now + timedelta(hours=hours)).id for hours in (0, 48, 1, 2, 49)]
    assert made == sorted(set(made))
    assert made == [one.id for one in archive.runs()]
