"""First and last names. Letters of every script stay, as UTF-8; what else goes differs by platform."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from connectors.engine.normalise.rule import INVISIBLE, SHORT, Rule, Settled, judged, latin_words, lowered

if TYPE_CHECKING:
    from connectors.engine.normalise.switches import IdentityRules

NO_LETTERS = "no letters"
# Titles before a given name and suffixes after a family name, as in Google's Java library (2026-06), with the full stop
# optional where a word must follow or precede, plus the miss/prof/esq that its page's "titles and suffixes" covers.
TITLE_WITH_STOP = r"(?:^|\s)(?:mrs|mr|ms|dr|prof)\.(?:\s|$)"
TITLE_BEFORE_A_WORD = r"^(?:mrs|mr|ms|miss|dr|prof)\s+"
SUFFIX = r"(?:,\s*|\s+)(?:jr\.?|sr\.?|2nd|3rd|4th|ii|iii|iv|v|vi|cpa|dc|dds|vm|jd|md|phd|m\.d\.|ph\.d\.|esq\.?)\s*$"
ONLY_SUFFIX = r"^(?:jr|sr|phd|ph\.d|m\.d|dds|cpa|esq)\.$"
MOST_SUFFIXES = 6


def fast_letters(values: pl.Series, _countries: pl.Series | None, _rules: IdentityRules) -> pl.Series:
    """The lower-cased name where it is one word of a to z, else null."""
    frame = pl.DataFrame({"v": values.str.to_lowercase()})
    word = (pl.col("v").str.len_bytes() <= SHORT) & pl.col("v").str.contains(r"^[a-z]+$")
    return frame.select(pl.when(word).then("v"))["v"]


def fast_meta(values: pl.Series, countries: pl.Series | None, rules: IdentityRules) -> pl.Series:
    """Meta's form of names of Latin letters, else null."""
    if rules.name_inner_space == "keep":
        return fast_letters(values, countries, rules)
    return latin_words(values.str.to_lowercase())


def settle_meta(values: pl.Series, _countries: pl.Series, rules: IdentityRules) -> Settled:
    """Names in lower case without punctuation, symbols and (by default) spaces; digits stay, as in Meta's library."""
    space = pl.lit("") if rules.name_inner_space == "remove" else pl.lit(" ")
    bare = pl.col("v").str.replace_all(INVISIBLE, "").str.replace_all(r"[\p{P}\p{S}]+", "")
    bare = bare.str.replace_all(r"\s+", space).str.strip_chars().str.normalize("NFC")
    frame = pl.DataFrame({"v": lowered(values)}).select(bare)
    return judged(frame["v"], pl.col("v").str.contains(r"[\p{L}\p{N}]"), NO_LETTERS)


def settle_initial(values: pl.Series, countries: pl.Series, rules: IdentityRules) -> Settled:
    """The first letter of Meta's form of a first name."""
    name = settle_meta(values, countries, rules)
    return Settled(name.values.str.extract(r"([\p{L}\p{N}])", 1), name.reasons)


def _google_base(values: pl.Series) -> pl.Expr:
    return pl.col("v").str.replace_all(INVISIBLE, "").str.replace_all(r"\s+", " ").str.strip_chars()


def settle_given(values: pl.Series, _countries: pl.Series, rules: IdentityRules) -> Settled:
    """Names in lower case, trimmed, inner white space single, titles gone; hyphens and apostrophes stay."""
    name = _google_base(values)
    if rules.name_titles == "drop":
        for _ in range(2):
            name = name.str.replace_all(TITLE_WITH_STOP, " ").str.strip_chars().str.replace(TITLE_BEFORE_A_WORD, "")
    frame = pl.DataFrame({"v": lowered(values)}).select(name.str.strip_chars(" ,").str.normalize("NFC"))
    return judged(frame["v"], pl.col("v").str.contains(r"[\p{L}\p{N}]"), NO_LETTERS)


def settle_family(values: pl.Series, _countries: pl.Series, rules: IdentityRules) -> Settled:
    """Names in lower case, trimmed, inner white space single, suffixes (Jr., III, PhD) gone."""
    name = _google_base(values)
    if rules.name_titles == "drop":
        for _ in range(MOST_SUFFIXES):
            name = name.str.replace(SUFFIX, "").str.strip_chars(" ,")
        name = name.str.replace(ONLY_SUFFIX, "")
    frame = pl.DataFrame({"v": lowered(values)}).select(name.str.strip_chars(" ,").str.normalize("NFC"))
    return judged(frame["v"], pl.col("v").str.contains(r"[\p{L}\p{N}]"), NO_LETTERS)


NAME_META = Rule(
    "name_meta",
    "2026-11",
    "Meta customer-information-parameters: lower case, no punctuation, UTF-8; spaces as in facebook/capi-param-builder",
    settle_meta,
    fast_meta,
)
INITIAL_META = Rule("initial_meta", "2026-11", "Meta custom-audiences guide: FI, the first initial, lower case", settle_initial)
NAME_GOOGLE_GIVEN = Rule(
    "name_google_given",
    "2026-11",
    "developers.google.com/data-manager formatting: trim, lower case, no titles; googleads/data-manager-java",
    settle_given,
    fast_letters,
)
NAME_GOOGLE_FAMILY = Rule(
    "name_google_family",
    "2026-11",
    "developers.google.com/data-manager formatting: trim, lower case, no suffixes; googleads/data-manager-java",
    settle_family,
    fast_letters,
)
