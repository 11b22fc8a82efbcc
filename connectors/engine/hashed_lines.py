"""What became of a chunk's values, as JSON lines: put together by columns."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from connectors.engine.cells import Cells, Chunk, scattered, together, unique
from connectors.engine.contact_columns import Contacts, Values
from connectors.engine.judged import answered
from connectors.engine.normalise.rule import EMPTY, nothing, spread

if TYPE_CHECKING:
    from collections.abc import Sequence

    from connectors.engine.judged import Answer
    from connectors.engine.normalise import IdentityRules
    from connectors.protocol import IdentifierField

PLAIN = r"^[ !#-\[\]-~]*$"  # text that JSON writes as it is


def read(chunk: Chunk) -> tuple[Contacts, list[tuple[Cells, Values]]]:
    """The chunk as contacts, and its columns' values: cells that hold something, all of them in rows that hold nothing.

    Where one column alone has a name, the contacts have the very values of the column, and what rules make of them is kept.
    """
    blank, everybody = chunk.blank(), np.arange(chunk.rows)
    named = Counter(one.name for one in chunk.columns)
    alone = {one.name for one in chunk.columns if named[one.name] == 1 and (one.name != "country" or unique(one.owners))}
    contacts = Contacts.of(chunk.batch({name for name in named if name not in alone} | {"country"}))
    found = []
    for one in chunk.columns:
        given = one.only(one.texts.is_not_null().to_numpy() | blank[one.owners])
        whole = len(given.owners) == chunk.rows and (given.owners == everybody).all()
        where = contacts.where if whole or contacts.where is None else contacts.where.of_people(given.owners)
        text, people = given.texts.fill_null(""), None if whole else given.owners
        values = Values(text, where, people, {} if one.name in alone else None)
        if one.name in alone:
            contacts.hold(one.name, values)
        found.append((given, values))
    return contacts, found


def lines(
    chunk: Chunk,
    first: int,
    columns: Sequence[tuple[Cells, Values]],
    fields: dict[str, IdentifierField],
    rules: IdentityRules,
    *,
    show: bool,
) -> str:
    """One line per row, numbered from `first`: `{"row": 1, "fields": {"email": [{"sha256": "..."}]}}`."""
    keyed: dict[str, list[Cells]] = {}
    for one, values in columns:
        if one.name in fields:
            entries = _entries(fields[one.name], values, rules, show=show)
            keyed.setdefault(one.key, []).append(Cells(one.key, one.name, entries, one.owners))
    frame = pl.DataFrame({"row": np.arange(first, first + chunk.rows)})
    for number, (key, parts) in enumerate(keyed.items()):
        joined = scattered(_joined(together(key, parts[0].name, parts)), chunk.rows)
        frame = frame.with_columns(pl.Series(f"key{number}", joined, dtype=pl.String))
    inside = _inside(frame, [json.dumps(key) + ": [" for key in keyed])
    line = pl.concat_str(pl.lit('{"row": '), pl.col("row").cast(pl.String), pl.lit(', "fields": {'), *inside, pl.lit("}}\n"))
    found: str = frame.select(line.str.join("")).item()
    return found


def _inside(frame: pl.DataFrame, opened: Sequence[str]) -> list[pl.Expr]:
    """What stands between the braces: of every column that has entries in a row its name and those."""
    columns = [pl.col(f"key{number}") for number in range(len(opened))]
    if not any(frame[f"key{number}"].null_count() for number in range(len(opened))):
        ends = ["", *["], "] * (len(opened) - 1)]
        parts = [part for end, name, one in zip(ends, opened, columns, strict=True) for part in (pl.lit(end + name), one)]
        return [*parts, pl.lit("]")] if parts else []
    texts = [pl.concat_str(pl.lit(name), one, pl.lit("]")) for name, one in zip(opened, columns, strict=True)]
    return [pl.concat_str(texts, separator=", ", ignore_nulls=True)]


def _joined(one: Cells) -> Cells:
    """A row's entries as one text."""
    if unique(one.owners):
        return one
    frame = pl.DataFrame({"owner": one.owners, "entry": one.texts})
    whole = frame.group_by("owner", maintain_order=True).agg(pl.col("entry").str.join(", "))
    return Cells(one.key, one.name, whole["entry"], whole["owner"].to_numpy())


def _entries(field: IdentifierField, values: Values, rules: IdentityRules, *, show: bool) -> pl.Series:
    """Each value's entry: `{"sha256": "..."}`, `{"value": "..."}` or `{"invalid": "..."}`, each judged alone."""
    answer = answered(values, field, rules)
    written = _written(field, answer, show=show)
    return written if answer.once is None else written.gather(pl.Series(answer.once.codes))


def _written(field: IdentifierField, answer: Answer, *, show: bool) -> pl.Series:
    settled = answer.settled
    sent, shown = answer.digests if field.hashed else settled.values, settled.values
    if settled.digests is not None:
        frame = pl.DataFrame({"digest": settled.digests, "made": sent, "text": shown})
        frame = frame.with_columns(pl.col("digest").replace("", None))
        sent, shown = (
            frame.select(pl.coalesce("digest", "made"))["digest"],
            frame.select(pl.coalesce("digest", "text"))["digest"],
        )
    if (sent == "").any():
        sent = sent.replace("", None)
    kind = '{"sha256": "' if field.hashed else '{"value": "'
    frame = pl.DataFrame(
        {"sent": sent if field.hashed else _quoted(sent), "shown": _quoted(shown) if show else nothing(len(sent))}
    )
    normalised = [pl.lit('", "normalised": "'), pl.col("shown")] if show else []
    good = frame.select(one=pl.concat_str(pl.lit(kind), pl.col("sent"), *normalised, pl.lit('"}')))["one"]
    lacking = sent.is_null()
    if not lacking.any():
        return good
    reasons = pl.DataFrame({"why": _quoted(settled.reasons.filter(lacking).replace("", None).fill_null(EMPTY))})
    bad = reasons.select(one=pl.concat_str(pl.lit('{"invalid": "'), pl.col("why"), pl.lit('"}')))["one"]
    return spread(bad, lacking).zip_with(lacking, good)


def _quoted(texts: pl.Series) -> pl.Series:
    """The texts as JSON writes them between quotation marks."""
    odd = ~texts.str.contains(PLAIN).fill_null(True)
    if not odd.any():
        return texts
    written = [json.dumps(one)[1:-1] for one in texts.filter(odd).to_list()]
    return texts.scatter(odd.arg_true(), written)
