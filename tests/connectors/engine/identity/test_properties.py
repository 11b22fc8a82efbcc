"""What holds for any text whatever: a value or a reason, never an exception; twice is once; raw and hashed before agree."""

from __future__ import annotations

import hashlib
import json
import random
import re
from pathlib import Path

import phonenumbers
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from connectors.engine.digests import packed, sha256
from connectors.engine.identity import RULES, IdentityRules
from connectors.engine.normalise.rule import Rule
from tests.connectors.engine.identity.recipes import PLATFORMS, hashed, settle

EMPTY_DIGEST = hashlib.sha256(b"").hexdigest()
COUNTRIES = st.sampled_from([None, "US", "GB", "DE", "IT", "AR", "JP", "RU", "BR", "AX"])
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
MARKS = " \t\r\n|+.-'@\"()0123456789abcXYZ"
MARKS += "\u0301\u0307\u200d\u200c\u202e\u2066\ufeff\x00\x1f\u0085\u00ad😀é\u1e9eİıßΣςΆﬁǅＡ０٣½א ا한"
ODD_TEXT = st.text(st.sampled_from(MARKS), max_size=24)
LIKELY = st.from_regex(r"\A[ +(]?[0-9A-Za-z.@+() \-]{1,24}\Z") | st.emails() | st.from_regex(r"\A\+?[0-9]{5,15}\Z")
TEXT = ANY_TEXT | ODD_TEXT | LIKELY
RULE = st.sampled_from(sorted(RULES))
# Digits without a plus say less than E.164 does: whether they are read back depends on the country, so the plus form is tried.
STABLE = sorted(set(RULES) - {"phone_digits"})


@settings(max_examples=250, deadline=None)
@given(RULE, TEXT, COUNTRIES, st.booleans())
def test_any_text_gives_a_value_or_a_reason(rule: str, text: str, country: str | None, is_hashed: bool) -> None:
    value, reason = settle(rule, text, country, hashed=is_hashed)
    assert (value is None) != (reason is None)
    assert value != ""


@settings(max_examples=250, deadline=None)
@given(st.sampled_from(STABLE), TEXT, COUNTRIES)
@example("name_meta", "I\u0307Ǆﬁ\u200de\u0301", None)
@example("region_meta", "ΑΣ.Α", None)
@example("email_google", ".+.@gmail.com", None)
@example("name_google_family", "smith, jr., jr. , iii", None)
def test_normalising_twice_changes_nothing(rule: str, text: str, country: str | None) -> None:
    once, _ = settle(rule, text, country)
    if once is not None:
        assert settle(rule, once, country) == (once, None)


@settings(max_examples=200, deadline=None)
@given(RULE, TEXT, COUNTRIES)
def test_raw_and_hashed_before_agree(rule: str, text: str, country: str | None) -> None:
    value, _ = settle(rule, text, country)
    if value is None or RULES[rule].verbatim:
        return
    digest = value if re.fullmatch("[0-9a-f]{64}", value) else sha256(pl.Series([value]))[0]
    for given_digest in (digest, digest.upper(), f"  {digest}\n"):
        assert settle(rule, given_digest, country) == (digest, None)


@settings(max_examples=150, deadline=None)
@given(st.lists(TEXT | st.none(), max_size=12), RULE)
def test_one_bad_row_changes_no_other(texts: list[str | None], rule: str) -> None:
    together = RULES[rule](pl.Series(values=texts, dtype=pl.String), None, IdentityRules())
    for place, text in enumerate(texts):
        alone = RULES[rule](pl.Series(values=[text], dtype=pl.String), None, IdentityRules())
        assert (together.values[place], together.reasons[place]) == (alone.values[0], alone.reasons[0])


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([name for name, rule in sorted(RULES.items()) if rule.fast]), LIKELY | ODD_TEXT, COUNTRIES)
def test_the_fast_path_says_what_the_slow_one_says(name: str, text: str, country: str | None) -> None:
    rule = RULES[name]
    slow = Rule(rule.name, rule.version, rule.source, rule.settle, uuids=rule.uuids)
    values, countries = pl.Series([text]), pl.Series(values=[country], dtype=pl.String)
    fast, thorough = rule(values, countries, IdentityRules()), slow(values, countries, IdentityRules())
    assert (fast.values[0], fast.reasons[0]) == (thorough.values[0], thorough.reasons[0])


