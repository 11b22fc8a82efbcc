"""What is larger than the memory it may take: spilled without being readable, contacts joined in parts and never spilled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from connectors.engine import contact_book, parts
from connectors.engine.ledger import open_ledger
from connectors.engine.members import build_members
from connectors.engine.parts import groups_of
from connectors.engine.tables import open_tables
from tests.connectors.engine.world import contacts, person, scores

if TYPE_CHECKING:
    from pathlib import Path


def test_a_table_larger_than_memory_goes_to_disk_and_cannot_be_read_there(tmp_path: Path) -> None:
    connection = open_tables(tmp_path, memory="60MB")
    connection.execute("CREATE TEMP TABLE t AS SELECT 'someone' || i || '@example.com' AS e FROM range(3000000) r(i)")
    spilled = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert sum(map(len, spilled)) > 1_000_000
    assert not any(b"someone1" in content or b"@example" in content for content in spilled)
    assert connection.execute("SELECT count(DISTINCT e) FROM t").fetchall() == [(3_000_000,)]
    connection.close()


@pytest.mark.parametrize("rows", [7, 1_000_000])
def test_members_joined_in_parts_are_the_same_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    monkeypatch.setattr(contact_book, "groups_of", lambda counts: groups_of(counts, rows))
    monkeypatch.setattr(parts, "HELD_ROWS", rows)
    people = [person(n, emails=(f"p{n}@example.com", f"q{n}@example.com")) for n in range(100)]
    ledger = open_ledger(tmp_path / "state")
    known = contacts(people[:90])
    made = build_members(scores(people), known, ledger=ledger, work=tmp_path / "work", suppressed=["3"])
    held = {row["customer_id"]: row["email"] for piece in made.pieces() for row in piece.to_pylist()}
    assert held == {one.id: list(one.emails) for one in people[:90] if one.id != "3"}
    assert (made.customers, made.people, made.dropped) == (100, 89, {"no_contact": 10, "suppressed": 1})
    made.close()
    ledger.close()
