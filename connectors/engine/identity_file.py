"""What a platform would get of a file, line by line: the answer to "why is the match rate low?"."""

from __future__ import annotations

import gc
from dataclasses import replace
from typing import TYPE_CHECKING

from connectors.engine.cells import with_birth_parts
from connectors.engine.contact_columns import checked_default
from connectors.engine.contact_files import chunks
from connectors.engine.hashed_lines import lines, read
from connectors.engine.identity_report import IdentityReport
from connectors.engine.in_order import in_order
from connectors.engine.judged import judge
from connectors.engine.member_columns import reported
from connectors.engine.shared import SharedIdentifiers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from connectors.engine.cells import Chunk
    from connectors.engine.judged import Judged
    from connectors.engine.normalise import IdentityRules
    from connectors.protocol import IdentifierField, Recipe

THREADS = 2


def hash_file(
    path: Path, recipe: Recipe, rules: IdentityRules, *, show_normalised: bool, write: Callable[[str], object]
) -> IdentityReport:
    """The report over the file; `write` gets JSON lines, one per row, in file order and many at a time.

    `{"row": 1, "fields": {"email": [{"sha256": "..."}], "phone": [{"invalid": "too short"}]}}`: fields are named as the file
    names them, one entry per value given, each judged alone (also what the platform takes only together, or by opt-in).
    A cell without a value has no entry, unless the row has no value at all (beside the country): then each says "empty".
    """
    rules = checked_default(replace(rules, opt_in=frozenset(one.name for one in recipe.fields)))
    collecting = gc.isenabled()
    gc.disable()  # a file's rows are many small objects without cycles: the collector's rounds over them cost an eighth
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
    report, shared = IdentityReport(), SharedIdentifiers(rules.shared_limit)

    def work(numbered: tuple[int, Chunk]) -> tuple[str, int, list[Judged]]:
        chunk = with_birth_parts(numbered[1])
        contacts, columns = read(chunk)
        written = lines(chunk, numbered[0], columns, fields, rules, show=show_normalised)
        return written, contacts.people, [judge(contacts, one, rules) for one in recipe.fields]

    for written, people, judged in in_order(_numbered(path), work, THREADS):
        write(written)
        for values in judged:
            shared.add(values)
        report.add(reported(people, judged, recipe, None)[0])
    for one in recipe.fields:
        shared.report(one, report.of(one.source))
    report.fields = {name: counts for name, counts in report.fields.items() if counts.given or counts.empty}
    return report


def _numbered(path: Path) -> Iterator[tuple[int, Chunk]]:
    """The chunks with the numbers of their first rows."""
    number = 1
    for chunk in chunks(path):
        yield number, chunk
        number += chunk.rows
