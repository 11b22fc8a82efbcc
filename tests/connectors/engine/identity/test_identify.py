"""Contacts to member tables: columns, spilled rows, parts that need each other, shared identifiers, and the report."""

from __future__ import annotations

import hashlib
from typing import Any

import pyarrow as pa
import pytest

from connectors.engine.identity import (
    IdentityReport,
    IdentityRules,
    count_shared,
    identify,
    identify_batches,
)
from connectors.errors import ConfigurationError
from connectors.protocol import IdentifierField, Recipe
from tests.connectors.engine.identity.recipes import PLATFORMS, contacts, recipe


def digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def rows(table: pa.Table) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if value is not None} for row in table.to_pylist()]


@pytest.mark.parametrize("platform", PLATFORMS)
def test_columns_are_the_recipes(platform: str) -> None:
    found = identify(contacts(email=["a@x.com"], phone=["+16502530000"]), recipe(platform), IdentityRules()).table
    assert found.schema.names == ["customer_id", "row_no", *recipe(platform).columns()]
    for one in recipe(platform).fields:
        assert found.schema.field(one.name).type == (pa.binary(32) if one.hashed else pa.string())


def test_a_bad_identifier_goes_and_the_person_stays() -> None:
    table = contacts(email=["bad", "b@x.com", "worse"], phone=["+16502530000", "12", None], country=["US", "US", "US"])
    found = identify(table, recipe("tiktok"), IdentityRules())
    assert rows(found.table) == [
        {"customer_id": "c1", "row_no": 0, "PHONE": digest("+16502530000")},
        {"customer_id": "c2", "row_no": 0, "EMAIL": digest("b@x.com")},
    ]
    report = found.report.to_dict()
    assert (report["people"], report["rows"], report["without_identifier"]) == (3, 2, 1)
    assert report["fields"]["email"] == {"given": 3, "valid": 1, "invalid": {"no @": 2}, "empty": 0}
    assert report["fields"]["phone"] == {"given": 2, "valid": 1, "invalid": {"too short": 1}, "empty": 1}


def test_what_refines_a_match_finds_nobody_alone() -> None:
    found = identify(contacts(first_name=["Ann"], city=["Graz"], gender=["f"], country=["AT"]), recipe("meta"), IdentityRules())
    assert found.table.num_rows == 0
    assert found.report.unidentified == 1


def test_meta_spills_further_values_into_further_rows_with_what_a_person_has_once() -> None:
    table = contacts(
        email=[["a@x.com", "b@x.com", " A@X.COM "], ["c@x.com"]], phone=[["+16502530000"], None], first_name=["Ann", "Cy"]
    )
    found = identify(table, recipe("meta"), IdentityRules())
    assert rows(found.table) == [
        {"customer_id": "c1", "row_no": 0, "EMAIL": digest("a@x.com"), "PHONE": digest("16502530000"), "FN": digest("ann")},
        {"customer_id": "c2", "row_no": 0, "EMAIL": digest("c@x.com"), "FN": digest("cy")},
        {"customer_id": "c1", "row_no": 1, "EMAIL": digest("b@x.com"), "FN": digest("ann")},
    ]
    assert found.report.fields["email"].repeated == 1
    assert dict(found.report.by_identifiers) == {0: 0, 1: 1, 2: 0, 3: 1}


def test_google_puts_further_values_in_further_columns_up_to_its_limit() -> None:
    emails = [f"{letter}@x.com" for letter in "abcd"]
    found = identify(contacts(email=[emails]), recipe("google"), IdentityRules())
    assert rows(found.table) == [
        {"customer_id": "c1", "row_no": 0, **{f"email{n}": digest(e) for n, e in zip(("", "#2", "#3"), emails, strict=False)}}
    ]
    assert found.report.fields["email"].surplus == 1


def test_googles_address_needs_all_its_parts() -> None:
    table = contacts(
        email=["a@x.com", "b@x.com", None],
        first_name=["Ann", "Bob", "Cy"],
        last_name=["Lee", "Ray", "Doe"],
        country=["Austria", None, "us"],
        postal_code=["1010", "1020", "94043-1234"],
    )
    found = identify(table, recipe("google"), IdentityRules())
    assert rows(found.table) == [
        {
            "customer_id": "c1",
            "row_no": 0,
            "email": digest("a@x.com"),
            "given_name": digest("ann"),
            "family_name": digest("lee"),
            "region_code": "AT",
            "postal_code": "1010",
        },
        {"customer_id": "c2", "row_no": 0, "email": digest("b@x.com")},
        {
            "customer_id": "c3",
            "row_no": 0,
            "given_name": digest("cy"),
            "family_name": digest("doe"),
            "region_code": "US",
            "postal_code": "94043-1234",
        },
    ]
    assert found.report.fields["first_name"].incomplete == 1
    assert dict(found.report.by_identifiers) == {0: 0, 1: 2, 2: 1, 3: 0}


