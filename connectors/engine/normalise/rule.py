"""A rule: values of one column in, normalised text or a reason out. All lower-casing and Unicode work is done by polars, here
and in the rules' own expressions, so that no two engines can disagree about a letter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from connectors.engine.normalise.digest_input import recognise
from connectors.engine.normalise.switches import MAXIMUM_BYTES, IdentityRules

if TYPE_CHECKING:
    from collections.abc import Callable

EMPTY = "empty"
TOO_LONG = "too long"
BROKEN = "broken text"
PLACEHOLDERS = ("n/a", "#n/a", "#n/d", "<na>", "<null>", "(null)", "[null]", "\\n", "#ref!", "#value!", "#null!", "#name?")
SHORT = 64  # bytes; fast paths leave longer values to the rules proper
LATIN = r"^[a-zß-öø-ſ '’.\-]+$"
INVISIBLE = r"[\p{Cc}\p{Cf}]+"
EDGES = r"^[\s\p{Cc}\p{Cf}]+|[\s\p{Cc}\p{Cf}]+$"


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of each value: text, or a digest that it was already, or a reason (none of them: no value was given).

    `notes` mark guesses that were taken and are counted.
    """

    values: pl.Series
    reasons: pl.Series
    notes: pl.Series | None = None
    digests: pl.Series | None = None

    def spread(self, where: pl.Series, values: pl.Series) -> Settled:
        """This outcome of the rows `where`, among `values` that were settled before."""
        return Settled(
            values.zip_with(~where, spread(self.values, where)),
            spread(self.reasons, where),
            None if self.notes is None else spread(self.notes, where),
            None if self.digests is None else spread(self.digests, where),
        )

    def over(self, other: Settled, where: pl.Series) -> Settled:
        """`other` with this outcome of its rows `where`."""
        return Settled(
            spread(self.values, where),
            spread(self.reasons, where).zip_with(where, other.reasons),
            None if self.notes is None else spread(self.notes, where),
            other.digests,
        )


@dataclass(frozen=True, slots=True)
class Rule:
    """One normalisation rule, versioned, with its source.

    `fast` settles, in one pass over all values, those that need no thought: text where it is sure, null elsewhere.
    `settle` decides the rest. Both must agree wherever `fast` answers: tests hold this.
    """

    name: str
    version: str
    source: str
    settle: Callable[[pl.Series, pl.Series, IdentityRules], Settled]
    fast: Callable[[pl.Series, pl.Series | None, IdentityRules], pl.Series] | None = None
    by_country: bool = False
    uuids: bool = False  # 32 hex characters may be a raw value, not an MD5 digest
    verbatim: bool = False  # the value travels byte for byte: edges are not trimmed, nothing is lower-cased

    def __call__(self, values: pl.Series, countries: pl.Series | None, rules: IdentityRules, *, hashed: bool = True) -> Settled:
        """The settled values, in order. `countries`: alpha-2 per value, null where unknown; None: none is known.

        `hashed`: the field travels as a digest, so that values which are digests already are taken as such.
        """
        if self.fast is None:
            return self._rest(values, countries, rules, hashed)
        quick = self.fast(values.str.strip_chars(), countries, rules)
        left = quick.is_null() & values.is_not_null()
        if not left.any():
            return Settled(quick, nothing(len(values)))
        rest = self._rest(values.filter(left), None if countries is None else countries.filter(left), rules, hashed)
        return rest.spread(left, quick)

    def undecided(self, values: pl.Series, rules: IdentityRules) -> pl.Series:
        """Which values are not settled at first sight, so that their country may matter."""
        text = values.is_not_null()
        return text if self.fast is None else text & self.fast(values.str.strip_chars(), None, rules).is_null()

    def _rest(self, values: pl.Series, countries: pl.Series | None, rules: IdentityRules, hashed: bool) -> Settled:
        frame = pl.DataFrame({"raw": values, "country": nothing(len(values)) if countries is None else countries})
        frame = frame.with_columns(reason=pl.when(pl.col("raw").str.len_bytes() > MAXIMUM_BYTES).then(pl.lit(TOO_LONG)))
        frame = frame.with_columns(
            text=pl.when(pl.col("reason").is_null()).then(pl.col("raw").str.replace_all(EDGES, "").str.normalize("NFC"))
        )
        frame = frame.with_columns(
            reason=pl.when(pl.col("text") == "")
            .then(pl.lit(EMPTY))
            .when(pl.col("text").str.contains("\ufffd", literal=True))
            .then(pl.lit(BROKEN))
            .when(pl.col("text").str.to_lowercase().is_in(PLACEHOLDERS))
            .then(pl.lit("placeholder"))
            .otherwise("reason")
        )
        if not self.verbatim:
            known = recognise(frame["text"], hashed=hashed, uuids=self.uuids)
            frame = frame.with_columns(known["digest"], reason=pl.coalesce("reason", known["reason"]))
        else:
            frame = frame.with_columns(digest=pl.lit(None, dtype=pl.String), text="raw")
        live = frame.select(pl.col("text").is_not_null() & pl.col("reason").is_null() & pl.col("digest").is_null()).to_series()
        settled = Settled(nothing(len(frame)), frame["reason"], digests=frame["digest"])
        if not live.any():
            return settled
        return self.settle(frame["text"].filter(live), frame["country"].filter(live), rules).over(settled, live)


