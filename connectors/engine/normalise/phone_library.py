"""Phone numbers that need thought: one value at a time, with phonenumbers' metadata. Asked once per distinct value."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

import phonenumbers
from phonenumbers import NumberParseException, ValidationResult

if TYPE_CHECKING:
    from connectors.engine.normalise.switches import IdentityRules

Answer = tuple[str | None, str | None, str | None]  # digits of E.164 without +, reason, note

TAKEN = "taken as international"
REASONS = {
    ValidationResult.TOO_SHORT: "too short",
    ValidationResult.TOO_LONG: "too long",
    ValidationResult.INVALID_COUNTRY_CODE: "unknown country code",
    ValidationResult.IS_POSSIBLE_LOCAL_ONLY: "no area code",
}
UNREADABLE = {
    NumberParseException.INVALID_COUNTRY_CODE: "unknown country code",
    NumberParseException.TOO_SHORT_AFTER_IDD: "too short",
    NumberParseException.TOO_SHORT_NSN: "too short",
    NumberParseException.TOO_LONG: "too long",
}
EXTENSION = re.compile(
    r"(?<=[\d)\s])\s*[;,]*\s*(?:ext=|e?xt(?:ensi[oó])?n?|int|доб|anexo|durchwahl|dw|poste|[xх#~])\.?\s*[:.=]?\s*\d{1,20}\s*#?$",
    re.IGNORECASE,
)
ABROAD = re.compile(r"^\+[\s().\-]*(?:011[\s().\-]*|[0\s().\-]+)?")  # no country code begins with a zero: +00 44, +011 44
CONTEXT = re.compile(r";phone-context=(\+[\d().\-]+)?.*$", re.IGNORECASE)  # tel: URIs (RFC 3966)
ANOTHER = re.compile(r"[\\/]\s*x.*$|;isub=[^;]*", re.IGNORECASE)  # "x302/x2303": a second extension; a sub-address
LONG_VOWEL = str.maketrans({"\u30fc": "-"})  # typed for a dash on Japanese keyboards, and a letter to Unicode
ASIDE = re.compile(r"[(\[][^\d()\[\]+]*[^\W\d_][^\d()\[\]+]*[)\]]")  # (mobile), [work]
HEAD = re.compile(r"^[^\d+(]*(?:\((?!\+?\d)[^\d+(]*)*")
TAIL = re.compile(r"(?<=\d)[^\d]*[^\W\d_][^\d]*$")
APART = re.compile(r"\s*[\s,;:/(\[]")
EXAMPLE = re.compile(r"1555\d{7}")  # the area code of examples and films: nobody has one, so taking it reaches no stranger
LETTER = re.compile(r"[^\W\d_]")
SHOUTED = re.compile(r"[A-Z]{3,}")
DECIMAL = ".0"  # what spreadsheets and data frames put behind a number that they took for an amount


def settle(raw: str, country: str | None, rules: IdentityRules) -> Answer:
    """What becomes of a phone as somebody typed it."""
    text = "".join(c for c in unicodedata.normalize("NFKC", raw) if unicodedata.category(c)[0] != "C").strip()
    text = _without_uri(ANOTHER.sub("", text.translate(LONG_VOWEL))).removesuffix(DECIMAL)
    if not any(c.isdigit() for c in text):
        return None, "no digits", None
    core, words = _core(text)
    if LETTER.search(core):
        return None, "letters inside", None
    digits = re.sub(r"\D", "", "".join(str(unicodedata.digit(c, "")) if c.isdigit() else c for c in core))
    found = _number(core, digits, country if country in phonenumbers.SUPPORTED_REGIONS else None, rules)
    if words and (SHOUTED.search(words) or not APART.match(words)) and not (found[0] and _valid("+" + found[0], None)):
        return None, "letters inside", None  # part of the number is spelt out (1-800-FLOWERS)
    return found


def _without_uri(text: str) -> str:
    """The number of a tel: URI in front of which its context, a country code, has been put; other text as it is."""
    context = CONTEXT.search(text)
    number = re.sub(r"\btel:", "", text[: context.start()] if context else text, flags=re.IGNORECASE)
    if not context or not context[1] or "+" in number:
        return number
    return context[1] + HEAD.sub("", number)


def is_number(digits: str, country: str | None) -> bool:
    """Whether digits are an assigned number, internationally or in the country."""
    return _valid("+" + digits, None) or (country in phonenumbers.SUPPORTED_REGIONS and _valid(digits, country))


def _core(text: str) -> tuple[str, str]:
    """The number without extension and the words around it, and the words behind it."""
    text = EXTENSION.sub("", ASIDE.sub(" ", text).strip())
    text = HEAD.sub("", text)
    tail = TAIL.search(text)
    return (text[: tail.start()], tail.group()) if tail else (text, "")


def _number(core: str, digits: str, country: str | None, rules: IdentityRules) -> Answer:
    core = core.lstrip("( ")
    if core.startswith("+"):
        return _parsed("+" + core.lstrip("+").replace("+", " "), digits.lstrip("0"), None, rules)
    if country:
        found = _parsed(core, digits, country, rules)
        if found[0] is None and digits.startswith("00"):
            abroad = _parsed("+" + digits[2:].lstrip("0"), digits, None, rules)
            return abroad if abroad[0] else found
        if found[0] is None and rules.phones_foreign == "international" and _valid("+" + digits, None):
            return digits, None, TAKEN
        return found
    if digits.startswith("00") and len(digits.lstrip("0")) > 6:
        return _parsed("+" + digits.lstrip("0"), digits.lstrip("0"), None, rules)
    if rules.phones_without_country == "drop":
        return None, "no country", None
    for candidate in (digits.lstrip("0"), digits.removeprefix("011")):
        if EXAMPLE.fullmatch(candidate) or _valid("+" + candidate, None):
            return candidate, None, TAKEN
    return None, "too short" if len(digits.lstrip("0")) < 7 else "no country", None


def _parsed(core: str, digits: str, country: str | None, rules: IdentityRules) -> Answer:
    if country is None:
        core = ABROAD.sub("+", core)
    try:
        number = phonenumbers.parse(core, country)
    except NumberParseException as error:
        return None, "too short" if len(digits) < 7 else UNREADABLE.get(error.error_type, "not a phone number"), None
    length = phonenumbers.is_possible_number_with_reason(number)
    if length != ValidationResult.IS_POSSIBLE:
        return None, REASONS.get(length, "wrong length"), None
    if rules.phone_check == "valid" and not phonenumbers.is_valid_number(number):
        return None, "not an assigned number", None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)[1:], None, None


def _valid(text: str, country: str | None) -> bool:
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(text, country))
    except NumberParseException:
        return False
