"""Every published case, through `clvsync hash`'s own function and through each kind of file. The digests are the platforms'."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.connectors.engine.identity.recipes import COLUMNS, PLATFORMS, hashed

CASES = [json.loads(line) for line in (Path(__file__).parents[3] / "data" / "identifiers.jsonl").read_text().splitlines()]
OURS = {"state": "region", "zip": "postal_code", "madid": "mobile_ad_id", "name": "last_name"}
ALIASES = {"name": "first_name"}


def _of(platform: str) -> list[dict[str, Any]]:
    return [case for case in CASES if case["platform"] == platform]


def _column(case: dict[str, Any]) -> str:
    return str(case.get("column") or OURS.get(case["field"], case["field"]))


def _row(case: dict[str, Any], column: str) -> dict[str, str]:
    return {column: case["raw"]} | ({"country": case["country"]} if "country" in case else {})


def _holds(case: dict[str, Any], entries: list[dict[str, str]]) -> None:
    assert len(entries) == 1, case
    entry = entries[0]
    if case.get("expected_invalid"):
        assert set(entry) == {"invalid"}, case
    elif case.get("not_hashed"):
        assert entry["value"] == case["expected_normalised"], case
    else:
        assert (entry["sha256"], entry["normalised"]) == (case["expected_sha256"], case["expected_normalised"]), case


def test_cases_cover_every_platform() -> None:
    assert {case["platform"] for case in CASES} == set(PLATFORMS)
    assert len(CASES) == 261


@pytest.mark.parametrize("platform", PLATFORMS)
def test_csv_with_every_column(platform: str, tmp_path: Path) -> None:
    cases = _of(platform)
    path = tmp_path / "contacts.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(_row(case, _column(case)) for case in cases)
    rows, report = hashed(path, platform)
    assert len(rows) == len(cases) == report.people
    for case, row in zip(cases, rows, strict=True):
        _holds(case, row[_column(case)])


@pytest.mark.parametrize("platform", PLATFORMS)
def test_json_lines_with_the_cases_own_field_names(platform: str, tmp_path: Path) -> None:
    cases = _of(platform)
    path = tmp_path / "contacts.jsonl"
    fields = [str(ALIASES.get(case["field"], case["field"])) for case in cases]
    path.write_text("".join(json.dumps(_row(case, field)) + "\n" for case, field in zip(cases, fields, strict=True)))
    rows, _ = hashed(path, platform)
    for case, field, row in zip(cases, fields, rows, strict=True):
        _holds(case, row[field])


@pytest.mark.parametrize("platform", PLATFORMS)
def test_parquet(platform: str, tmp_path: Path) -> None:
    cases = _of(platform)
    columns = {name: [_row(case, _column(case)).get(name) for case in cases] for name in COLUMNS}
    path = tmp_path / "contacts.parquet"
    pq.write_table(pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()}), path)
    rows, _ = hashed(path, platform)
    for case, row in zip(cases, rows, strict=True):
        _holds(case, row[_column(case)])


@pytest.mark.parametrize("platform", PLATFORMS)
def test_one_file_per_case_and_one_column(platform: str, tmp_path: Path) -> None:
    for number, case in enumerate(_of(platform)[::9]):
        path = tmp_path / f"{number}.csv"
        row = _row(case, _column(case))
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([list(row), list(row.values())])
        rows, _ = hashed(path, platform)
        _holds(case, rows[0][_column(case)])