def nothing(rows: int) -> pl.Series:
    """A text column of nulls."""
    return pl.Series(values=[None], dtype=pl.String).new_from_index(0, rows)


def spread(part: pl.Series, where: pl.Series) -> pl.Series:
    """`part` laid out on the true rows of `where`, null elsewhere."""
    if len(part) == len(where):
        return part
    places = where.to_frame("at").select(pl.when("at").then(pl.col("at").cum_sum() - 1).cast(pl.UInt32))["at"]
    return part.gather(places)


def latin_words(lower: pl.Series) -> pl.Series:
    """Lower-case names of Latin letters, with spaces, apostrophes, hyphens and full stops gone; null for any other text.

    The letters are single code points that compose with nothing, so that no Unicode work is left to do.
    """
    frame = pl.DataFrame({"v": lower})
    short = pl.col("v").str.len_bytes() <= SHORT
    frame = frame.with_columns(easy=short & pl.col("v").str.contains(r"^[a-z]+$"))
    left = ~frame["easy"].fill_null(True)
    if not left.any():
        return frame["v"]
    rest = frame.filter(left).select(pl.when(short & pl.col("v").str.contains(LATIN)).then(pl.col("v")))
    bare = rest.select(pl.col("v").str.replace_all(r"[ '’.\-]", ""))["v"]
    return spread(bare.set(bare == "", None), left).zip_with(left, frame["v"])


def lowered(values: pl.Series) -> pl.Series:
    """The values in lower case, composed (NFC): the only lower-casing there is."""
    return values.str.to_lowercase().str.normalize("NFC")


def each(
    decide: Callable[[str, str | None, IdentityRules], tuple[str | None, str | None, str | None]],
) -> Callable[[pl.Series, pl.Series, IdentityRules], Settled]:
    """A settler that asks `decide` once per distinct value and country: (text, reason, note)."""

    def settle(values: pl.Series, countries: pl.Series, rules: IdentityRules) -> Settled:
        frame = pl.DataFrame({"value": values, "country": countries})
        distinct = frame.unique(maintain_order=True)
        places = frame.join(
            distinct.with_row_index("place"), on=["value", "country"], how="left", nulls_equal=True, maintain_order="left"
        )["place"]
        answers = [decide(value, country, rules) for value, country in distinct.iter_rows()]
        columns = [pl.Series(values=list(part), dtype=pl.String).gather(places) for part in zip(*answers, strict=True)]
        return Settled(columns[0], columns[1], columns[2])

    return settle


def judged(values: pl.Series, valid: pl.Expr | bool, reason: str | pl.Expr) -> Settled:
    """`values` where `valid` holds (an expression over the column "v"), else null and the reason."""
    frame = pl.DataFrame({"v": values}).with_columns(ok=valid if isinstance(valid, pl.Expr) else pl.lit(valid))
    why = reason if isinstance(reason, pl.Expr) else pl.lit(reason)
    frame = frame.select(value=pl.when("ok").then("v"), reason=pl.when(~pl.col("ok")).then(why))
    return Settled(frame["value"], frame["reason"])
