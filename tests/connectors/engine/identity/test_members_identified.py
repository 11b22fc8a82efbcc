"""Members in pieces: identified as all at once, and no value is normalised twice, though shared ones are counted first."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from connectors.engine.identified import identify_members
from connectors.engine.identity import RULES, IdentityRules, identify
from connectors.engine.members import Members
from connectors.engine.pieces import PieceWriter
from tests.connectors.engine.identity.recipes import PLATFORMS, contacts, recipe

if TYPE_CHECKING:
    from pathlib import Path

PEOPLE, PIECE = 300, 40


def crowd() -> pa.Table:
    """People with one, two or no e-mails and phones, some bad, and a few that far too many have, over all pieces."""
    several = {0: lambda n: [f"p{n}@x.com", "shop@x.com"], 1: lambda n: ["Shop@X.com "], 2: lambda n: [f"p{n}@x.com"]}
    return contacts(
        email=[several.get(n % 5, lambda n: ["bad"] if n % 2 else None)(n) for n in range(PEOPLE)],
        phone=[["+16502530000"] if n % 7 == 0 else [f"+1650253{n:04}", "12"] for n in range(PEOPLE)],
        first_name=[f"Ann{n % 3}" for n in range(PEOPLE)],
        last_name=["Doe"] * PEOPLE,
        postal_code=["94043"] * PEOPLE,
        country=["US" if n % 3 else "" for n in range(PEOPLE)],
        mobile_ad_id=[f"6d92078a-8246-4ba4-ae5b-{n % 90:012}" if n % 2 else None for n in range(PEOPLE)],
    )


def members(table: pa.Table, work: Path) -> Members:
    """The table as members, in pieces of its own key."""
    work.mkdir()
    made = Members(work, work / "members.pieces", os.urandom(32), len(table), len(table))
    keys = pa.array([n.to_bytes(16, "big") for n in range(len(table))], pa.binary(16))
    made.spans = [(0, 64)] * -(-len(table) // PIECE)
    whole = table.add_column(0, pa.field("member_key", pa.uuid()), pa.ExtensionArray.from_storage(pa.uuid(), keys))
    with PieceWriter(made.path, whole.schema, made.key) as writer:
        for piece in whole.combine_chunks().to_batches(PIECE):
            writer.write(piece)
    return made


def rows_of(table: pa.Table, columns: list[str]) -> list[tuple[Any, ...]]:
    """The identifiers, row by row, in any order."""
    return sorted(map(tuple, zip(*(table[name].to_pylist() for name in columns), strict=True)), key=repr)


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("limit", [0, 10])
def test_pieces_give_what_the_whole_gives(platform: str, limit: int, tmp_path: Path) -> None:
    rules, people = IdentityRules(shared_limit=limit), members(crowd(), tmp_path / "work")
    made = identify_members(people, recipe(platform), rules)
    whole = identify(crowd(), recipe(platform), rules)
    columns = list(recipe(platform).columns())
    found = pa.Table.from_batches(list(made.pieces()))
    assert rows_of(found, columns) == rows_of(whole.table, columns)
    assert made.report.to_dict()["fields"]["email"].get("shared") == (2 * PEOPLE // 5 if limit else None)
    assert counted_alike(made.report.to_dict()) == counted_alike(whole.report.to_dict())
    people.close()


def counted_alike(report: dict[str, Any]) -> dict[str, Any]:
    """The report without how many different identifiers are shared, which is known of chunks only."""
    fields = {
        name: {key: one for key, one in counts.items() if key != "shared_identifiers"}
        for name, counts in report["fields"].items()
    }
    return {**report, "fields": fields}


def test_only_people_with_a_shared_identifier_are_judged_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    rule = RULES["email_plain"]

    def fast(values: Any, countries: Any, rules: IdentityRules) -> Any:
        seen.append(len(values))
        assert rule.fast is not None
        return rule.fast(values, countries, rules)

    monkeypatch.setitem(RULES, "email_plain", replace(rule, fast=fast))
    people = members(crowd(), tmp_path / "work")
    identify_members(people, recipe("tiktok"), IdentityRules(shared_limit=10))
    texts = [one or [] for one in crowd()["email"].to_pylist()]
    shared = [n for n, some in enumerate(texts) if {"shop@x.com", "Shop@X.com "} & set(some) or n % 7 == 0]
    assert sum(seen) == sum(map(len, texts)) + sum(len(texts[n]) for n in shared)
    assert [path.name for path in people.work.iterdir() if path.name.startswith("shared")] == []
    people.close()
