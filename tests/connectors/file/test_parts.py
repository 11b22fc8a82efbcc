"""Lists larger than an upload page takes: cut into parts that are whole files of their own, and say what to do with them."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Any

import pytest

from connectors.file.formats import FORMATS
from connectors.file.parts import cut, parts
from connectors.protocol import AudienceSpec, Batch, Connector, Operation
from tests.connectors.file import test_file
from tests.connectors.file.test_file import connect, digest

SPEC = AudienceSpec("a", "Customers A", currency="USD")


def who(number: int) -> dict[str, Any]:
    return {"EMAIL": digest(f"p{number}"), "PHONE": digest(f"t{number}")}


def batch(connector: Connector, operation: Operation, people: list[dict[str, Any]]) -> Batch:
    return test_file.batch(connector, operation, people, chunk=5_000)


def rows(path: Path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file))


@pytest.mark.parametrize("kind", ["meta", "google", "tiktok"])
def test_a_large_list_lies_there_in_parts_too(tmp_path: Path, kind: str) -> None:
    connector = connect(tmp_path, kind, largest_file_mb=0.02)
    handle = connector.find_or_create(SPEC)
    connector.send(handle, batch(connector, Operation.ADD, [who(number) for number in range(1_500)]))
    folder = tmp_path / "uploads"
    whole = rows(folder / handle.path)
    found = parts(folder / handle.path)
    assert len(found) > 2
    assert all(one.stat().st_size <= 20_000 and one.stat().st_mode & 0o777 == 0o600 for one in found)
    assert all(rows(one)[0] == whole[0] for one in found)
    assert [row for one in found for row in rows(one)[1:]] == whole[1:]
    said = connector.status(handle).detail
    assert f"upload customers-a.part-1.csv to -{len(found)}.csv (the first replaces, the others are added)" in said


def test_parts_go_when_the_list_fits_again_or_is_deleted(tmp_path: Path) -> None:
    connector = connect(tmp_path, "tiktok", largest_file_mb=0.02)
    handle = connector.find_or_create(SPEC)
    path = tmp_path / "uploads" / handle.path
    connector.send(handle, batch(connector, Operation.ADD, [who(number) for number in range(400)]))
    assert len(parts(path)) == 3
    connector.send(handle, batch(connector, Operation.REPLACE, [who(number) for number in range(200)]))
    assert len(parts(path)) == 2
    assert sum(len(rows(one)) - 1 for one in parts(path)) == 200
    connector.send(handle, batch(connector, Operation.REPLACE, [who(1)]))
    assert parts(path) == []
    connector.send(handle, batch(connector, Operation.ADD, [who(number) for number in range(400)]))
    connector.delete(handle)
    assert list(path.parent.glob("*.csv")) == []


def test_what_is_left_to_add_and_remove_comes_in_parts_too(tmp_path: Path) -> None:
    connector = connect(tmp_path, "tiktok", largest_file_mb=0.02)
    handle = connector.find_or_create(SPEC)
    folder = tmp_path / "uploads"
    connector.send(handle, batch(connector, Operation.ADD, [who(number) for number in range(400)]))
    (folder / "uploaded").mkdir()
    (folder / "uploaded" / handle.path).write_bytes((folder / handle.path).read_bytes())
    connector.send(handle, batch(connector, Operation.REPLACE, [who(number) for number in range(350, 2_000)]))
    removing, adding = (parts(folder / f"customers-a.{kind}.csv") for kind in ("remove", "add"))
    assert sum(len(rows(one)) - 1 for one in removing) == 350
    assert sum(len(rows(one)) - 1 for one in adding) == 1_600
    said = connector.status(handle).detail
    assert f"remove the 350 of customers-a.remove.part-1.csv to -{len(removing)}.csv" in said
    assert f"add the 1,600 of customers-a.add.part-1.csv to -{len(adding)}.csv" in said


def test_parts_of_an_older_list_never_stay(tmp_path: Path) -> None:
    """Killed between the list and its parts, or between two parts: the next look cuts anew."""
    connector = connect(tmp_path, "tiktok", largest_file_mb=0.02)
    handle = connector.find_or_create(SPEC)
    path = tmp_path / "uploads" / handle.path
    connector.send(handle, batch(connector, Operation.ADD, [who(number) for number in range(400)]))
    for one in parts(path):
        one.write_text("old")
        os.utime(one, (1, 1))
    connector.status(handle)
    assert [row for one in parts(path) for row in rows(one)[1:]] == rows(path)[1:]
    parts(path)[-1].unlink()
    connector.status(handle)
    assert [row for one in parts(path) for row in rows(one)[1:]] == rows(path)[1:]


def test_a_line_longer_than_a_file_is_a_part_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("email\n" + "x" * 50 + "\nyy\nzz\n")
    assert cut(path, 20) == 2
    assert [one.read_text() for one in parts(path)] == ["email\n" + "x" * 50 + "\n", "email\nyy\nzz\n"]


def test_each_platform_has_its_own_limits(tmp_path: Path) -> None:
    """TikTok: 250 MB by API and 1,000 entries; Meta: no lists of fewer than 100; Google's pages name neither."""
    told = {name: (one.largest, one.smallest) for name, one in FORMATS.items()}
    assert told == {"meta": (0, 100), "google": (0, 0), "tiktok": (250_000_000, 1_000)}
    for kind, few in (("meta", 100), ("tiktok", 1_000)):
        connector = connect(tmp_path / kind, kind)
        handle = connector.find_or_create(SPEC)
        connector.send(handle, batch(connector, Operation.ADD, [who(number) for number in range(few - 1)]))
        assert f"takes lists of {few:,} rows and more" in connector.status(handle).detail
        connector.send(handle, batch(connector, Operation.ADD, [who(few)]))
        assert "rows and more" not in connector.status(handle).detail
