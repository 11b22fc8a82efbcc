"""Phone numbers: E.164, with "+" or without, by the row's country, else the configured one.

The fast path settles what the metadata's plain parts decide (see phone_plan.py); the library sees the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from connectors.engine.normalise import phone_library
from connectors.engine.normalise.rule import Rule, Settled, each

if TYPE_CHECKING:
    import polars as pl

    from connectors.engine.normalise.switches import IdentityRules


def settle_digits(values: pl.Series, countries: pl.Series, rules: IdentityRules) -> Settled:
    """Digits of E.164 without the plus."""
    filled = countries.fill_null(rules.default_country) if rules.default_country else countries
    return each(phone_library.settle)(values, filled, rules)


def settle_e164(values: pl.Series, countries: pl.Series, rules: IdentityRules) -> Settled:
    """E.164 with the plus."""
    found = settle_digits(values, countries, rules)
    return Settled("+" + found.values, found.reasons, found.notes)


PHONE_DIGITS = Rule(
    "phone_digits",
    "2026-11",
    "Meta customer-information-parameters: country code, no symbols, letters or leading zeros; numbers by libphonenumber",
    settle_digits,
    by_country=True,
)
PHONE_E164 = Rule(
    "phone_e164",
    "2026-11",
    "Google data-manager formatting: E.164; TikTok upload page and help of Sept 2025: +E.164; numbers by libphonenumber",
    settle_e164,
    by_country=True,
)
