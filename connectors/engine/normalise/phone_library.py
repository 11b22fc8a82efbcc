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
EXTENSION = re.compile(
    r"(?<=[\d)\s])\s*[;,]?\s*(?:extension|extn?|ext|xtn|x|#|доб|anexo|durchwahl|dw|poste)\.?\s*[:.=]?\s*\d{1,7}\s*#?$",
    re.IGNORECASE,
)
ASIDE = re.compile(r"[(\[][^\d()\[\]+]*[^\W\d_][^\d()\[\]+]*[)\]]")  # (mobile), [work]
HEAD = re.compile(r"^[^\d+(]*(?:\((?!\+?\d)[^\d+(]*)*")
TAIL = re.compile(r"(?<=\d)[^\d]*[^\W\d_][^\d]*$")
APART = re.compile(r"\s*[\s,;:/(\[]")
LETTER = re.compile(r"[^\W\d_]")
SHOUTED = re.compile(r"[A-Z]{3,}")


def settle(raw: str, country: str | None, rules: IdentityRules) -> Answer:
    """What becomes of a phone as somebody typed it."""
    text = "".join(c for c in unicodedata.normalize("NFKC", raw) if unicodedata.category(c)[0] != "C").strip()
    text = re.sub(r"^tel:", "", text, flags=re.IGNORECASE).split(";phone-context=", 1)[0]
    if not any(c.isdigit() for c in text):
        return None, "no digits", None
    core, words = _core(text)
    if LETTER.search(core):
        return None, "letters inside", None
    digits = re.sub(r"\D", "", "".join(str(unicodedata.digit(c, "")) if c.isdigit() else c for c in core))
    if len(digits) > 20:
        return None, "too long", None
    found = _number(core, digits, country if country in phonenumbers.SUPPORTED_REGIONS else None, rules)
    if words and (SHOUTED.search(words) or not APART.match(words)) and not (found[0] and _valid("+" + found[0], None)):
        return None, "letters inside", None  # part of the number is spelt out (1-800-FLOWERS)
    return found


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
        if _valid("+" + candidate, None):
            return candidate, None, TAKEN
    return None, "too short" if len(digits.lstrip("0")) < 7 else "no country", None


def _parsed(core: str, digits: str, country: str | None, rules: IdentityRules) -> Answer:
    if country is None:
        core = re.sub(r"^\+[\s().\-]*0+", "+", re.sub(r"^\+[\s]*", "+", core))
        core = re.sub(r"^\+[\s().\-]*0*", "+", core)
    try:
        number = phonenumbers.parse(core, country)
    except NumberParseException as error:
        unknown = error.error_type == NumberParseException.INVALID_COUNTRY_CODE
        short = len(digits) < 7
        return None, "too short" if short else "unknown country code" if unknown else "not a phone number", None
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
