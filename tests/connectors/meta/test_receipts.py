"""Receipts reconciled batch by batch: what Meta counts as received, what it finds invalid, and no sample repeated."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from connectors.meta.receipts import Reckoner, reasons
from connectors.protocol import Operation
from tests.connectors.meta.conftest import SEED, batch_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from connectors.meta.connector import MetaConnector
    from connectors.meta.sandbox import MetaSandbox


@pytest.mark.parametrize(
    ("told", "invalid", "accepted", "unknown"),
    [
        ([10, 10, 10], 0, [10, 10, 10], [0, 0, 0]),  # by batch
        ([10, 20, 30], 0, [10, 10, 10], [0, 0, 0]),  # by session
        ([7, 10, 10], 0, [7, 10, 10], [3, 0, 0]),
        ([10, 17, 27], 0, [10, 7, 10], [0, 3, 0]),
        ([10, 10, 4], 0, [10, 10, 4], [0, 0, 6]),
        ([0, 10, 10], 0, [0, 10, 10], [10, 0, 0]),
        ([8, 8, 8], 2, [8, 8, 8], [0, 0, 0]),  # invalid entries left out of those received
        ([8, 16, 24], 2, [8, 8, 8], [0, 0, 0]),
        ([7, 10, 10], 2, [5, 8, 8], [3, 0, 0]),
        (["10", "20", None], 0, [10, 10, 10], [0, 0, 0]),
    ],
)  # fmt: skip
def test_only_what_neither_reading_explains_is_unknown(
    told: list[Any], invalid: int, accepted: list[int], unknown: list[int]
) -> None:
    reckoner = Reckoner("reconcile")
    answers = [{"num_received": one, "num_invalid_entries": invalid} for one in told]
    found = [reckoner.receipt(one, 10, "1", 5) for one in answers]
    assert [one.accepted for one in found] == accepted
    assert [one.unknown for one in found] == unknown
    assert {one.accepted + sum(one.rejected.values()) + one.unknown for one in found} == {10}
    assert [bool(one.detail) for one in found] == [one > 0 for one in unknown]


def test_sessions_are_counted_apart() -> None:
    reckoner = Reckoner("reconcile")
    assert reckoner.receipt({"num_received": 10}, 10, session=1).unknown == 0
    assert reckoner.receipt({"num_received": 10}, 10, session=2).unknown == 0
    assert reckoner.receipt({"num_received": 15}, 10, session=1).unknown == 5


def test_meta_may_be_taken_to_count_otherwise() -> None:
    receipt = Reckoner("note").receipt({"num_received": 4}, 10)
    assert (receipt.accepted, receipt.unknown, receipt.detail) == (10, 0, "Meta counts 4 of 10 rows as received")


@pytest.mark.parametrize(
    ("samples", "invalid", "wanted"),
    [
        ({"0": "Invalid hash", "1": "Empty value", "2": "Invalid hash"}, 3, {"Invalid hash": 2, "Empty value": 1}),
        (["Invalid hash"], 5, {"Invalid hash": 1, "invalid entry": 4}),
        ({"0": "mary smith", "1": "mary@example.com", "2": "15559876543", "3": "Boston"}, 4, {"invalid entry": 4}),
        ({}, 2, {"invalid entry": 2}),
        (None, 2, {"invalid entry": 2}),
        ({"0": "Invalid hash", "1": "Missing identifier"}, 1, {"Invalid hash": 1}),
    ],
)  # fmt: skip
def test_samples_give_reasons_and_nothing_else(samples: Any, invalid: int, wanted: dict[str, int]) -> None:
    assert reasons(samples, invalid) == {f"{reason} (Meta)": count for reason, count in wanted.items()}


@pytest.mark.parametrize("cumulative", [False, True])
def test_a_session_of_several_batches_adds_up_under_both_readings(
    connector: MetaConnector, box: MetaSandbox, cumulative: bool
) -> None:
    box.cumulative = cumulative
    seed = connector.find_or_create(SEED)
    parts = [range(0, 150), range(150, 200), range(200, 260)]
    for place, numbers in enumerate(parts, 1):
        batch = batch_of(connector, Operation.ADD, numbers, sequence=place, last=place == 3, total=260)
        receipt = connector.send(seed, batch)
        assert (receipt.accepted, receipt.unknown) == (len(numbers), 0)


@pytest.mark.parametrize(("setting", "unknown"), [("reconcile", 40), ("note", 0)])
def test_rows_that_meta_does_not_count_are_seen(
    connect: Callable[..., MetaConnector], box: MetaSandbox, setting: str, unknown: int
) -> None:
    connector = connect(received_count=setting)
    seed = connector.find_or_create(SEED)
    body = json.dumps({"audience_id": seed.remote_id, "session_id": "7", "num_received": 160, "num_invalid_entries": 0})
    box.faults.add(
        match="/users", kind="http", detail={"status": 200, "headers": {"Content-Type": "application/json"}, "body": body}
    )
    receipt = connector.send(seed, batch_of(connector, Operation.ADD, range(200)))
    assert (receipt.accepted, receipt.unknown) == (200 - unknown, unknown)
    assert receipt.detail == "Meta counts 160 of 200 rows as received"
