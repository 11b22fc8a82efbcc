"""Engagement events -> days that can be compared with a cut; what has no date is refused, as it can't be shown to be past."""

from __future__ import annotations

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from clv_core.findings import InputError, redacted
from clv_core.windows import LeakError

COLUMNS = ("kind", "tactic", "message")


def dated(events: pa.Table | None) -> pa.Table | None:
    """The events as customer_id (text), at (date32), kind, tactic and message (text, null where not given); None stays None.

    Raises LeakError without a column `at` and InputError for an `at` that is no date.
    """
    if events is None or (events.column_names == ["customer_id", "at", *COLUMNS] and events["at"].type == pa.date32()):
        return events
    if "at" not in events.column_names:
        raise LeakError("engagement has no column `at`: without a date an event can't be shown to lie before the cut; add it")
    if "customer_id" not in events.column_names:
        raise InputError("engagement has no column customer_id", column="customer_id", remedy="add it or map its name")
    days = _days(events)
    texts = [
        events[name].cast(pa.string()) if name in events.column_names else pa.nulls(len(events), pa.string())
        for name in COLUMNS
    ]
    return pa.table([events["customer_id"].cast(pa.string()), days, *texts], names=["customer_id", "at", *COLUMNS])


def _days(events: pa.Table) -> pa.ChunkedArray:
    at = events["at"]
    if not (pa.types.is_string(at.type) or pa.types.is_large_string(at.type)):
        return at.cast(pa.date32()) if pa.types.is_date(at.type) else at.cast(pa.timestamp("us")).cast(pa.date32(), safe=False)
    with duckdb.connect() as connection:
        connection.register("events", pa.table({"at": at}))
        days = connection.sql('SELECT TRY_CAST("at" AS TIMESTAMP)::DATE AS day FROM events').to_arrow_table()["day"]
    bad = pc.and_(pc.is_null(days), pc.is_valid(at))
    if (row := pc.index(bad, True).as_py()) >= 0:
        raise InputError(
            "an engagement event has no readable date", row=row + 1, column="at", value=redacted(at[row].as_py()),
            remedy="write dates as YYYY-MM-DD or YYYY-MM-DD HH:MM:SS",
        )  # fmt: skip
    return days
