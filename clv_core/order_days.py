"""Order lines -> one row per customer and day, and totals per customer.

Nearly every line is its customer's only one of that day, so the lines stay as they are; only those that share a day are made
one. Which do, and the totals, `day_cells` tells from the lines' columns, slice by slice of customers: memory stays bounded.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from clv_core.day_cells import alike, gather, sorted_by
from clv_core.findings import Finding
from clv_core.order_lines import MONEY
from clv_core.order_loading import LABELS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Future
    from datetime import date

    import duckdb
    from numpy.typing import NDArray

    from clv_core.day_cells import Totals

RELATION = "customer_days"
PART = 12_000_000  # lines held in columns at a time: about 40 bytes each and their customers' ids
BUCKET = 1 << 15  # lines that are sorted together, on average
BATCH = 1 << 18
WIDE = "DECIMAL(38,6)"
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
class Lines:
    """Columns of some lines, those of a bucket side by side; bucket k is from bounds[k] to bounds[k + 1]."""

    key: NDArray[np.uint64]
    day: NDArray[np.int32]  # twice the days since 1970, and one more for a purchase
    millionths: NDArray[np.int64]
    ids: pa.StringArray
    line: NDArray[np.int64]  # row id
    bounds: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Slice:
    """Totals of some customers who bought, and the row ids of lines that share customer and day with another."""

    totals: pa.Table
    shared: NDArray[np.int64]
    untidy: bool = False  # whether an id has blanks around it
    refunds: bool = False  # whether a day has refunds only


def look(connection: duckdb.DuckDBPyConnection) -> LineFacts:
    """The facts of `order_lines`."""
    [found] = connection.execute("""SELECT count(*), min(day), max(day), count(*) FILTER (bought), count(*) FILTER (NOT bought),
        count(*) FILTER (bought AND value = 0), sum(abs(value)) >= 9e11 FROM order_lines""").fetchall()
    return LineFacts(*found)


def slices(connection: duckdb.DuckDBPyConnection, facts: LineFacts, workers: int) -> list[Slice]:
    """Every customer in exactly one slice."""
    parts = -(-facts.lines // PART)
    buckets = 1 << (facts.lines // parts // BUCKET).bit_length()
    for salt in count():
        found: list[Slice | None] = []
        for part in range(parts):
            with ThreadPoolExecutor(workers) as pool:
                reader = _reader(connection, key_sql(salt), f"{part} = {{}} % {parts}" if parts > 1 else "true")
                batches: list[Lines] = []
                ahead: deque[Future[Lines]] = deque()
                for batch in reader:
                    ahead.append(pool.submit(_split, batch, buckets))
                    if len(ahead) > workers:  # no more than these are held unsplit
                        batches.append(ahead.popleft().result())
                batches += [one.result() for one in ahead]
                found += pool.map(lambda one, batches=batches: _slice(batches, one), range(buckets))
        whole = [one for one in found if one is not None]
        if len(whole) == len(found):
            break
    return whole


def key_sql(salt: int) -> str:
    """The 64-bit key of a customer; another one for each salt."""
    return "hash(customer_id)" if salt == 0 else f"hash(customer_id || '#{salt}')"


def _reader(connection: duckdb.DuckDBPyConnection, key: str, mine: str) -> pa.RecordBatchReader:
    """The lines for which the SQL `mine` holds of the key."""
    return connection.sql(f"""SELECT {key}, (day - DATE '1970-01-01') * 2 + CAST(bought AS INTEGER),
        value, rowid, customer_id FROM order_lines WHERE {mine.format(key)}""").to_arrow_reader(BATCH)


def _split(batch: pa.RecordBatch, buckets: int) -> Lines:
    """The batch by buckets of the lower half of the key."""
    key, day, line = (batch.column(one).to_numpy() for one in (0, 1, 3))
    amounts = batch.column(2)  # decimals of six places in 128 bits, of which the lower half holds 18 digits with their sign
    millionths = np.frombuffer(amounts.buffers()[1], dtype=np.int64)[::2][amounts.offset :][: len(amounts)]
    bucket = key.view(np.uint32)[::2] & np.uint32(buckets - 1)
    order = sorted_by(bucket)
    bounds = np.concatenate([[0], np.cumsum(np.bincount(bucket, minlength=buckets))])
    ids = batch.column(4).take(pa.array(order))
    return Lines(key[order], day[order].astype(np.int32), millionths[order], ids, line[order], bounds)


def _slice(batches: Sequence[Lines], bucket: int) -> Slice | None:
    """The bucket's slice; None when two of its customers have the same key."""
    spans = [(one, slice(one.bounds[bucket], one.bounds[bucket + 1])) for one in batches]
    key = np.concatenate([one.key[span] for one, span in spans])
    if not len(key):
        return Slice(TOTALS.empty_table(), np.empty(0, dtype=np.int64))
    ids = pa.concat_arrays([one.ids[span] for one, span in spans])
    who = alike(key)
    if not pc.all(pc.equal(ids.take(pa.array(who)), ids)).as_py():
        return None
    day = np.concatenate([one.day[span] for one, span in spans])
    millionths = np.concatenate([one.millionths[span] for one, span in spans])
    totals, shared = gather(who, day >> 1, millionths, (day & 1).astype(np.bool_))
    known = ids.take(pa.array(totals.row))
    line = np.concatenate([one.line[span] for one, span in spans])[shared]
    return Slice(_table(totals, known), line, _untidy(known), totals.refunds)


