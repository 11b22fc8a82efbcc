"""The error table against a copy of the fact sheet's codes (tests/data/meta_codes.csv, meta_statuses.csv)."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from connectors.errors import FatalError, NotReadyError, OutcomeUnknownError, RemovalRefusedError, RetriableError
from connectors.meta.codes import CODES, OPERATION_STATUS, find

DATA = Path(__file__).parents[2] / "data"
CLASSES = {
    "retry": RetriableError,
    "person": FatalError,
    "split": FatalError,
    "later": NotReadyError,
    "unknown": OutcomeUnknownError,
    "floor": RemovalRefusedError,
}
OBSERVED = {(21009, None)}  # not of the fact sheet: other connectors retry it
Name = tuple[int, int | None]


def sheet() -> dict[Name, dict[str, str]]:
    """Code and subcode -> the fact sheet's row."""
    with (DATA / "meta_codes.csv").open() as file:
        return {(int(row["code"]), int(row["subcode"]) if row["subcode"] else None): row for row in csv.DictReader(file)}


@pytest.mark.parametrize("name", sorted(sheet(), key=str))
def test_every_documented_code_is_in_the_table(name: Name) -> None:
    row, kind = find(*name), sheet()[name]["class"]
    assert (row.code, row.subcode) == name
    assert row.raises is CLASSES[kind]
    assert (row.tag == "split") is (kind == "split")


def test_the_table_holds_each_code_once_and_nothing_that_is_not_documented() -> None:
    keys = [(row.code, row.subcode) for row in CODES]
    assert len(keys) == len(set(keys))
    assert set(keys) == set(sheet()) | OBSERVED


def test_the_table_explains_each_code() -> None:
    for row in CODES:
        assert row.meaning, row
        assert row.raises in (RetriableError, NotReadyError) or row.remedy, row
        assert row.tag != "throttle" or (row.wait or 0) > 0, row


def test_an_unknown_code_is_fatal() -> None:
    row = find(987_654)
    assert (row.raises, row.tag) == (FatalError, "unknown")


def test_an_unknown_code_that_meta_calls_transient_is_tried_again() -> None:
    assert find(987_654, transient=True).raises is RetriableError
    assert find(100, transient=True).raises is RetriableError
    assert find(190, 463, transient=True).raises is FatalError


@pytest.mark.parametrize("code", [201, 250, 299])
def test_permissions_are_a_range(code: int) -> None:
    assert find(code).tag == "permission"


@pytest.mark.parametrize("code", range(80_000, 80_015))
def test_account_throttles_are_a_range(code: int) -> None:
    assert find(code).tag == "throttle"


def test_subcodes_are_known_under_any_code() -> None:
    assert find(100, 1870047).raises is RemovalRefusedError
    assert find(100, 1870092).tag == "terms"


def test_every_operation_status_has_its_state() -> None:
    with (DATA / "meta_statuses.csv").open() as file:
        wanted = {int(row["code"]): row["state"] for row in csv.DictReader(file)}
    assert {code: state.value for code, (state, _) in OPERATION_STATUS.items()} == wanted
    assert all(text for _, text in OPERATION_STATUS.values())
