"""Keyed digests of contact rows: two rows have the same one only if every value in them is the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pyarrow as pa

from connectors.engine.digests import packed, sha256

if TYPE_CHECKING:
    from numpy.typing import NDArray

NULL, INSIDE, BETWEEN = "\x1e", "\x1d", "\x1f"
MARKS = "[\x1d-\x1f]"
WIDTH = 16


def content_digests(rows: pa.RecordBatch, key: bytes) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """16 bytes per row (of SHA-256 over the key and all columns, names included), and which of them tell the row.

    A row whose text holds the marks that are put between values here, or a list without some of its texts, has no digest that
    would tell it from others.
    """
    names = sorted(rows.schema.names)
    columns = {one: _plain(rows.column(one)) for one in names}
    frame = pl.DataFrame({one: pl.Series(values=column) for one, column in columns.items()})
    texts = [_text(one, frame.schema[one], empty=frame[one].null_count() == len(frame)) for one in names]
    head = BETWEEN.join([key.hex(), *names])
    whole = frame.select(pl.concat_str(pl.lit(head), *texts, separator=BETWEEN).alias("\x1f")).to_series()
    if len(whole) != len(frame):  # all columns are empty
        whole = whole.new_from_index(0, len(frame))
    digests = np.ascontiguousarray(packed(sha256(whole))[:, :WIDTH])
    if not any(map(_odd, columns.values())):
        return digests, np.ones(len(frame), bool)
    return digests, _telling(frame, whole)


def _plain(column: pa.Array) -> pa.Array:
    """The column as text or lists of text."""
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        return pl.Series(values=column, dtype=pl.Binary).bin.encode("hex").to_arrow(compat_level=pl.CompatLevel.oldest())
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        return column
    return column if pa.types.is_string(column.type) else column.cast(pa.string())


def _text(name: str, kind: pl.DataType, *, empty: bool) -> pl.Expr:
    if empty:
        return pl.lit(NULL)
    text = pl.col(name)
    if isinstance(kind, pl.List):
        text = pl.concat_str(text.list.len().cast(pl.String), text.list.join(INSIDE, ignore_nulls=False), separator=INSIDE)
    return text.fill_null(NULL)


def _odd(column: pa.Array) -> bool:
    """Whether any text of the column holds a mark, or any list lacks a text."""
    if not (pa.types.is_list(column.type) or pa.types.is_large_list(column.type)):
        content = column.buffers()[-1]
        if not content:
            return False
        letters = np.frombuffer(content, np.uint8) - np.uint8(ord(INSIDE))
        return bool((letters <= ord(BETWEEN) - ord(INSIDE)).any())
    values = column.flatten()
    return bool(values.null_count) or _odd(values)


def _telling(frame: pl.DataFrame, whole: pl.Series) -> NDArray[np.bool_]:
    """Which rows have just the marks that were put there."""
    marks, lacking = pl.lit(2 * len(frame.columns), pl.Int64), [pl.lit(False)]
    for one, kind in frame.schema.items():
        column = pl.col(one)
        marks = marks + column.is_null().cast(pl.Int64)
        if isinstance(kind, pl.List):
            size = column.list.len().cast(pl.Int64)
            marks = marks + pl.when(column.is_not_null()).then(pl.max_horizontal(size, 1)).otherwise(0)
            lacking.append(column.is_not_null() & column.list.join(INSIDE, ignore_nulls=False).is_null())
    counted = frame.with_columns(whole).select(
        (pl.col(whole.name).str.count_matches(MARKS) == marks) & ~pl.any_horizontal(lacking)
    )
    found: NDArray[np.bool_] = counted.to_series().fill_null(False).to_numpy()
    return found
