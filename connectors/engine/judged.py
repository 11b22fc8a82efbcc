"""One field of one chunk, judged: digests or text per value, and the counts of what became of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from connectors.engine.digests import WIDTH, digest_rows, packed, sha256
from connectors.engine.distinct import distinct
from connectors.engine.identity_report import FieldReport
from connectors.engine.normalise import RULES
from connectors.engine.normalise.rule import EMPTY

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from connectors.engine.contact_columns import Contacts, Values
    from connectors.engine.distinct import Distinct
    from connectors.engine.normalise import IdentityRules, Settled
    from connectors.protocol import IdentifierField

UNLIKE = ("email", "phone", "mobile_ad_id", "external_id")  # nearly every person has another one


@dataclass
class Judged:
    """The good values of a field. `people` (ascending) and `slots` place each; `digests` or `text` is what travels."""

    field: IdentifierField
    people: NDArray[np.int64]
    slots: NDArray[np.int64] | None  # None: every person has at most one value
    digests: NDArray[np.uint8] | None
    text: pl.Series | None
    counts: FieldReport
    odd: NDArray[np.int64]
    """People of whom more is counted than values that are valid or not there (some of them twice)."""

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


def judge(contacts: Contacts, one: IdentifierField, rules: IdentityRules) -> Judged:
    """The field's values of this chunk, normalised, hashed if the platform wants that, a person's own duplicates gone."""
    values = contacts.values(one.source)
    counts, nobody = FieldReport(), np.empty(0, np.int64)
    if values is None or not switched_on(one, rules):
        return Judged(one, nobody, None, *_nothing(one), counts, nobody)
    if values.text.null_count() == len(values.text):
        counts.empty = contacts.people
        return Judged(one, nobody, None, *_nothing(one), counts, nobody)
    answer = answered(values, one, rules)
    once, settled = answer.once, answer.settled
    good, digests, texts = carried(answer, hashed=one.hashed)
    _count(counts, settled, None if once is None else np.bincount(once.codes, minlength=len(settled.values)))
    if once is not None:
        good, digests, texts = _dealt_out(once.codes, len(settled.values), good, digests, texts)
    counts.valid = len(good)
    counts.empty = contacts.people - _people_given(values, settled, once)
    judged = Judged(
        one, good if values.people is None else values.people[good], None, digests, texts, counts, _odd(values, settled, once)
    )
    if values.people is not None and len(good) and not (np.diff(judged.people) > 0).all():
        judged.slots = ranks(judged.people)
        _drop_repeats(judged)
        surplus = judged.slots >= one.values
        judged.odd = np.concatenate((judged.odd, judged.people[surplus]))
        counts.surplus = int(surplus.sum())
        judged.only(~surplus)
    return judged


def switched_on(field: IdentifierField, rules: IdentityRules) -> bool:
    """Whether the field is taken at all: those that need it only where config says so."""
    return not field.opt_in or field.name in rules.opt_in


def _odd(values: Values, settled: Settled, once: Distinct | None) -> NDArray[np.int64]:
    """Whose values have a reason (other than being empty) or a note, or were digests already."""
    parts = [~(settled.reasons == EMPTY).fill_null(True)] if settled.reasons.null_count() < len(settled.reasons) else []
    parts += [one.is_not_null() for one in (settled.notes, settled.digests) if one is not None and one.null_count() < len(one)]
    if not parts:
        return np.empty(0, np.int64)
    marked = np.logical_or.reduce([one.to_numpy() for one in parts])
    rows = np.flatnonzero(marked if once is None else marked[once.codes])
    return rows if values.people is None else values.people[rows]


@dataclass
class Answer:
    """What a rule made of values: of each, or of the different ones (`once`)."""

    once: Distinct | None
    settled: Settled
    _digests: pl.Series | None = None

    @property
    def hashed_already(self) -> bool:
        """Whether the digests were made."""
        return self._digests is not None

    @property
    def digests(self) -> pl.Series:
        """The digests of what was settled, in hex; null for reasons and for what was a digest before."""
        if self._digests is None:
            self._digests = sha256(self.settled.values)
        return self._digests


def answered(values: Values, field: IdentifierField, rules: IdentityRules) -> Answer:
    """What the field's rule makes of the values."""
    key = field.rule, field.hashed
    if values.answers is not None and key in values.answers:
        found: Answer = values.answers[key]
        return found
    once = worthwhile(values, field, rules)
    text, countries = (values.text, values.countries) if once is None else (once.text, once.countries)
    answer = Answer(once, RULES[field.rule](text, countries, rules, hashed=field.hashed))
    if values.answers is not None:
        values.answers[key] = answer
        if field.hashed:
            _ = answer.digests  # who keeps answers asks for these twice as well
    return answer


