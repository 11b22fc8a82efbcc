"""What each run leaves behind in the state folder: its scores, its record and its backtest, for the next run and the page.

Owner-only, like all of state: a customer id may be an e-mail address in somebody's shop.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from connectors import tables

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime
    from pathlib import Path

    import pyarrow as pa

KEPT = 400  # runs: a year of nights and a little more


@dataclass(frozen=True)
class Run:
    """One run's folder."""

    folder: Path

    @property
    def id(self) -> str:
        """The run's name: its UTC start."""
        return self.folder.name

    @property
    def record(self) -> dict[str, Any]:
        """What the run noted (empty if it noted nothing)."""
        path = self.folder / "run.json"
        found: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
        return found

    def note(self, **facts: Any) -> None:
        """Nothing: the facts join the run's record."""
        path = self.folder / "run.json"
        spare = path.with_suffix(".part")
        spare.write_text(json.dumps({**self.record, **facts}, default=_plain, indent=1, allow_nan=False))
        spare.chmod(0o600)
        spare.replace(path)

    def keep(self, name: str, table: pa.Table) -> None:
        """Nothing: the table is in the run's folder."""
        path = self.folder / f"{name}.parquet"
        tables.write(table, path)
        path.chmod(0o600)

    def table(self, name: str) -> pa.Table | None:
        """A table of the run, or None if it kept no such table."""
        path = self.folder / f"{name}.parquet"
        return tables.read(path) if path.is_file() else None


class Archive:
    """The runs of a state folder, oldest first."""

    def __init__(self, state: Path) -> None:
        self.folder = state / "runs"

    def start(self, now: datetime) -> Run:
        """A new run's folder; runs beyond the number kept are removed."""
        for folder in (self.folder.parent, self.folder):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for old in self.runs()[: -(KEPT - 1)]:
            shutil.rmtree(old.folder)
        name = now.strftime("%Y%m%dT%H%M%S.%fZ")
        run = Run(self.folder / name)
        run.folder.mkdir(mode=0o700)
        return run

    def runs(self) -> list[Run]:
        """All runs that left a record."""
        if not self.folder.is_dir():
            return []
        return [Run(one) for one in sorted(self.folder.iterdir()) if one.is_dir()]

    def last(self, table: str = "scores", *, before: Run | None = None) -> Run | None:
        """The newest run that kept this table (older than `before`)."""
        for run in reversed(self.runs()):
            if (before is None or run.id < before.id) and (run.folder / f"{table}.parquet").is_file():
                return run
        return None

    def forget(self, ids: Collection[str]) -> int:
        """How many rows of these customers were taken out of the runs' tables."""
        import pyarrow as pa
        import pyarrow.compute as pc

        erased = 0
        for run in self.runs():
            for path in run.folder.glob("*.parquet"):
                table = tables.read(path)
                if "customer_id" not in table.column_names:
                    continue
                kept = table.filter(pc.invert(pc.is_in(table["customer_id"], pa.array(list(ids), pa.string()))))
                if kept.num_rows < table.num_rows:
                    erased += table.num_rows - kept.num_rows
                    run.keep(path.stem, kept)
        return erased


def _plain(value: Any) -> Any:
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if hasattr(value, "item"):
        return value.item()
    return os.fspath(value) if hasattr(value, "__fspath__") else float(value)
