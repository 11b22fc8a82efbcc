"""The erased leave the orders whole: days and the lines behind them."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from clv_core.transactions import Transactions
from connectors import sources
from connectors.engine.contact_book import book_of
from connectors.engine.ledger import open_ledger
from connectors.living import living
from tests.clv_core.bases import orders

DAY = date(2024, 1, 1)
ROWS = [("ann", DAY, 30.0, "books"), ("ann", DAY, 10.0, "music"), ("bob", DAY, 5.0, "books"), ("bob", DAY, 7.0, "games")]


def told(t: Transactions, relation: str) -> list[tuple[object, ...]]:
    return sorted(t.connection.execute(f"SELECT customer_id, amount, product_category FROM {relation}").fetchall())


def test_neither_days_nor_lines_of_the_erased_are_left(tmp_path: Path) -> None:
    given = orders([row[:3] for row in ROWS], product_category=[row[3] for row in ROWS])
    ledger = open_ledger(tmp_path / "state")
    nobody = book_of(sources.nobody(), tmp_path / "contacts", ledger)
    assert living(ledger, given, nobody)[0] is given
    with ledger.journal.transaction() as connection:
        key = ledger.member_key("bob").hex()
        connection.execute("INSERT INTO tombstones (member, at) VALUES (?, ?)", (key, "2026-11-02"))
    left, _ = living(ledger, given, nobody)
    ledger.close()
    assert left.customers == 1
    assert told(left, left.relation) == [("ann", 40.0, "books")]
    assert told(left, left.lines) == [("ann", 10.0, "music"), ("ann", 30.0, "books")]
