"""Order lines -> totals per customer, and which days several lines share.

`day_cells` tells the totals and the days that several lines share (`day_table` makes those one) from the lines' columns, slice
by slice of customers: memory stays bounded.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from clv_core.day_cells import alike, gather, sorted_by
from clv_core.findings import Finding

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Future
    from datetime import date

    import duckdb
    from numpy.typing import NDArray

    from clv_core.day_cells import Totals

PART = 12_000_000  # lines held in columns at a time: 16 bytes each and their customers' ids
BUCKET = 1 << 16  # lines that are sorted together, at most on average: what the cache holds and 16 bits count
BATCH = 1 << 18
LARGE = 900_000_000_000  # of which the sums of amounts stay below, or are kept in a wider type
KEY = "CAST(hash(customer_id) & 4294967295 AS UINTEGER)"
BLANKS = (9, 10, 13, 32)  # what is cut around ids
TOTALS = pa.schema(
    [
        ("customer_id", pa.string()),
        ("n", pa.int32()),  # purchase days
        ("first_day", pa.date32()),
        ("last_day", pa.date32()),
        ("total", pa.int64()),  # millionths
        ("first_value", pa.int64()),
    ]
)
SHARED = pa.schema([("customer_id", pa.string()), ("day", pa.date32())])


@dataclass(frozen=True, slots=True)
class LineFacts:
    """What one look at the settled lines tells."""

    lines: int
    first: date
    last: date
    bought: int  # lines that are purchases
    refunds: int
    free: int
    wide: bool  # whether sums of the amounts may be too large for MONEY

    @property
    def findings(self) -> list[Finding]:
        """What the user is told of it."""
        found = []
        if self.refunds:
            text = "refunds lower their customer's value and make no purchase day"
            found.append(Finding("refunds", self.refunds, text))
        if self.free:
            found.append(Finding("free_orders", self.free, "orders with an amount of 0 count as purchases"))
        return found


@dataclass(frozen=True, slots=True)
class Batch:
    """Lines in a row of the columns, those of a bucket side by side; bucket k is from bounds[k] to bounds[k + 1]."""

    ids: pa.StringArray
    bounds: NDArray[np.int64]
    start: int  # the first line's place in the columns


class Columns:
    """What is needed of lines besides their customers' ids. Room for all of them is made at once, since the operating system
    gives few large pieces of memory far sooner than many small ones."""

    def __init__(self, lines: int) -> None:
        self.key = np.empty(lines, dtype=np.uint32)  # of the customer
        self.day = np.empty(lines, dtype=np.int32)  # twice the days since 1970, and one more for a purchase
        self.millionths = np.empty(lines, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Slice:
    """Totals of some customers who bought, and (customer_id, day) of each purchase day that several lines share."""

    totals: pa.Table
    shared: pa.Table
    untidy: bool = False  # whether an id has blanks around it
    refunds: bool = False  # whether a day has refunds only


def look(connection: duckdb.DuckDBPyConnection) -> LineFacts:
    """The facts of `order_lines`."""
    [[lines, first, last, bought, least, most]] = connection.execute(
        "SELECT count(*), min(day), max(day), count_if(bought), min(value), max(value) FROM order_lines"
    ).fetchall()
    free, wide = 0, False
    if least <= 0 or lines * most >= LARGE:
        [[free, wide]] = connection.execute(
            f"SELECT count_if(bought AND value = 0), sum(abs(value)) >= {LARGE} FROM order_lines"
        ).fetchall()
    return LineFacts(lines, first, last, bought, lines - bought, free, wide)


def slices(connection: duckdb.DuckDBPyConnection, facts: LineFacts, workers: int) -> list[Slice]:
    """Every customer in exactly one slice."""
    parts = -(-facts.lines // PART)
    buckets = 1 << (facts.lines // parts // BUCKET).bit_length()
    columns = Columns(facts.lines)
    found: list[Slice] = []
    with ThreadPoolExecutor(workers) as pool:
        for part in range(parts):
            batches: list[Batch] = []
            ahead: deque[Future[Batch]] = deque()
            start = 0
            for lines in _reader(connection, f"(hash(customer_id) >> 32) % {parts} = {part}" if parts > 1 else "true"):
                ahead.append(pool.submit(_split, lines, buckets, columns, start))
                start += len(lines)
                if len(ahead) > workers:  # no more than these are held unsplit
                    batches.append(ahead.popleft().result())
            batches += [one.result() for one in ahead]
            found += pool.map(lambda one, batches=batches: _slice(columns, batches, one), range(buckets))
    return found


def _reader(connection: duckdb.DuckDBPyConnection, mine: str) -> pa.RecordBatchReader:
    """The lines for which the SQL `mine` holds."""
    return connection.sql(f"""SELECT {KEY}, CAST((day - DATE '1970-01-01') * 2 + CAST(bought AS INTEGER) AS INTEGER),
        value, customer_id FROM order_lines WHERE {mine}""").to_arrow_reader(BATCH)


def _split(lines: pa.RecordBatch, buckets: int, columns: Columns, start: int) -> Batch:
    """The lines by buckets of the lowest bits of the key, from `start` on in the columns."""
    key = lines.column(0).to_numpy()
    bucket = key & np.uint32(buckets - 1)
    order = sorted_by(bucket)
    here = slice(start, start + len(order))
    amounts = lines.column(2)  # decimals of six places in 128 bits, of which the lower half holds 18 digits with their sign
    millionths = np.frombuffer(amounts.buffers()[1], dtype=np.int64)[::2][amounts.offset :][: len(amounts)]
    np.take(key, order, out=columns.key[here], mode="clip")
    np.take(lines.column(1).to_numpy(), order, out=columns.day[here], mode="clip")
    np.take(millionths, order, out=columns.millionths[here], mode="clip")
    bounds = np.concatenate([[0], np.cumsum(np.bincount(bucket, minlength=buckets))])
    return Batch(lines.column(3).take(pa.array(order)), bounds, start)


def _slice(columns: Columns, batches: Sequence[Batch], bucket: int) -> Slice:
    """The bucket's slice."""
    spans = [slice(one.start + one.bounds[bucket], one.start + one.bounds[bucket + 1]) for one in batches]
    key = np.concatenate([columns.key[span] for span in spans])
    if not len(key):
        return Slice(TOTALS.empty_table(), SHARED.empty_table())
    ids = pa.concat_arrays([one.ids[one.bounds[bucket] : one.bounds[bucket + 1]] for one in batches])
    day = np.concatenate([columns.day[span] for span in spans])
    millionths = np.concatenate([columns.millionths[span] for span in spans])
    totals, shared = gather(_owners(key, ids), day >> 1, millionths, (day & 1).astype(np.bool_))
    known = ids.take(pa.array(totals.row))
    days = pa.table([ids.take(pa.array(shared)), pa.array(day[shared] >> 1)], names=SHARED.names).cast(SHARED)
    return Slice(_table(totals, known), days, _untidy(known), totals.refunds)


