"""A chunk of contacts as columns that rules can read: text, flat, with each value's person and country."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from connectors.engine.normalise.country import alpha2
from connectors.engine.normalise.rule import nothing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from connectors.engine.normalise import IdentityRules

LONGEST_NAME = 100
BIRTH_PARTS = {"birth_year": 1, "birth_month": 2, "birth_day": 3}
BIRTH_DATE = r"^\s*([0-9]{4})[-/.]?([0-9]{2})[-/.]?([0-9]{2})(?:[T ].*)?$"


@dataclass(frozen=True)
class Countries:
    """Alpha-2 codes (capitals), null where unknown; `places` numbers each row's own spelling, below `width`."""

    codes: pl.Series
    places: NDArray[np.int64]
    width: int

    @classmethod
    def of(cls, names: pl.Series) -> Countries:
        """The countries of codes and English names."""
        encoded: Any = names.to_arrow(compat_level=pl.CompatLevel.oldest()).dictionary_encode()
        known = [alpha2(name) if name and len(name) < LONGEST_NAME else None for name in encoded.dictionary.to_pylist()]
        places = encoded.indices.fill_null(len(known)).to_numpy().astype(np.int64)
        codes = pl.Series(values=[*known, None], dtype=pl.String).gather(pl.Series(places))
        return cls(codes, places, len(known) + 1)

    def of_people(self, people: NDArray[np.int64]) -> Countries:
        """The countries of values that belong to these people."""
        return Countries(self.codes.gather(pl.Series(people)), self.places[people], self.width)


@dataclass(frozen=True)
class Values:
    """Values of one source in file order. `people` is each value's row in the chunk; None: value i is person i's.

    `answers`: where what a rule made of them waits for whoever asks again; None: nobody does.
    """

    text: pl.Series
    where: Countries | None = None
    people: NDArray[np.int64] | None = None
    answers: dict[tuple[str, bool], Any] | None = None

    @property
    def countries(self) -> pl.Series | None:
        """Each value's alpha-2 code, null where unknown; None: no country is known at all."""
        return None if self.where is None else self.where.codes


@dataclass
class Contacts:
    """One chunk. `where` says each person's country; None: there is no such column."""

    batch: pa.RecordBatch
    where: Countries | None
    _values: dict[str, Values] = field(default_factory=dict)

    @classmethod
    def of(cls, batch: pa.RecordBatch) -> Contacts:
        """The chunk, its country column read once."""
        named = "country" in batch.schema.names
        return cls(batch, Countries.of(text_of(batch.column("country"))) if named else None)

    @property
    def countries(self) -> pl.Series | None:
        """Each person's alpha-2 code, null where unknown."""
        return None if self.where is None else self.where.codes

    @property
    def people(self) -> int:
        """How many rows there are."""
        return int(self.batch.num_rows)

    def hold(self, source: str, values: Values) -> None:
        """Nothing: these are the values of a source column."""
        self._values[source] = values

    def values(self, source: str) -> Values | None:
        """The values of a source column, or None if there is no such column."""
        if source not in self._values:
            found = self._read(source)
            if found is None:
                return None
            self._values[source] = found
        return self._values[source]

    def _read(self, source: str) -> Values | None:
        names = self.batch.schema.names
        column = self.batch.column(source) if source in names else None
        if column is not None and _is_list(column.type):
            people = pc.list_parent_indices(column).to_numpy().astype(np.int64)
            where = None if self.where is None else self.where.of_people(people)
            return Values(text_of(column.flatten()), where, people)
        text = None if column is None else text_of(column)
        if source in BIRTH_PARTS and "birth_date" in names:
            text = _with_birth_date(source, text, text_of(self.batch.column("birth_date")))
        return None if text is None else Values(text, self.where)


def text_of(column: pa.Array) -> pl.Series:
    """The column as text; what isn't valid UTF-8 gets replacement marks, which every rule refuses."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_null(column.type):
        return nothing(len(column))
    if pa.types.is_floating(column.type):
        whole = pc.equal(column, pc.floor(column))
        column = pc.if_else(whole, column.cast(pa.decimal128(38, 0), safe=False).cast(pa.string()), column.cast(pa.string()))
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        return _repaired(column)
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        column = column.cast(pa.string())
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        return _repaired(column.cast(pa.binary()))
    series = pl.from_arrow(column)
    assert isinstance(series, pl.Series)
    return series.cast(pl.String)


def _repaired(column: pa.Array) -> pl.Series:
    return pl.Series(
        values=[None if value is None else value.decode("utf-8", "replace") for value in column.to_pylist()], dtype=pl.String
    )


def _with_birth_date(source: str, own: pl.Series | None, dates: pl.Series) -> pl.Series:
    """The part of the birth date where the person has no own part; an unreadable date shows as an invalid year."""
    part = pl.col("date").str.extract(BIRTH_DATE, BIRTH_PARTS[source])
    if source == "birth_year":
        part = pl.coalesce(part, "date")
    frame = pl.DataFrame({"date": dates, "own": nothing(len(dates)) if own is None else own})
    given = pl.when(pl.col("own").str.strip_chars() != "").then("own")
    return frame.select(pl.coalesce(given, part, "own"))["own"]


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def checked_default(rules: IdentityRules) -> IdentityRules:
    """The rules with the default country as an alpha-2 code; raises ConfigurationError for a country that isn't one."""
    from dataclasses import replace

    from connectors.errors import ConfigurationError

    if rules.default_country is None:
        return rules
    code = alpha2(rules.default_country)
    if code is None:
        raise ConfigurationError("the default country is not a country", remedy="an ISO code such as US, GB or DE")
    return rules if code == rules.default_country else replace(rules, default_country=code)
