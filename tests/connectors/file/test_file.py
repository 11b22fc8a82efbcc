"""Lists for upload pages: columns, quoting, values, removals, and files that are whole or not there at all."""

from __future__ import annotations

import hashlib
import stat
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pydantic import ValidationError

from connectors.errors import ConfigurationError, FatalError
from connectors.file import platform
from connectors.protocol import AudienceHandle, AudienceSpec, AudienceState, Batch, Connector, LookalikeSpec, Operation

GOLDEN = Path(__file__).parents[2] / "golden" / "file"


def digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def connect(folder: Path, kind: str, **more: Any) -> Connector:
    block = {"folder": str(folder), "accounts": [{"account_id": "uploads", "format": kind, **more}]}
    settings = platform.settings.model_validate(block)
    return platform.connect(settings, settings.accounts[0])


def batch(
    connector: Connector, operation: Operation, rows: list[dict[str, Any]], *, sequence: int = 1, chunk: int = 3
) -> Batch:
    fields = connector.capabilities.recipe.fields
    hashed = {name for one in fields if one.hashed for name in one.columns()}

    def chunks() -> Iterator[pa.RecordBatch]:
        for start in range(0, len(rows), chunk):
            part = rows[start : start + chunk]
            columns = {
                name: pa.array([one.get(name) for one in part], pa.binary(32) if name in hashed else pa.string())
                for name in connector.capabilities.recipe.columns()
            }
            if any("value" in one for one in part):
                columns["value"] = pa.array([one.get("value") for one in part], pa.decimal128(18, 2))
            yield pa.record_batch(columns)

    return Batch("b", operation, len(rows), chunks, sequence=sequence, total_rows=len(rows))


def listed(folder: Path, handle: AudienceHandle) -> list[str]:
    return (folder / "uploads" / handle.path).read_text().splitlines()


ROWS: dict[str, list[dict[str, Any]]] = {
    "meta": [
        {
            "EMAIL": digest("jane@example.com"),
            "EMAIL#2": digest("j.doe@example.org"),
            "PHONE": digest("12025550123"),
            "FN": digest("jane"),
            "COUNTRY": digest("us"),
            "value": Decimal("120.50"),
        },
        {"MADID": "aece52e7-03ee-455a-b3c4-e57283966239", "GEN": digest("f"), "value": Decimal("0.00")},
    ],
    "google": [
        {
            "EMAIL": digest("jane@example.com"),
            "FIRST": digest("jane"),
            "LAST": digest("doe"),
            "COUNTRY": "US",
            "ZIP": "94016",
        },
        {"PHONE": digest("+12025550123")},
    ],
    "tiktok": [
        {"EMAIL": digest("jane@example.com"), "PHONE": digest("+12025550123")},
        {"MAID": digest("aece52e7-03ee-455a-b3c4-e57283966239")},
    ],
}


@pytest.mark.parametrize("kind", ["meta", "google", "tiktok"])
def test_the_file_is_what_the_upload_page_asks_for(kind: str, tmp_path: Path) -> None:
    connector = connect(tmp_path, kind)
    weighted = connector.capabilities.value_weighted
    assert weighted == (kind == "meta")
    handle = connector.find_or_create(AudienceSpec("a", "Customers A", value_weighted=weighted, currency="USD"))
    receipt = connector.send(handle, batch(connector, Operation.ADD, ROWS[kind]))
    assert (receipt.accepted, receipt.pending) == (2, 0)
    golden = (GOLDEN / f"{kind}.csv").read_text().splitlines()
    assert listed(tmp_path, handle)[0] == golden[0]
    assert sorted(listed(tmp_path, handle)[1:]) == sorted(golden[1:])


def test_a_plain_list_has_no_value_column(tmp_path: Path) -> None:
    connector = connect(tmp_path, "meta")
    handle = connector.find_or_create(AudienceSpec("a", "Customers A"))
    connector.send(handle, batch(connector, Operation.ADD, [{"EMAIL": digest("a")}]))
    assert listed(tmp_path, handle)[0].endswith("doby,gen")


def test_a_new_value_takes_the_old_ones_place(tmp_path: Path) -> None:
    connector = connect(tmp_path, "meta")
    handle = connector.find_or_create(AudienceSpec("a", "A", value_weighted=True, currency="USD"))
    for value in ("10.00", "12.00"):
        connector.send(handle, batch(connector, Operation.ADD, [{"EMAIL": digest("a"), "value": Decimal(value)}]))
    assert [line.rpartition(",")[2] for line in listed(tmp_path, handle)[1:]] == ["12.00"]


