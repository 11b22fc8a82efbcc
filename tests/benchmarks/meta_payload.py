"""Bytes of a request for 10,000 members: columns against one Python list per member and the standard form encoding."""

from __future__ import annotations

import hashlib
import json
import time
from decimal import Decimal
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pyarrow as pa

from connectors.meta import RECIPE
from connectors.meta.client import quote
from connectors.meta.members import payload

if TYPE_CHECKING:
    from collections.abc import Callable

ROWS = 10_000
FIELDS = tuple(field for field in RECIPE.fields if not field.opt_in)


def _members() -> pa.RecordBatch:
    columns = {
        field.name: pa.array([hashlib.sha256(f"{field.name}{row}".encode()).digest() for row in range(ROWS)], pa.binary(32))
        if field.hashed
        else pa.nulls(ROWS, pa.string())
        for field in FIELDS
    }
    return pa.record_batch({**columns, "value": pa.array([Decimal(row) for row in range(ROWS)], pa.decimal128(18, 2))})


def _columns(rows: pa.RecordBatch) -> bytes:
    return b"payload=" + quote(payload([rows], FIELDS, values=True)[0])


def _plain(rows: pa.RecordBatch) -> bytes:
    names = [field.name for field in FIELDS]
    data = [
        [*(("" if row[name] is None else row[name].hex()) for name in names), float(row["value"])] for row in rows.to_pylist()
    ]
    text = json.dumps({"schema": [*names, "LOOKALIKE_VALUE"], "data": data}, separators=(",", ":"))
    return urlencode({"payload": text}).encode()


def _best(call: Callable[[pa.RecordBatch], bytes], rows: pa.RecordBatch) -> float:
    times = []
    for _ in range(3):
        start = time.perf_counter()
        call(rows)
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    """Prints how many times faster the columns are, and the members a second."""
    rows = _members()
    ours, theirs = _best(_columns, rows), _best(_plain, rows)
    print(f"meta payload: {theirs / ours:.1f} times plain Python, {ROWS / ours:,.0f} members/s of {len(FIELDS)} fields")


if __name__ == "__main__":
    main()