def worthwhile(values: Values, field: IdentifierField, rules: IdentityRules) -> Distinct | None:
    """The different values of the field, with their countries where these matter; None where most are different."""
    rule = RULES[field.rule]
    once = None if field.source in UNLIKE else distinct(values)
    if once is None or not rule.by_country or values.where is None:
        return once
    undecided = rule.undecided(once.text, rules)
    return once.by_country(values.where, undecided.to_numpy()) if undecided.any() else once


def _dealt_out(
    codes: NDArray[np.int64],
    size: int,
    good: NDArray[np.int64],
    digests: NDArray[np.uint8] | None,
    text: pl.Series | None,
) -> tuple[NDArray[np.int64], NDArray[np.uint8] | None, pl.Series | None]:
    """What travels of every row, from what travels of the different values."""
    rank = np.full(size, -1, np.int64)
    rank[good] = np.arange(len(good))
    chosen = rank[codes]
    if len(good) < size - 1 or (chosen < 0).any():
        rows = np.flatnonzero(chosen >= 0)
        chosen = chosen[rows]
    else:
        rows = everyone(len(codes))
    return rows, None if digests is None else digests[chosen], None if text is None else text.gather(chosen)


def carried(answer: Answer, *, hashed: bool) -> tuple[NDArray[np.int64], NDArray[np.uint8] | None, pl.Series | None]:
    """The places of the good values, and what travels of them: rows of 32 bytes, or text."""
    settled = answer.settled
    if not hashed:
        return _present(settled.values), None, settled.values.drop_nulls()
    if settled.digests is None and answer.hashed_already:
        return _present(answer.digests), packed(answer.digests.drop_nulls()), None
    if settled.digests is None:
        return _present(settled.values), digest_rows(settled.values.drop_nulls()), None
    digests = settled.digests.zip_with(settled.digests.is_not_null(), answer.digests)
    return _present(digests), packed(digests.drop_nulls()), None


@lru_cache(maxsize=4)
def everyone(rows: int) -> NDArray[np.int64]:
    """0, 1, 2 ... for columns in which nobody lacks a value: one array for all of them, not to be written to."""
    places = np.arange(rows)
    places.flags.writeable = False
    return places


def _present(column: pl.Series) -> NDArray[np.int64]:
    if not column.null_count():
        return everyone(len(column))
    return column.is_not_null().arg_true().to_numpy().astype(np.int64)


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
    judged.odd = np.concatenate((judged.odd, judged.people[~first]))
    judged.only(first)


def _count(counts: FieldReport, settled: Settled, weights: NDArray[np.int64] | None) -> None:
    """Nothing: reasons, notes and digests given are counted; `weights` say how many rows have each value."""

    def weighed(column: pl.Series) -> dict[str, int]:
        if column.null_count() == len(column):
            return {}
        frame = pl.DataFrame({"c": column, "w": np.ones(len(column), np.int64) if weights is None else weights})
        return dict(frame.drop_nulls().group_by("c").agg(pl.col("w").sum()).sort("c").iter_rows())

    counts.invalid.update({reason: count for reason, count in weighed(settled.reasons).items() if reason != EMPTY and count})
    if settled.notes is not None:
        counts.notes.update(weighed(settled.notes))
    if settled.digests is not None:
        given = settled.digests.is_not_null().to_numpy()
        counts.hashed_before = int(given.sum() if weights is None else weights[given].sum())


def _people_given(values: Values, settled: Settled, once: Distinct | None) -> int:
    """How many people gave a value, good or bad."""
    if settled.reasons.null_count() == len(settled.reasons):
        blank = settled.values.is_null()
        if settled.digests is not None:
            blank &= settled.digests.is_null()
    else:
        blank = (settled.reasons == EMPTY).fill_null(False) | (values.text if once is None else once.text).is_null()
    given = ~blank.to_numpy()
    if once is not None:
        given = given[once.codes]
    if values.people is None:
        return int(given.sum())
    return int(np.count_nonzero(np.diff(values.people[given], prepend=-1)))  # people ascend


def _nothing(field: IdentifierField) -> tuple[NDArray[np.uint8] | None, pl.Series | None]:
    return (np.empty((0, WIDTH), np.uint8), None) if field.hashed else (None, pl.Series(values=[], dtype=pl.String))
