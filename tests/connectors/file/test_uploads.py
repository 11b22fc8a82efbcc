"""What is left to do at the platform since a person uploaded a list: removals first, additions after them."""

from __future__ import annotations

import csv
import json
import shutil
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors.protocol import AudienceHandle, AudienceSpec, AudienceState, Connector, Operation
from tests.connectors.file.test_file import batch, connect, digest


class Desk:
    """One list, and the person who uploads it."""

    def __init__(self, folder: Path, kind: str = "google") -> None:
        self.folder, self.connector = folder / "uploads", connect(folder, kind)
        self.spec = AudienceSpec("a", "Customers A", value_weighted=kind == "meta", currency="USD")
        self.handle: AudienceHandle = self.connector.find_or_create(self.spec)

    def send(self, operation: Operation, *rows: dict[str, Any]) -> None:
        self.connector.send(self.handle, batch(self.connector, operation, list(rows)))

    def upload(self) -> None:
        (self.folder / "uploaded").mkdir(exist_ok=True)
        shutil.copy(self.folder / self.handle.path, self.folder / "uploaded")

    def said(self) -> str:
        return self.connector.status(self.handle).detail

    def rows(self, kind: str) -> list[dict[str, str]]:
        path = self.folder / f"customers-a.{kind}.csv"
        if not path.exists():
            return []
        with path.open(newline="") as file:
            header, *rows = csv.reader(file)
        return [{name: cell for name, cell in zip(header, row, strict=True) if cell} for row in rows]


def who(name: str, **more: Any) -> dict[str, Any]:
    return {"EMAIL": digest(name), **more}


def hexed(*names: str) -> list[str]:
    return sorted(digest(name).hex() for name in names)


def test_from_the_first_upload_on_only_changes_are_left(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.send(Operation.ADD, who("ann"), who("bob"), who("cat"))
    assert "upload it at the platform" in desk.said()
    assert "copy customers-a.csv into uploaded/" in desk.said()
    assert (desk.rows("add"), desk.rows("remove")) == ([], [])
    desk.upload()
    assert desk.said() == "customers-a.csv: uploaded as it is"
    desk.send(Operation.ADD, who("dan"))
    desk.send(Operation.REMOVE, who("ann"))
    assert "remove the 1 of customers-a.remove.csv, then add the 1 of customers-a.add.csv" in desk.said()
    assert [row["Email"] for row in desk.rows("add")] == hexed("dan")
    assert [row["Email"] for row in desk.rows("remove")] == hexed("ann")
    desk.upload()
    assert desk.said() == "customers-a.csv: uploaded as it is"
    assert (desk.rows("add"), desk.rows("remove")) == ([], [])


def test_whoever_a_removal_would_take_along_is_added_again(tmp_path: Path) -> None:
    """Ann and Abe share a phone: the platform removes both when Ann's row goes up."""
    desk = Desk(tmp_path)
    desk.send(Operation.ADD, who("ann", PHONE=digest("1")), who("abe", PHONE=digest("1")), who("bob"))
    desk.upload()
    desk.send(Operation.REPLACE, who("abe", PHONE=digest("1")), who("bob"))
    assert [row["Email"] for row in desk.rows("remove")] == hexed("ann")
    assert [row["Email"] for row in desk.rows("add")] == hexed("abe")


def test_another_value_is_an_addition_and_removals_have_no_value(tmp_path: Path) -> None:
    desk = Desk(tmp_path, "meta")
    desk.send(Operation.ADD, who("ann", value=Decimal("10.00")), who("bob", value=Decimal("5.00")))
    desk.upload()
    desk.send(Operation.ADD, who("ann", value=Decimal("12.00")))
    desk.send(Operation.REMOVE, who("bob"))
    assert desk.rows("add") == [{"email": digest("ann").hex(), "value": "12.00"}]
    assert desk.rows("remove") == [{"email": digest("bob").hex()}]
    header = (desk.folder / "customers-a.remove.csv").read_text().splitlines()[0]
    assert "value" not in header


def test_a_deleted_audience_leaves_whom_to_remove(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.send(Operation.ADD, who("ann"), who("bob"))
    desk.upload()
    desk.connector.delete(desk.handle)
    assert sorted(row["Email"] for row in desk.rows("remove")) == hexed("ann", "bob")
    assert desk.connector.status(desk.handle).state is AudienceState.MISSING
    assert not list((desk.folder / "uploaded").iterdir())


@pytest.mark.parametrize("text", ["Email;Phone\nx;y\n", "\ufffe\x00", ""])
def test_a_copy_that_is_not_the_list_stops_nothing(tmp_path: Path, text: str) -> None:
    desk = Desk(tmp_path)
    desk.send(Operation.ADD, who("ann"))
    desk.upload()
    (desk.folder / "uploaded" / desk.handle.path).write_bytes(text.encode("utf-16" if "\x00" in text else "utf-8"))
    assert "not the list as it was written" in desk.said()
    desk.send(Operation.ADD, who("bob"))
    assert "not the list as it was written" in desk.said()
    desk.upload()
    assert desk.said() == "customers-a.csv: uploaded as it is"


def test_an_index_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.send(Operation.ADD, who("ann"))
    index = desk.folder / "audiences.json"
    index.write_text(json.dumps([{k: v for k, v in one.items() if k in ("id", "name", "file", "rows", "written_at")}
                                 for one in json.loads(index.read_text())]))  # fmt: skip
    again: Connector = connect(tmp_path, "google")
    assert again.status(desk.handle).upper == 1
