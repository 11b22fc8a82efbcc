"""Contacts from a file as people hand them over, in columns and in file order: CSV, JSON lines, Parquet."""

from __future__ import annotations

import json
import re
from itertools import islice
from types import NoneType
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from connectors.columns import CONTACTS
from connectors.engine import csv_rows
from connectors.engine.cells import Cells, Chunk, cells_of
from connectors.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MORE_ALIASES: dict[str, tuple[str, ...]] = {  # beside those of every source
    "customer_id": ("customerid",),
    "email": ("em",),
    "phone": ("ph", "mobile_phone", "cell"),
    "first_name": ("first", "forename"),
    "last_name": ("last",),
    "gender": ("ge",),
    "birth_date": ("birthdate",),
    "birth_year": ("year_of_birth",),
    "birth_month": ("month_of_birth",),
    "birth_day": ("day_of_birth",),
    "city": (),
    "region": ("state_code",),
    "postal_code": ("zp", "zipcode", "postalcode", "post_code"),
    "country": ("country_name", "region_code"),
    "mobile_ad_id": ("aaid", "mobile_id", "mobile_advertiser_id", "device_id"),
    "external_id": ("externalid",),
}
OURS = {alias: name for name, others in MORE_ALIASES.items() for alias in (name, *CONTACTS[name], *others)}
SEVERAL = ("email", "phone", "mobile_ad_id")
ARRAY = r"^\s*\["
LISTS = r"^\s*\[|\|"
LISTED = ("email", "phone")  # "|" joins several in CSV; in a name it is just a character
CHUNK_ROWS = 65_536  # more rows make a rule's fixed cost small, fewer keep memory low


def chunks(path: Path) -> Iterator[Chunk]:
    """The file's rows, some at a time. A key is the file's own column name, tidied; other columns are left out."""
    suffix = path.suffix.lower()
    if suffix in (".parquet", ".pq"):
        yield from _parquet(path)
    elif suffix in (".jsonl", ".ndjson", ".json"):
        yield from _json_lines(path)
    else:
        yield from _csv(path)


def tidy(header: str) -> str:
    """A column name in lower case, words joined by underscores."""
    return re.sub(r"[^a-z0-9]+", "_", header.strip().lower()).strip("_")


def _known(headers: list[str], path: Path) -> list[tuple[int, str, str]]:
    found = [(place, key, OURS[key]) for place, key in enumerate(map(tidy, headers)) if key in OURS]
    if not any(name not in ("customer_id", "country") for _, _, name in found) and not any(n == "country" for *_, n in found):
        raise ConfigurationError(
            f"{path.name}: no contact column found",
            remedy="name the columns as in contacts: " + ", ".join(list(MORE_ALIASES)[1:]),
        )
    return found


