"""A list too large for an upload page, cut into files that it takes: `<list>.part-1.csv`, `-2` ..., each with the header."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

BLOCK: Final = 1 << 20  # bytes read at a time


def cut(path: Path, largest: int) -> int:
    """How many parts lie beside the list now; 0 when it fits in one file (`largest` 0: whatever its size) or is gone.

    Parts that are whole and as new as the list stay; others never do.
    """
    held = parts(path)
    made = path.stat() if path.is_file() else None
    if made is None or not largest or made.st_size <= largest:
        drop(path)
        return 0
    with path.open("rb") as source:
        header, number = source.readline(), 0
        stats = [one.stat() for one in held]
        whole = sum(one.st_size - len(header) for one in stats) == made.st_size - len(header)
        if whole and min(one.st_mtime_ns for one in stats) >= made.st_mtime_ns:
            return len(held)
        drop(path)
        while source.tell() < made.st_size:
            number += 1
            _write(path.with_suffix(f".part-{number}.csv"), header, source, max(1, largest - len(header)))
    return number


def parts(path: Path) -> list[Path]:
    """The list's part files, in order."""
    name = re.compile(re.escape(path.stem) + r"\.part-(\d+)\.csv")
    found = [(int(match[1]), one) for one in path.parent.glob("*.csv") if (match := name.fullmatch(one.name))]
    return [one for _, one in sorted(found)]


def drop(path: Path) -> None:
    """Nothing: the list has no parts."""
    for one in parts(path):
        one.unlink(missing_ok=True)


def _write(part: Path, header: bytes, source: BinaryIO, room: int) -> None:
    """Nothing: the part holds the next whole lines of the source, at least one, of at most `room` bytes otherwise."""
    spare = part.with_suffix(".tmp")
    with os.fdopen(os.open(spare, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(header)
        left = room
        while block := source.read(min(BLOCK, left)):
            end = block.rfind(b"\n") + 1
            if not end and left == room:
                block += source.readline()
                end = len(block)
            source.seek(end - len(block), os.SEEK_CUR)
            if not end:
                break
            file.write(block[:end])
            left -= end
            if left <= 0:
                break
        file.flush()
        os.fsync(file.fileno())
    spare.replace(part)
