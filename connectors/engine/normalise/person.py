"""Gender and birth date."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from connectors.engine.normalise.rule import INVISIBLE, Rule, Settled, judged, lowered

if TYPE_CHECKING:
    from connectors.engine.normalise.switches import IdentityRules

FIRST_YEAR = 1900
LAST_YEAR = 2099  # where the current year was not given
MALE = (
    "m man male boy gentleman guy sir mister mr son father dad daddy papa uncle nephew brother husband boyfriend groom widower "
    "king prince duke count emperor god lord lad fellow chap bloke dude he him his himself"
)
FEMALE = (
    "f woman female girl lady miss ms mrs madam ma'am daughter mother mom mama mommy aunt niece sister wife girlfriend bride "
    "widow queen princess duchess countess empress goddess maiden lass gal chick dame belle she her hers herself"
)
GENDERS = {**dict.fromkeys(MALE.split(), "m"), **dict.fromkeys(FEMALE.split(), "f")}
MONTHS = "january february march april may june july august september october november december".split()
MONTH_NUMBERS = {
    **{name: f"{n:02}" for n, name in enumerate(MONTHS, 1)},
    **{name[:3]: f"{n:02}" for n, name in enumerate(MONTHS, 1)},
    **{str(n): f"{n:02}" for n in range(1, 13)},
    **{f"{n:02}": f"{n:02}" for n in range(1, 13)},
    "sept": "09",
}
DAY_NUMBERS = {**{str(n): f"{n:02}" for n in range(1, 32)}, **{f"{n:02}": f"{n:02}" for n in range(1, 32)}}


def _folded(values: pl.Series) -> pl.Series:
    frame = pl.DataFrame({"v": lowered(values.str.normalize("NFKC"))})
    return frame.select(pl.col("v").str.replace_all(INVISIBLE, "").str.replace_all("’", "'").str.strip_chars(" ."))["v"]


def _looked_up(values: pl.Series, table: dict[str, str], reason: str) -> Settled:
    found = values.replace_strict(table, default=None, return_dtype=pl.String)
    return Settled(found, judged(found, pl.col("v").is_not_null(), reason).reasons)


def settle_gender(values: pl.Series, _countries: pl.Series, _rules: IdentityRules) -> Settled:
    """m or f; everything else is refused, never guessed."""
    return _looked_up(_folded(values), GENDERS, "neither m nor f")


def settle_month(values: pl.Series, _countries: pl.Series, _rules: IdentityRules) -> Settled:
    """01 to 12, from numbers and English month names."""
    return _looked_up(_whole(_folded(values)), MONTH_NUMBERS, "not a month")


def settle_day(values: pl.Series, _countries: pl.Series, _rules: IdentityRules) -> Settled:
    """01 to 31, also from 1st, 2nd ..."""
    day = pl.DataFrame({"v": _whole(_folded(values))}).select(pl.col("v").str.replace(r"^([0-9]{1,2})(?:st|nd|rd|th)$", "${1}"))
    return _looked_up(day["v"], DAY_NUMBERS, "not a day")


def settle_year(values: pl.Series, _countries: pl.Series, rules: IdentityRules) -> Settled:
    """Four digits, from 1900 to the current year; two digits are refused, for their century would be a guess."""
    frame = pl.DataFrame({"v": _whole(_folded(values))})
    frame = frame.with_columns(year=pl.col("v").str.extract(r"^([0-9]{4})$", 1).cast(pl.Int32))
    latest = rules.latest_year or LAST_YEAR
    frame = frame.with_columns(
        reason=pl.when(pl.col("year").is_null())
        .then(pl.lit("not a year of four digits"))
        .when(~pl.col("year").is_between(FIRST_YEAR, latest))
        .then(pl.lit("year out of range"))
    )
    return Settled(frame.select(pl.when(pl.col("reason").is_null()).then("v"))["v"], frame["reason"])


def _whole(values: pl.Series) -> pl.Series:
    """Numbers that a spreadsheet made decimal (7.0) as whole numbers again."""
    return values.str.replace(r"^([0-9]+)\.0+$", "${1}")


SOURCE = "Meta customer-information-parameters"
GENDER = Rule("gender", "2026-11", f"{SOURCE}: GEN, m or f; words as in facebook/capi-param-builder", settle_gender)
BIRTH_YEAR = Rule("birth_year", "2026-11", f"{SOURCE}: DOBY, YYYY from 1900 to the current year", settle_year)
BIRTH_MONTH = Rule("birth_month", "2026-11", f"{SOURCE}: DOBM, MM; month names as in Segment's connector", settle_month)
BIRTH_DAY = Rule("birth_day", "2026-11", f"{SOURCE}: DOBD, DD", settle_day)
