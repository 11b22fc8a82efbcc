"""Suppression by customer id, e-mail and phone, raw and hashed, in every form in which a platform may have hashed it."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from connectors import people, sources, suppression
from connectors.archive import Archive
from connectors.config.sources import TableSource
from connectors.engine.identity import IdentityRules
from connectors.errors import ConfigurationError

RULES = IdentityRules()


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def contacts() -> pa.Table:
    empty = sources.nobody()
    rows = [
        {"customer_id": "1", "email": ["Ada.Lovelace+shop@gmail.com"], "phone": ["(212) 555-0101"], "country": "US"},
        {
            "customer_id": "2",
            "email": ["bob@example.com", "robert@example.org"],
            "phone": ["+44 20 7946 0958"],
            "country": "GB",
        },
        {"customer_id": "3", "email": ["carol@example.com"], "phone": [], "country": "US"},
        {"customer_id": "4", "email": [sha("dan@example.com")], "phone": [sha("+12125550104")], "country": "US"},
    ]
    return pa.Table.from_pylist([dict.fromkeys(empty.column_names) | row for row in rows], schema=empty.schema)


@pytest.mark.parametrize(
    ("entry", "found"),
    [
        ({"customer_id": "3"}, {"3"}),
        ({"customer_id": " 77 "}, {"77"}),
        ({"email": "CAROL@example.com "}, {"3"}),
        ({"email": "robert@example.org"}, {"2"}),
        ({"email": sha("carol@example.com")}, {"3"}),
        ({"email": sha("carol@example.com").upper()}, {"3"}),
        ({"email": sha("adalovelace@gmail.com")}, {"1"}),
        ({"email": sha("ada.lovelace+shop@gmail.com")}, {"1"}),
        ({"email": "adalovelace@gmail.com"}, {"1"}),
        ({"email": "dan@example.com"}, {"4"}),
        ({"phone": "+1 212 555 0101"}, {"1"}),
        ({"phone": "212-555-0101", "country": "US"}, {"1"}),
        ({"phone": sha("12125550101")}, {"1"}),
        ({"phone": sha("+442079460958")}, {"2"}),
        ({"phone": "+1 212 555 0104"}, {"4"}),
        ({"email": "somebody@example.net"}, set()),
        ({"customer_id": "3", "email": "bob@example.com"}, {"2", "3"}),
    ],
)
def test_whoever_the_list_means_is_found(entry: dict[str, str], found: set[str]) -> None:
    columns = {name: pa.array([entry.get(name)], pa.string()) for name in suppression.COLUMNS}
    assert suppression.named(pa.table(columns), contacts().to_batches(), RULES) == found


def test_entries_that_nobody_can_read_are_told(caplog: pytest.LogCaptureFixture) -> None:
    texts = ["n/a", "bob@example.com", None]
    table = pa.table({name: pa.array(texts if name == "email" else [None] * 3, pa.string()) for name in suppression.COLUMNS})
    assert suppression.named(table, contacts().to_batches(), RULES) == {"2"}
    assert "1 entries of the suppression list can't be read" in caplog.text
    assert "bob" not in caplog.text


def test_a_list_is_read_under_its_own_column_names_or_refused(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text(f"email_sha256\n{sha('carol@example.com')}\n")
    listed = suppression.listed(TableSource(path="list.csv"), tmp_path)
    assert suppression.named(listed, contacts().to_batches(), RULES) == {"3"}
    for text, said in (
        ("country\nUS\n", "no column customer_id, email or phone"),
        ("name\nCarol\n", "'customer_id' is missing"),
    ):
        (tmp_path / "list.csv").write_text(text)
        with pytest.raises(ConfigurationError, match=said):
            suppression.listed(TableSource(path="list.csv"), tmp_path)


def test_who_was_joined_to_a_suppressed_customer_is_suppressed(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    assert people.joined(["2"], archive) == ["2"]
    links = pa.table({"customer_id": ["2", "9", "5"], "person_id": ["2", "2", "5"], "why": ["email"] * 3})
    archive.start(datetime(2026, 1, 1, tzinfo=UTC)).keep("people", links)
    assert people.joined(["9"], archive) == ["2", "9"]
