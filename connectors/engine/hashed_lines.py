"""What became of a chunk's values, as JSON lines: put together by columns."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from connectors.engine.cells import Cells, Chunk, scattered, together, unique
from connectors.engine.contact_columns import Values
from connectors.engine.digests import sha256
from connectors.engine.judged import worthwhile
from connectors.engine.normalise import RULES
from connectors.engine.normalise.rule import EMPTY

if TYPE_CHECKING:
    from connectors.engine.contact_columns import Countries
    from connectors.engine.normalise import IdentityRules
    from connectors.protocol import IdentifierField

PLAIN = r"^[ !#-\[\]-~]*$"  # text that JSON writes as it is


def lines(
    chunk: Chunk,
    first: int,
    countries: Countries | None,
    fields: dict[str, IdentifierField],
    rules: IdentityRules,
    *,
    show: bool,
) -> list[str]:
    """One line per row, numbered from `first`: `{"row": 1, "fields": {"email": [{"sha256": "..."}]}}`."""
    blank = chunk.blank()
    keyed: dict[str, list[Cells]] = {}
    for one in chunk.columns:
        if one.name in fields:
            given = one.only(one.texts.is_not_null().to_numpy() | blank[one.owners])
            where = None if countries is None else countries.of_people(given.owners)
            entries = _entries(fields[one.name], Values(given.texts.fill_null(""), where), rules, show=show)
            keyed.setdefault(one.key, []).append(Cells(one.key, one.name, entries, given.owners))
    frame = pl.DataFrame({"row": np.arange(first, first + chunk.rows)})
    columns = []
    for number, (key, parts) in enumerate(keyed.items()):
        joined = scattered(_joined(together(key, parts[0].name, parts)), chunk.rows)
        frame = frame.with_columns(pl.Series(f"key{number}", joined, dtype=pl.String))
        opened = pl.lit(json.dumps(key) + ": [")
        columns.append(pl.concat_str(opened, pl.col(f"key{number}"), pl.lit("]")))
    inside = pl.concat_str(columns, separator=", ", ignore_nulls=True) if columns else pl.lit("")
    line = pl.concat_str(pl.lit('{"row": '), pl.col("row").cast(pl.String), pl.lit(', "fields": {'), inside, pl.lit("}}\n"))
    found: list[str] = frame.select(line).to_series().to_list()
    return found


def _joined(one: Cells) -> Cells:
    """A row's entries as one text."""
    if unique(one.owners):
        return one
    frame = pl.DataFrame({"owner": one.owners, "entry": one.texts})
    whole = frame.group_by("owner", maintain_order=True).agg(pl.col("entry").str.join(", "))
    return Cells(one.key, one.name, whole["entry"], whole["owner"].to_numpy())


def _entries(field: IdentifierField, values: Values, rules: IdentityRules, *, show: bool) -> pl.Series:
    """Each value's entry: `{"sha256": "..."}`, `{"value": "..."}` or `{"invalid": "..."}`, each judged alone."""
    once = worthwhile(values, field, rules)
    if once is None:
        return _written(field, values.text, values.countries, rules, show=show)
    return _written(field, once.text, once.countries, rules, show=show).gather(pl.Series(once.codes))


def _written(
    field: IdentifierField, values: pl.Series, countries: pl.Series | None, rules: IdentityRules, *, show: bool
) -> pl.Series:
    settled = RULES[field.rule](values, countries, rules, hashed=field.hashed)
    made = sha256(settled.values) if field.hashed else settled.values
    digests = (
        pl.Series(values=[None], dtype=pl.String).new_from_index(0, len(values)) if settled.digests is None else settled.digests
    )
    frame = pl.DataFrame({"digest": digests, "made": made, "text": settled.values, "reason": settled.reasons})
    frame = frame.with_columns(
        pl.col("digest", "made").replace("", None), reason=pl.when(pl.col("reason") == "").then(None).otherwise("reason")
    )
    frame = frame.with_columns(sent=pl.coalesce("digest", "made"), shown=pl.coalesce("digest", "text"))
    sent = pl.col("sent") if field.hashed else _quoted(frame["sent"])
    kind = '{"sha256": "' if field.hashed else '{"value": "'
    parts = [pl.lit(kind), sent, pl.lit('"')]
    if show:
        parts += [pl.lit(', "normalised": "'), _quoted(frame["shown"]), pl.lit('"')]
    good = pl.concat_str(*parts, pl.lit("}"))
    reasons = frame["reason"].fill_null(EMPTY)
    bad = pl.concat_str(pl.lit('{"invalid": "'), _quoted(reasons), pl.lit('"}'))
    return frame.select(pl.when(pl.col("sent").is_not_null()).then(good).otherwise(bad)).to_series()


def _quoted(texts: pl.Series) -> pl.Series:
    """The texts as JSON writes them between quotation marks."""
    odd = ~texts.str.contains(PLAIN).fill_null(True)
    if not odd.any():
        return texts
    written = [json.dumps(one)[1:-1] for one in texts.filter(odd).to_list()]
    return texts.scatter(odd.arg_true(), written)
