"""The parts of the numbering plans that decide a phone without parsing: patterns drawn from phonenumbers' metadata.

They answer only where the library's own steps have one outcome: the country code, no national prefix left in front, and a
possible length; or a national number of a country with a plain national prefix. A test compares both over every country.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

import phonenumbers
from phonenumbers import PhoneMetadata

LONGEST = 17
NEVER = "^x"


@dataclass(frozen=True, slots=True)
class Plan:
    """A country's plan. `abroad` is the pattern of its international prefix, `trunk` the digits of its national one ("").

    `odd` is the pattern of national prefixes that need the parser (carrier codes and the like).
    """

    code: str
    abroad: str
    trunk: str
    odd: str
    number: str
    lengths: frozenset[int]
    longest: int


@cache
def international() -> tuple[str, str]:
    """Two patterns of E.164 digits: what a number must match, and what it must not, for it to be settled as it stands."""
    codes: dict[str, list[str]] = {}
    prefixes: dict[str, list[str]] = {}
    for code in phonenumbers.COUNTRY_CODE_TO_REGION_CODE:
        metadata = _main(code)
        prefix = metadata.national_prefix_for_parsing if metadata else None
        if metadata is None or (prefix and re.match(prefix, "")):
            continue  # a prefix that may be nothing at all needs the parser (Argentina)
        codes.setdefault(_digits(_lengths(metadata)), []).append(str(code))
        if prefix:
            prefixes.setdefault(_ascii(prefix), []).append(str(code))
    return f"^(?:{_grouped(codes)})$", f"^(?:{_grouped(prefixes)})"


def _grouped(codes: dict[str, list[str]]) -> str:
    """One pattern: each key after any of its calling codes. Small, for it is compiled anew for every chunk."""
    return "|".join(f"(?:{'|'.join(own)})(?:{rest})" for rest, own in codes.items())


def _digits(lengths: tuple[int, ...]) -> str:
    """As many digits as one of the lengths; runs of lengths as one range."""
    runs: list[list[int]] = []
    for size in sorted(lengths):
        if runs and size == runs[-1][1] + 1:
            runs[-1][1] = size
        else:
            runs.append([size, size])
    return "|".join(f"[0-9]{{{first},{last}}}" for first, last in runs)


@cache
def national(country: str) -> Plan | None:
    """The country's plan, or None where its numbers need the parser."""
    metadata = PhoneMetadata.metadata_for_region(country, None)
    if metadata is None or metadata.national_prefix_transform_rule:
        return None
    prefix = metadata.national_prefix_for_parsing or ""
    main = _main(metadata.country_code)
    pattern = metadata.general_desc.national_number_pattern if metadata.general_desc else None
    if main is None or pattern is None or (prefix and re.match(prefix, "")):
        return None
    branches = _branches(prefix)
    trunk = next((branch for branch in branches if branch.isdigit()), "")
    odd = "|".join(_ascii(branch) for branch in branches if branch != trunk)
    own = _lengths(metadata)
    return Plan(
        str(metadata.country_code),
        f"^(?:{_ascii(metadata.international_prefix)})" if metadata.international_prefix else NEVER,
        trunk,
        f"^(?:{odd})" if odd else NEVER,
        f"(?:{_ascii(pattern)})",
        frozenset(own) & frozenset(_lengths(main)),
        max(own, default=LONGEST),
    )


def _main(code: int | None) -> PhoneMetadata | None:
    if code is None:
        return None
    region = phonenumbers.COUNTRY_CODE_TO_REGION_CODE[code][0]
    if region == "001":
        return PhoneMetadata.metadata_for_nongeo_region(code, None)
    return PhoneMetadata.metadata_for_region(region, None)


def _lengths(metadata: PhoneMetadata) -> tuple[int, ...]:
    description = metadata.general_desc
    return () if description is None else tuple(size for size in description.possible_length if size > 0)


def _branches(pattern: str) -> list[str]:
    """The alternatives of a pattern at its outermost level, the empty pattern having none."""
    found, depth, start = [], 0, 0
    for place, letter in enumerate(pattern):
        depth += (letter in "([") - (letter in ")]")
        if letter == "|" and not depth:
            found.append(pattern[start:place])
            start = place + 1
    return [*found, pattern[start:]] if pattern else []


def _ascii(pattern: str) -> str:
    return pattern.replace("\\d", "[0-9]")
