"""Arrow record batches in one file that is read piece by piece; sealed with AES-256-GCM when a key is given.

Layout: magic, then per piece a length (8 bytes) and its bytes (an Arrow IPC stream, or nonce + ciphertext of one), then the
index of offsets and its own offset. A piece's place and the file's random name are authenticated, so pieces can't be swapped.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
from typing import TYPE_CHECKING, Any, BinaryIO

import pyarrow as pa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from connectors.engine.files import settle_file, spare_name
from connectors.errors import FatalError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_MAGIC = b"CLVPCS1\n"
_LENGTH = struct.Struct("<Q")
NONCE = 12
PIECE_ROWS = 65_536


def _cipher(key: bytes) -> AESGCM:
    return AESGCM(hashlib.blake2b(key, digest_size=32, person=b"clvsync-pieces").digest())


def _encode(batch: pa.RecordBatch) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as stream:
        stream.write_batch(batch)
    return sink.getvalue()


def _decode(handle: BinaryIO, offset: int, cipher: AESGCM | None, place: bytes) -> pa.RecordBatch:
    handle.seek(offset)
    (length,) = _LENGTH.unpack(handle.read(_LENGTH.size))
    if length > os.fstat(handle.fileno()).st_size:
        raise ValueError("a piece longer than its file")
    content = handle.read(length)
    if cipher is not None:
        sealed = memoryview(content)
        content = cipher.decrypt(sealed[:NONCE], sealed[NONCE:], place)
    with pa.ipc.open_stream(pa.py_buffer(content)) as stream:
        return stream.read_next_batch()


class PieceWriter:
    """Writes a piece file under a spare name; it takes its own name when the `with` block ends well.

    It is synced then, unless it is a work file, which nobody reads after a crash.
    """

    def __init__(self, path: Path, schema: pa.Schema, key: bytes | None = None, *, lasting: bool = True) -> None:
        self.path, self.schema, self.rows, self._lasting = path, schema, 0, lasting
        self._cipher = _cipher(key) if key else None
        self._name = os.urandom(16)
        self._offsets: list[int] = []
        self._spare = spare_name(path)
        self._file = os.fdopen(os.open(self._spare, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")
        self._file.write(_MAGIC + self._name)
        self._put(_encode(pa.RecordBatch.from_pylist([], schema=schema)))

    def write(self, batch: pa.RecordBatch) -> None:
        """Nothing: the batch is the next piece."""
        self.rows += batch.num_rows
        self._put(_encode(batch))

    def replace(self, number: int, batch: pa.RecordBatch, rows: int) -> None:
        """Nothing: the batch is piece `number` (from 0), which had so many rows. What was written of it first stays unread."""
        self.rows += batch.num_rows - rows
        self._put(_encode(batch), number + 1)

    def read(self, number: int) -> pa.RecordBatch:
        """Piece `number` as it was written."""
        self._file.flush()
        with self._spare.open("rb") as handle:
            return _decode(handle, self._offsets[number + 1], self._cipher, self._name + _LENGTH.pack(number + 1))

    def _put(self, content: pa.Buffer, number: int | None = None) -> None:
        if number is None:
            number = len(self._offsets)
            self._offsets.append(0)
        parts: tuple[bytes | pa.Buffer, ...] = (content,)
        if self._cipher is not None:
            nonce = os.urandom(NONCE)
            place = self._name + _LENGTH.pack(number)
            parts = (nonce, self._cipher.encrypt(nonce, memoryview(content).cast("B"), place))
        self._offsets[number] = self._file.tell()
        self._file.write(_LENGTH.pack(sum(map(len, parts))))
        for part in parts:
            self._file.write(part)

    def __enter__(self) -> PieceWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is not None:
            self._file.close()
            self._spare.unlink(missing_ok=True)
            return
        start = self._file.tell()
        self._file.write(json.dumps({"offsets": self._offsets, "rows": self.rows}).encode() + _LENGTH.pack(start))
        self._file.close()
        if self._lasting:
            settle_file(self._spare, self.path)
        else:
            self._spare.replace(self.path)


class Pieces:
    """A piece file for reading; safe to read from several threads. Raises FatalError when it is damaged."""

    def __init__(self, path: Path, key: bytes | None = None) -> None:
        self.path = path
        self._cipher = _cipher(key) if key else None
        try:
            self._open()
            self.schema: pa.Schema = self._piece(0).schema
        except (OSError, ValueError, KeyError, struct.error, pa.ArrowInvalid) as error:
            raise self._damaged() from error

    def _open(self) -> None:
        with self.path.open("rb") as handle:
            head = handle.read(len(_MAGIC) + 16)
            if head[: len(_MAGIC)] != _MAGIC:
                raise ValueError("not a piece file")
            self._name = head[len(_MAGIC) :]
            end = handle.seek(-_LENGTH.size, os.SEEK_END)
            (start,) = _LENGTH.unpack(handle.read(_LENGTH.size))
            if not 0 < start < end:
                raise ValueError("no index")
            handle.seek(start)
            index: dict[str, Any] = json.loads(handle.read(end - start))
        self._offsets: list[int] = index["offsets"]
        self.rows: int = index["rows"]
        self.count = len(self._offsets) - 1

    def _damaged(self) -> FatalError:
        return FatalError(
            f"the file {self.path.name} of the state folder is damaged or was sealed with another key",
            remedy="give the key it was written with, or restore the state folder from its backup",
        )

    def _piece(self, number: int) -> pa.RecordBatch:
        try:
            with self.path.open("rb") as handle:
                return _decode(handle, self._offsets[number], self._cipher, self._name + _LENGTH.pack(number))
        except InvalidTag as error:
            raise self._damaged() from error

    def read(self, number: int) -> pa.RecordBatch:
        """Piece `number`, from 0."""
        try:
            return self._piece(number + 1)
        except (OSError, ValueError, struct.error) as error:
            raise self._damaged() from error

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        return (self.read(number) for number in range(self.count))

    def reader(self) -> pa.RecordBatchReader:
        """All pieces in order, one in memory at a time."""
        return pa.RecordBatchReader.from_batches(self.schema, iter(self))
