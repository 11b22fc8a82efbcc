"""E-mail addresses: trimmed and lower-cased; syntax is email-validator's; nothing is looked up and no domain is guessed right.

White space inside makes an address invalid on every platform (the pages say "remove" or raise; a joined address reaches a
stranger). Reserved endings (.test, .invalid) are accepted: only syntax is asked.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import email_validator
import polars as pl

from connectors.engine.normalise.rule import SHORT, Rule, Settled, each, lowered, spread

if TYPE_CHECKING:
    from connectors.engine.normalise.switches import IdentityRules

# Plain addresses of at most 64 bytes: a strict subset of what email-validator accepts and leaves unchanged.
PLAIN = r"^[a-z0-9_+-]+(?:\.[a-z0-9_+-]+)*@(?:[a-z0-9]+(?:-[a-z0-9]+)*\.)+[a-z]{2,24}$"
GMAIL = ("@gmail.com", "@googlemail.com")
SPACE = re.compile(r"\s")
NOT_AN_ADDRESS = "not an address"


def fast_plain(values: pl.Series, _countries: pl.Series | None, _rules: IdentityRules) -> pl.Series:
    """The lower-cased address where it is plainly one, else null."""
    frame = pl.DataFrame({"v": values.str.to_lowercase()})
    plain = (pl.col("v").str.len_bytes() <= SHORT) & pl.col("v").str.contains(PLAIN)
    return frame.select(pl.when(plain).then("v"))["v"]


def fast_google(values: pl.Series, countries: pl.Series | None, rules: IdentityRules) -> pl.Series:
    """As `fast_plain`, with Gmail's dots and plus part gone."""
    return fast_plain(without_gmail_aliases(values.str.to_lowercase(), rules), countries, rules)


def fast_without_tag(values: pl.Series, countries: pl.Series | None, rules: IdentityRules) -> pl.Series:
    """As `fast_plain`, with the plus part gone whatever the domain."""
    return fast_plain(_without_tag(values), countries, rules)


def without_gmail_aliases(lower: pl.Series, rules: IdentityRules) -> pl.Series:
    """Addresses with the dots and the plus part of Gmail's local parts gone, others as they are."""
    frame = pl.DataFrame({"v": lower})
    ours = frame.select(pl.col("v").str.ends_with(GMAIL[0]) | pl.col("v").str.ends_with(GMAIL[1]))["v"]
    if not ours.any():
        return lower
    local = pl.col("v").str.extract(r"^([^@]*)@", 1)
    if rules.gmail_plus == "strip":
        local = local.str.replace(r"\+.*$", "")
    bare = local.str.replace_all(".", "", literal=True) + pl.col("v").str.extract(r"(@.*)$", 1)
    return spread(frame.filter(ours).select(v=bare)["v"], ours).zip_with(ours, lower)


def _without_tag(values: pl.Series) -> pl.Series:
    return values.str.replace(r"\+[^@]*@", "@")


def _without_tag_or_dots(values: pl.Series) -> pl.Series:
    frame = pl.DataFrame({"v": _without_tag(values)})
    local = pl.col("v").str.extract(r"^([^@]*)@", 1).str.replace_all(".", "", literal=True)
    return frame.select(pl.coalesce(local + pl.col("v").str.extract(r"(@.*)$", 1), "v"))["v"]


def settle_plain(values: pl.Series, countries: pl.Series, rules: IdentityRules) -> Settled:
    """Addresses that email-validator accepts, lower-cased."""
    return each(_decide)(lowered(values), countries, rules)


def settle_google(values: pl.Series, countries: pl.Series, rules: IdentityRules) -> Settled:
    """As `settle_plain`, with Gmail's dots and plus part gone."""
    return each(_decide)(without_gmail_aliases(lowered(values), rules), countries, rules)


def settle_without_tag(values: pl.Series, countries: pl.Series, rules: IdentityRules) -> Settled:
    """As `settle_plain`, with the plus part gone."""
    return each(_decide)(_without_tag(lowered(values)), countries, rules)


def settle_bare(values: pl.Series, countries: pl.Series, rules: IdentityRules) -> Settled:
    """As `settle_plain`, with the plus part and the local part's dots gone."""
    return each(_decide)(_without_tag_or_dots(lowered(values)), countries, rules)


def _decide(text: str, _country: str | None, rules: IdentityRules) -> tuple[str | None, str | None, str | None]:
    local, at, domain = text.rpartition("@")
    if SPACE.search(text):
        return None, "white space inside", None
    if not at:
        return None, "no @", None
    if not local or not domain:
        return None, "nothing before or after the @", None
    if "." not in domain:
        return None, "no top-level domain", None
    try:
        found = email_validator.validate_email(
            f"{local}@{_public(domain)}", check_deliverability=False, allow_quoted_local=True
        )
    except email_validator.EmailNotValidError:
        return None, NOT_AN_ADDRESS, None
    if rules.idn_domains == "as_given" or (domain.isascii() and "xn--" not in domain):
        return text, None, None
    return f"{local}@{found.ascii_domain if rules.idn_domains == 'ascii' else found.domain}", None, None


def _public(domain: str) -> str:
    """The domain with a reserved ending (test, invalid ...) replaced by one that email-validator doesn't refuse."""
    for reserved in email_validator.SPECIAL_USE_DOMAIN_NAMES:
        if domain.endswith("." + reserved):
            return domain.removesuffix(reserved) + "com"
    return domain


EMAIL_PLAIN = Rule(
    "email_plain",
    "2026-11",
    "Meta customer-information-parameters (trim, lower-case); TikTok customer-file help of Sept 2025 (dots and plus kept)",
    settle_plain,
    fast_plain,
)
EMAIL_GOOGLE = Rule(
    "email_google",
    "2026-11",
    "developers.google.com/data-manager/api/devguides/concepts/formatting: gmail.com and googlemail.com without dots and +tag",
    settle_google,
    fast_google,
)
EMAIL_WITHOUT_TAG = Rule(
    "email_without_tag",
    "2025-08",
    "TikTok list-of-supported-ids-and-formats of Aug 2025: +tag dropped on every domain (disputed; a setting)",
    settle_without_tag,
    fast_without_tag,
)
EMAIL_BARE = Rule(
    "email_bare",
    "2024-02",
    "TikTok customer-file page of Feb 2024: +tag and dots dropped on every domain (disputed; a setting)",
    settle_bare,
)
