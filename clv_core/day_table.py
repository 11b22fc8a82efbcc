"""One row per customer and day, made of order lines when somebody asks: totals alone don't need it.

Nearly every line is its customer's only one of that day, so the lines stay as they are; only those that share a day are made
one.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from clv_core.order_lines import MONEY
from clv_core.order_loading import LABELS

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

WIDE = "DECIMAL(38,6)"


class Tables(NamedTuple):
    """Names of what is known by day, and line by line where that tells more: a day's row has the first category alone."""

    days: str
    lines: str


class DayTable:
    """The views `customer_days` and, where lines have labels and share days, `customer_lines` of `order_lines`.

    `shared`: customer_id and day of the days that several lines share.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, extras: set[str], shared: pa.Table, *, wide: bool) -> None:
        self._connection, self._shared, self._wide = connection, shared, wide
        self._labels = [name for name in LABELS if name in extras]
        self._made: Tables | None = None
        self._lock = Lock()

    def __call__(self) -> Tables:
        """The views' names."""
        with self._lock:
            if self._made is None:
                self._made = self._make(self._connection.cursor())
            return self._made

    def _make(self, connection: duckdb.DuckDBPyConnection) -> Tables:
        for name in ("orders", "refunds"):
            connection.execute(f"ALTER TABLE order_lines ADD COLUMN {name} INTEGER")  # null: what `bought` says
        if self._wide:
            connection.execute(f"ALTER TABLE order_lines ALTER value TYPE {WIDE}")
        if len(self._shared):
            self._merge(connection)
        shown = ", ".join(
            f"CASE WHEN bought THEN {one} END AS {one}" if one in self._labels else f"CAST(NULL AS VARCHAR) AS {one}"
            for one in LABELS
        )
        connection.execute(f"""CREATE VIEW customer_days AS SELECT customer_id, day, CAST(value AS DOUBLE) AS amount,
            coalesce(orders, CAST(bought AS INTEGER)) AS orders, coalesce(refunds, CAST(NOT bought AS INTEGER)) AS refunds,
            value AS exact_amount, {shown} FROM order_lines""")
        if not (len(self._shared) and self._labels):
            return Tables("customer_days", "customer_days")
        connection.execute(f"""CREATE VIEW customer_lines AS
            SELECT customer_id, day, CAST(value AS DOUBLE) AS amount, {shown} FROM order_lines WHERE orders IS NULL
            UNION ALL BY NAME SELECT customer_id, day, CAST(value AS DOUBLE) AS amount, {shown} FROM merged_lines""")
        return Tables("customer_days", "customer_lines")

    def _merge(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Nothing; lines that share customer and day are one afterwards, and apart in `merged_lines` if they have labels."""
        firsts = "".join(
            f", arg_min({one}, {{'moment': moment, 'label': {one}}}) FILTER (bought) AS {one}" for one in self._labels
        )
        connection.register("shared_days", self._shared)
        connection.execute("""CREATE TEMP TABLE shared_rows AS
            SELECT order_lines.rowid AS line FROM order_lines SEMI JOIN shared_days USING (customer_id, day)""")
        mine = "order_lines WHERE rowid IN (SELECT line FROM shared_rows)"
        if self._labels:
            connection.execute(f"CREATE TABLE merged_lines AS SELECT * FROM {mine}")
        connection.execute(f"""CREATE TEMP TABLE merged AS SELECT customer_id, day,
            CAST(sum(value) AS {WIDE if self._wide else MONEY}) AS value, bool_or(bought) AS bought,
            CAST(count_if(bought) AS INTEGER) AS orders, CAST(count_if(NOT bought) AS INTEGER) AS refunds{firsts}
            FROM {mine} GROUP BY customer_id, day""")
        connection.execute(f"DELETE FROM {mine}")
        connection.execute("INSERT INTO order_lines BY NAME SELECT * FROM merged")
        for table in ("merged", "shared_rows"):
            connection.execute(f"DROP TABLE {table}")
        connection.unregister("shared_days")
