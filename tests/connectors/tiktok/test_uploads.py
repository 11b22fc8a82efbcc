"""Uploads overlap with building, one file ahead; their errors end the delivery, and a lost reply changes nothing."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from connectors.errors import FatalError
from connectors.protocol import Batch, Operation
from connectors.sandbox import Response
from connectors.tiktok import CAPABILITIES, files
from connectors.tiktok.connector import TikTokConnector
from connectors.tiktok.files import MOST_FILES, rows_each

from .conftest import Connect, Recorded, batch, digests, held, made, people, seed

EACH = 400
FILES = 5
STUCK = 20  # seconds after which two that should wait for nobody have waited for each other


@pytest.fixture(autouse=True)
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "ROWS", EACH)


def uploads(sandbox: Recorded) -> int:
    return sum(one.endswith("/file/upload/") for one in sandbox.paths())


def test_a_file_is_built_while_the_one_before_is_uploaded(
    sandbox: Recorded, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TikTok answers an upload only when the next file is begun; and by then, all uploads but the last are answered."""
    given = batch(Operation.ADD, people(range(EACH * FILES)), chunk=EACH)
    begun = [threading.Event() for _ in range(FILES + 1)]
    begun[FILES].set()
    answered: list[bool] = []
    ahead: list[int] = []
    upload = sandbox._upload

    def held_back(*call: Any) -> Response:
        met = all(answered) and begun[len(answered) + 1].wait(STUCK)
        answer = upload(*call)
        answered.append(met)
        return answer

    def chunks() -> Iterator[pa.RecordBatch]:
        for number, chunk in enumerate(given.chunks()):
            ahead.append(number - len(answered))
            begun[number].set()
            yield chunk

    monkeypatch.setattr(sandbox, "_upload", held_back)
    tiktok = connect(file_type="email", timeout_seconds=2 * STUCK)  # one type: no first pass to find the columns used
    receipt = tiktok.send(tiktok.find_or_create(seed()), Batch("one", Operation.ADD, given.rows, chunks))
    assert answered == [True] * FILES
    assert max(ahead) == 1
    assert receipt.pending == EACH * FILES
    (create,) = sandbox.bodies("/custom_audience/create/")
    assert len(create["file_paths"]) == FILES


@pytest.mark.parametrize("operation", list(Operation))
def test_every_operation_names_all_files_in_one_call(sandbox: Recorded, tiktok: TikTokConnector, operation: Operation) -> None:
    handle = made(tiktok, sandbox, range(2500))
    before = uploads(sandbox)
    receipt = tiktok.send(handle, batch(operation, people(range(1100))))
    (update,) = sandbox.bodies("/custom_audience/update/")
    assert len(update["file_paths"]) == uploads(sandbox) - before == 3
    assert receipt.pending == 1100


def test_files_of_a_batch_are_even_and_never_too_many() -> None:
    assert [rows_each(rows) for rows in (0, 1, EACH, EACH + 1, 10 * EACH - 1)] == [1, 1, EACH, EACH // 2 + 1, EACH]
    largest = CAPABILITIES.batch_rows
    assert -(-largest // rows_each(largest)) <= MOST_FILES < 50


def test_files_hold_the_same_number_of_rows(sandbox: Recorded, tiktok: TikTokConnector) -> None:
    tiktok.send(tiktok.find_or_create(seed()), batch(Operation.ADD, people(range(2 * EACH + 1)), chunk=150))
    assert [one["rows"] for one in sandbox.requests if one.get("operation") == "upload"] == [267, 267, 267]


@pytest.mark.parametrize("number", range(3))
def test_a_lost_reply_to_an_upload_is_harmless(number: int, sandbox: Recorded, tiktok: TikTokConnector) -> None:
    sandbox.faults.add(match="/file/upload/", kind="lost_reply", skip=number)
    rows = people(range(3 * EACH))
    receipt = tiktok.send(tiktok.find_or_create(seed()), batch(Operation.ADD, rows))
    assert uploads(sandbox) == 4
    assert len(sandbox.bodies("/custom_audience/create/")[0]["file_paths"]) == 3
    handle = replace(tiktok.find_or_create(seed()), remote_id=receipt.remote_id)
    assert held(sandbox, handle) == digests(rows)


@pytest.mark.parametrize("number", range(3))
def test_an_upload_refused_ends_the_delivery(
    number: int, sandbox: Recorded, tiktok: TikTokConnector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    sandbox.faults.add(match="/file/upload/", kind="error", skip=number, detail={"code": 40915, "message": "bad file"})
    with pytest.raises(FatalError, match="bad file"):
        tiktok.send(tiktok.find_or_create(seed()), batch(Operation.ADD, people(range(3 * EACH))))
    assert sandbox.bodies("/custom_audience/create/") == []
    assert list(tmp_path.iterdir()) == []


def test_rows_that_cannot_be_read_end_the_delivery(
    sandbox: Recorded, connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    given = batch(Operation.ADD, people(range(3 * EACH)), chunk=EACH)

    def chunks() -> Iterator[pa.RecordBatch]:
        yield from list(given.chunks())[:2]
        raise FatalError("damaged")

    tiktok = connect(file_type="email")
    with pytest.raises(FatalError, match="damaged"):
        tiktok.send(tiktok.find_or_create(seed()), Batch("one", Operation.ADD, given.rows, chunks))
    assert sandbox.bodies("/custom_audience/create/") == []
    assert list(tmp_path.iterdir()) == []


def test_two_files_at_most_are_on_disk(
    sandbox: Recorded, tiktok: TikTokConnector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    given = batch(Operation.ADD, people(range(EACH * FILES)), chunk=100)
    seen: list[int] = []

    def chunks() -> Iterator[pa.RecordBatch]:
        for chunk in given.chunks():
            yield chunk
            seen.append(sum(1 for _ in tmp_path.glob("*/*.csv")))

    tiktok.send(tiktok.find_or_create(seed()), Batch("one", Operation.ADD, given.rows, chunks))
    assert max(seen) <= 2
    assert list(tmp_path.iterdir()) == []