def _csv(path: Path) -> Iterator[Chunk]:
    with path.open("rb") as raw:
        start = raw.read(4)
    encoding = "utf-16" if start[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    with path.open(encoding=encoding, errors="replace", newline="") as text:
        first = text.readline()
        text.seek(0)
        delimiter = max(",;\t", key=first.count) if path.suffix.lower() != ".tsv" else "\t"
        headers, blocks = csv_rows.headed(text, delimiter)
        known = _known(headers, path)
        for columns in blocks:
            rows = len(columns[0])
            absent = pl.Series(values=[""], dtype=pl.String).new_from_index(0, rows)
            found = [(key, name, columns[place] if place < len(columns) else absent) for place, key, name in known]
            yield Chunk(rows, [_csv_column(*one) for one in found])


def _csv_column(key: str, name: str, texts: pl.Series) -> Cells:
    if name in SEVERAL and texts.str.contains(LISTS).any():
        return cells_of(key, name, [_cell(name, cell) for cell in texts.to_list()])
    return Cells(key, name, texts.replace("", None), np.arange(len(texts)))


def _cell(name: str, cell: str) -> list[str | None]:
    if not cell:
        return [None]
    if name in LISTED and "|" in cell:
        return [part for part in cell.split("|") if part.strip()] or [""]
    return _array(cell)


def _array(cell: str) -> list[str | None]:
    """The texts of a JSON array in a cell, else the cell itself."""
    if cell.lstrip().startswith("["):
        try:
            found = json.loads(cell)
        except ValueError:
            return [cell]
        if isinstance(found, list) and found:
            return [text(one) for one in found]
    return [cell]


def _json_lines(path: Path) -> Iterator[Chunk]:
    with path.open(encoding="utf-8-sig", errors="replace") as lines:
        head = lines.read(1)
        lines.seek(0)
        objects = _whole(lines.read(), path) if head == "[" else (_object(line, path, n) for n, line in enumerate(lines, 1))
        found = (one for one in objects if one is not None)
        while rows := list(islice(found, CHUNK_ROWS)):
            yield _of_objects(rows)


def _of_objects(rows: list[dict[str, Any]]) -> Chunk:
    columns: dict[str, tuple[list[int], list[Any]]] = {key: ([], []) for key in max(rows, key=len)}
    for number, row in enumerate(rows):
        for key, value in row.items():
            if key not in columns:
                columns[key] = [], []
            owners, values = columns[key]
            owners.append(number)
            values.append(value)
    named = [(tidy(key), owners, values) for key, (owners, values) in columns.items()]
    return Chunk(len(rows), [_json_column(key, OURS[key], *held) for key, *held in named if key in OURS])


def _json_column(key: str, name: str, owners: list[int], values: list[Any]) -> Cells:
    texts = _plain(values)
    if texts is not None and not (name in SEVERAL and texts.str.contains(ARRAY).any()):
        return Cells(key, name, texts, np.array(owners))
    one = cells_of(key, name, [_given(name, value) for value in values])
    return Cells(key, name, one.texts, np.array(owners, np.int64)[one.owners])


def _plain(values: list[Any]) -> pl.Series | None:
    """The values as a column, if all are whole text or null."""
    if not set(map(type, values)) <= {str, NoneType}:
        return None
    try:
        return pl.Series(values=values, dtype=pl.String)
    except UnicodeError:  # half of a surrogate pair
        return None


def _whole(content: str, path: Path) -> list[dict[str, Any]]:
    try:
        found = json.loads(content)
    except ValueError:
        raise ConfigurationError(f"{path.name}: not JSON", remedy="one JSON object per line, or an array of objects") from None
    return [one for one in found if isinstance(one, dict)]


def _object(line: str, path: Path, number: int) -> dict[str, Any] | None:
    if not line.strip():
        return None
    try:
        found = json.loads(line)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ConfigurationError(f"{path.name}:{number}: not a JSON object", remedy="one JSON object per line") from None
    return found


def _given(name: str, value: Any) -> list[str | None]:
    if isinstance(value, list):
        return [text(one) for one in value]
    shown = text(value)
    return [None] if shown is None else _array(shown) if name in SEVERAL else [shown]


def text(value: Any) -> str | None:
    """The value as text; whole numbers without a decimal point, lone surrogates replaced."""
    if value is None or value != value:
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    shown = value if isinstance(value, str) else json.dumps(value) if isinstance(value, (dict, list, bool)) else str(value)
    return shown.encode("utf-8", "surrogatepass").decode("utf-8", "replace")


def _parquet(path: Path) -> Iterator[Chunk]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        source = pq.ParquetFile(path)
    except pa.ArrowInvalid:
        raise ConfigurationError(f"{path.name}: not a Parquet file", remedy="check what wrote it, or its ending") from None
    known = _known(source.schema_arrow.names, path)
    for batch in source.iter_batches(CHUNK_ROWS):
        columns = [
            _json_column(key, name, list(range(batch.num_rows)), batch.column(place).to_pylist()) for place, key, name in known
        ]
        yield Chunk(batch.num_rows, columns)
