"""Holdouts are remembered from a person's first selection on, so that lift can be reported; erased people leave."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest

from connectors import experiments
from connectors.engine.audience import AudienceRequest
from connectors.engine.ledger import Ledger, open_ledger
from connectors.engine.members import Members, build_members

FIRST, LATER = date(2026, 11, 1), date(2026, 11, 20)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return open_ledger(tmp_path / "state")


def members(ledger: Ledger, work: Path, count: int) -> Members:
    ids = [str(number) for number in range(count)]
    scores = pa.table({
        "customer_id": ids, "seed_value": [10.0] * count, "currency": ["USD"] * count, "tier": ["high"] * count,
        "lifecycle_stage": ["active"] * count,
    })  # fmt: skip
    contacts = pa.table({"customer_id": ids, "email": [[f"p{one}@example.com"] for one in ids], "country": ["US"] * count})
    return build_members(scores, contacts, ledger=ledger, work=work)


def observed(ledger: Ledger, count: int) -> dict[str, tuple[bool, date]]:
    table = experiments.arms(ledger.folder, ledger, pa.array([str(number) for number in range(count)]))
    assert table is not None
    return {row["customer_id"]: (row["held_out"], row["since"]) for row in table.to_pylist()}


def test_arms_are_kept_from_the_first_selection_on(tmp_path: Path, ledger: Ledger) -> None:
    trial = AudienceRequest("winback", "Group 2", holdout=0.2)
    first = members(ledger, tmp_path / "one", 500)
    assert experiments.record(ledger.folder, first, [trial, AudienceRequest("plain", "Group 1")], ledger, FIRST) == 500
    before = observed(ledger, 500)
    later = members(ledger, tmp_path / "two", 600)
    assert experiments.record(ledger.folder, later, [trial], ledger, LATER) == 600
    after = observed(ledger, 600)
    assert {one: after[one] for one in before} == before, "nobody changes arm or day"
    assert all(after[str(number)][1] == LATER for number in range(500, 600))
    assert 60 < sum(held for held, _ in before.values()) < 140, "about a fifth is held out"
    for one in (first, later):
        one.close()


def test_another_share_is_another_experiment(tmp_path: Path, ledger: Ledger) -> None:
    some = members(ledger, tmp_path / "one", 200)
    for share, day in ((0.1, FIRST), (0.3, LATER)):
        experiments.record(ledger.folder, some, [AudienceRequest("winback", "Group 2", holdout=share)], ledger, day)
    assert {since for _, since in observed(ledger, 200).values()} == {LATER}
    assert 25 < sum(held for held, _ in observed(ledger, 200).values()) < 95, "about three in ten"
    some.close()


def test_erased_people_leave_the_experiment(tmp_path: Path, ledger: Ledger) -> None:
    trial = AudienceRequest("winback", "Group 2", holdout=0.2)
    some = members(ledger, tmp_path / "one", 50)
    experiments.record(ledger.folder, some, [trial], ledger, FIRST)
    key = ledger.member_key("7").hex()
    with ledger.journal.transaction() as connection:
        connection.execute("INSERT INTO tombstones (member, at) VALUES (?, ?)", (key, "2026-11-02"))
    experiments.forget(ledger.folder, ledger)
    assert sorted(observed(ledger, 50), key=int) == [str(number) for number in range(50) if number != 7]
    some.close()


def test_without_holdouts_nothing_is_kept(tmp_path: Path, ledger: Ledger) -> None:
    some = members(ledger, tmp_path / "one", 5)
    assert experiments.record(ledger.folder, some, [AudienceRequest("plain", "Group 1")], ledger, FIRST) == 0
    assert experiments.arms(ledger.folder, ledger, pa.array(["1"])) is None
    some.close()
