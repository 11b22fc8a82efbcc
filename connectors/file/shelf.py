"""Which list is which: a folder with one CSV per audience and `audiences.json`, written whole or not at all."""

from __future__ import annotations

import json
import os
import re
import secrets
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from connectors.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Entry:
    """One audience: its name, the file's name in the folder, rows, when it was last written, what changed since an upload."""

    id: str
    name: str
    file: str
    rows: int = 0
    written_at: str = ""
    uploaded: int = 0  # of the copy that `add` and `remove` were counted against; 0: none
    add: int = 0
    remove: int = 0
    unread: bool = False


class Shelf:
    """The lists of one account."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._index = folder, folder / "audiences.json"

    def entries(self) -> dict[str, Entry]:
        """Every audience whose file is there, by id."""
        if not self._index.exists():
            return {}
        try:
            known = [Entry(**one) for one in json.loads(self._index.read_text())]
        except (ValueError, TypeError) as error:
            raise ConfigurationError(
                f"{self._index} cannot be read", remedy="restore it, or delete the folder to write all lists anew"
            ) from error
        return {one.id: one for one in known if self.path(one).exists()}

    def named(self, name: str) -> Entry | None:
        """The audience of exactly this name."""
        return next((one for one in self.entries().values() if one.name == name), None)

    def path(self, entry: Entry) -> Path:
        """Where its list is."""
        return self.folder / entry.file

    def new(self, name: str) -> Entry:
        """An entry for a new audience; its file is named after it, and no other audience's is."""
        stem = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "audience"
        taken = {one.file for one in self.entries().values()}
        file = next(
            one for one in (f"{stem}.csv", *(f"{stem}-{number}.csv" for number in range(2, 10_000))) if one not in taken
        )
        return Entry(secrets.token_hex(8), name, file)

    def keep(self, entry: Entry) -> None:
        """Nothing: the index knows the entry as it is now."""
        self._write({**self.entries(), entry.id: entry})

    def drop(self, entry: Entry) -> None:
        """Nothing: list and entry are gone."""
        left = {key: one for key, one in self.entries().items() if key != entry.id}
        self.path(entry).unlink(missing_ok=True)
        self._write(left)

    def _write(self, entries: dict[str, Entry]) -> None:
        spare = self._index.with_suffix(".tmp")
        with os.fdopen(os.open(spare, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump([asdict(one) for one in entries.values()], file, indent=2)
            file.flush()
            os.fsync(file.fileno())
        spare.replace(self._index)
