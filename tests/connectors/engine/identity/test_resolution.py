"""Rows that are one person, and the reason of each link."""

from __future__ import annotations

import pyarrow as pa

from connectors.engine.identity import IdentityRules
from connectors.engine.resolution import one_row_each, resolve
from tests.connectors.engine.identity.recipes import contacts

RULES = IdentityRules(default_country="US", shared_limit=3)


def people() -> pa.Table:
    return contacts(
        email=["Ann@x.com", ["ann@X.com ", "ann2@x.com"], "bob@x.com", "cy@x.com", None],
        phone=["(650) 253-0000", None, "+1 650 253 0001", "6502530001", "bad"],
        first_name=[None, "Ann", "Bob", "Cy", "Dan"],
    )


def links(found: pa.Table) -> dict[str, tuple[str, str]]:
    return {row["customer_id"]: (row["person_id"], row["why"]) for row in found.to_pylist()}


def test_nothing_is_joined_unless_switched_on() -> None:
    found = resolve(people(), RULES)
    assert found.contacts is not None
    assert found.contacts.num_rows == 5
    assert set(links(found.links).values()) == {(f"c{n}", "own customer id") for n in range(1, 6)}


def test_same_email_joins_and_is_explained() -> None:
    found = resolve(people(), RULES, by_email=True)
    assert links(found.links)["c2"] == ("c1", "same email")
    assert found.contacts.num_rows == 4
    assert found.contacts.schema == people().schema
    ann = found.contacts.to_pylist()[0]
    assert (ann["customer_id"], ann["first_name"]) == ("c1", "Ann")
    assert ann["email"] == ["Ann@x.com", "ann@X.com ", "ann2@x.com"]


def test_same_phone_joins_in_its_normalised_form() -> None:
    found = resolve(people(), RULES, by_phone=True)
    assert links(found.links)["c4"] == ("c3", "same phone")
    assert links(found.links)["c1"] == ("c1", "own customer id")


def test_links_chain_over_email_and_phone() -> None:
    table = contacts(email=["a@x.com", "a@x.com", "c@x.com"], phone=["6502530000", "6502530001", "6502530001"])
    found = resolve(table, RULES, by_email=True, by_phone=True)
    assert {person for person, _ in links(found.links).values()} == {"c1"}
    assert {why for _, why in links(found.links).values()} == {"own customer id", "same email", "same phone"}


def test_a_shared_address_joins_nobody() -> None:
    found = resolve(contacts(email=["shop@x.com"] * 4), RULES, by_email=True)
    assert found.contacts.num_rows == 4


def test_values_are_summed_per_person() -> None:
    found = resolve(people(), RULES, by_email=True, by_phone=True)
    values = pa.table({"customer_id": ["c1", "c2", "c3", "c4", "stranger"], "value": [10.0, 5.0, 1.0, 2.0, 7.0]})
    summed = found.summed(values)
    assert {row["customer_id"]: row["value"] for row in summed.to_pylist()} == {"c1": 15.0, "c3": 3.0, "stranger": 7.0}


def test_digests_join_as_raw_values_do() -> None:
    known = "f1904cf1a9d73a55fa5de0ac823c4403ded71afd4c3248d00bdcd0866552bb79"
    found = resolve(contacts(email=[known, known.upper(), "other@x.com"]), RULES, by_email=True)
    assert links(found.links)["c2"] == ("c1", "same email")


def test_rows_of_one_customer_are_gathered_in_order() -> None:
    table = contacts(email=["a@x.com", None, "b@x.com"], first_name=[" ", "Ann", "Anna"])
    table = table.set_column(0, "customer_id", pa.array(["7", "8", "7"]))
    assert one_row_each(table).to_pylist() == [
        {"customer_id": "7", "email": ["a@x.com", "b@x.com"], "first_name": "Anna"},
        {"customer_id": "8", "email": [], "first_name": "Ann"},
    ]
