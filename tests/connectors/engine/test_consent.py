"""Every combination of region, flags and spellings against the rule in plain words; the least consent of several rows."""

from __future__ import annotations

from collections import Counter
from itertools import product
from typing import TYPE_CHECKING

import duckdb
import pytest

from connectors.engine.consent import least
from tests.connectors.engine.world import Person, World, person

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Treaty members, written out apart from the code under test.
EU = "AT BE BG HR CY CZ DK EE FI FR DE GR HU IE IT LV LT LU MT NL PL PT RO SK SI ES SE".split()
STRICT = [*EU, "IS", "LI", "NO", "GB", "CH", "UK", "GRC", "Germany", "switzerland", None, "", "Atlantis", "EL"]
OTHERS = ["US", "USA", "CA", "BR", "AU", "JP", "Mexico", "TR", "RS"]
YES = ["granted", "GRANTED ", "yes", "Yes", "TRUE", "true", "1", "y", "opt-in"]
NO = ["denied", " Denied", "no", "NO", "FALSE", "0", "withdrawn", "revoked", "opt_out"]
BLANK = [None, "", "  ", "unknown", "NULL"]
ODD = ["maybe", "ja", "2"]
SOLD = [None, "", "false", "0", "true", "1", "YES", "please"]


def expected(country: str | None, first: str | None, second: str | None, sold: str | None) -> str:
    """Design, section 6, in plain Python."""
    if sold not in (None, "", "false", "0"):
        return "do_not_sell"
    if first in NO or second in NO:
        return "consent_denied"
    if first in ODD or second in ODD:
        return "consent_unreadable"
    if country in STRICT and not (first in YES and second in YES):
        return "consent_missing"
    return ""


def everyone() -> Iterator[tuple[Person, str]]:
    words = [*YES[::2], YES[1], *NO[::2], *BLANK, *ODD[:2]]
    regions = [*STRICT, *OTHERS]
    sets = [*product(regions, words, words, SOLD[:1]), *product(regions[::4], [*YES, *NO, *BLANK, *ODD], words[:6], SOLD)]
    for number, (country, first, second, sold) in enumerate(sets):
        consents = {"consent_ad_user_data": first, "consent_ad_personalization": second, "do_not_sell": sold}
        yield person(number, contact={"country": country, **consents}), expected(country, first, second, sold)


def test_every_combination_is_judged_as_the_rule_says(tmp_path: Path) -> None:
    judged = list(everyone())
    assert len(judged) > 20_000
    members = World(tmp_path).members([one for one, _ in judged])
    kept = {row for batch in members.pieces() for row in batch.column("customer_id").to_pylist()}
    assert kept == {one.id for one, reason in judged if not reason}
    assert members.dropped == {reason: count for reason, count in Counter(why for _, why in judged).items() if reason}


ROWS = [
    (["granted", "denied"], "denied"),
    (["denied", "granted", None], "denied"),
    (["granted", "opt_out"], "opt_out"),
    (["yes", "revoked"], "revoked"),
    (["f", "granted"], "f"),
    (["granted", None], None),
    (["granted", "unknown"], None),
    (["granted", "maybe"], "maybe"),
    ([None, "maybe"], "maybe"),
    (["maybe", "denied"], "denied"),
    (["granted", "yes"], "granted"),
    ([None], None),
]


@pytest.mark.parametrize(("given", "left"), ROWS)
def test_of_several_rows_the_least_consent_counts(given: list[str | None], left: str | None) -> None:
    assert _least("consent_ad_user_data", given) == left


@pytest.mark.parametrize(
    ("given", "left"),
    [(["1", "none"], "1"), (["false", "yes"], "yes"), ([None, "no"], None), (["please", "0"], "please"), ([None, None], None)],
)
def test_one_row_that_says_do_not_sell_is_enough(given: list[str | None], left: str | None) -> None:
    assert _least("do_not_sell", given) == left


def _least(column: str, given: list[str | None]) -> str | None:
    rows = ", ".join("(NULL)" if one is None else f"('{one}')" for one in given)
    with duckdb.connect() as connection:
        query = f"SELECT {least(column, 'word')} FROM (VALUES {rows}) AS t(word)"
        answer: list[tuple[str | None]] = connection.execute(query).fetchall()
    return answer[0][0]
