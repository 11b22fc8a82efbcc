"""Every documented return code, sent over the wire, becomes the class and remedy of the table."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from connectors.errors import (
    ConfigurationError,
    FatalError,
    NotReadyError,
    OutcomeUnknownError,
    RemovalRefusedError,
    RetriableError,
    SyncError,
)
from connectors.tiktok.codes import CODES, lookup
from connectors.tiktok.connector import TikTokConnector

from .conftest import Recorded, seed

DATA = Path(__file__).parents[2] / "data"
CLASSES = {
    "fatal": FatalError,
    "text": FatalError,
    "config": ConfigurationError,
    "retry": RetriableError,
    "later": NotReadyError,
    "unknown": OutcomeUnknownError,
}


def sheet() -> dict[int, str]:
    """Code -> class, as the fact sheet's table of return codes says; 0 and 20001 are answers, not errors."""
    with (DATA / "tiktok_codes.csv").open() as file:
        return {int(row["code"]): row["class"] for row in csv.DictReader(file)}


RETRIED = {code for code, kind in sheet().items() if kind == "retry"}


def test_the_table_is_the_fact_sheets() -> None:
    assert {code: entry.error for code, entry in CODES.items()} == {code: CLASSES[kind] for code, kind in sheet().items()}


def test_every_entry_says_what_to_do() -> None:
    for code, entry in CODES.items():
        assert entry.meaning, code
        assert entry.remedy, code


@pytest.mark.parametrize("code", sorted(CODES))
def test_each_code_becomes_its_class(code: int, sandbox: Recorded, tiktok: TikTokConnector) -> None:
    sandbox.faults.add(match="/list/", kind="error", times=10, detail={"code": code, "message": "no."})
    with pytest.raises(SyncError) as caught:
        tiktok.find_or_create(seed())
    assert type(caught.value) is CODES[code].error
    assert caught.value.code == str(code)
    assert caught.value.platform == "tiktok"
    assert caught.value.remedy or code == 40002
    assert "no." in str(caught.value)


@pytest.mark.parametrize("code", sorted(RETRIED))
def test_passing_faults_are_tried_again(code: int, sandbox: Recorded, tiktok: TikTokConnector) -> None:
    sandbox.faults.add(match="/list/", kind="error", times=1, detail={"code": code, "message": "later"})
    assert tiktok.find_or_create(seed()).remote_id == ""


def test_only_the_documented_codes_are_retried() -> None:
    assert {code for code, entry in CODES.items() if entry.error is RetriableError} == RETRIED


def test_an_unknown_code_is_fatal_with_its_text(sandbox: Recorded, tiktok: TikTokConnector) -> None:
    sandbox.faults.add(match="/list/", kind="error", detail={"code": 49999, "message": "something new"})
    with pytest.raises(FatalError, match=r"49999.*something new"):
        tiktok.find_or_create(seed())


def test_any_other_5xxxx_is_a_passing_fault() -> None:
    assert lookup(50999, "").error is RetriableError
    assert lookup(61000, "").error is FatalError


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("Audience is not editable, please check audience status", NotReadyError),
        ("The audience is being updated", NotReadyError),
        ("The audience is being processed, try later", NotReadyError),
        ("the replace operation is rejected as there is an existing unfinished replace operation", NotReadyError),
        ("do no more than one replace operation per day", NotReadyError),
        ("The audience ended with size 0 (<1000 matches)", RemovalRefusedError),
        ("The audience would have fewer than 1,000 users", RemovalRefusedError),
        ("page_size: Must be between 1 and 1000.", FatalError),
        ("Invalid metric fields: cash_spend", FatalError),
    ],
)
def test_texts_of_40002(text: str, error: type[SyncError]) -> None:
    assert lookup(40002, text).error is error


@pytest.mark.parametrize("code", [40102, 40103, 40104, 40105, 40107])
def test_token_faults_are_configuration(code: int) -> None:
    assert CODES[code].error is ConfigurationError
    assert "access_token" in CODES[code].remedy


def test_a_duplicate_request_is_reconciled_not_repeated() -> None:
    assert CODES[40050].error is OutcomeUnknownError
