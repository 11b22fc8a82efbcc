"""Halving finds the bad rows, costs no good one, and gives up where the call as a whole is wrong."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.errors import FatalError, RetriableError, SyncError
from connectors.halving import BLIND_REFUSALS, send_in_halves


@given(st.integers(0, 300), st.sets(st.integers(0, 299), max_size=4))
def test_exactly_the_bad_rows_are_refused(count: int, bad: set[int]) -> None:
    held: list[int] = []

    def send(rows: Sequence[int]) -> int:
        if bad & set(rows):
            raise FatalError("a bad row")
        held.extend(rows)
        return len(rows)

    taken, missed, refused = send_in_halves(range(count), send, lambda error: True)
    assert sorted(held) == [one for one in range(count) if one not in bad]
    assert (taken, missed, sorted(refused)) == (len(held), 0, sorted(bad & set(range(count))))


def test_what_is_wrong_as_a_whole_is_raised_soon() -> None:
    calls = []

    def refuse(rows: Sequence[int]) -> int:
        calls.append(len(rows))
        raise FatalError("everything is wrong")

    with pytest.raises(FatalError):
        send_in_halves(range(1000), refuse, lambda error: True)
    assert len(calls) == BLIND_REFUSALS + 1


def test_other_errors_are_raised_at_once() -> None:
    def fail(rows: Sequence[int]) -> int:
        raise RetriableError("later")

    with pytest.raises(RetriableError):
        send_in_halves([1, 2], fail, lambda error: isinstance(error, FatalError))


def test_rows_that_were_not_taken_are_counted() -> None:
    def send(rows: Sequence[int]) -> int:
        return len(rows) - 1

    def never(error: SyncError) -> bool:
        return False

    assert send_in_halves([1, 2, 3], send, never) == (2, 1, [])
