"""City, region and postal code. They refine a match and find nobody alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from connectors.engine.normalise.rule import INVISIBLE, Rule, Settled, judged, latin_words, lowered
from connectors.engine.normalise.states import state_codes

if TYPE_CHECKING:
    from connectors.engine.normalise.switches import IdentityRules

NOT_LETTERS = r"[\p{P}\p{S}\p{N}\s\p{Cc}\p{Cf}]+"
US_TERRITORIES = ("US", "PR", "VI", "GU", "AS", "MP", "UM")
ZIP = r"^\s*([0-9]{5})(?:[\s-]*[0-9]{4}|\.0)?[\s-]*$"  # also 94035.0, as spreadsheets make it
POSTAL_CODE = r"^[A-Za-z0-9][A-Za-z0-9 -]{0,15}$"  # one that isn't makes Google refuse the whole request
COUNTRY_PREFIX = r"^[a-z]{1,3}-([0-9])"  # D-80331, LV-1010


def fast_city(values: pl.Series, _countries: pl.Series | None, _rules: IdentityRules) -> pl.Series:
    """The city where it is of Latin letters, else null."""
    return latin_words(values.str.to_lowercase())


def settle_city(values: pl.Series, _countries: pl.Series, _rules: IdentityRules) -> Settled:
    """Cities in lower case without punctuation, digits and spaces, accents kept.

    What starts with a digit is refused, as Meta's library does: it is a postal code or a house number, not a city.
    """
    frame = pl.DataFrame({"v": lowered(values)}).with_columns(
        numbered=pl.col("v").str.contains(r"^[\p{P}\p{S}\s]*\p{N}"),
        v=pl.col("v").str.replace_all(NOT_LETTERS, "").str.normalize("NFC"),
    )
    good = pl.col("v").str.contains(r"\p{L}")
    found = judged(frame["v"], good, "no letters")
    numbered = frame["numbered"] & found.values.is_not_null()
    refused = pl.Series(values=["starts with a digit"], dtype=pl.String).new_from_index(0, len(frame))
    nothing = found.values.clear(len(frame))
    return Settled(found.values.zip_with(~numbered, nothing), refused.zip_with(numbered, found.reasons))


def settle_region(values: pl.Series, countries: pl.Series, rules: IdentityRules) -> Settled:
    """Two letters for US states, elsewhere lower case without punctuation, digits and spaces.

    A row without a country is read as a US state when it names one (`region_without_country`).
    """
    frame = pl.DataFrame({"v": lowered(values), "c": countries}).with_columns(
        v=pl.col("v").str.replace_all(NOT_LETTERS, "").str.normalize("NFC"),
    )
    american = pl.col("c").fill_null(pl.lit(rules.default_country, pl.String)).is_in(US_TERRITORIES)
    if rules.region_without_country == "us":
        american = american.fill_null(True)
    frame = frame.with_columns(code=pl.col("v").replace_strict(state_codes(), default=None, return_dtype=pl.String))
    frame = frame.with_columns(
        v=pl.when(american.fill_null(False) & pl.col("code").is_not_null()).then("code").otherwise("v"),
        reason=pl.when(~pl.col("v").str.contains(r"\p{L}"))
        .then(pl.lit("no letters"))
        .when((pl.col("c") == "US") & pl.col("code").is_null())
        .then(pl.lit("not a US state")),
    )
    return Settled(frame.select(pl.when(pl.col("reason").is_null()).then("v"))["v"], frame["reason"])


def fast_zip(values: pl.Series, _countries: pl.Series | None, _rules: IdentityRules) -> pl.Series:
    """Five digits, which need no thought in any country, else null."""
    frame = pl.DataFrame({"v": values})
    return frame.select(pl.when((pl.col("v").str.len_bytes() == 5) & pl.col("v").str.contains(r"^[0-9]{5}$")).then("v"))["v"]


def settle_postal_meta(values: pl.Series, countries: pl.Series, rules: IdentityRules) -> Settled:
    """Postal codes in lower case without spaces; five digits in the US; outside, cut at the first hyphen or without it."""
    frame = pl.DataFrame({"v": lowered(values.str.normalize("NFKC")), "c": countries})
    frame = frame.with_columns(v=pl.col("v").str.replace_all(INVISIBLE, ""))
    zip_code = pl.col("v").str.extract(ZIP, 1)
    own = pl.col("v").str.replace(COUNTRY_PREFIX, "${1}")
    cut = own.str.extract(r"^([^-]*)", 1) if rules.postal_hyphen == "cut" else own
    other = cut.str.replace_all(r"[\s\p{P}\p{S}]+", "")
    american = pl.col("c").is_in(US_TERRITORIES).fill_null(False)
    extended = pl.col("c").is_null() & pl.col("v").str.contains(r"^[0-9]{5}-[0-9]{4}$")
    frame = frame.with_columns(
        v=pl.when(american | extended).then(zip_code).otherwise(other.str.normalize("NFC")),
        reason=pl.when(american & zip_code.is_null())
        .then(pl.lit("not a ZIP code"))
        .when(~other.str.contains(r"[\p{L}\p{N}]"))
        .then(pl.lit("no letters or digits"))
        .when(~american & (other.str.len_chars() < 2))
        .then(pl.lit("too short")),
    )
    return Settled(frame.select(pl.when(pl.col("reason").is_null()).then("v"))["v"], frame["reason"])


def settle_postal_google(values: pl.Series, countries: pl.Series, _rules: IdentityRules) -> Settled:
    """Postal codes as given, trimmed, white space single; in the US five digits or five plus four."""
    frame = pl.DataFrame({"v": values.str.normalize("NFKC"), "c": countries}).with_columns(
        v=pl.col("v").str.replace_all(INVISIBLE, "").str.replace_all(r"\s+", " ").str.strip_chars(" 〒"),
    )
    american = pl.col("c").is_in(US_TERRITORIES).fill_null(False)
    tidy = (
        pl.col("v")
        .str.replace(r"^([0-9]{5})[\s-]+([0-9]{4})$", "${1}-${2}")
        .str.replace(r"^([0-9]{5})([0-9]{4})$", "${1}-${2}")
        .str.strip_suffix(".0")
    )
    frame = frame.with_columns(
        v=pl.when(american).then(tidy).otherwise("v"),
        reason=pl.when(american & ~tidy.str.contains(r"^[0-9]{5}(-[0-9]{4})?$"))
        .then(pl.lit("not a ZIP code"))
        .when(~american & ~pl.col("v").str.contains(POSTAL_CODE))
        .then(pl.lit("not a postal code")),
    )
    return Settled(frame.select(pl.when(pl.col("reason").is_null()).then("v"))["v"], frame["reason"])


CITY_META = Rule(
    "city_meta",
    "2026-11",
    "Meta customer-information-parameters: CT, lower case, no punctuation, digits or spaces; accents kept (design section 6)",
    settle_city,
    fast_city,
)
REGION_META = Rule(
    "region_meta",
    "2026-11",
    "Meta customer-information-parameters: ST, two-letter code in the US, elsewhere lower case without punctuation or spaces",
    settle_region,
    by_country=True,
)
POSTAL_META = Rule(
    "postal_meta",
    "2026-11",
    "Meta customer-information-parameters: ZIP, lower case, no spaces, five digits in the US; hyphens as in its helpers",
    settle_postal_meta,
    fast_zip,
    by_country=True,
)
POSTAL_GOOGLE = Rule(
    "postal_google",
    "2026-11",
    "developers.google.com/data-manager formatting: trim, unhashed; US five or five plus four digits",
    settle_postal_google,
    fast_zip,
    by_country=True,
)
