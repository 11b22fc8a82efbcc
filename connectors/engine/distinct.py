"""Columns in which few values are different (countries, cities, first names): each is then normalised and hashed once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from connectors.engine.contact_columns import Countries, Values

SAMPLE = 4096
WORTHWHILE = 0.63  # different values below this part of the rows mean that fewer than half of the rows bring a new one
PAIRS = 1 << 21


@dataclass(frozen=True)
class Distinct:
    """The different values (with their countries where these matter), and which of them each row has."""

    text: pl.Series
    countries: pl.Series | None
    codes: NDArray[np.int64]

    def by_country(self, where: Countries, matters: NDArray[np.bool_]) -> Distinct | None:
        """The different pairs of value and country, or None where too many are possible.

        `matters` says of each value whether its country may decide; the others are kept once, under any country.
        """
        size = len(self.text) * where.width
        if size > PAIRS:
            return None
        pairs = self.codes * where.width + np.where(matters[self.codes], where.places, 0)
        seen = np.zeros(size, bool)
        seen[pairs] = True
        found = np.flatnonzero(seen)
        rank = np.cumsum(seen) - 1
        last = np.zeros(where.width, np.int64)
        last[where.places] = np.arange(len(where.places))
        countries = where.codes.gather(pl.Series(last)).gather(pl.Series(found % where.width))
        return Distinct(self.text.gather(pl.Series(found // where.width)), countries, rank[pairs])


def distinct(values: Values) -> Distinct | None:
    """The different values, or None where too many are different for this to save anything."""
    arrow: Any = values.text.to_arrow(compat_level=pl.CompatLevel.oldest())
    rows, tried = len(arrow), min(len(arrow), SAMPLE)
    repeats = tried - len(arrow.slice(0, tried).dictionary_encode().dictionary)
    if not rows or tried * tried > 2 * repeats * WORTHWHILE * rows:
        return None
    encoded = arrow.dictionary_encode()
    text = pl.Series(values=encoded.dictionary, dtype=pl.String)
    codes = encoded.indices.fill_null(len(text)).to_numpy().astype(np.int64)
    return Distinct(text.extend_constant(None, 1), None, codes)
