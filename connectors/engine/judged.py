"""One field of one chunk, judged: digests or text per value, and the counts of what became of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from connectors.engine.digests import WIDTH, packed, sha256
from connectors.engine.identity_report import FieldReport
from connectors.engine.normalise import RULES
from connectors.engine.normalise.rule import EMPTY

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from connectors.engine.contact_columns import Contacts, Values
    from connectors.engine.normalise import IdentityRules, Settled
    from connectors.protocol import IdentifierField


@dataclass
class Judged:
    """The good values of a field. `people` (ascending) and `slots` place each; `digests` or `text` is what travels."""

    field: IdentifierField
    people: NDArray[np.int64]
    slots: NDArray[np.int64] | None  # None: every person has at most one value
    digests: NDArray[np.uint8] | None
    text: pl.Series | None
    counts: FieldReport

    def keys(self) -> NDArray[np.uint64]:
        """64 bits per value that tell identifiers apart."""
        if self.digests is not None:
            return np.ascontiguousarray(self.digests[:, :8]).view(np.uint64).ravel()
        assert self.text is not None
        return self.text.hash(seed=0).to_numpy()

    def only(self, keep: NDArray[np.bool_]) -> None:
        """Nothing: the other values are gone, and later values of a person have moved up."""
        self.people = self.people[keep]
        self.digests = None if self.digests is None else self.digests[keep]
        self.text = None if self.text is None else self.text.filter(pl.Series(keep))
        self.slots = None if self.slots is None else ranks(self.people)


def judge(contacts: Contacts, field: IdentifierField, rules: IdentityRules) -> Judged:
    """The field's values of this chunk, normalised, hashed if the platform wants that, a person's own duplicates gone."""
    values = contacts.values(field.source)
    counts = FieldReport()
    if values is None or (field.opt_in and field.name not in rules.opt_in):
        return Judged(field, np.empty(0, np.int64), None, *_nothing(field), counts)
    settled = RULES[field.rule](values.text, values.countries, rules, hashed=field.hashed)
    good, digests, text = carried(settled, hashed=field.hashed)
    _count(counts, settled, values, contacts.people, len(good))
    judged = Judged(field, good if values.people is None else values.people[good], None, digests, text, counts)
    if values.people is not None and len(good) and not (np.diff(judged.people) > 0).all():
        judged.slots = ranks(judged.people)
        _drop_repeats(judged)
        surplus = judged.slots >= field.values
        counts.surplus = int(surplus.sum())
        judged.only(~surplus)
    return judged


def carried(settled: Settled, *, hashed: bool) -> tuple[NDArray[np.int64], NDArray[np.uint8] | None, pl.Series | None]:
    """The places of the good values, and what travels of them: rows of 32 bytes, or text."""
    if not hashed:
        good = settled.values.is_not_null().arg_true().to_numpy().astype(np.int64)
        return good, None, settled.values.drop_nulls()
    digests = sha256(settled.values)
    if settled.digests is not None:
        digests = settled.digests.zip_with(settled.digests.is_not_null(), digests)
    good = digests.is_not_null().arg_true().to_numpy().astype(np.int64)
    return good, packed(digests.drop_nulls()), None


def ranks(people: NDArray[np.int64]) -> NDArray[np.int64]:
    """0, 1, 2 ... within each run of equal (ascending) people."""
    if not len(people):
        return people
    starts = np.concatenate(([True], people[1:] != people[:-1]))
    places = np.arange(len(people))
    return places - np.maximum.accumulate(np.where(starts, places, 0))


def _drop_repeats(judged: Judged) -> None:
    frame = pl.DataFrame({"person": judged.people, "key": judged.keys()})
    first = frame.select(pl.struct("person", "key").is_first_distinct()).to_series().to_numpy()
    judged.counts.repeated = int((~first).sum())
    judged.only(first)


def _count(counts: FieldReport, settled: Settled, values: Values, people: int, good: int) -> None:
    counts.valid = good
    if settled.digests is not None:
        counts.hashed_before = len(settled.digests) - settled.digests.null_count()
    blank = 0
    if settled.reasons.null_count() < len(settled.reasons):
        for reason, count in settled.reasons.drop_nulls().value_counts().iter_rows():
            if reason == EMPTY:
                blank = count
            else:
                counts.invalid[reason] = count
    if settled.notes is not None:
        counts.notes.update(dict(settled.notes.drop_nulls().value_counts().iter_rows()))
    if values.people is None:
        counts.empty = people - good - counts.invalid.total()
    else:
        given = (
            values.text.is_not_null() & (settled.reasons.is_null() | (settled.reasons != EMPTY))
            if blank
            else values.text.is_not_null()
        )
        counts.empty = people - len(np.unique(values.people[given.to_numpy()]))


def _nothing(field: IdentifierField) -> tuple[NDArray[np.uint8] | None, pl.Series | None]:
    return (np.empty((0, WIDTH), np.uint8), None) if field.hashed else (None, pl.Series(values=[], dtype=pl.String))
