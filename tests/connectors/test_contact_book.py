"""Contacts read part by part: the very people, values and consents that are read at once, in memory that doesn't grow."""

from __future__ import annotations

import json
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors import sources
from connectors.columns import CONTACTS
from connectors.config.sources import TableSource
from connectors.contact_rows import completed
from connectors.engine import contact_book, parts
from connectors.engine.ledger import open_ledger
from connectors.engine.parts import PARTS, PartWriter, groups_of, parts_of

if TYPE_CHECKING:
    from connectors.engine.contact_book import ContactBook

IDS = st.sampled_from(["1", "2", "3", "07", " 4", " ", None])
CONSENT = st.sampled_from(["granted", "denied", "", "perhaps", None, " No ", "unknown"])
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "customer_id": IDS,
            "email": st.sampled_from([None, "", " a@x.org", "b@x.org", '["c@x.org", null, "a@x.org"]', "[broken"])
            | st.lists(st.sampled_from(["d@x.org", "e@x.org"]), max_size=3),
            "phone": st.sampled_from([None, "+1", ["+2", "+1"], []]),
            "city": st.sampled_from([None, "", " Oslo ", "Bergen"]),
            "consent_ad_user_data": CONSENT,
            "do_not_sell": CONSENT,
            "gclid": st.sampled_from([None, "g1", "g2"]),
            "click_id": st.sampled_from([None, "c1"]),
        }
    ),
    min_size=1,
    max_size=9,
)


def book(source: TableSource | None, folder: Path) -> tuple[ContactBook, Any]:
    """The book of a source, and its ledger."""
    ledger = open_ledger(folder / "state")
    return sources.contact_book(source, folder, ledger, folder / "book"), ledger


@settings(max_examples=12, deadline=None)
@given(rows=ROWS, listed=st.booleans(), small=st.booleans())
def test_part_by_part_reads_what_is_read_at_once(rows: list[dict[str, Any]], listed: bool, small: bool) -> None:
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        folder = Path(name)
        patch.setattr(parts, "HELD_ROWS", 2 if small else 10_000)
        if small:
            patch.setattr(contact_book, "groups_of", lambda counts: groups_of(counts, 1))
        texts = [
            {
                key: one if listed and isinstance(one, list) else json.dumps(one) if isinstance(one, list) else one
                for key, one in row.items()
            }
            for row in rows
        ]
        (folder / "c.jsonl").write_text("".join(json.dumps(row) + "\n" for row in texts))
        source = TableSource(path="c.jsonl")
        expected = sources.contacts(source, folder)
        found, ledger = book(source, folder)
        assert completed(found.table()).to_pylist() == expected.to_pylist()
        assert found.nameless == sources.nameless(expected)
        for piece in found:
            keys = ledger.member_keys(piece.column("customer_id"))
            assert piece.column("member_key").storage.equals(keys.storage)
        ledger.close()


def test_a_book_is_sealed_and_the_owners(tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text("customer_id,email\n" + "".join(f"{n},someone{n}@example.com\n" for n in range(300)))
    found, ledger = book(TableSource(path="c.csv"), tmp_path)
    files = [path for path in (tmp_path / "book").rglob("*") if path.is_file()]
    assert [path.name for path in files] == ["contacts.pieces"]
    assert b"someone" not in files[0].read_bytes()
    assert files[0].stat().st_mode & 0o077 == 0
    assert found.select(("customer_id", "click_id")).num_rows == 300
    assert found.columns == ["customer_id", "email"]
    ledger.close()


def test_the_erased_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text("customer_id,city\n1,Oslo\n2,Rome\n3,Bonn\n")
    found, ledger = book(TableSource(path="c.csv"), tmp_path)
    erased = pa.array([ledger.member_key("2")], pa.binary(16))
    assert found.without(erased).table()["city"].to_pylist() == ["Oslo", "Bonn"]
    assert found.without(pa.array([], pa.binary(16))) is found
    ledger.close()


def test_no_source_is_a_book_of_nobody(tmp_path: Path) -> None:
    found, ledger = book(None, tmp_path)
    assert (found.table().num_rows, found.columns) == (0, list(CONTACTS))
    ledger.close()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text("ab1", max_size=3), max_size=30), st.integers(1, 12), st.integers(1, 9))
def test_parts_hold_all_rows_whatever_their_order(ids: list[str], held: int, cut: int) -> None:
    table = pa.table({"customer_id": pa.array(ids, pa.string()), "row": pa.array(range(len(ids)), pa.int64())})
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "HELD_ROWS", held)
        with PartWriter(Path(name) / "p.pieces", table.schema, b"k" * 32) as writer:
            for batch in table.to_batches(cut):
                writer.write(batch)
        read = writer.parts()
        for first, end in groups_of(read.counts, 5):
            rows = read.read(first, end)
            expected = [n for n, part in enumerate(parts_of(table["customer_id"].combine_chunks())) if first <= part < end]
            assert sorted(rows["row"].to_pylist()) == expected
        assert groups_of(read.counts, 5)[-1][1] == PARTS
        assert int(read.counts.sum()) == len(ids)


def test_a_customers_part_is_the_same_for_good() -> None:
    """The first six bits of the XXH3 of the id, as they were when the first files were written."""
    assert parts_of(pa.array(["a", "b"])).tolist() == [16629034431890738719 >> 58, 6294355645245719615 >> 58]


@pytest.mark.parametrize("database", ["shop.sqlite", "shop.duckdb"])
def test_a_query_is_read_once_and_in_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database: str) -> None:
    monkeypatch.setattr(sources, "BATCH_ROWS", 7)
    connect: Any = sqlite3.connect if database.endswith("sqlite") else duckdb.connect
    with closing(connect(str(tmp_path / database))) as connection:
        connection.execute("CREATE TABLE people AS SELECT 1 AS customer_id, 'Oslo' AS city")
        for number in range(2, 40):
            connection.execute(f"INSERT INTO people VALUES ({number}, NULL)")
        connection.commit()
    source = TableSource(database=database, sql="SELECT customer_id, city FROM people")
    found, ledger = book(source, tmp_path)
    assert completed(found.table()).to_pylist() == sources.contacts(source, tmp_path).to_pylist()
    assert found.table().num_rows == 39
    ledger.close()