def test_phones_of_every_country_are_settled_as_the_library_does() -> None:
    texts, countries = [], []
    chance = random.Random(11)
    for region in sorted(phonenumbers.SUPPORTED_REGIONS):
        number = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
        number = number or phonenumbers.example_number(region)
        assert number is not None
        own = phonenumbers.national_significant_number(number)
        forms = [phonenumbers.format_number(number, form) for form in (0, 1, 2)]
        forms += [own, own[:-1], own + "5", "0" + own, "1" + own, "8" + own, f"00{number.country_code}{own}"]
        forms += [f"{number.country_code}{own}", f"+{number.country_code}0{own}", "".join(chance.choices("0123456789", k=9))]
        texts += forms
        countries += [region] * len(forms)
    rule = RULES["phone_e164"]
    slow = Rule(rule.name, rule.version, rule.source, rule.settle)
    values, where = pl.Series(texts), pl.Series(countries)
    fast = rule(values, where, IdentityRules())
    thorough = slow(values, where, IdentityRules())
    assert fast.values.to_list() == thorough.values.to_list()
    assert rule.fast is not None
    settled = len(texts) - rule.fast(values, where, IdentityRules()).null_count()
    assert settled > 0.3 * len(texts)  # the library is asked about the rest alone


@settings(max_examples=200, deadline=None)
@given(st.lists(TEXT | st.none(), max_size=20))
def test_digests_are_hashlibs_and_empty_and_null_never_hash(texts: list[str | None]) -> None:
    digests = sha256(pl.Series(values=texts, dtype=pl.String))
    wanted = [hashlib.sha256(text.encode()).hexdigest() if text else None for text in texts]
    assert digests.to_list() == wanted
    rows = packed(digests.drop_nulls())
    assert [bytes(row).hex() for row in rows] == [digest for digest in wanted if digest]


@pytest.mark.parametrize("rule", sorted(RULES))
@pytest.mark.parametrize("text", [None, "", " ", "\t\r\n", "\x00", "\u200b\ufeff", "\u00a0"])
def test_nothing_is_never_hashed(rule: str, text: str | None) -> None:
    value, reason = settle(rule, text)
    assert value is None
    assert reason == (None if text is None else "empty")


@pytest.mark.parametrize("rule", sorted(RULES))
@pytest.mark.parametrize("letter", ["a", "é", "1"])
def test_ten_megabytes_of_text_are_refused(rule: str, letter: str) -> None:
    value, reason = settle(rule, letter * (10_000_000 // len(letter.encode())))
    assert (value, reason) == (None, "too long")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(st.characters(), max_size=12), min_size=1, max_size=5), st.sampled_from(PLATFORMS))
@example(["\ud800", "a\udfff@x.com", "\udcff"], "meta")
def test_lone_surrogates_and_all_else_in_a_file(tmp_path: Path, texts: list[str], platform: str) -> None:
    path = tmp_path / "contacts.jsonl"
    names = ("email", "phone", "first_name", "city", "postal_code")
    path.write_text("".join(json.dumps(dict.fromkeys(names, text)) + "\n" for text in texts))
    rows, report = hashed(path, platform)
    assert len(rows) == report.people == len(texts)
    for fields in rows:
        for entries in fields.values():
            assert all({"sha256", "value", "invalid"} & set(entry) for entry in entries)
            assert all(entry.get("sha256") != EMPTY_DIGEST for entry in entries)


def test_dotted_and_dotless_i_final_sigma_and_sharp_s_are_pinned() -> None:
    """Engines differ on these letters (DuckDB makes "i" of the dotted capital I): the digests must not move with a library."""
    pinned = {"İ": "i\u0307", "I": "i", "ı": "ı", "ΑΣ": "ας", "ẞ": "ß", "K": "k", "Ǆ": "ǆ", "Å": "å", "I\u0307": "i\u0307"}
    assert {text: settle("name_meta", text)[0] for text in pinned} == pinned


def test_invalid_utf8_from_a_table_is_refused_not_raised() -> None:
    from connectors.engine.contact_columns import text_of

    broken = pa.Array.from_buffers(
        pa.string(), 1, [None, pa.py_buffer(b"\x00\x00\x00\x00\x03\x00\x00\x00"), pa.py_buffer(b"a\xffb")]
    )
    text = text_of(broken)
    assert settle("name_meta", text[0]) == (None, "broken text")
