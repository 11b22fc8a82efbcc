"""Arrow columns -> the JSON text of a `payload`, without one Python object per member.

Hashed columns are 32-byte digests (null: unknown, sent as ""), others text. `value` becomes LOOKALIKE_VALUE, a JSON number.
Always the list form of the schema, the same in every batch of a session (fact sheet 2.2, 2.4).
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from connectors.errors import FatalError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from connectors.protocol import IdentifierField

EMPTY: Final = hashlib.sha256(b"").digest()
CALIFORNIA: Final = hashlib.sha256(b"ca").digest()
UNITED_STATES: Final = hashlib.sha256(b"us").digest()
MAXIMUM_ROWS: Final = 10_000


def payload(
    chunks: Iterable[pa.RecordBatch], fields: Sequence[IdentifierField], *, values: bool, limited: str = "off"
) -> tuple[str, int]:
    """The payload's JSON text and its number of rows.

    `limited` is the setting limited_data_use: "california" marks people in California, and in the US or an unknown country
    without a state, as LDU (Meta then looks where they are); "everyone" marks all; "off" leaves the column out.
    """
    schema = [field.name for field in fields]
    schema += ["LOOKALIKE_VALUE"] * values + ["DATA_PROCESSING_OPTIONS"] * (limited != "off")
    rows, texts = 0, []
    for chunk in chunks:
        if chunk.num_rows:
            rows += chunk.num_rows
            texts.append(_rows(chunk, fields, values=values, limited=limited))
    if rows > MAXIMUM_ROWS:
        raise ValueError(f"Meta takes {MAXIMUM_ROWS:,} rows in a request, not {rows:,}")
    return f'{{"schema":{orjson.dumps(schema).decode()},"data":[{",".join(texts)}]}}', rows


def _rows(chunk: pa.RecordBatch, fields: Sequence[IdentifierField], *, values: bool, limited: str) -> str:
    cells = [
        _digests(chunk.column(field.name), field.name) if field.hashed else _text(chunk.column(field.name)) for field in fields
    ]
    if values:
        cells.append(_values(chunk.column("value")))
    if limited != "off":
        cells.append(_marks(chunk, limited))
    joined = pc.binary_join_element_wise(*cells, _COMMA)
    lines = pc.binary_join_element_wise(_OPEN, joined, _CLOSE, _NOTHING)
    _, offsets, data = lines.buffers()  # the texts lie one after the other
    end = int(np.frombuffer(offsets, np.int64)[len(lines)])
    return str(data[:end].to_pybytes().decode())[:-1]


def _digests(column: pa.Array, name: str) -> pa.Array:
    flat = pc.fill_null(column.cast(pa.binary(32)) if column.type != pa.binary(32) else column, b"\0" * 32)
    if pc.any(pc.equal(flat, pa.scalar(EMPTY, pa.binary(32)))).as_py():
        raise FatalError(f"{name} holds the digest of an empty value", remedy="leave empty values null", platform="meta")
    raw = flat.buffers()[1].slice(flat.offset * 32, len(flat) * 32).to_pybytes().hex()
    offsets = pa.py_buffer(np.arange(0, 64 * (len(flat) + 1), 64, dtype=np.int64))
    text = pa.LargeStringArray.from_buffers(len(flat), offsets, pa.py_buffer(raw.encode()))
    quoted = pc.binary_join_element_wise(_QUOTE, text, _QUOTE, _NOTHING)
    return pc.if_else(column.is_valid(), quoted, _EMPTY_TEXT)


def _text(column: pa.Array) -> pa.Array:
    text = pc.fill_null(column.cast(pa.large_string()), "")
    if pc.any(pc.match_substring_regex(text, r'["\\\x00-\x1f]')).as_py():
        return pa.array([orjson.dumps(one).decode() for one in text.to_pylist()], pa.large_string())
    return pc.binary_join_element_wise(_QUOTE, text, _QUOTE, _NOTHING)


def _values(column: pa.Array) -> pa.Array:
    if column.null_count or pc.any(pc.less(column, pa.scalar(0, column.type))).as_py():
        raise FatalError(
            "a member's value is missing or negative", remedy="value-based rows need a value of 0 or more", platform="meta"
        )
    if pa.types.is_floating(column.type):
        if not pc.all(pc.is_finite(column)).as_py():
            raise FatalError("a member's value is not a finite number", remedy="give finite values", platform="meta")
        return pa.array([orjson.dumps(one).decode() for one in column.to_pylist()], pa.large_string())
    return column.cast(pa.large_string())


def _marks(chunk: pa.RecordBatch, limited: str) -> pa.Array:
    marked: Any = pa.scalar(True)
    if limited == "california":
        state, country = _column(chunk, "ST"), _column(chunk, "COUNTRY")
        here = pc.fill_null(pc.equal(country, pa.scalar(UNITED_STATES, pa.binary(32))), True)
        there = pc.fill_null(pc.equal(state, pa.scalar(CALIFORNIA, pa.binary(32))), True)
        marked = pc.and_(here, there)
    text = pc.if_else(marked, pa.scalar('["LDU"]', pa.large_string()), pa.scalar("[]", pa.large_string()))
    return text if isinstance(text, pa.Array) else pa.array([text.as_py()] * chunk.num_rows, pa.large_string())


def _column(chunk: pa.RecordBatch, name: str) -> pa.Array:
    if name not in chunk.schema.names:
        return pa.nulls(chunk.num_rows, pa.binary(32))
    return chunk.column(name).cast(pa.binary(32))


_OPEN: Final = pa.scalar("[", pa.large_string())
_CLOSE: Final = pa.scalar("],", pa.large_string())
_COMMA: Final = pa.scalar(",", pa.large_string())
_QUOTE: Final = pa.scalar('"', pa.large_string())
_NOTHING: Final = pa.scalar("", pa.large_string())
_EMPTY_TEXT: Final = pa.scalar('""', pa.large_string())
