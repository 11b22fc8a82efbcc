"""A process that is gone, or a disk that is full, at a chosen commit of the journal."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING
from unittest.mock import patch

from connectors.engine.journal import Journal

if TYPE_CHECKING:
    from collections.abc import Iterator


class Killed(BaseException):
    """The process is gone."""


@contextmanager
def dying(commit: int, error: type[BaseException] = Killed) -> Iterator[list[int]]:
    """The block's journal commits fail from number `commit` (from 1; 0: never) on; the list gets their numbers."""
    made: list[int] = []
    usual = Journal.commit

    def count(journal: Journal) -> None:
        made.append(len(made) + 1)
        if commit and len(made) >= commit:
            raise error("no room on the disk")
        usual(journal)

    with patch.object(Journal, "commit", count):
        yield made