def test_an_audience_may_begin_to_have_values(tmp_path: Path) -> None:
    connector = connect(tmp_path, "meta")
    plain = connector.find_or_create(AudienceSpec("a", "A"))
    connector.send(plain, batch(connector, Operation.ADD, [{"EMAIL": digest("a")}]))
    weighted = connector.find_or_create(AudienceSpec("a", "A", value_weighted=True, currency="USD"), plain.remote_id)
    connector.send(weighted, batch(connector, Operation.ADD, [{"EMAIL": digest("b"), "value": Decimal("3.00")}]))
    assert sorted(line.rpartition(",")[2] for line in listed(tmp_path, weighted)[1:]) == ["", "3.00"]
    connector.send(plain, batch(connector, Operation.REMOVE, [{"EMAIL": digest("a")}]))
    assert listed(tmp_path, plain)[0].endswith("gen")
    assert len(listed(tmp_path, plain)) == 2


def test_a_folder_holds_one_format(tmp_path: Path) -> None:
    handle = connect(tmp_path, "meta").find_or_create(AudienceSpec("a", "A"))
    other = connect(tmp_path, "tiktok")
    with pytest.raises(ConfigurationError, match="account_id of its own"):
        other.send(handle, batch(other, Operation.ADD, [{"EMAIL": digest("a")}]))


def test_removing_takes_along_who_shares_an_identifier(tmp_path: Path) -> None:
    connector = connect(tmp_path, "tiktok")
    handle = connector.find_or_create(AudienceSpec("a", "A"))
    rows = [{"EMAIL": digest("a"), "PHONE": digest("1")}, {"EMAIL#2": digest("a")}, {"PHONE": digest("2")}]
    connector.send(handle, batch(connector, Operation.ADD, rows))
    connector.send(handle, batch(connector, Operation.REMOVE, [{"EMAIL": digest("a")}]))
    assert len(listed(tmp_path, handle)) == 2
    assert digest("2").hex() in listed(tmp_path, handle)[1]


def test_a_first_name_alone_finds_nobody(tmp_path: Path) -> None:
    connector = connect(tmp_path, "google")
    handle = connector.find_or_create(AudienceSpec("a", "A"))
    jane = {"FIRST": digest("jane"), "LAST": digest("doe"), "COUNTRY": "US", "ZIP": "94016"}
    other = {**jane, "LAST": digest("roe")}
    connector.send(handle, batch(connector, Operation.ADD, [jane, other]))
    connector.send(handle, batch(connector, Operation.REMOVE, [jane]))
    assert len(listed(tmp_path, handle)) == 2
    receipt = connector.send(handle, batch(connector, Operation.ADD, [{"FIRST": digest("jane")}]))
    assert receipt.rejected == {"no identifier": 1}


def test_cells_with_commas_are_quoted_and_read_back(tmp_path: Path) -> None:
    connector = connect(tmp_path, "google")
    handle = connector.find_or_create(AudienceSpec("a", "A"))
    odd = {"FIRST": digest("j"), "LAST": digest("d"), "COUNTRY": "GB", "ZIP": 'WC2H, "8LG"'}
    for _ in range(2):
        connector.send(handle, batch(connector, Operation.ADD, [odd]))
    assert len(listed(tmp_path, handle)) == 2
    assert listed(tmp_path, handle)[1].endswith('GB,"WC2H, ""8LG"""')


def test_the_second_batch_of_a_replace_adds(tmp_path: Path) -> None:
    connector = connect(tmp_path, "tiktok")
    handle = connector.find_or_create(AudienceSpec("a", "A"))
    connector.send(handle, batch(connector, Operation.ADD, [{"EMAIL": digest("old")}]))
    connector.send(handle, batch(connector, Operation.REPLACE, [{"EMAIL": digest("a")}], sequence=1))
    connector.send(handle, batch(connector, Operation.REPLACE, [{"EMAIL": digest("b")}], sequence=2))
    text = "\n".join(listed(tmp_path, handle))
    assert digest("old").hex() not in text
    assert digest("a").hex() in text
    assert digest("b").hex() in text


