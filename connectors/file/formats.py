"""The columns of three platforms' upload pages as data: field -> header, in the order of the file.

Meta: business/help/2082575038703844 (up to three e-mails and phones in columns of their own, `value` for value-based lists).
Google: google-ads/answer/7659867 (exactly these English headers; e-mail, phone and names hashed, country and zip not).
TikTok: help "list-of-supported-ids-and-formats-for-a-customer-file" (a header may occur up to three times); its page takes
files of less than 1 GB and at least 1,000 entries, its API of 250 MB. Meta advises against lists of fewer than 100; neither
Meta's nor Google's pages of today say how large a file may be.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from connectors.protocol import IdentifierField, Recipe


@dataclass(frozen=True, slots=True)
class Format:
    """One upload page: what identifies a person there, under which headers, and the header of the value, if any.

    `largest`: bytes of the largest file (0: not said); `smallest`: rows below which a list is refused or of no use.
    """

    recipe: Recipe
    headers: dict[str, str]
    value: str = ""
    largest: int = 0
    smallest: int = 0

    def header(self, *, weighted: bool) -> list[str]:
        """The header line's cells; fields with several values repeat theirs. `weighted`: with a column for the value."""
        cells = [self.headers[one.name] for one in self.recipe.fields for _ in one.columns()]
        return [*cells, self.value] if self.value and weighted else cells


def _detail(name: str, source: str, rule: str) -> IdentifierField:
    return IdentifierField(name, source, rule, identifies=False)


def _address(name: str, source: str, rule: str, *, hashed: bool) -> IdentifierField:
    others = tuple(one for one in ("FIRST", "LAST", "COUNTRY", "ZIP") if one != name)
    return IdentifierField(name, source, rule, hashed=hashed, requires=others, identifies=hashed)


META: Final = Format(
    Recipe(
        "file-meta-1",
        (
            IdentifierField("EMAIL", "email", "email_plain", values=3),
            IdentifierField("PHONE", "phone", "phone_digits", values=3),
            IdentifierField("MADID", "mobile_ad_id", "mobile_ad_id", hashed=False),
            _detail("FN", "first_name", "name_meta"),
            _detail("LN", "last_name", "name_meta"),
            _detail("ZIP", "postal_code", "postal_meta"),
            _detail("CT", "city", "city_meta"),
            _detail("ST", "region", "region_meta"),
            _detail("COUNTRY", "country", "country_lower"),
            _detail("DOBY", "birth_year", "birth_year"),
            _detail("GEN", "gender", "gender"),
        ),
    ),
    {
        "EMAIL": "email",
        "PHONE": "phone",
        "MADID": "madid",
        "FN": "fn",
        "LN": "ln",
        "ZIP": "zip",
        "CT": "ct",
        "ST": "st",
        "COUNTRY": "country",
        "DOBY": "doby",
        "GEN": "gen",
    },
    value="value",
    smallest=100,
)

GOOGLE: Final = Format(
    Recipe(
        "file-google-1",
        (
            IdentifierField("EMAIL", "email", "email_google", values=3),
            IdentifierField("PHONE", "phone", "phone_e164", values=3),
            _address("FIRST", "first_name", "name_google_given", hashed=True),
            _address("LAST", "last_name", "name_google_family", hashed=True),
            _address("COUNTRY", "country", "country_upper", hashed=False),
            _address("ZIP", "postal_code", "postal_google", hashed=False),
        ),
    ),
    {"EMAIL": "Email", "PHONE": "Phone", "FIRST": "First Name", "LAST": "Last Name", "COUNTRY": "Country", "ZIP": "Zip"},
)

TIKTOK: Final = Format(
    Recipe(
        "file-tiktok-1",
        (
            IdentifierField("EMAIL", "email", "email_plain", values=3),
            IdentifierField("PHONE", "phone", "phone_e164", values=3),
            IdentifierField("MAID", "mobile_ad_id", "mobile_ad_id"),
        ),
    ),
    {"EMAIL": "email_SHA256", "PHONE": "phone_SHA256", "MAID": "MAID_SHA256"},
    largest=250_000_000,
    smallest=1000,
)

FORMATS: Final = {"meta": META, "google": GOOGLE, "tiktok": TIKTOK}