def test_identifiers_per_member_keep_the_first_of_the_recipe() -> None:
    fields = (
        IdentifierField("EMAIL", "email", "email_plain", values=3),
        IdentifierField("PHONE", "phone", "phone_e164", values=3),
    )
    small = Recipe("1", fields, identifiers_per_member=3)
    table = contacts(email=[["a@x.com", "b@x.com"]], phone=[["+16502530000", "+16502530001"]])
    found = identify(table, small, IdentityRules())
    assert sorted(rows(found.table)[0]) == ["EMAIL", "EMAIL#2", "PHONE", "customer_id", "row_no"]
    assert found.report.fields["phone"].surplus == 1


def test_opt_in_fields_travel_only_when_switched_on() -> None:
    table = contacts(email=["a@x.com"], external_id=["Cust-9A"])
    assert "EXTERN_ID" not in rows(identify(table, recipe("meta"), IdentityRules()).table)[0]
    on = IdentityRules(opt_in=frozenset({"EXTERN_ID"}))
    assert rows(identify(table, recipe("meta"), on).table)[0]["EXTERN_ID"] == "Cust-9A"


def test_birth_date_gives_the_parts_that_a_person_lacks() -> None:
    table = contacts(email=["a@x.com", "b@x.com", "c@x.com"], birth_date=["1990-02-03", "03.02.1990", "1985-12-31T00:00:00"])
    table = table.append_column("birth_year", pa.array([None, None, "1986"]))
    found = identify(table, recipe("meta"), IdentityRules(latest_year=2026))
    births = [{name: row.get(name) for name in ("DOBY", "DOBM", "DOBD")} for row in rows(found.table)]
    assert births == [
        {"DOBY": digest("1990"), "DOBM": digest("02"), "DOBD": digest("03")},
        {"DOBY": None, "DOBM": None, "DOBD": None},
        {"DOBY": digest("1986"), "DOBM": digest("12"), "DOBD": digest("31")},
    ]
    assert found.report.fields["birth_year"].invalid == {"not a year of four digits": 1}


def test_hashed_before_is_taken_once_and_equals_the_raw_value() -> None:
    known = digest("a@x.com").hex().upper()
    found = identify(contacts(email=[[known, "a@x.com"], [known]]), recipe("tiktok"), IdentityRules())
    assert [row["EMAIL"] for row in rows(found.table)] == [digest("a@x.com")] * 2
    assert (found.report.fields["email"].hashed_before, found.report.fields["email"].repeated) == (2, 1)


def test_phones_take_the_rows_country_then_the_default() -> None:
    table = contacts(phone=["0664 123456", "0664 123456", "020 7946 0958"], country=["Austria", "nowhere", "GBR"])
    found = identify(table, recipe("tiktok"), IdentityRules(default_country="at"))
    assert [row["PHONE"] for row in rows(found.table)] == [
        digest(text) for text in ("+43664123456", "+43664123456", "+442079460958")
    ]


def test_guessed_phones_are_counted() -> None:
    found = identify(contacts(phone=["12345678910", "6502530000"]), recipe("tiktok"), IdentityRules())
    assert found.report.fields["phone"].notes == {"taken as international": 1}
    assert found.report.fields["phone"].invalid == {"no country": 1}


def test_default_country_must_be_one() -> None:
    with pytest.raises(ConfigurationError, match="ISO code"):
        identify(contacts(email=["a@x.com"]), recipe("meta"), IdentityRules(default_country="Atlantis"))


def test_an_identifier_of_too_many_people_is_dropped_from_all_and_reported() -> None:
    emails = [["shop@x.com", f"c{n}@x.com"] if n < 4 else [f"c{n}@x.com"] for n in range(6)]
    rules = IdentityRules(shared_limit=3)
    found = identify(contacts(email=emails), recipe("meta"), rules)
    assert digest("shop@x.com") not in found.table["EMAIL"].to_pylist()
    assert found.table.num_rows == 6
    assert (found.report.fields["email"].shared, found.report.fields["email"].shared_identifiers) == (4, 1)
    assert (
        digest("shop@x.com")
        in identify(contacts(email=emails), recipe("meta"), IdentityRules(shared_limit=4)).table["EMAIL"].to_pylist()
    )
    assert (
        digest("shop@x.com")
        in identify(contacts(email=emails), recipe("meta"), IdentityRules(shared_limit=0)).table["EMAIL"].to_pylist()
    )


