"""Columns to payload text, against the same rows written one by one."""

from __future__ import annotations

import hashlib
import json
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.errors import FatalError
from connectors.meta import RECIPE
from connectors.meta.members import payload
from tests.connectors.meta.conftest import digest

FIELDS = RECIPE.fields
HASHED = [field.name for field in FIELDS if field.hashed]


def table(rows: list[dict[str, Any]], *, values: list[Decimal] | None = None) -> pa.RecordBatch:
    columns = {
        field.name: pa.array([row.get(field.name) for row in rows], pa.binary(32) if field.hashed else pa.string())
        for field in FIELDS
    }
    if values is not None:
        columns["value"] = pa.array(values, pa.decimal128(18, 2))
    return pa.record_batch(columns)


cells = st.fixed_dictionaries(
    {},
    optional={
        **{name: st.binary(min_size=1, max_size=4).map(lambda raw: hashlib.sha256(raw).digest()) for name in HASHED[:4]},
        "EXTERN_ID": st.text(max_size=8),
        "MADID": st.sampled_from(["38400000-8cf0-11bd-b23e-10b96e40000d"]),
    },
)
money = st.decimals(min_value=0, max_value=10**12, places=2, allow_nan=False)


@settings(deadline=None)  # the machine may be busy
@given(st.lists(st.tuples(cells, money), min_size=1, max_size=30), st.integers(1, 7))
def test_the_text_is_what_json_would_say(rows: list[tuple[dict[str, Any], Decimal]], size: int) -> None:
    whole = table([row for row, _ in rows], values=[value for _, value in rows])
    chunks = [whole.slice(start, size) for start in range(0, len(rows), size)]
    text, count = payload(chunks, FIELDS, values=True)
    document = json.loads(text, parse_float=Decimal, parse_int=Decimal)
    assert count == len(rows)
    assert document["schema"] == [field.name for field in FIELDS] + ["LOOKALIKE_VALUE"]
    for (row, value), sent in zip(rows, document["data"], strict=True):
        wanted = [row.get(name, "") for name in document["schema"][:-1]]
        assert sent[:-1] == [cell.hex() if isinstance(cell, bytes) else cell for cell in wanted]
        assert sent[-1] == value


def test_a_removal_names_identifiers_only() -> None:
    text, _ = payload([table([{"EMAIL": digest("a")}], values=[Decimal(1)])], FIELDS, values=False)
    assert "LOOKALIKE_VALUE" not in text
    assert "DATA_PROCESSING_OPTIONS" not in text


CALIFORNIA, TEXAS, US, DE = digest("ca"), digest("tx"), digest("us"), digest("de")


@pytest.mark.parametrize(
    ("row", "marked"),
    [
        ({"ST": CALIFORNIA, "COUNTRY": US}, True),
        ({"ST": CALIFORNIA}, True),
        ({"COUNTRY": US}, True),
        ({}, True),
        ({"ST": TEXAS, "COUNTRY": US}, False),
        ({"COUNTRY": DE}, False),
        ({"ST": CALIFORNIA, "COUNTRY": DE}, False),
    ],
)
def test_limited_data_use_follows_the_person(row: dict[str, bytes], marked: bool) -> None:
    for setting, wanted in (("california", marked), ("everyone", True)):
        document = json.loads(payload([table([{"EMAIL": digest("a"), **row}])], FIELDS, values=False, limited=setting)[0])
        assert document["schema"][-1] == "DATA_PROCESSING_OPTIONS"
        assert document["data"][0][-1] == (["LDU"] if wanted else [])
    assert "LDU" not in payload([table([row])], FIELDS, values=False, limited="off")[0]


def test_the_digest_of_nothing_is_refused() -> None:
    with pytest.raises(FatalError, match="EMAIL holds the digest of an empty value"):
        payload([table([{"EMAIL": digest("")}])], FIELDS, values=False)


@pytest.mark.parametrize("value", [Decimal("-0.01"), None])
def test_values_are_there_and_not_negative(value: Decimal | None) -> None:
    with pytest.raises(FatalError, match="value"):
        payload([table([{"EMAIL": digest("a")}], values=[value])], FIELDS, values=True)  # type: ignore[list-item]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_are_finite(value: float) -> None:
    rows = table([{"EMAIL": digest("a")}]).append_column("value", pa.array([value]))
    with pytest.raises(FatalError, match="finite"):
        payload([rows], FIELDS, values=True)


def test_more_than_ten_thousand_rows_are_never_sent() -> None:
    rows = table([{"EMAIL": digest("a")}] * 10_001)
    with pytest.raises(ValueError, match="10,000"):
        payload([rows], FIELDS, values=False)


def test_the_empty_hash_of_the_fact_sheet_is_the_one_refused() -> None:
    assert digest("").hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
