"""A TikTok customer file of 500,000 members: columns to bytes, against the csv module row by row and the disk's own speed."""

from __future__ import annotations

import csv
import hashlib
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from connectors.tiktok import CAPABILITIES
from connectors.tiktok.files import HEADERS, MULTIPLE, kind_of, write_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROWS, CHUNK = 500_000, 50_000
COLUMNS = CAPABILITIES.recipe.columns()
USED = ("EMAIL", "PHONE")


def _members() -> list[pa.RecordBatch]:
    digests = [hashlib.sha256(str(n).encode()).digest() for n in range(CHUNK)]
    one = {name: pa.array(digests if name in USED else [None] * CHUNK, pa.binary(32)) for name in COLUMNS}
    return [pa.record_batch(one)] * (ROWS // CHUNK)


def _ours(rows: list[pa.RecordBatch], folder: Path) -> int:
    def chunks() -> Iterator[pa.RecordBatch]:
        return iter(rows)

    size = 0
    for file in write_files(chunks, COLUMNS, MULTIPLE, folder):
        size += file.path.stat().st_size
        file.path.unlink()
    return size


def _plain(rows: list[pa.RecordBatch], folder: Path) -> int:
    path = folder / "plain.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([HEADERS[kind_of(name)] for name in USED])
        for batch in rows:
            columns = [batch.column(name).to_pylist() for name in USED]
            writer.writerows([cell.hex() if cell else "" for cell in row] for row in zip(*columns, strict=True))
    hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    return path.stat().st_size


def _disk(size: int, folder: Path) -> float:
    """Seconds to write and digest that many bytes and do nothing else: the limit."""
    text = os.urandom(1 << 20)
    start = time.perf_counter()
    digest = hashlib.md5(usedforsecurity=False)
    with (folder / "disk").open("wb") as file:
        for _ in range(size >> 20):
            file.write(text)
            digest.update(text)
    return time.perf_counter() - start


def _best(call: Callable[[list[pa.RecordBatch], Path], int], rows: list[pa.RecordBatch], folder: Path) -> tuple[float, int]:
    times, size = [], 0
    for _ in range(3):
        start = time.perf_counter()
        size = call(rows, folder)
        times.append(time.perf_counter() - start)
    return min(times), size


def main() -> None:
    """Prints how many times faster the columns are, and how near the disk's own speed."""
    rows = _members()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ours, size = _best(_ours, rows, folder)
        theirs, same = _best(_plain, rows, folder)
        limit = min(_disk(size, folder) for _ in range(3))
    assert size == same
    print(f"{ROWS:,} members, {size / 1e6:.0f} MB: {ROWS / ours / 1e6:.2f} M members a second")
    print(f"against the csv module, row by row: {theirs / ours:.1f} times faster")
    print(f"against writing and digesting the same bytes alone: {ours / limit:.1f} times as long")
