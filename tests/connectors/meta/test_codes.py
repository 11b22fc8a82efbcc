"""The error table against the fact sheet's codes, written down here once more by hand."""

from __future__ import annotations

import pytest

from connectors.errors import FatalError, NotReadyError, OutcomeUnknownError, RemovalRefusedError, RetriableError
from connectors.meta.codes import CODES, OPERATION_STATUS, find
from connectors.protocol import AudienceState

# Fact sheet sections 2.1, 2.5, 2.7, 2.9, 3, 4, 5, 6, 7: code or code/subcode, by what has to be done.
RETRY = (
    "1 1/99 2 -2 341 5000 -2/2490547 2/1504043 2/1504044 2601/1815107 "
    "4 4/1504022 4/1504039 17 17/2446079 32 613 613/1487742 613/5044001 80000 80003 80004 80014"
).split()
PERSON = (
    "368 1404078 2859015 190 190/458 190/459 190/460 190/463 190/464 190/467 190/490 190/492 102 104 "
    "3 10 200 270 294 100/33 2654/1713092 100/3191001 200/1870034 200/1870050 200/1870090 1870092 2655 2663 2664 "
    "100 105 194 2500 2635 2654 2654/1713089 2656 803 1487366 1487301 3018 2650 2650/1870144 "
    "100/1713228 100/1713229 100/1713230 100/1713231 100/1713232 2/1504041 2/1504042 "
    "100/1487534 -3/1504045 100/1504018 2/1504038"
).split()
LATER = "2650/1870145 2650/1870158 2650/1870147 2650/1870159".split()
EXPECTED = {
    **dict.fromkeys(RETRY, RetriableError),
    **dict.fromkeys(PERSON, FatalError),
    **dict.fromkeys(LATER, NotReadyError),
    "2650/1870148": OutcomeUnknownError,
    "200/1870047": RemovalRefusedError,
}


def parts(name: str) -> tuple[int, int | None]:
    code, _, subcode = name.partition("/")
    return int(code), int(subcode) if subcode else None


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_every_documented_code_is_in_the_table(name: str) -> None:
    row = find(*parts(name))
    assert (row.code, row.subcode) == parts(name)
    assert row.raises is EXPECTED[name]


def test_the_table_holds_no_code_twice_and_explains_each() -> None:
    keys = [(row.code, row.subcode) for row in CODES]
    assert len(keys) == len(set(keys))
    for row in CODES:
        assert row.meaning, row
        assert row.raises in (RetriableError, NotReadyError) or row.remedy, row
        assert row.tag != "throttle" or (row.wait or 0) > 0, row


def test_an_unknown_code_is_fatal() -> None:
    row = find(987_654)
    assert (row.raises, row.tag) == (FatalError, "unknown")


def test_an_unknown_code_that_meta_calls_transient_is_tried_again() -> None:
    assert find(987_654, transient=True).raises is RetriableError
    assert find(100, transient=True).raises is RetriableError
    assert find(190, 463, transient=True).raises is FatalError


@pytest.mark.parametrize("code", [201, 250, 299])
def test_permissions_are_a_range(code: int) -> None:
    assert find(code).tag == "permission"


@pytest.mark.parametrize("code", [80001, 80005, 80009])
def test_account_throttles_are_a_range(code: int) -> None:
    assert find(code).tag == "throttle"


def test_subcodes_are_known_under_any_code() -> None:
    assert find(100, 1870047).raises is RemovalRefusedError
    assert find(100, 1870092).tag == "terms"


@pytest.mark.parametrize(
    ("state", "codes"),
    [
        (AudienceState.READY, (100, 200, 400, 411, 412, 441, 442, 415, 431)),
        (AudienceState.PROCESSING, (0, 414, 434)),
        (AudienceState.TOO_SMALL, (410,)),
        (AudienceState.BLOCKED, (421, 422, 423, 432, 433, 450, 470, 471, 500)),
    ],
)
def test_every_operation_status_has_a_state(state: AudienceState, codes: tuple[int, ...]) -> None:
    assert {OPERATION_STATUS[code][0] for code in codes} == {state}
    assert len(OPERATION_STATUS) == 22
