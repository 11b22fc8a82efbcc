"""Phone numbers: E.164, with "+" or without, by the row's country, else the configured one.

The fast path settles what the metadata's plain parts decide (phone_plan.py); the library sees the rest, each value once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from connectors.engine.normalise import phone_library
from connectors.engine.normalise.phone_plan import international, national
from connectors.engine.normalise.rule import Rule, Settled, each, nothing, spread

if TYPE_CHECKING:
    from connectors.engine.normalise.switches import IdentityRules

SEPARATORS = r"[ ()./\-]"
E164 = r"^\+[1-9][0-9]{6,14}$"


def fast_digits(values: pl.Series, countries: pl.Series | None, rules: IdentityRules) -> pl.Series:
    """Digits of E.164 without the plus where the plan alone decides, else null."""
    if rules.phone_check == "valid":
        return nothing(len(values))
    frame = pl.DataFrame({"v": values}).with_columns(plain=pl.col("v").str.contains(E164))
    if not frame["plain"].all():
        typed = pl.col("v").str.strip_suffix(phone_library.DECIMAL)
        bare = frame.filter(~pl.col("plain")).select(typed.str.replace_all(SEPARATORS, ""))["v"]
        frame = frame.with_columns(v=_laid_over(frame["v"], ~frame["plain"].fill_null(True), bare))
    found = frame.select(pl.when(pl.col("v").str.starts_with("+")).then(pl.col("v").str.slice(1)))["v"]
    found = _settled_abroad(found)
    if found.null_count():
        found = _with_countries(frame["v"], found, countries, rules)
    return found


def fast_e164(values: pl.Series, countries: pl.Series | None, rules: IdentityRules) -> pl.Series:
    """E.164 with the plus where the plan alone decides, else null."""
    return "+" + fast_digits(values, countries, rules)


def settle_digits(values: pl.Series, countries: pl.Series, rules: IdentityRules) -> Settled:
    """Digits of E.164 without the plus."""
    return each(phone_library.settle)(values, countries.fill_null(pl.lit(rules.default_country, pl.String)), rules)


def settle_e164(values: pl.Series, countries: pl.Series, rules: IdentityRules) -> Settled:
    """E.164 with the plus."""
    found = settle_digits(values, countries, rules)
    return Settled("+" + found.values, found.reasons, found.notes)


def _settled_abroad(digits: pl.Series) -> pl.Series:
    """Digits of E.164 that stand as they are, else null."""
    shape, prefix = international()
    frame = pl.DataFrame({"d": digits})
    return frame.select(pl.when(pl.col("d").str.contains(shape) & ~pl.col("d").str.contains(prefix)).then("d"))["d"]


def _with_countries(bare: pl.Series, found: pl.Series, countries: pl.Series | None, rules: IdentityRules) -> pl.Series:
    """`found` with the numbers that their country's plan settles; `bare` are the phones without separators."""
    left = found.is_null() & bare.is_not_null()
    frame = pl.DataFrame({"d": bare.filter(left)})
    where = nothing(len(frame)) if countries is None else countries.filter(left)
    frame = frame.with_columns(where.fill_null(pl.lit(rules.default_country, pl.String)).alias("country"))
    frame = frame.with_row_index("place").filter(pl.col("d").str.contains(r"^[0-9]{5,17}$"))
    parts = [_by_plan(part, country) for (country,), part in frame.partition_by("country", as_dict=True).items()]
    if not parts:
        return found
    settled = pl.concat(parts)
    settled = settled.select("place", e=pl.coalesce("home", _settled_abroad(settled["abroad"])))
    laid = pl.select(place=pl.int_range(int(left.sum()), dtype=pl.UInt32))
    laid = laid.join(settled, on="place", how="left", maintain_order="left")
    return _laid_over(found, left, laid["e"])


def _by_plan(part: pl.DataFrame, country: object) -> pl.DataFrame:
    """Per `place` what the country's plan makes of the digits `d`: a `home` number settled, or one `abroad` to look at."""
    plan = national(country) if isinstance(country, str) else None
    d, size = pl.col("d"), pl.col("d").str.len_bytes()
    double_zero = pl.when(d.str.contains("^00[1-9]")).then(d.str.slice(2))
    none = pl.lit(None, pl.String)
    if plan is None:
        return part.select("place", home=none, abroad=none if isinstance(country, str) else double_zero)
    lengths = list(plan.lengths)
    away = d.str.contains(plan.abroad) | d.str.contains(plan.odd)
    ours = d.str.starts_with(plan.code) & ~away
    trunk = d.str.starts_with(plan.trunk) & ~away & ~ours if plan.trunk else pl.lit(False)
    rest = d.str.slice(len(plan.trunk))
    home = (
        pl.when(ours | away)
        .then(None)
        .when(trunk & rest.str.contains(f"^{plan.number}$") & (size - len(plan.trunk)).is_in(lengths))
        .then(rest)
        .when(~trunk & size.is_in(lengths))
        .then(d)
    )
    abroad: pl.Expr = pl.when(ours & (size > plan.longest)).then(d)
    if plan.abroad == "^(?:00)":
        abroad = pl.coalesce(abroad, double_zero)
    return part.select("place", home=plan.code + home, abroad=abroad)


def _laid_over(values: pl.Series, where: pl.Series, part: pl.Series) -> pl.Series:
    return spread(part, where).zip_with(where, values)


PHONE_DIGITS = Rule(
    "phone_digits",
    "2026-11",
    "Meta customer-information-parameters: country code, no symbols, letters or leading zeros; numbers by libphonenumber",
    settle_digits,
    fast_digits,
    by_country=True,
)
PHONE_E164 = Rule(
    "phone_e164",
    "2026-11",
    "Google data-manager formatting: E.164; TikTok upload page and help of Sept 2025: +E.164; numbers by libphonenumber",
    settle_e164,
    fast_e164,
    by_country=True,
)
