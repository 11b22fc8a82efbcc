"""The switches of identity: a named setting for every rule on which the platforms' pages disagree, with its safe default."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

MAXIMUM_BYTES = 4096  # longer values are refused before any rule sees them: no identifier is this long


@dataclass(frozen=True, slots=True)
class IdentityRules:
    """How disputed identifiers are treated. Every default is the reading that loses least when it is wrong.

    default_country: ISO alpha-2 of phones whose row names no country.
    phones_without_country: digits with neither: taken as an international number when they form a valid one, or dropped.
    phones_foreign: digits that cannot be a number of the row's country: dropped (a mistyped number is often a stranger's
        abroad), or taken when they are a valid international one.
    phone_check: "possible" (right length for its country) or "valid" (also an assigned range; refuses 555 numbers).
    name_inner_space: Meta's list rule says only "no punctuation"; its own library removes spaces too.
    name_titles: Google's page: leave titles and suffixes out; its Python library does not.
    postal_hyphen: Meta outside the US: its helpers cut at the first hyphen, others only remove it.
    gmail_plus: Google's page and newest library strip "+tag" from Gmail addresses, older ones keep it.
    idn_domains: international domains as given (every platform's library), or as "ascii" (xn--) or "unicode".
    region_without_country: US state names become two letters also when the row has no country, or stay "as_given".
    latest_year: the current year, for birth years; None lets any year of this century pass.
    shared_limit: an identifier on more people than this is dropped from all of them; 0 switches this off.
    opt_in: names of the recipe's opt-in fields that are switched on.
    """

    default_country: str | None = None
    phones_without_country: Literal["international", "drop"] = "international"
    phones_foreign: Literal["international", "drop"] = "drop"
    phone_check: Literal["possible", "valid"] = "possible"
    name_inner_space: Literal["remove", "keep"] = "remove"
    name_titles: Literal["drop", "keep"] = "drop"
    postal_hyphen: Literal["cut", "remove"] = "cut"
    gmail_plus: Literal["strip", "keep"] = "strip"
    idn_domains: Literal["as_given", "ascii", "unicode"] = "as_given"
    region_without_country: Literal["us", "as_given"] = "us"
    latest_year: int | None = None
    shared_limit: int = 10
    opt_in: frozenset[str] = frozenset()
