"""Who may be sent, as data and one SQL expression: regions, words, and the reason why someone is left out.

Sources: the regions are those of Google's EU user consent policy (EEA, the United Kingdom, Switzerland; EU territories with ISO
codes of their own belong to the EEA: Treaty on the Functioning of the EU, art. 355(1)); both flags must be granted there:
https://support.google.com/google-ads/answer/14310715 . The same rule is kept on every platform. California: Meta's limited data
use, https://developers.facebook.com/docs/marketing-apis/data-processing-options .
"""

from __future__ import annotations

from connectors.engine.tables import name, quote

EEA = tuple(
    "AT BE BG HR CY CZ DK EE FI FR DE GR HU IE IT LV LT LU MT NL PL PT RO SK SI ES SE IS LI NO AX GF GP MF MQ RE YT".split()
)
STRICT_REGIONS: frozenset[str] = frozenset((*EEA, "GB", "CH"))
GRANTED = ("granted", "yes", "true", "1", "y", "t", "opt_in", "opt-in", "optin", "consent_granted")
DENIED = ("denied", "no", "false", "0", "n", "f", "opt_out", "opt-out", "optout", "withdrawn", "revoked", "consent_denied")
BLANK = ("", "unknown", "unspecified", "null", "none", "nan")
FLAGS = ("consent_ad_user_data", "consent_ad_personalization")
SOLD = "do_not_sell"
LIMITED_REGIONS = (("US", ("ca", "us-ca", "california", "calif", "calif.")),)
"""Country and spellings of the region whose people go with limited data use."""


def _word(column: str) -> str:
    return f"lower(trim(coalesce({name(column)}, '')))"


def _among(expression: str, words: tuple[str, ...] | frozenset[str]) -> str:
    return f"{expression} IN ({', '.join(quote(one) for one in sorted(words))})"


def reason(country: str = "consent_country", regions: frozenset[str] = STRICT_REGIONS) -> str:
    """SQL text: why a person is left out ('' = may be sent). `country` holds ISO alpha-2 or null (unknown: strict).

    A word that nobody can read is taken as a refusal and counted apart.
    """
    strict = f"({name(country)} IS NULL OR {_among(name(country), regions)})"
    missing = _missing()
    denied = " OR ".join(_among(_word(flag), DENIED) for flag in FLAGS)
    unread = " OR ".join(f"NOT {_among(_word(flag), (*GRANTED, *DENIED, *BLANK))}" for flag in FLAGS)
    sold = f"NOT {_among(_word(SOLD), (*DENIED, *BLANK))}"
    return (
        f"CASE WHEN {sold} THEN 'do_not_sell' WHEN {denied} THEN 'consent_denied' WHEN {unread} THEN 'consent_unreadable' "
        f"WHEN {strict} AND ({missing}) THEN 'consent_missing' ELSE '' END"
    )


def unrecorded() -> str:
    """SQL text: 'yes' where not both flags are granted, else null. Such people may be sent outside the strict regions, but no
    platform may be told that they consented. Null is the usual case, so that it leaves no mark on a row's digest.
    """
    return f"CASE WHEN {_missing()} THEN 'yes' END"


def _missing() -> str:
    return " OR ".join(f"NOT {_among(_word(flag), GRANTED)}" for flag in FLAGS)


def least(column: str, text: str) -> str:
    """SQL aggregate over the rows of one person: the least consent that any of them grants (null: one of them is blank).

    `text`: the column's text as an SQL expression, null where blank. Refused before unreadable before blank before granted.
    """
    word = f"lower(trim(coalesce({text}, '')))"
    if column == SOLD:
        return f"min({text}) FILTER (NOT {_among(word, (*DENIED, *BLANK))})"
    refused = f"min({text}) FILTER ({_among(word, DENIED)})"
    unread = f"min({text}) FILTER (NOT {_among(word, (*GRANTED, *DENIED, *BLANK))})"
    blank = f"count(*) FILTER ({_among(word, BLANK)}) > 0"
    return f"coalesce({refused}, {unread}, CASE WHEN {blank} THEN NULL ELSE min({text}) END)"


def readable(column: str, text: str) -> str:
    """SQL: what `least` says of a single row."""
    blank = BLANK if column != SOLD else (*DENIED, *BLANK)
    word = f"lower(trim(coalesce({text}, '')))"
    return f"CASE WHEN {_among(word, blank)} THEN NULL ELSE {text} END"


def limited_data_use(country: str = "consent_country") -> str:
    """SQL boolean: whether a person goes with limited data use."""
    each = (f"({name(country)} = {quote(land)} AND {_among(_word('region'), words)})" for land, words in LIMITED_REGIONS)
    return f"coalesce({' OR '.join(each)}, false)"
