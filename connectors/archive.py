"""What each run leaves behind in the state folder: its scores, its record and its backtest, for the next run and the page.

Owner-only, like all of state, and sealed when a key is configured: a customer id may be an e-mail address in somebody's shop.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from connectors import tables, translate

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    import pyarrow as pa

    from connectors.config import Settings

CUSTOMERS = ("customer_id", "person_id")
STAMP = "%Y%m%dT%H%M%S.%fZ"
KEPT_DAYS = 400  # a year of nights and a little more


@dataclass(frozen=True)
class Run:
    """One run's folder."""

    folder: Path
    key: bytes | None = None

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

    @property
    def done(self) -> bool:
        """Whether audiences were carried out, not only planned."""
        return "audiences" in self.record

    def note(self, **facts: Any) -> None:
        """Nothing: the facts join the run's record."""
        path = self.folder / "run.json"
        spare = path.with_suffix(".part")
        spare.write_text(json.dumps({**self.record, **facts}, default=_plain, indent=1, allow_nan=False))
        spare.chmod(0o600)
        spare.replace(path)

    def keep(self, name: str, table: pa.Table) -> None:
        """Nothing: the table is in the run's folder."""
        tables.keep(table, self.folder / name, self.key)

    def table(self, name: str) -> pa.Table | None:
        """A table of the run, or None if it kept no such table."""
        return tables.kept(self.folder / name, self.key)

    def forget(self, gone: pa.Array) -> int:
        """How many rows of these customers were taken out of the run's tables."""
        erased = 0
        for name in sorted({path.stem for ending in tables.KEPT_ENDINGS for path in self.folder.glob(f"*.{ending}")}):
            table = self.table(name)
            if table is not None and (left := _without(table, gone)) is not None:
                erased += table.num_rows - left.num_rows
                self.keep(name, left)
        return erased


def _without(table: pa.Table, gone: pa.Array) -> pa.Table | None:
    """The table without the rows that name one of these customers; None when none does."""
    import pyarrow.compute as pc

    left = table
    for column in CUSTOMERS:
        if column in table.column_names:
            left = left.filter(pc.invert(pc.is_in(left[column], gone)))
    return left if left.num_rows < table.num_rows else None


class Archive:
    """The runs of a state folder, oldest first."""

    def __init__(self, state: Path, key: bytes | None = None, days: int = KEPT_DAYS) -> None:
        self.folder, self._key, self._days = state / "runs", key, days

    @classmethod
    def of(cls, settings: Settings) -> Archive:
        """The archive of a config's state folder, sealed and kept for as long as config says."""
        return cls(settings.state, translate.encryption_key(settings), settings.sources.retention.runs_days)

    def start(self, now: datetime) -> Run:
        """A new run's folder; runs that are too old are removed, but for the newest scores: the next run builds on them."""
        for folder in (self.folder.parent, self.folder):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        newest = self.last()
        oldest = (now - timedelta(days=self._days)).strftime(STAMP)
        for old in self.runs():
            if old.id < oldest and (newest is None or old.id != newest.id):
                shutil.rmtree(old.folder)
        for part in self.folder.glob("*/.*"):
            part.unlink()
        run = Run(self.folder / self._next(now).strftime(STAMP), self._key)
        run.folder.mkdir(mode=0o700)
        return run

    def _next(self, now: datetime) -> datetime:
        """Now, or just after the newest run where the clock was put back since: later runs have later names."""
        names = [one.id for one in self.runs()]
        latest = datetime.strptime(names[-1], STAMP).replace(tzinfo=now.tzinfo) if names else now
        return now if not names or latest < now else latest + timedelta(microseconds=1)

    def runs(self) -> list[Run]:
        """All runs that left a record."""
        if not self.folder.is_dir():
            return []
        return [Run(one, self._key) for one in sorted(self.folder.iterdir()) if one.is_dir()]

    def last(self, table: str = "scores", *, before: Run | None = None, done: bool = False) -> Run | None:
        """The newest run that kept this table (older than `before`; `done`: that was carried out, not only planned)."""
        for run in reversed(self.runs()):
            if (before is None or run.id < before.id) and tables.is_kept(run.folder / table) and (run.done or not done):
                return run
        return None

    def forget(self, ids: Collection[str]) -> int:
        """How many rows of these customers were taken out of the runs' tables."""
        import pyarrow as pa

        gone = pa.array(sorted(ids), pa.string())
        return sum(run.forget(gone) for run in self.runs())


def _plain(value: Any) -> Any:
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if hasattr(value, "item"):
        return value.item()
    return os.fspath(value) if hasattr(value, "__fspath__") else float(value)
