"""Customer files: content, headers, signature, splitting, and nothing left on disk."""

from __future__ import annotations

import hashlib
import stat
import tempfile
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from connectors.protocol import Operation
from connectors.tiktok import CAPABILITIES, files
from connectors.tiktok.connector import TikTokConnector
from connectors.tiktok.files import MULTIPLE, hexadecimal, write_files

from .conftest import Connect, Recorded, batch, digest, people, seed

COLUMNS = CAPABILITIES.recipe.columns()
# TikTok's own vector for this address.
JANE = "d6117306485ed0e50afab3ac871e98f81699151f30281527d63ff5f233656c69"


def written(rows: list[dict[str, bytes]], folder: Path, kind: str = MULTIPLE, limit: int = files.LIMIT) -> list[bytes]:
    return [one.path.read_bytes() for one in write_files(batch(Operation.ADD, rows).chunks, COLUMNS, kind, folder, limit=limit)]


def test_hex_matches_the_standard_library() -> None:
    values = [digest(str(n)) if n % 3 else None for n in range(100)]
    for column in (pa.array(values, pa.binary(32)), pa.array(values, pa.binary(32)).slice(7, 50)):
        assert hexadecimal(column).to_pylist() == [one.as_py() and one.as_py().hex() for one in column]
    assert hexadecimal(pa.nulls(3, pa.binary(32))).to_pylist() == [None] * 3
    assert hexadecimal(pa.nulls(0, pa.binary(32))).to_pylist() == []


def test_a_file_of_several_types_has_a_header_and_blank_cells(tmp_path: Path) -> None:
    rows = [
        {"EMAIL": digest("janedoe@gmail.com"), "EMAIL#2": digest("second")},
        {"PHONE": digest("+12133734253")},
        {},
        {"EMAIL": digest("b"), "MAID": digest("m")},
    ]
    (text,) = written(rows, tmp_path)
    lines = text.decode().splitlines()
    assert lines[0] == "email_SHA256,email_SHA256,phone_SHA256,MAID_SHA256"
    assert lines[1] == f"{JANE},{digest('second').hex()},,"
    assert lines[2].startswith(",,9f7ec22d72092cd3")
    assert lines[3] == f"{digest('b').hex()},,,{digest('m').hex()}"
    assert len(lines) == 4  # a row without identifiers leaves no line
    assert text.endswith(b"\n")


def test_a_column_that_nobody_fills_has_no_header(tmp_path: Path) -> None:
    (text,) = written([{"EMAIL": digest("a")}], tmp_path)
    assert text.decode().splitlines()[0] == "email_SHA256"


def test_a_single_type_file_is_one_id_per_line_without_header(tmp_path: Path) -> None:
    rows = [{"EMAIL": digest("a"), "EMAIL#2": digest("b"), "PHONE": digest("p")}, {"PHONE": digest("q")}]
    (text,) = written(rows, tmp_path, "EMAIL_SHA256")
    assert sorted(text.decode().split()) == sorted([digest("a").hex(), digest("b").hex()])


def test_files_are_split_at_line_ends_below_the_limit(tmp_path: Path) -> None:
    rows = people(range(2000))
    found = written(rows, tmp_path, limit=40_000)
    assert len(found) > 3
    assert all(len(one) <= 40_000 for one in found)
    lines = [one.decode().splitlines() for one in found]
    assert {one[0] for one in lines} == {"email_SHA256,phone_SHA256"}
    whole = tmp_path / "whole"
    whole.mkdir()
    assert [line for one in lines for line in one[1:]] == written(rows, whole)[0].decode().splitlines()[1:]


def test_rows_and_signature_describe_the_file(tmp_path: Path) -> None:
    rows = 0
    for one in write_files(batch(Operation.ADD, people(range(999))).chunks, COLUMNS, MULTIPLE, tmp_path, limit=30_000):
        assert hashlib.md5(one.path.read_bytes(), usedforsecurity=False).hexdigest() == one.signature
        assert stat.S_IMODE(one.path.stat().st_mode) == 0o600
        assert one.rows == len(one.path.read_bytes().splitlines()) - 1
        rows += one.rows
    assert rows == 999


def test_nobody_means_no_file(tmp_path: Path) -> None:
    assert written([], tmp_path) == []
    assert written([{}], tmp_path) == []
    assert written([{"PHONE": digest("p")}], tmp_path, "EMAIL_SHA256") == []


@pytest.mark.parametrize("fails", [False, True])
def test_nothing_stays_on_disk(
    fails: bool, sandbox: Recorded, tiktok: TikTokConnector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    if fails:
        sandbox.faults.add(match="/upload/", kind="error", times=9, detail={"code": 40915, "message": "bad file"})
    handle = tiktok.find_or_create(seed())
    try:
        tiktok.send(handle, batch(Operation.ADD, people(range(1200))))
    except Exception:
        assert fails
    assert list(tmp_path.iterdir()) == []


def test_all_files_travel_in_one_create(sandbox: Recorded, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    tiktok = connect()
    monkeypatch.setattr(tiktok._deliveries, "limit", 30_000)
    receipt = tiktok.send(tiktok.find_or_create(seed()), batch(Operation.ADD, people(range(1500))))
    (create,) = sandbox.bodies("/custom_audience/create/")
    assert len(create["file_paths"]) == len([p for p in sandbox.paths() if p.endswith("/upload/")]) > 3
    assert receipt.pending == 1500
    assert sandbox.state()["audiences"][receipt.remote_id]["member_count"] == 1500


def test_rows_without_the_single_type_are_counted(sandbox: Recorded, connect: Connect) -> None:
    tiktok = connect(file_type="phone")
    receipt = tiktok.send(tiktok.find_or_create(seed()), batch(Operation.ADD, people(range(3000))))
    assert receipt.pending == 1500
    assert receipt.rejected == {"no identifier of the file's type": 1500}
    assert sandbox.bodies("/create/")[0]["calculate_type"] == "PHONE_SHA256"


def test_a_wrong_signature_is_recomputed_once(sandbox: Recorded, tiktok: TikTokConnector) -> None:
    sandbox.faults.add(match="/upload/", kind="error", detail={"code": 40900, "message": "signature"})
    assert tiktok.send(tiktok.find_or_create(seed()), batch(Operation.ADD, people(range(1200)))).pending == 1200


def test_an_expired_file_is_uploaded_again_once(sandbox: Recorded, tiktok: TikTokConnector) -> None:
    sandbox.faults.add(match="/custom_audience/create/", kind="error", detail={"code": 40910, "message": "expired"})
    assert tiktok.send(tiktok.find_or_create(seed()), batch(Operation.ADD, people(range(1200)))).pending == 1200
    assert len([p for p in sandbox.paths() if p.endswith("/upload/")]) == 2


def test_memory_stays_flat(tmp_path: Path) -> None:
    one = pa.record_batch(
        {
            name: pa.array([digest(str(n)) for n in range(5000)] if name == "EMAIL" else [None] * 5000, pa.binary(32))
            for name in COLUMNS
        }
    )

    def peak(times: int) -> int:
        def chunks() -> Iterator[pa.RecordBatch]:
            for _ in range(times):
                yield one

        folder = tmp_path / str(times)
        folder.mkdir()
        tracemalloc.start()
        for file in write_files(chunks, COLUMNS, MULTIPLE, folder):
            file.path.unlink()
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    peak(1)  # imports and caches
    assert peak(20) < 2 * peak(2)