def _table(totals: Totals, ids: pa.Array) -> pa.Table:
    """The totals of those who bought."""
    columns = (totals.n, totals.first_day, totals.last_day, totals.total, totals.first_value)
    found = pa.table([ids, *(pa.array(one) for one in columns)], names=TOTALS.names).cast(TOTALS)
    return found if totals.n.all() else found.filter(pa.array(totals.n > 0))


def _untidy(ids: pa.StringArray) -> bool:
    """Whether an id begins or ends with a blank; ids are not empty."""
    _, offsets, content = ids.buffers()
    ends, letters = np.frombuffer(offsets, dtype=np.int32)[: len(ids) + 1], np.frombuffer(content, dtype=np.uint8)
    return bool(np.isin(letters[ends[:-1]], BLANKS).any() or np.isin(letters[ends[1:] - 1], BLANKS).any())


def merge_days(connection: duckdb.DuckDBPyConnection, extras: set[str], shared: NDArray[np.int64], *, wide: bool) -> None:
    """Nothing; makes the table `order_days` and the view `customer_days` of `order_lines`, which is gone afterwards.

    `shared`: the row ids of lines that share customer and day with another.
    """
    labels = [name for name in LABELS if name in extras]
    connection.execute("DROP VIEW IF EXISTS customer_days")
    connection.execute("DROP TABLE IF EXISTS order_days")
    connection.execute("ALTER TABLE order_lines ADD COLUMN orders INTEGER")  # null: as many as `bought` says
    if wide:
        connection.execute(f"ALTER TABLE order_lines ALTER value TYPE {WIDE}")
    if len(shared):
        _merge(connection, labels, shared, WIDE if wide else MONEY)
    connection.execute("ALTER TABLE order_lines RENAME TO order_days")
    shown = ", ".join(
        f"CASE WHEN bought THEN {one} END AS {one}" if one in labels else f"CAST(NULL AS VARCHAR) AS {one}" for one in LABELS
    )
    connection.execute(f"""CREATE VIEW {RELATION} AS SELECT customer_id, day, CAST(value AS DOUBLE) AS amount,
        coalesce(orders, CAST(bought AS INTEGER)) AS orders, value AS exact_amount, {shown} FROM order_days""")


def _merge(connection: duckdb.DuckDBPyConnection, labels: list[str], shared: NDArray[np.int64], money: str) -> None:
    firsts = "".join(f", arg_min({one}, {{'moment': moment, 'label': {one}}}) FILTER (bought) AS {one}" for one in labels)
    connection.register("shared_lines", pa.table({"line": shared}))
    mine = "rowid IN (SELECT line FROM shared_lines)"
    connection.execute(f"""CREATE OR REPLACE TABLE merged AS SELECT customer_id, day, CAST(sum(value) AS {money}) AS value,
        bool_or(bought) AS bought, CAST(count(*) FILTER (bought) AS INTEGER) AS orders{firsts}
        FROM order_lines WHERE {mine} GROUP BY customer_id, day""")
    connection.execute(f"DELETE FROM order_lines WHERE {mine}")
    connection.execute("INSERT INTO order_lines BY NAME SELECT * FROM merged")
    connection.execute("DROP TABLE merged")
    connection.unregister("shared_lines")
