"""SHA-256 over whole columns: text in, rows of 32 bytes out. Null stays absent; the digest of empty text is never made."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import polars_hash as plh
import pyarrow as pa

if TYPE_CHECKING:
    from numpy.typing import NDArray

WIDTH = 32
BINARY = pa.binary(WIDTH)
BLOCK = 16_384


@cache
def _pairs() -> NDArray[np.uint8]:
    """The byte of every pair of hex characters, by the pair read as a little-endian 16-bit number."""
    table = np.zeros(1 << 16, np.uint8)
    for byte in range(256):
        first, second = f"{byte:02x}".encode()
        table[first | second << 8] = byte
    return table


def sha256(values: pl.Series) -> pl.Series:
    """Digests in hex of the texts, null where the text is null or empty."""
    frame = pl.DataFrame({"v": values.replace("", None) if (values == "").any() else values})
    return frame.select(plh.col("v").chash.sha2_256())["v"]


def packed(hexadecimal: pl.Series) -> NDArray[np.uint8]:
    """Digests in hex (no nulls) as an array of rows of 32 bytes."""
    arrow: Any = hexadecimal.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
    if not len(arrow):
        return np.empty((0, WIDTH), np.uint8)
    buffer = np.frombuffer(arrow.buffers()[2], np.uint16, count=len(arrow) * WIDTH, offset=0)
    return _pairs()[buffer].reshape(-1, WIDTH)


def digest_rows(texts: pl.Series) -> NDArray[np.uint8]:
    """Digests of texts (none null or empty) as rows of 32 bytes, made in blocks that stay in the processor's cache."""
    rows = np.empty((len(texts), WIDTH), np.uint8)
    for start in range(0, len(texts), BLOCK):
        rows[start : start + BLOCK] = packed(sha256(texts.slice(start, BLOCK)))
    return rows


def binary_column(rows: NDArray[np.uint8], present: NDArray[np.bool_]) -> pa.Array:
    """An Arrow column of 32-byte values, null where not present. `rows` is as long as `present`."""
    bits = None if present.all() else pa.py_buffer(np.packbits(present, bitorder="little"))
    return pa.FixedSizeBinaryArray.from_buffers(
        BINARY, len(present), [bits, pa.py_buffer(np.ascontiguousarray(rows))], null_count=-1 if bits is not None else 0
    )