@pytest.mark.parametrize("exact", [0, 1_000])
def test_shared_identifiers_are_found_across_chunks_in_flat_memory_too(exact: int) -> None:
    from connectors.engine.contact_columns import Contacts
    from connectors.engine.judged import judge
    from connectors.engine.shared import SharedIdentifiers

    rules = IdentityRules(shared_limit=2)
    email = recipe("tiktok").fields[0]
    judged = [
        judge(Contacts.of(contacts(email=[f"c{chunk}@x.com", "shop@x.com"]).to_batches()[0]), email, rules)
        for chunk in range(3)
    ]
    shared = SharedIdentifiers(rules.shared_limit, exact=exact)
    for one in judged:
        shared.add(one)
    for one in judged:
        marks = shared.marks(one)
        assert marks is not None
        assert marks.tolist() == [False, True]


def test_chunks_one_after_the_other_give_the_same_as_the_whole() -> None:
    people = 500
    table = contacts(
        email=[f"c{n}@x.com" if n % 7 else "shop@x.com" for n in range(people)],
        phone=[f"+1650253{n:04}" if n % 3 else "bad" for n in range(people)],
        first_name=[f"Ann{n % 5}" for n in range(people)],
        country=["US"] * people,
    )
    whole = identify(table, recipe("google"), IdentityRules(), threads=2)
    batches = table.to_batches(100)
    shared = count_shared(batches, recipe("google"), IdentityRules())
    report = IdentityReport()
    parts = list(identify_batches(iter(batches), recipe("google"), IdentityRules(), report, threads=2, shared=shared))
    assert pa.Table.from_batches(parts) == whole.table.combine_chunks()
    assert report.to_dict() == whole.report.to_dict()


def test_rows_of_one_customer_are_one_person() -> None:
    table = contacts(email=["a@x.com", "b@x.com", "a@x.com"], first_name=[None, "Ann", "Anna"])
    table = table.set_column(0, "customer_id", pa.array(["7", "7", "7"]))
    found = identify(table, recipe("google"), IdentityRules())
    assert rows(found.table) == [{"customer_id": "7", "row_no": 0, "email": digest("a@x.com"), "email#2": digest("b@x.com")}]


def test_no_people_and_unknown_columns() -> None:
    empty = contacts(email=["a@x.com"]).slice(0, 0)
    found = identify(empty, recipe("meta"), IdentityRules())
    assert (found.table.num_rows, found.report.strength) == (0, "none")
    assert identify(contacts(shoe_size=["44"]), recipe("meta"), IdentityRules()).report.unidentified == 1


def test_numbers_and_categories_are_read_as_text() -> None:
    table = contacts(email=["a@x.com", "b@x.com"])
    table = table.append_column("phone", pa.array([16502530000.0, 442079460958.0]))
    table = table.append_column("country", pa.array(["US", "GB"]).dictionary_encode())
    table = table.append_column("birth_year", pa.array([1985, None]))
    found = identify(table, recipe("meta"), IdentityRules())
    assert [row["PHONE"] for row in rows(found.table)] == [digest("16502530000"), digest("442079460958")]
    assert rows(found.table)[0]["DOBY"] == digest("1985")


def test_strength_counts_people_with_identifiers() -> None:
    report = IdentityReport(people=10)
    report.by_identifiers.update({0: 1, 1: 4, 2: 3, 3: 2})
    assert report.strength == "strong"
    report.by_identifiers.update({1: 2, 2: -2})
    assert report.strength == "fair"
    report.by_identifiers.update({0: 3, 1: -3})
    assert report.strength == "weak"


def test_repeated_names_hashed_once_give_what_each_would() -> None:
    people = 9_000
    names = [None if n % 11 == 0 else ["Ann", "Bøb", "—", "JOHN 2", ""][n % 5] for n in range(people)]
    zips = [["94043-1234", "SW1A 1AA", "12", None][n % 4] for n in range(people)]
    table = contacts(
        email=[f"c{n}@x.com" for n in range(people)],
        first_name=names,
        region=[["Georgia", "Texas", "Wien"][n % 3] for n in range(people)],
        postal_code=zips,
        country=[["US", "GB", "GE", None, "??"][n % 5] for n in range(people)],
    )
    together = identify(table, recipe("meta"), IdentityRules())
    apart = [identify(table.slice(start, 300), recipe("meta"), IdentityRules()) for start in range(0, people, 300)]
    assert pa.concat_tables([one.table for one in apart]).combine_chunks() == together.table.combine_chunks()
    summed = IdentityReport()
    for one in apart:
        summed.add(one.report)
    assert summed.to_dict() == together.report.to_dict()
