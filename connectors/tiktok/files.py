"""Customer files: record batches -> CSV on disk, one at a time -> uploaded. Memory stays flat, nothing is left behind.

Rules of `/dmp/custom_audience/file/upload/` (docs?id=1739940567842818) and of the header of MULTIPLE_TYPES files
(docs?id=1747012327159809): a header line, at most three columns of one kind, as many cells in a row as headers, blank cells
left empty. A single-type file is one id per line, without a header.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from connectors.errors import FatalError
from connectors.tiktok.codes import BAD_SIGNATURE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from connectors.tiktok.client import Client

LIMIT = 250_000_000  # bytes in one file
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


def write_files(
    chunks: Callable[[], Iterator[pa.RecordBatch]],
    columns: Sequence[str],
    calculate_type: str,
    folder: Path,
    *,
    limit: int = LIMIT,
) -> Iterator[MemberFile]:
    """Finished files of at most `limit` bytes, one at a time. The caller deletes each before asking for the next."""
    if calculate_type == MULTIPLE:
        used = used_columns(chunks(), columns)
        header = (",".join(HEADERS[kind_of(name)] for name in used) + "\n").encode()
    else:
        used, header = [name for name in columns if kind_of(name) == SINGLE[calculate_type]], b""
    writer: _Writer | None = None
    number = 0
    for chunk in chunks() if used else ():
        for start in range(0, chunk.num_rows, SLICE):
            text, rows = lines(chunk.slice(start, SLICE), used, calculate_type)
            for piece, part in _pieces(text, rows, limit - len(header)):
                if writer and writer.size + len(piece) > limit:
                    yield writer.finish()
                    writer = None
                if writer is None and part:
                    number += 1
                    writer = _Writer(folder / f"members-{number}.csv", header)
                if writer:
                    writer.write(piece, part)
    if writer:
        yield writer.finish()


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


@contextmanager
def private_folder() -> Iterator[Path]:
    """An owner-only folder that is gone afterwards, whatever happens."""
    with tempfile.TemporaryDirectory(prefix="clvsync-tiktok-") as name:
        yield Path(name)


@dataclass(frozen=True, slots=True)
class Uploaded:
    """The paths that TikTok gave, and the rows they hold."""

    file_paths: list[str]
    rows: int


def upload_members(
    client: Client,
    advertiser_id: str,
    chunks: Callable[[], Iterator[pa.RecordBatch]],
    columns: Sequence[str],
    calculate_type: str,
    *,
    limit: int = LIMIT,
) -> Uploaded:
    """What a create or update call needs; each file leaves the disk before the next is written."""
    paths: list[str] = []
    rows = 0
    with private_folder() as folder:
        for file in write_files(chunks, columns, calculate_type, folder, limit=limit):
            paths.append(_upload(client, advertiser_id, file, calculate_type))
            rows += file.rows
            file.path.unlink()
    return Uploaded(paths, rows)


def _upload(client: Client, advertiser_id: str, file: MemberFile, calculate_type: str) -> str:
    fields: dict[str, Any] = {"advertiser_id": advertiser_id, "calculate_type": calculate_type}
    path = "/dmp/custom_audience/file/upload/"
    try:
        answer = client.upload(path, {**fields, "file_signature": file.signature}, file.path)
    except FatalError as error:
        if error.code != str(BAD_SIGNATURE):
            raise
        signature = hashlib.md5(file.path.read_bytes(), usedforsecurity=False).hexdigest()
        answer = client.upload(path, {**fields, "file_signature": signature}, file.path)
    return str(answer.data["file_path"])
