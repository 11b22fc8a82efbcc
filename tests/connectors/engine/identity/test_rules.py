"""The rules, value by value: literals from the platforms' pages, their libraries' tests and the design's section 6."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.engine.identity import RULES
from tests.connectors.engine.identity.recipes import settle

MARY = "f1904cf1a9d73a55fa5de0ac823c4403ded71afd4c3248d00bdcd0866552bb79"
Cases = dict[str, list[tuple[str, str | None, str]]]
GOOD: Cases = {
    "email_plain": [
        ("Ü@MÜNCHEN.de", None, "ü@münchen.de"),
        ("a@xn--mnchen-3ya.de", None, "a@xn--mnchen-3ya.de"),
        ("\ufeffjohn@x.com\u00a0", None, "john@x.com"),
        ("shopper@brand.test", None, "shopper@brand.test"),
        ("İ@x.com", None, "i\u0307@x.com"),
        (MARY.upper(), None, MARY),
    ],
    "email_google": [
        ("Jane.Doe+Shopping@Gmail.com", None, "janedoe@gmail.com"),
        ("Jane.Doe+Shopping@googlemail.com", None, "janedoe@googlemail.com"),
        ("user.name+NYC@Example.com", None, "user.name+nyc@example.com"),
        ("a.b@mail.gmail.com", None, "a.b@mail.gmail.com"),
        (".john@gmail.com", None, "john@gmail.com"),
    ],
    "mark": [("yes", None, "yes")],
    "email_without_tag": [("Jane.Doe+x@Shop.com", None, "jane.doe@shop.com")],
    "email_bare": [("Jane.Doe+x@Shop.com", None, "janedoe@shop.com")],
    "phone_e164": [
        ("Tel: +49 30 1234567", None, "+49301234567"),
        ("mobile 0664 123456", "AT", "+43664123456"),
        ("0664 123456 (mobile)", "AT", "+43664123456"),
        ("650-253-0000 - work", "US", "+16502530000"),
        ("+44 (0)20 7946 0958", None, "+442079460958"),
        ("020 7946 0958 ext. 5", "GB", "+442079460958"),
        ("(650) 253-0000 x123", "US", "+16502530000"),
        ("6502530000;ext=12", "US", "+16502530000"),
        ("６５０２５３００００", "US", "+16502530000"),
        ("＋４４２０７９４６０９５８", None, "+442079460958"),
        ("٠٦٦٤١٢٣٤٥٦", "AT", "+43664123456"),
        ("0044 20 7946 0958", None, "+442079460958"),
        ("0044 20 7946 0958", "US", "+442079460958"),
        ("011 44 20 7946 0958", "US", "+442079460958"),
        ("+0044 20 7946 0958", None, "+442079460958"),
        ("2015550123.0", "US", "+12015550123"),
        ("1711234567.0", "DE", "+491711234567"),
        ("442079460958.0", None, "+442079460958"),
        ("441134960987", None, "+441134960987"),
        ("1 800 555 0100", None, "+18005550100"),
        ("16502530000", "US", "+16502530000"),
        ("8 (912) 345-67-89", "RU", "+79123456789"),
        ("\u202a+1\u00a0650 253 0000\u202c", None, "+16502530000"),
        ("+39 06 698 12345", None, "+390669812345"),
    ],
    "phone_digits": [("+1 (650) 555-1212", None, "16505551212"), ("020 7946 0958", "GB", "442079460958")],
    "name_meta": [
        ("O’Connor", None, "oconnor"),
        ("Anne Marie", None, "annemarie"),
        ("Straße", None, "straße"),
        ("ΟΔΥΣΣΕΥΣ", None, "οδυσσευς"),
        ("Jose\u0301", None, "josé"),
        ("İsmail", None, "i\u0307smail"),
        ("李 明", None, "李明"),
        ("\u202eabc", None, "abc"),
        ("J😀hn", None, "jhn"),
    ],
    "initial_meta": [("Élodie", None, "é"), ("'t Hooft", None, "t")],
    "name_google_given": [
        ("  Alex   ", None, "alex"),
        (" Mr. Alex", None, "alex"),
        ("Alex Dr.", None, "alex"),
        ("Dr Alex", None, "alex"),
        ("Mralex", None, "mralex"),
        ("Mary  Ann", None, "mary ann"),
        ("Jean-Luc", None, "jean-luc"),
    ],
    "name_google_family": [
        (" Quinn, Jr.   ", None, "quinn"),
        ("Quinn,Jr.", None, "quinn"),
        ("quinn, jr. dds", None, "quinn"),
        ("Quinn-Alex", None, "quinn-alex"),
        ("Boardds", None, "boardds"),
        ("lacparm", None, "lacparm"),
        ("Smith III", None, "smith"),
        ("van der Berg", None, "van der berg"),
    ],
    "city_meta": [
        ("San José", None, "sanjosé"),
        ("St. Louis", None, "stlouis"),
        ("Paris 75", None, "paris"),
        ("İstanbul", None, "i\u0307stanbul"),
        ("北京", None, "北京"),
    ],
    "region_meta": [
        ("Calif.", None, "ca"),
        ("N.Y.", None, "ny"),
        ("Washington, D.C.", "US", "dc"),
        ("US-TX", "US", "tx"),
        ("Puerto Rico", None, "pr"),
        ("Ontario", "CA", "ontario"),
        ("Georgia", "GE", "georgia"),
        ("Georgia", "US", "ga"),
        ("Île-de-France", "FR", "îledefrance"),
    ],
    "postal_meta": [
        ("94035.0", "US", "94035"),
        ("94043-1234", None, "94043"),
        ("940431234", "US", "94043"),
        ("94043 1234", "US", "94043"),
        ("SW1A 1AA", "GB", "sw1a1aa"),
        ("H0H 0H0", "CA", "h0h0h0"),
        ("01310-100", "BR", "01310"),
        ("１００－０００１", "JP", "100"),
        ("D-80331", "DE", "80331"),
    ],
    "postal_google": [
        ("94035.0", "US", "94035"),
        (" 94043 ", "US", "94043"),
        ("94043-1234", "US", "94043-1234"),
        ("940431234", "US", "94043-1234"),
        ("1229-076", "PT", "1229-076"),
        ("SW1A 1AA", "GB", "SW1A 1AA"),
    ],
    "country_lower": [
        ("USA", None, "us"),
        ("U.S.A.", None, "us"),
        ("UK", None, "gb"),
        ("United States of America", None, "us"),
        ("Côte d’Ivoire", None, "ci"),
        ("Korea, Republic of", None, "kr"),
        ("Congo, The Democratic Republic of the", None, "cd"),
        ("Trinidad & Tobago", None, "tt"),
        ("ＵＳ", None, "us"),
    ],
    "country_upper": [("germany", None, "DE"), ("uae", None, "AE")],
    "gender": [("Female", None, "f"), ("Mr.", None, "m"), ("Ｆ", None, "f"), (" MA’AM ", None, "f")],
    "birth_year": [("1985", None, "1985"), ("1985.0", None, "1985"), ("１９８５", None, "1985")],
    "birth_month": [("7", None, "07"), ("Sept.", None, "09"), ("MARCH", None, "03")],
    "birth_day": [("1st", None, "01"), ("31", None, "31")],
    "mobile_ad_id": [
        ("{AECE52E7-03EE-455A-B3C4-E57283966239}", None, "aece52e7-03ee-455a-b3c4-e57283966239"),
        ("AECE52E703EE455AB3C4E57283966239", None, "aece52e7-03ee-455a-b3c4-e57283966239"),
    ],
    "external_id": [(" Cust-9Ä ", None, " Cust-9Ä "), ("2024-01-15", None, "2024-01-15"), ("1234567", "US", "1234567")],
}
BAD: Cases = {
    "email_plain": [
        ("john @x.com", None, "white space inside"),
        ("john", None, "no @"),
        ("a@localhost", None, "no top-level domain"),
        ("a@1.2.3.4", None, "not an address"),
        ("john\u200b@x.com", None, "not an address"),
        ("john@x.com.", None, "not an address"),
        ("x" * 5000 + "@x.com", None, "too long"),
        ("  ", None, "empty"),
        ("n/a", None, "placeholder"),
        ("d41d8cd98f00b204e9800998ecf8427e", None, "MD5 digest"),
        ("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", None, "digest of empty text"),
        ("jo\ufffdhn@x.com", None, "broken text"),
    ],
    "email_google": [("+tag@gmail.com", None, "nothing before or after the @"), ("a b@gmail.com", None, "white space inside")],
    "phone_e164": [
        ("1-800-FLOWERS", "US", "letters inside"),
        ("1 800 FLOWERS", "US", "letters inside"),
        ("1800FLOWERS", "US", "letters inside"),
        ("0800 1234 HELP", "GB", "letters inside"),
        ("65025E0000", "US", "letters inside"),
        ("6502530000", None, "no country"),
        ("253-0000", "US", "no area code"),
        ("12", "US", "too short"),
        ("+16502530000000", None, "too long"),
        ("+999 123456789", None, "unknown country code"),
        ("unknown", "US", "no digits"),
        ("1" * 30, "US", "too long"),
    ],
    "name_meta": [("---", None, "no letters"), ("😀", None, "no letters"), ("\u0301", None, "no letters")],
    "name_google_given": [(" Mr. ", None, "no letters")],
    "name_google_family": [(", Jr. ", None, "no letters"), (",Jr.,DDS ", None, "no letters")],
    "city_meta": [("75001 Paris", None, "starts with a digit"), ("123", None, "no letters")],
    "region_meta": [("XX", "US", "not a US state"), ("12", None, "no letters")],
    "postal_meta": [("9404", "US", "not a ZIP code"), ("1", None, "too short"), ("---", None, "no letters or digits")],
    "postal_google": [
        ("9404", "US", "not a ZIP code"),
        ("john@x.com", None, "not a postal code"),
        ("--", None, "not a postal code"),
    ],
    "country_lower": [(text, None, "unknown country") for text in ("u s", "XX", "EU", "840", "Deutschland", "US1", "Nowhere")],
    "gender": [(text, None, "neither m nor f") for text in ("x", "unknown", "w", "non-binary")],
    "birth_year": [
        ("85", None, "not a year of four digits"),
        ("1899", None, "year out of range"),
        ("١٩٨٥", None, "not a year of four digits"),
    ],
    "birth_month": [("13", None, "not a month"), ("0", None, "not a month")],
    "birth_day": [("32", None, "not a day")],
    "mobile_ad_id": [
        ("00000000-0000-0000-0000-000000000000", None, "blank id"),
        ("john@x.com", None, "not an ad id"),
        ("d41d8cd98f00b204e9800998ecf8427e", None, "MD5 digest"),
    ],
    "external_id": [
        ("john@x.com", None, "looks like an e-mail"),
        ("+1 650 253 0000", None, "looks like a phone"),
        ("6502530000", "US", "looks like a phone"),
        ("a\nb", None, "control characters"),
    ],
}


def _flat(table: Cases) -> list[tuple[str, str, str | None, str]]:
    return [(rule, *case) for rule, cases in table.items() for case in cases]


@pytest.mark.parametrize(("rule", "raw", "country", "expected"), _flat(GOOD))
def test_value(rule: str, raw: str, country: str | None, expected: str) -> None:
    assert settle(rule, raw, country) == (expected, None)


@pytest.mark.parametrize(("rule", "raw", "country", "reason"), _flat(BAD))
def test_reason(rule: str, raw: str, country: str | None, reason: str) -> None:
    assert settle(rule, raw, country) == (None, reason)


def test_every_rule_is_tried_here_and_names_version_and_source() -> None:
    assert set(GOOD) == set(RULES)
    assert all(rule.version and rule.source and rule.name == name for name, rule in RULES.items())


@pytest.mark.parametrize(
    ("rule", "raw", "country", "switches", "expected"),
    [
        ("phone_e164", "12345678910", None, {"phones_without_country": "drop"}, None),
        ("phone_e164", "447400123456", "US", {}, None),
        ("phone_e164", "447400123456", "US", {"phones_foreign": "international"}, "+447400123456"),
        ("phone_e164", "020 7946 0958", None, {"default_country": "GB"}, "+442079460958"),
        ("phone_e164", "020 7946 0958", "GB", {"default_country": "US"}, "+442079460958"),
        ("phone_e164", "+1 555 123 4567", None, {"phone_check": "valid"}, None),
        ("phone_e164", "+1 650 253 0000", None, {"phone_check": "valid"}, "+16502530000"),
        ("name_meta", "Anne  Marie", None, {"name_inner_space": "keep"}, "anne marie"),
        ("name_google_given", "Mr. Alex", None, {"name_titles": "keep"}, "mr. alex"),
        ("postal_meta", "01310-100", "BR", {"postal_hyphen": "remove"}, "01310100"),
        ("email_google", "j.d+x@gmail.com", None, {"gmail_plus": "keep"}, "jd+x@gmail.com"),
        ("email_plain", "a@münchen.de", None, {"idn_domains": "ascii"}, "a@xn--mnchen-3ya.de"),
        ("email_plain", "a@xn--mnchen-3ya.de", None, {"idn_domains": "unicode"}, "a@münchen.de"),
        ("region_meta", "Georgia", None, {"region_without_country": "as_given"}, "georgia"),
        ("region_meta", "California", None, {"default_country": "MX"}, "california"),
        ("birth_year", "2027", None, {"latest_year": 2026}, None),
    ],
)
def test_switch(rule: str, raw: str, country: str | None, switches: dict[str, Any], expected: str | None) -> None:
    assert settle(rule, raw, country, **switches)[0] == expected


def test_digest_in_a_field_that_travels_unhashed_is_refused() -> None:
    assert settle("mobile_ad_id", MARY, hashed=False) == (None, "already hashed")
    assert settle("country_upper", MARY, hashed=False) == (None, "already hashed")
    assert settle("mobile_ad_id", MARY.upper(), hashed=True) == (MARY, None)


def test_base64_digest_is_taken_as_the_digest_it_is() -> None:
    assert settle("email_google", "UJ6TMBm7KFoTSpM0uLtnnf950M4CPVKa9L10TUe0/Yo=") == (
        "509e933019bb285a134a9334b8bb679dff79d0ce023d529af4bd744d47b4fd8a",
        None,
    )
