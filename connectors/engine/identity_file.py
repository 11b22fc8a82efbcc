"""What a platform would get of a file, line by line: the answer to "why is the match rate low?"."""

from __future__ import annotations

import gc
import json
import re
from collections import defaultdict
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa

from connectors.engine.contact_columns import BIRTH_DATE, BIRTH_PARTS, Contacts, checked_default
from connectors.engine.contact_files import rows
from connectors.engine.digests import sha256
from connectors.engine.identity_report import IdentityReport
from connectors.engine.judged import judge
from connectors.engine.member_columns import laid_out
from connectors.engine.normalise import RULES
from connectors.engine.normalise.rule import EMPTY
from connectors.engine.shared import SharedIdentifiers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from connectors.engine.contact_files import Row
    from connectors.engine.normalise import IdentityRules
    from connectors.protocol import IdentifierField, Recipe

CHUNK_ROWS = 10_000
CONTEXT = ("country", "customer_id")  # a row with nothing beside these has no value
Entries = dict[str, list[dict[str, str]]]


def hash_file(
    path: Path, recipe: Recipe, rules: IdentityRules, *, show_normalised: bool, write: Callable[[str], object]
) -> IdentityReport:
    """The report over the file; `write` gets one JSON line per row, in file order.

    `{"row": 1, "fields": {"email": [{"sha256": "..."}], "phone": [{"invalid": "too short"}]}}`: fields are named as the file
    names them, one entry per value given, each judged alone (also what the platform takes only together, or by opt-in).
    A cell without a value has no entry, unless the row has no value at all (beside the country): then each says "empty".
    """
    rules = checked_default(replace(rules, opt_in=frozenset(one.name for one in recipe.fields)))
    collecting = gc.isenabled()
    gc.disable()  # rows are many small objects without cycles: the collector's rounds over them cost 40% of the time
    try:
        return _hashed(path, recipe, rules, show_normalised, write)
    finally:
        if collecting:
            gc.enable()


def _hashed(
    path: Path, recipe: Recipe, rules: IdentityRules, show_normalised: bool, write: Callable[[str], object]
) -> IdentityReport:
    fields: dict[str, IdentifierField] = {}
    for one in recipe.fields:
        fields.setdefault(one.source, one)
    report, shared, number = IdentityReport(), SharedIdentifiers(rules.shared_limit), 0
    for chunk in _chunks(path):
        contacts = Contacts.of(_batch(chunk))
        for entries in _entries(chunk, contacts.countries, fields, rules, show_normalised):
            number += 1
            write(json.dumps({"row": number, "fields": entries}) + "\n")
        report.add(_counts(contacts, recipe, rules, shared))
    for one in recipe.fields:
        shared.report(one, report.of(one.source))
    report.fields = {name: counts for name, counts in report.fields.items() if counts.given or counts.empty}
    return report


def _chunks(path: Path) -> Iterator[list[Row]]:
    found = map(_with_birth_parts, rows(path))
    while chunk := list(islice(found, CHUNK_ROWS)):
        yield chunk


def _with_birth_parts(row: Row) -> Row:
    """The row with a birth date taken apart; an unreadable one shows as an invalid year."""
    dates = [values[0] for _, name, values in row if name == "birth_date" and values]
    if not dates or not dates[0]:
        return row
    found = re.match(BIRTH_DATE, dates[0])
    own = {name for _, name, values in row if any(values)}
    parts = [(part, part, [found[place] if found else dates[0]]) for part, place in BIRTH_PARTS.items() if found or place == 1]
    return [one for one in row if one[1] not in BIRTH_PARTS or one[1] in own] + [one for one in parts if one[1] not in own]


def _entries(
    chunk: list[Row], countries: pl.Series | None, fields: dict[str, IdentifierField], rules: IdentityRules, show: bool
) -> Iterator[Entries]:
    found: list[Entries] = [{} for _ in chunk]
    places: dict[str, list[tuple[int, str, str]]] = defaultdict(list)
    for number, row in enumerate(chunk):
        blank = not any(value for _, name, values in row if name not in CONTEXT for value in values)
        for key, name, values in row:
            if name in fields:
                found[number].setdefault(key, [])
                given = ["" if value is None else value for value in values if value is not None or blank]
                places[name] += [(number, key, value) for value in given]
    for name, spots in places.items():
        texts = pl.Series(values=[value for _, _, value in spots], dtype=pl.String)
        where = None if countries is None else countries.gather([number for number, _, _ in spots])
        for (number, key, _), entry in zip(spots, _judged(fields[name], texts, where, rules, show), strict=True):
            found[number][key].append(entry)
    return ({key: entries for key, entries in one.items() if entries} for one in found)


def _judged(
    field: IdentifierField, values: pl.Series, countries: pl.Series | None, rules: IdentityRules, show: bool
) -> Iterator[dict[str, str]]:
    settled = RULES[field.rule](values, countries, rules, hashed=field.hashed)
    digests = [None] * len(values) if settled.digests is None else settled.digests.to_list()
    made = sha256(settled.values).to_list() if field.hashed else settled.values.to_list()
    kind = "sha256" if field.hashed else "value"
    for text, carried, digest, reason in zip(settled.values.to_list(), made, digests, settled.reasons.to_list(), strict=True):
        if not digest and not carried:
            yield {"invalid": reason or EMPTY}
            continue
        entry = {kind: digest or carried}
        if show:
            entry["normalised"] = digest or text
        yield entry


def _counts(contacts: Contacts, recipe: Recipe, rules: IdentityRules, shared: SharedIdentifiers) -> IdentityReport:
    fields = [judge(contacts, one, rules) for one in recipe.fields]
    for one in fields:
        shared.add(one)
    return laid_out(contacts.batch.column("customer_id"), fields, recipe, None)[1]


def _batch(chunk: list[Row]) -> pa.RecordBatch:
    """The rows as columns: every source a list, the country one text, row numbers as ids."""
    names = {name for row in chunk for _, name, _ in row} - {"customer_id", "birth_date"}
    columns: dict[str, list[Any]] = {name: [[] for _ in chunk] for name in sorted(names)}
    for number, row in enumerate(chunk):
        for _, name, values in row:
            if name in names:
                columns[name][number] += [one for one in values if one is not None]
    if "country" in columns:
        columns["country"] = [values[0] if values else None for values in columns["country"]]
    arrays = {
        name: pa.array(values, pa.string() if name == "country" else pa.list_(pa.string())) for name, values in columns.items()
    }
    ids = pa.array([str(number) for number in range(len(chunk))], pa.string())
    return pa.RecordBatch.from_arrays([ids, *arrays.values()], ["customer_id", *arrays])
