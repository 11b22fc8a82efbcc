"""Contact columns of a chunk of a file, as they stand there: any number of values per row, with the rows that have none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pyarrow as pa

from connectors.engine.contact_columns import BIRTH_DATE, BIRTH_PARTS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from numpy.typing import NDArray

CONTEXT = ("country", "customer_id")  # a row with nothing beside these has no value


@dataclass(frozen=True)
class Cells:
    """The values of one column. `key`: its name in the file, tidied; `name`: ours; `owners`: each value's row, ascending.

    A null text is a cell without a value.
    """

    key: str
    name: str
    texts: pl.Series
    owners: NDArray[np.int64]

    def only(self, keep: NDArray[np.bool_], key: str = "", name: str = "", texts: pl.Series | None = None) -> Cells:
        """Some of the values, under another name if one is given."""
        chosen = (self.texts if texts is None else texts).filter(pl.Series(keep))
        return Cells(key or self.key, name or self.name, chosen, self.owners[keep])

    @property
    def given(self) -> NDArray[np.bool_]:
        """Which texts are there and not empty."""
        return (self.texts.is_not_null() & (self.texts != "").fill_null(False)).to_numpy()


@dataclass(frozen=True)
class Chunk:
    """Some rows of a file, by columns in the file's order."""

    rows: int
    columns: Sequence[Cells]

    def blank(self) -> NDArray[np.bool_]:
        """Which rows have no value at all, the country and the id aside."""
        blank = np.ones(self.rows, bool)
        for one in self.columns:
            if one.name not in CONTEXT:
                blank[one.owners[one.given]] = False
        return blank

    def by_name(self, names: Collection[str]) -> dict[str, Cells]:
        """One column for each of our names: values of columns of the same name together, by row; null ones left out."""
        named: dict[str, list[Cells]] = {}
        for one in self.columns:
            if one.name not in names:
                continue
            named.setdefault(one.name, []).append(one.only(one.texts.is_not_null().to_numpy()))
        return {name: together(name, name, parts) for name, parts in named.items()}

    def batch(self, names: Collection[str]) -> pa.RecordBatch:
        """These columns as contacts: row numbers as ids, one text per row where no row has more, else lists."""
        columns = {"customer_id": pa.array(np.arange(self.rows)).cast(pa.string())}
        for name, one in self.by_name(set(names) - {"customer_id", "birth_date"}).items():
            first = one if name != "country" else one.only(np.diff(one.owners, prepend=-1) > 0)
            columns[name] = scattered(first, self.rows) if unique(first.owners) else _listed(first, self.rows)
        return pa.RecordBatch.from_arrays(list(columns.values()), list(columns))


def unique(owners: NDArray[np.int64]) -> bool:
    """Whether no row has more than one value."""
    return bool((np.diff(owners) > 0).all())


def scattered(one: Cells, rows: int) -> pa.Array:
    """A column with each row's only text, null where it has none."""
    if len(one.owners) == rows:  # ascending and unique: row by row
        return one.texts.to_arrow().cast(pa.string())
    places = np.full(rows, -1, np.int64)
    places[one.owners] = np.arange(len(one.owners))
    return one.texts.to_arrow().cast(pa.string()).take(pa.array(places, mask=places < 0))


def _listed(one: Cells, rows: int) -> pa.Array:
    ends = np.concatenate(([0], np.cumsum(np.bincount(one.owners, minlength=rows)))).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(ends), one.texts.to_arrow().cast(pa.string()))


def together(key: str, name: str, parts: Sequence[Cells]) -> Cells:
    """The values of several columns as one: by row, within a row in the columns' order."""
    if len(parts) == 1:
        return Cells(key, name, parts[0].texts, parts[0].owners)
    owners = np.concatenate([one.owners for one in parts])
    order = np.argsort(owners, kind="stable")
    return Cells(key, name, pl.concat([one.texts for one in parts]).gather(pl.Series(order)), owners[order])


def with_birth_parts(chunk: Chunk) -> Chunk:
    """The chunk with birth dates taken apart where a row has no part of its own; an unreadable one shows as an invalid year."""
    dates = [one for one in chunk.columns if one.name == "birth_date"]
    if not dates:
        return chunk
    first = together("birth_date", "birth_date", dates)
    first = first.only(np.diff(first.owners, prepend=-1) > 0)
    dated = first.only(first.given)
    has_date = np.zeros(chunk.rows, bool)
    has_date[dated.owners] = True
    columns, own = [], {part: np.zeros(chunk.rows, bool) for part in BIRTH_PARTS}
    for one in chunk.columns:
        if one.name in own:
            own[one.name][one.owners[one.given]] = True
    for one in chunk.columns:
        keep = own[one.name][one.owners] | ~has_date[one.owners] if one.name in own else np.ones(len(one.owners), bool)
        columns.append(one.only(keep))
    for part, place in BIRTH_PARTS.items():
        found = dated.texts.str.extract(BIRTH_DATE, place)
        if place == 1:
            found = found.zip_with(found.is_not_null(), dated.texts)
        keep = found.is_not_null().to_numpy() & ~own[part][dated.owners]
        if keep.any():
            columns.append(dated.only(keep, part, part, found))
    return Chunk(chunk.rows, columns)


def cells_of(key: str, name: str, values: Iterable[Sequence[str | None]]) -> Cells:
    """The column whose rows have these values."""
    held = list(values)
    owners = np.repeat(np.arange(len(held)), [len(one) for one in held])
    texts = [text for one in held for text in one]
    return Cells(key, name, pl.Series(values=texts, dtype=pl.String), owners)
