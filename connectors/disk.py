"""A disk that is full or can't be written to, said as an error of ours wherever a command meets it."""

from __future__ import annotations

import errno
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

from connectors.errors import FatalError, SyncError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
CLOSED = {errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}
_WORDS = ("no space left", "disk is full", "file too large", "disk quota", "disk i/o error", "readonly database")


@contextmanager
def watched(state: Path) -> Iterator[None]:
    """The block; raises FatalError where the disk is full, or the state folder can't be written to."""
    try:
        yield
    except SyncError:
        raise
    except Exception as error:
        why = _why(error, state)
        if not why:
            raise
        remedy = "make room on the disk and check that this user may write there, then run again: it goes on from there"
        raise FatalError(f"the state folder {state} can't be written: {why}", remedy=remedy) from error


def _why(error: Exception, state: Path) -> str:
    """In words what the disk has against it; "" when it is something else, such as a source that can't be read."""
    if isinstance(error, OSError):
        here = str(error.filename or "").startswith(str(state))
        known = error.errno in FULL or (here and error.errno in CLOSED)
        return str(error.strerror or error.errno) if known else ""
    # DuckDB's errors are known by their words alone, and so is not imported for this
    engine = isinstance(error, sqlite3.Error) or type(error).__module__.split(".")[0] in ("duckdb", "_duckdb")
    return next((words for words in _WORDS if words in str(error).lower()), "") if engine else ""