def test_names_may_look_alike(tmp_path: Path) -> None:
    connector = connect(tmp_path, "meta")
    first, second = (connector.find_or_create(AudienceSpec("k", name)) for name in ("Top 20 %", "top-20"))
    assert (first.path, second.path) == ("top-20.csv", "top-20-2.csv")
    assert connect(tmp_path, "meta").find_or_create(AudienceSpec("k", "top-20")).remote_id == second.remote_id


def test_only_the_owner_can_read(tmp_path: Path) -> None:
    connector = connect(tmp_path / "lists", "meta")
    handle = connector.find_or_create(AudienceSpec("a", "A"))
    connector.send(handle, batch(connector, Operation.ADD, [{"EMAIL": digest("a")}]))
    assert stat.S_IMODE((tmp_path / "lists" / "uploads").stat().st_mode) == 0o700
    files = sorted((tmp_path / "lists" / "uploads").iterdir())
    assert [one.name for one in files] == ["a.csv", "audiences.json"]  # nothing else is left behind
    assert {stat.S_IMODE(one.stat().st_mode) for one in files} == {0o600}


def test_a_failure_leaves_the_old_list_whole(tmp_path: Path) -> None:
    connector = connect(tmp_path, "tiktok")
    handle = connector.find_or_create(AudienceSpec("a", "A"))
    connector.send(handle, batch(connector, Operation.ADD, [{"EMAIL": digest("a")}]))
    before = listed(tmp_path, handle)

    def broken() -> Iterator[pa.RecordBatch]:
        yield from batch(connector, Operation.ADD, [{"EMAIL": digest("b")}]).chunks()
        raise RuntimeError("the source broke")

    with pytest.raises(RuntimeError, match="the source broke"):
        connector.send(handle, Batch("b", Operation.ADD, 2, broken))
    assert listed(tmp_path, handle) == before
    assert connector.status(handle).lower == 1


def test_a_list_that_someone_deleted_is_missing(tmp_path: Path) -> None:
    connector = connect(tmp_path, "meta")
    handle = connector.find_or_create(AudienceSpec("a", "A"))
    (tmp_path / "uploads" / handle.path).unlink()
    assert connector.status(handle).state is AudienceState.MISSING
    with pytest.raises(FatalError, match="anew"):
        connector.send(handle, batch(connector, Operation.ADD, [{"EMAIL": digest("a")}]))
    assert connector.find_or_create(AudienceSpec("a", "A"), handle.remote_id).remote_id != handle.remote_id


def test_what_a_folder_cannot_do(tmp_path: Path) -> None:
    connector = connect(tmp_path, "meta")
    assert not connector.capabilities.lookalikes
    assert not connector.capabilities.results
    with pytest.raises(ConfigurationError, match="at the platform"):
        connector.find_or_create_lookalike(
            AudienceHandle("file", "u", AudienceSpec("a", "A")), LookalikeSpec("l", "L", ("US",))
        )


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    connector = connect(tmp_path / "taken", "meta")
    check = connector.check()[0]
    assert not check.ok
    assert "platforms.yaml" in check.remedy
    with pytest.raises(ConfigurationError, match=r"platforms\.yaml"):
        connector.find_or_create(AudienceSpec("a", "A"))


@pytest.mark.parametrize(
    "block",
    [
        {},
        {"folder": ""},
        {"folder": "x", "accounts": [{"account_id": "../up", "format": "meta"}]},
        {"folder": "x", "accounts": [{"account_id": "u", "format": "xlsx"}]},
        {"folder": "x", "accounts": [{"account_id": "u"}]},
    ],
)
def test_settings_refuse(block: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        platform.settings.model_validate(block)


def test_the_platform_object_is_light() -> None:
    code = "import sys, connectors.file as f; print(f.platform.name, sorted({'duckdb', 'pyarrow', 'numpy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "file []"


def test_the_sandbox_goes_on_after_a_restart() -> None:
    sandbox, again = platform.sandbox(), platform.sandbox()
    connector = connect(Path(sandbox.start()["folder"]), "tiktok")
    connector.send(connector.find_or_create(AudienceSpec("a", "A")), batch(connector, Operation.ADD, [{"EMAIL": digest("a")}]))
    again.load(sandbox.dump())
    assert again.state() == sandbox.state() != {"audiences": {}, "lookalikes": {}}
    sandbox.stop()
    again.stop()
