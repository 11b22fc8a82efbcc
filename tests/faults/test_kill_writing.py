"""Scores written back by a process that is killed, between lines or in the middle of a write: the old table or the new one."""

from __future__ import annotations

import os
import resource
import signal
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from connectors import writeback
from connectors.config.sources import WriteBack
from tests.faults.test_kill import FORKS

ROWS = 1_000
SAMPLES = ROWS if "SOAK_EXAMPLES" in os.environ else 3
WATCHED = ("writeback.py", "tables.py")
PLACES = {
    "csv": WriteBack(path="clv.csv"),
    "parquet": WriteBack(path="clv.parquet"),
    "sqlite": WriteBack(database="crm.sqlite"),
    "duckdb": WriteBack(database="crm.duckdb"),
}


def scores(value: float) -> pa.Table:
    ids = [f"customer {number}" for number in range(ROWS)]
    lists = pa.array([["best", "all"]] * ROWS, pa.list_(pa.string()))
    return pa.table({"customer_id": ids, "seed_value": [value + number / 7 for number in range(ROWS)], "audiences": lists})


def settings(folder: Path) -> Any:
    return SimpleNamespace(path=lambda text: folder / text)


def write(folder: Path, kind: str, value: float, at: int, room: int) -> None:
    """Nothing, or no return: killed before line number `at` (0: how many there are goes to a file), or at `room` bytes."""
    lines = 0

    def count(frame: Any, event: str, _: Any) -> Any:
        nonlocal lines
        if os.path.basename(frame.f_code.co_filename) not in WATCHED:
            return None
        if event == "line":
            lines += 1
            if lines == at:
                os.kill(os.getpid(), signal.SIGKILL)
        return count

    table = scores(value)
    if room:
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
    sys.settrace(count)
    writeback._put(settings(folder), PLACES[kind], table)
    sys.settrace(None)
    if not room and not at:
        (folder / "lines").write_text(str(lines))


def run(folder: Path, kind: str, value: float, *, at: int = 0, room: int = 0) -> int:
    """How a process of its own ended."""
    process = FORKS.Process(target=write, args=(folder, kind, value, at, room))
    process.start()
    process.join(60)
    assert process.exitcode is not None, "the write hangs"
    return int(process.exitcode)


def held(folder: Path, kind: str) -> float:
    """The value that the whole table has."""
    table = writeback._get(settings(folder), PLACES[kind])
    assert table is not None
    assert table.num_rows == ROWS
    first = min(table["seed_value"].to_pylist())
    assert sorted(table["seed_value"].to_pylist()) == scores(first)["seed_value"].to_pylist(), (
        "neither the old nor the new table"
    )
    return float(first)


@pytest.mark.parametrize("kind", sorted(PLACES))
def test_a_killed_write_back_leaves_the_old_table_or_the_new_one(tmp_path: Path, kind: str) -> None:
    assert run(tmp_path, kind, 1.0) == 0
    lines, size = int((tmp_path / "lines").read_text()), next(tmp_path.glob("c*.*")).stat().st_size
    found = set()
    for at in range(lines, 0, -max(1, lines // SAMPLES)):
        assert run(tmp_path, kind, 2.0, at=at) == -signal.SIGKILL
        found.add(held(tmp_path, kind))
        writeback._put(settings(tmp_path), PLACES[kind], scores(1.0))  # the next run, whatever was left behind
        assert held(tmp_path, kind) == 1.0
    assert found <= {1.0, 2.0}
    assert 1.0 in found
    ends = [run(tmp_path, kind, 2.0, room=room) for room in (size // 3, size * 2 // 3)]
    assert -signal.SIGXFSZ in ends
    assert held(tmp_path, kind) in (1.0, 2.0)
