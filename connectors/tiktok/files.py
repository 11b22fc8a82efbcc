"""Customer files: record batches -> CSV on disk, one at a time. Memory stays flat.

Rules of `/dmp/custom_audience/file/upload/` (docs?id=1739940567842818) and of the header of MULTIPLE_TYPES files
(docs?id=1747012327159809): a header line, at most three columns of one kind, as many cells in a row as headers, blank cells
left empty. A single-type file is one id per line, without a header.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from connectors.errors import FatalError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

LIMIT = 250_000_000  # bytes in one file
ROWS = 125_000  # rows in one file: while one is uploaded, the next is built
MOST_FILES = 40  # of one create or update call; "less than 50" is recommended, more than 500 refused
SLICE = 50_000  # rows written at a time
HEADERS = {"EMAIL": "email_SHA256", "PHONE": "phone_SHA256", "MAID": "MAID_SHA256"}
MULTIPLE = "MULTIPLE_TYPES"
SINGLE = {"EMAIL_SHA256": "EMAIL", "PHONE_SHA256": "PHONE", "FIRST_SHA256": "MAID", "MAID_SHA256": "MAID"}
TYPES = {"multiple": MULTIPLE, "email": "EMAIL_SHA256", "phone": "PHONE_SHA256", "mobile_ad_id": "FIRST_SHA256"}


@dataclass(frozen=True, slots=True)
class MemberFile:
    """A finished file: where it is, its MD5 and the rows that gave it at least one line."""

    path: Path
    signature: str
    rows: int


def kind_of(column: str) -> str:
    """`EMAIL` of `EMAIL#2`."""
    return column.partition("#")[0]


def hexadecimal(column: pa.Array) -> pa.Array:
    """32-byte digests as lower-case hex text, nulls kept, in one pass over the buffers."""
    digests = pa.concat_arrays([column.cast(pa.binary())])
    if len(digests) == 0:
        return pa.array([], pa.string())
    validity, offsets, data = digests.buffers()
    ends = np.frombuffer(offsets, np.int32, count=len(digests) + 1)
    text = (data.to_pybytes()[int(ends[0]) : int(ends[-1])] if data else b"").hex().encode()
    doubled = ((ends - ends[0]) * 2).astype(np.int32)
    return pa.StringArray.from_buffers(len(digests), pa.py_buffer(doubled), pa.py_buffer(text), validity)


def used_columns(chunks: Iterable[pa.RecordBatch], columns: Sequence[str]) -> list[str]:
    """The columns with at least one value: what is never filled needs no header."""
    seen: set[str] = set()
    for chunk in chunks:
        seen.update(name for name in columns if name not in seen and chunk.column(name).null_count < chunk.num_rows)
    return [name for name in columns if name in seen]


def lines(chunk: pa.RecordBatch, columns: Sequence[str], calculate_type: str) -> tuple[bytes, int]:
    """A chunk's lines, and how many of its rows gave one."""
    texts = [hexadecimal(chunk.column(name)) for name in columns]
    filled = np.zeros(chunk.num_rows, bool)
    for text in texts:
        filled |= text.is_valid().to_numpy(zero_copy_only=False)
    if calculate_type == MULTIPLE:
        row = pc.binary_join_element_wise(*texts, ",", null_handling="replace", null_replacement="")
        cells = row.filter(pa.array(filled))
    else:
        cells = pa.concat_arrays([text.drop_null() for text in texts])
    ended = pc.binary_join_element_wise(cells, "\n", "")
    _, offsets, data = ended.buffers()
    ends = np.frombuffer(offsets, np.int32, count=len(ended) + 1)
    return (data.to_pybytes()[int(ends[0]) : int(ends[-1])] if data else b""), int(filled.sum())


class _Writer:
    """One file, written and digested together; readable by its owner alone."""

    def __init__(self, path: Path, header: bytes) -> None:
        self.path, self.rows, self.size = path, 0, 0
        self._digest = hashlib.md5(usedforsecurity=False)
        self._file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
        self.write(header, 0)

    def write(self, text: bytes, rows: int) -> None:
        self._file.write(text)
        self._digest.update(text)
        self.size += len(text)
        self.rows += rows

    def finish(self) -> MemberFile:
        self._file.close()
        return MemberFile(self.path, self._digest.hexdigest(), self.rows)


def rows_each(rows: int) -> int:
    """How many rows each file of `rows` holds: about ROWS, all the same, so that the last isn't tiny; never too many files."""
    files = min(MOST_FILES, -(-rows // ROWS))
    return -(-rows // max(1, files)) or 1


def write_files(
    chunks: Callable[[], Iterator[pa.RecordBatch]],
    columns: Sequence[str],
    calculate_type: str,
    folder: Path,
    *,
    limit: int = LIMIT,
    rows: int = ROWS,
) -> Iterator[MemberFile]:
    """Finished files of at most `limit` bytes and `rows` rows, one at a time. The caller deletes them, soon."""
    if calculate_type == MULTIPLE:
        used = used_columns(chunks(), columns)
        header = (",".join(HEADERS[kind_of(name)] for name in used) + "\n").encode()
    else:
        used, header = [name for name in columns if kind_of(name) == SINGLE[calculate_type]], b""
    writer: _Writer | None = None
    number = 0
    for part, ends in _slices(chunks() if used else (), rows):
        text, filled = lines(part, used, calculate_type)
        for piece, count in _pieces(text, filled, limit - len(header)):
            if writer and writer.size + len(piece) > limit:
                yield writer.finish()
                writer = None
            if writer is None and count:
                number += 1
                writer = _Writer(folder / f"members-{number}.csv", header)
            if writer:
                writer.write(piece, count)
        if writer and ends:
            yield writer.finish()
            writer = None
    if writer:
        yield writer.finish()


def _slices(chunks: Iterable[pa.RecordBatch], rows: int) -> Iterator[tuple[pa.RecordBatch, bool]]:
    """The chunks in slices small enough for memory, cut where `rows` are full too; whether they are full after the slice."""
    room = rows
    for chunk in chunks:
        start = 0
        while start < chunk.num_rows:
            part = chunk.slice(start, min(SLICE, room))
            start += part.num_rows
            room = room - part.num_rows or rows
            yield part, room == rows


def _pieces(text: bytes, rows: int, room: int) -> Iterator[tuple[bytes, int]]:
    """The text cut at line ends so that each piece fits an empty file; the rows are counted with the last piece."""
    while len(text) > room:
        cut = text.rfind(b"\n", 0, room) + 1
        if cut <= 0:
            raise FatalError("one line is longer than a file may be", platform="tiktok")
        count = text.count(b"\n", 0, cut)
        yield text[:cut], min(count, rows)
        text, rows = text[cut:], rows - min(count, rows)
    yield text, rows
