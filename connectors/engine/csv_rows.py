"""The rows of a CSV, some at a time, as columns of text: what is plain is cut in columns, the rest is read as CSV is."""

from __future__ import annotations

import csv
import io
import sys
from itertools import chain, islice, zip_longest
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import TextIO

BLOCK = 1 << 22  # characters
ROWS = 32_768


def headed(text: TextIO, delimiter: str) -> tuple[list[str], Iterator[list[pl.Series]]]:
    """The first line's cells, and the others' columns: as many as the longest row that is read with them has."""
    csv.field_size_limit(sys.maxsize)
    first = text.readline()
    if '"' in first or "\r" in first.removesuffix("\r\n"):
        reader = csv.reader(chain([first], text), delimiter=delimiter)
        return next(reader, []), _read(reader)
    return next(csv.reader([first], delimiter=delimiter), []), _columns(text, delimiter)


def _columns(text: TextIO, delimiter: str) -> Iterator[list[pl.Series]]:
    while block := text.read(BLOCK):
        block += text.readline()
        if '"' in block:  # a quoted cell may go on in the next block
            rest = chain(io.StringIO(block, newline=""), text)
            yield from _read(csv.reader(rest, delimiter=delimiter))
            return
        plain = block.replace("\r\n", "\n").removesuffix("\n")
        found = None if "\r" in plain else _cut(plain, delimiter)
        if found is None:
            yield from _read(csv.reader(io.StringIO(block, newline=""), delimiter=delimiter))
        else:
            yield found


def _cut(plain: str, delimiter: str) -> list[pl.Series] | None:
    """The columns of lines without quotes; None when not all lines have as many cells."""
    lines = pl.Series(values=[plain], dtype=pl.String).str.split("\n").explode()
    cells = lines.str.count_matches(delimiter, literal=True)
    more = cells[0]
    if not (cells == more).all() or (more == 0 and (lines == "").any()):
        return None
    return lines.str.split_exact(delimiter, more).struct.unnest().get_columns() if more else [lines]


def _read(rows: Iterable[list[str]]) -> Iterator[list[pl.Series]]:
    left = iter(rows)
    while some := list(islice(left, ROWS)):
        yield [pl.Series(values=cells, dtype=pl.String) for cells in zip_longest(*some, fillvalue="")] or [
            pl.Series(values=[""] * len(some), dtype=pl.String)
        ]
