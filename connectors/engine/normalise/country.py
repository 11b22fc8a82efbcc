"""Countries: ISO 3166-1 alpha-2, alpha-3 and English names to alpha-2; anything else is invalid."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from typing import TYPE_CHECKING

from connectors.engine.normalise.country_names import COUNTRIES, OTHER_NAMES
from connectors.engine.normalise.rule import Rule, Settled, each

if TYPE_CHECKING:
    import polars as pl

    from connectors.engine.normalise.switches import IdentityRules

ABBREVIATED = re.compile(r"[A-Za-z](?:\.[A-Za-z]){1,2}\.?")
NOT_IN_A_NAME = re.compile(r"[^a-z]")
LINKING = {"the", "and", "of"}
SOURCE = "ISO 3166-1; Meta: alpha-2 in lower case; Google: alpha-2, unhashed; design section 6"


@cache
def codes() -> dict[str, str]:
    """alpha-2 by alpha-2 and alpha-3, in capitals."""
    found = {"UK": "GB", "UAE": "AE", "DRC": "CD", "PRC": "CN"}
    for line in COUNTRIES.strip().splitlines():
        two, three, _ = line.split("|", 2)
        found[two] = found[three] = two
    return found


@cache
def names() -> dict[str, str]:
    """alpha-2 by folded English name."""
    found: dict[str, str] = {}
    for line in COUNTRIES.strip().splitlines():
        two, _, *variants = line.split("|")
        for name in variants:
            found[_folded(name)] = two
            head, comma, tail = name.partition(", ")
            if comma:
                found[_folded(f"{tail} {head}")] = two
    for line in OTHER_NAMES.strip().splitlines():
        two, *variants = line.split("|")
        found.update({_folded(name): two for name in variants})
    return found


def alpha2(text: str) -> str | None:
    """The alpha-2 code (capitals) of a code or English name, else None."""
    text = unicodedata.normalize("NFKC", text).strip()
    if text.isascii() and text.isalpha() and len(text) <= 3:
        return codes().get(text.upper())
    if ABBREVIATED.fullmatch(text):
        return codes().get(text.replace(".", "").upper())
    if any(letter.isdigit() for letter in text):
        return None
    folded = _folded(text)
    return names().get(folded) if len(folded) > 3 else None


def _folded(name: str) -> str:
    """Lower-case letters only: accents, punctuation and linking words gone."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c)).lower()
    plain = plain.replace("&", " and ").replace("st. ", "saint ")
    words = [word for word in re.split(r"[\s,./()\-]+", plain) if word not in LINKING]
    return NOT_IN_A_NAME.sub("", "".join(words))


def _decide(text: str, _country: str | None, _rules: IdentityRules) -> tuple[str | None, str | None, str | None]:
    code = alpha2(text)
    return (code, None, None) if code else (None, "unknown country", None)


def settle_upper(values: pl.Series, countries: pl.Series, rules: IdentityRules) -> Settled:
    """alpha-2 codes in capitals."""
    return each(_decide)(values, countries, rules)


def settle_lower(values: pl.Series, countries: pl.Series, rules: IdentityRules) -> Settled:
    """alpha-2 codes in lower case."""
    found = settle_upper(values, countries, rules)
    return Settled(found.values.str.to_lowercase(), found.reasons)


COUNTRY_UPPER = Rule("country_upper", "2026-11", SOURCE, settle_upper)
COUNTRY_LOWER = Rule("country_lower", "2026-11", SOURCE, settle_lower)
