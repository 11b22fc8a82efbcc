"""Columns in which few values are different (countries, cities, first names): each is then normalised and hashed once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from connectors.engine.contact_columns import Values

SAMPLE = 4096
WORTHWHILE = 0.63  # different values below this part of the rows mean that fewer than half of the rows bring a new one
PAIRS = 1 << 23


@dataclass(frozen=True)
class Distinct:
    """The different values (with their countries where these matter), and which of them each row has."""

    text: pl.Series
    countries: pl.Series | None
    codes: NDArray[np.int64]

    def by_country(self, countries: pl.Series) -> Distinct | None:
        """The different pairs of value and country, or None where too many are possible."""
        known = countries.unique()
        order = pl.DataFrame({"c": known, "n": np.arange(len(known))})
        rows = pl.DataFrame({"c": countries}).join(order, on="c", how="left", nulls_equal=True, maintain_order="left")
        size = len(self.text) * len(known)
        if size > PAIRS:
            return None
        pairs = self.codes * len(known) + rows["n"].to_numpy()
        seen = np.zeros(size, bool)
        seen[pairs] = True
        found = np.flatnonzero(seen)
        rank = np.cumsum(seen) - 1
        return Distinct(self.text.gather(found // len(known)), known.gather(found % len(known)), rank[pairs])


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