def _owners(key: NDArray[np.uint32], ids: pa.StringArray) -> NDArray[np.int32]:
    """Per row, a row of the same customer: the same one for all of the customer's rows."""
    who = alike(key)
    if not pc.all(same := pc.equal(ids.take(pa.array(who)), ids)).as_py():  # customers of one key: the few rows go by their ids
        odd = np.flatnonzero(~same.to_numpy(zero_copy_only=False))
        first: dict[str, int] = {}
        told = zip(odd.tolist(), ids.take(pa.array(odd)).to_pylist(), strict=True)
        who[odd] = [first.setdefault(one, row) for row, one in told]
    return who


def _table(totals: Totals, ids: pa.Array) -> pa.Table:
    """The totals of those who bought."""
    columns = (totals.n, totals.first_day, totals.last_day, totals.total, totals.first_value)
    found = pa.table([ids, *(pa.array(one) for one in columns)], names=TOTALS.names).cast(TOTALS)
    return found if totals.n.all() else found.filter(pa.array(totals.n > 0))


def _untidy(ids: pa.StringArray) -> bool:
    """Whether an id begins or ends with a blank; ids are not empty."""
    _, offsets, content = ids.buffers()
    ends, letters = np.frombuffer(offsets, dtype=np.int32)[: len(ids) + 1], np.frombuffer(content, dtype=np.uint8)
    outer = np.concatenate([letters[ends[:-1]], letters[ends[1:] - 1]])
    return bool(outer.min() <= max(BLANKS) and np.isin(outer, BLANKS).any())


def shortened(ids: pa.ChunkedArray) -> int:
    """How many of the ids are numbers cut to a few digits, such as 1.23E+11, as spreadsheets write and floats hold them."""
    likely = ids.filter(pc.or_(pc.match_substring(ids, "E+"), pc.match_substring(ids, "e+")))
    return int(pc.sum(pc.match_substring_regex(likely, r"^\d([.,]\d+)?[Ee]\+\d+$")).as_py() or 0)
