"""Who may be sent: consent by region, suppression, tombstones, and that raw contacts never lie readable on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from connectors.engine.members import build_members
from connectors.errors import ConfigurationError
from tests.connectors.engine.world import Person, World, contacts, person, scores

if TYPE_CHECKING:
    from pathlib import Path


def living(country: str | None, user_data: str | None, personalization: str | None, **more: str) -> Person:
    consents = {"consent_ad_user_data": user_data, "consent_ad_personalization": personalization}
    return person(1, contact={"country": country, **consents, **more})


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        (living("US", None, None), ""),
        (living("US", "", "unknown"), ""),
        (living("US", "denied", "granted"), "consent_denied"),
        (living("US", "granted", "No"), "consent_denied"),
        (living("US", "granted", "granted", do_not_sell="true"), "do_not_sell"),
        (living("US", "granted", "granted", do_not_sell="false"), ""),
        (living("US", "granted", "granted", do_not_sell="please"), "do_not_sell"),
        (living("US", "granted", "maybe later"), "consent_unreadable"),
        (living("DE", "granted", "GRANTED "), ""),
        (living("DE", "yes", "1"), ""),
        (living("DE", "granted", None), "consent_missing"),
        (living("DE", None, None), "consent_missing"),
        (living("Germany", None, None), "consent_missing"),
        (living("DEU", "true", "true"), ""),
        (living("GB", None, "granted"), "consent_missing"),
        (living("UK", None, None), "consent_missing"),
        (living("CH", None, None), "consent_missing"),
        (living("NO", None, None), "consent_missing"),
        (living("RE", None, None), "consent_missing"),
        (living(None, None, None), "consent_missing"),
        (living("Atlantis", None, None), "consent_missing"),
        (living("Atlantis", "granted", "granted"), ""),
        (living("CA", None, None), ""),
    ],
)
def test_consent(tmp_path: Path, one: Person, reason: str) -> None:
    members = World(tmp_path).members([one])
    assert members.dropped == ({reason: 1} if reason else {})
    assert members.people == (0 if reason else 1)


@pytest.mark.parametrize(
    ("one", "marked"),
    [
        (living("US", "granted", "yes"), False),
        (living("DE", "granted", "granted"), False),
        (living("US", None, None), True),
        (living("US", "granted", None), True),
        (living("US", "", "granted"), True),
        (living("US", "unknown", "unknown"), True),
    ],
)
def test_who_may_be_sent_without_having_granted_both_consents_is_marked(tmp_path: Path, one: Person, marked: bool) -> None:
    (piece,) = World(tmp_path).members([one]).pieces()
    assert piece.column("consent_unrecorded").to_pylist() == ["yes" if marked else None]


def test_contacts_without_consent_columns_are_marked(tmp_path: Path) -> None:
    world, crowd = World(tmp_path), [person(1)]
    bare = contacts(crowd).drop_columns(["consent_ad_user_data", "consent_ad_personalization"])
    members = build_members(scores(crowd), bare, ledger=world.ledger, work=tmp_path / "work")
    assert [piece.column("consent_unrecorded").to_pylist() for piece in members.pieces()] == [["yes"]]


def test_a_country_may_be_added_to_the_strict_ones(tmp_path: Path) -> None:
    assert World(tmp_path).members([living("BR", None, None)], also_strict=["br"]).dropped == {"consent_missing": 1}


@pytest.mark.parametrize(
    ("country", "region", "limited"),
    [("US", "CA", True), ("USA", "California", True), ("US", "NY", False), ("CA", "CA", False), ("US", None, False)],
)
def test_californians_go_with_limited_data_use(tmp_path: Path, country: str, region: str | None, limited: bool) -> None:
    one = person(1, contact={"country": country, "region": region})
    members = World(tmp_path).members([one])
    rows = [row for batch in members.pieces() for row in batch.to_pylist()]
    assert [row["limited_data_use"] for row in rows] == [limited]


def test_everyone_left_out_is_counted_once_by_reason(tmp_path: Path) -> None:
    world = World(tmp_path)
    people = [person(number) for number in range(6)]
    known = contacts([one for one in people if one.id != "5"])
    members = build_members(scores(people), known, ledger=world.ledger, work=tmp_path / "w", suppressed={"0", "2", "nobody"})
    assert (members.customers, members.people) == (6, 3)
    assert members.dropped == {"no_contact": 1, "suppressed": 2}


def test_work_files_hold_nothing_readable_and_are_gone_after_close(tmp_path: Path) -> None:
    world = World(tmp_path)
    members = world.members([person(number) for number in range(50)])
    files = [path for path in members.work.rglob("*") if path.is_file()]
    assert files
    assert not any(b"example.com" in path.read_bytes() for path in files)
    assert all(path.stat().st_mode & 0o077 == 0 for path in files)
    members.close()
    assert not members.work.exists()


def test_scores_and_contacts_may_be_files(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    people = [person(number) for number in range(9)]
    pq.write_table(scores(people), tmp_path / "scores.parquet")
    pq.write_table(contacts(people), tmp_path / "contacts.parquet")
    world = World(tmp_path)
    members = build_members(
        tmp_path / "scores.parquet", tmp_path / "contacts.parquet", ledger=world.ledger, work=tmp_path / "w"
    )
    assert (members.people, members.currency) == (9, "USD")


def test_contacts_may_lack_columns(tmp_path: Path) -> None:
    world = World(tmp_path)
    known = pa.table({"customer_id": ["1"], "email": pa.array([["a@example.com"]], pa.list_(pa.string()))})
    members = build_members(scores([person(1)]), known, ledger=world.ledger, work=tmp_path / "w")
    assert members.dropped == {"consent_missing": 1}


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (lambda table: pa.concat_tables([table, table]), "repeat a customer_id"),
        (lambda table: table.drop_columns(["tier"]), "no column tier"),
        (lambda table: table.set_column(3, "currency", pa.array(["USD", "EUR"])), "mix the currencies EUR, USD"),
    ],
)
def test_scores_that_can_not_be_used_say_why(tmp_path: Path, broken: object, message: str) -> None:
    people = [person(1), person(2)]
    world = World(tmp_path)
    with pytest.raises(ConfigurationError, match=message):
        build_members(broken(scores(people)), contacts(people), ledger=world.ledger, work=tmp_path / "w")  # type: ignore[operator]
