"""A throw-away folder in the place of the real one: what `clvsync` and the contract suite rehearse on."""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from connectors.file.shelf import Shelf
from connectors.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Mapping


class FileSandbox(Sandbox):
    """`start` gives the folder for `folder` in platforms.yaml; `state` reads the lists in it."""

    name = "file"

    def __init__(self) -> None:
        super().__init__()
        self._held: tempfile.TemporaryDirectory[str] | None = None
        self.campaigns: list[dict[str, Any]] = []

    def start(self, ports: Mapping[str, int] | None = None) -> dict[str, str]:
        """`folder`; no port is used."""
        self._held = self._held or tempfile.TemporaryDirectory(prefix="clvsync-lists-")
        return {"folder": self._held.name}

    def state(self, *, members: bool = True) -> dict[str, Any]:
        """Audiences of every account: name, file, rows, and the rows themselves as lists of cells."""
        found: dict[str, Any] = {}
        for folder in sorted(Path(self.start()["folder"]).iterdir()):
            shelf = Shelf(folder)
            for entry in shelf.entries().values():
                with shelf.path(entry).open(newline="") as file:
                    header, *rows = csv.reader(file)
                one = {"id": entry.id, "name": entry.name, "account": folder.name, "file": entry.file, "columns": header}
                found[entry.id] = {**one, "member_count": len(rows), **({"members": rows} if members else {})}
        return {"audiences": found, "lookalikes": {}}

    def dump(self) -> dict[str, Any]:
        """The files by their path in the folder."""
        base = Path(self.start()["folder"])
        return {str(one.relative_to(base)): one.read_text() for one in sorted(base.rglob("*")) if one.is_file()}

    def load(self, document: Mapping[str, Any]) -> None:
        """Nothing: the files are there again."""
        for name, text in document.items():
            path = Path(self.start()["folder"]) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def stop(self) -> None:
        """Nothing: the folder is gone."""
        super().stop()
        if self._held:
            self._held.cleanup()
            self._held = None
