"""Rows that share an order id: copies, lines of one order, or a conflict.

The rule: rows equal in every column of the source are copies of one row; all but one are dropped and counted. Whatever
differs is kept: rows of one customer's order on one day are lines of it (their amounts add up to one order); an id that
turns up for another customer, or for the same customer on another purchase day, is reported as a conflict and kept as a
separate order, since dropping revenue silently would be worse. Two truly equal lines of one order need a column that tells them
apart (a line number), else they count as copies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from clv_core.findings import Finding
from clv_core.order_lines import text as as_text

if TYPE_CHECKING:
    import duckdb

    from clv_core.order_source import OrderSource


def settle_duplicates(connection: duckdb.DuckDBPyConnection, source: OrderSource) -> list[Finding]:
    """What was found; afterwards `order_lines` has no copies and one row per customer, order id and day."""
    repeated = connection.execute("""SELECT count(order_id) - count(DISTINCT order_id) FROM order_lines""").fetchall()[0][0]
    if not repeated:
        return []
    connection.execute("""CREATE TABLE repeated AS SELECT DISTINCT * FROM order_lines
        WHERE order_id IN (SELECT order_id FROM order_lines GROUP BY order_id HAVING count(*) > 1)""")
    [[copies, example]] = connection.execute("""SELECT coalesce(sum(n - 1), 0), min(order_id)
        FROM (SELECT order_id, count(*) AS n
        FROM order_lines WHERE order_id IS NOT NULL
        GROUP BY order_id, customer_id, day, row_hash HAVING count(*) > 1)""").fetchall()
    findings = []
    if copies:
        text = "rows are exact copies of another row with the same order id and were dropped"
        findings.append(_finding(connection, source, "duplicate_orders", int(copies), example, text, ""))
    findings += _conflicts(connection, source)
    connection.execute(f"""CREATE TABLE settled AS SELECT * FROM order_lines
        WHERE order_id IS NULL OR order_id NOT IN (SELECT order_id FROM repeated)
        UNION ALL BY NAME {_joined(connection)}""")
    connection.execute("DROP TABLE order_lines")
    connection.execute("DROP TABLE repeated")
    connection.execute("ALTER TABLE settled RENAME TO order_lines")
    return findings


def _conflicts(connection: duckdb.DuckDBPyConnection, source: OrderSource) -> list[Finding]:
    [[shared, whose, moved, which]] = connection.execute("""SELECT count(*) FILTER (people > 1),
            min(order_id) FILTER (people > 1),
            count(*) FILTER (people = 1 AND days > 1), min(order_id) FILTER (people = 1 AND days > 1)
        FROM (SELECT order_id, count(DISTINCT customer_id) AS people, count(DISTINCT day) FILTER (bought) AS days
              FROM repeated GROUP BY order_id)""").fetchall()
    findings = []
    if shared:
        text = "order ids belong to more than one customer; each customer's rows were kept as an order"
        remedy = "make order ids unique (for example with the shop's name in front)"
        findings.append(_finding(connection, source, "order_id_of_several_customers", shared, whose, text, remedy))
    if moved:
        text = "order ids turn up on several purchase days of a customer; each day was kept as an order"
        remedy = "export each order once, in its latest state"
        findings.append(_finding(connection, source, "order_id_on_several_days", moved, which, text, remedy))
    return findings


def _finding(
    connection: duckdb.DuckDBPyConnection, source: OrderSource, kind: str, count: int, example: str, text: str, remedy: str
) -> Finding:
    """The finding, with the last row of the example's order id: where the repetition shows."""
    connection.execute("SET preserve_insertion_order = true")
    [[row]] = connection.execute(
        f"""SELECT max(row) FROM (SELECT row_number() OVER () AS row, {as_text(source, "order_id")} AS id FROM ({source.sql}))
        WHERE id = ?""",
        [example],
    ).fetchall()
    connection.execute("SET preserve_insertion_order = false")
    return Finding(kind, count, text, row=int(row), column=source.raw("order_id")[1:-1], remedy=remedy)


def _joined(connection: duckdb.DuckDBPyConnection) -> str:
    """SQL of the repeated rows with the lines of an order made one."""
    given = [str(name) for name, *_ in connection.execute("DESCRIBE repeated").fetchall()]
    keys = ("customer_id", "order_id", "day")
    made = {"value": "CAST(sum(value) AS DECIMAL(18,6)) AS value", "bought": "bool_or(bought) AS bought"}
    parts = [made.get(name, f"min({name}) AS {name}") for name in given if name not in keys]
    return f"SELECT {', '.join(keys)}, {', '.join(parts)} FROM repeated GROUP BY {', '.join(keys)}"
