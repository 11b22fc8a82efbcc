"""Sending rows to an API that refuses a whole call for one bad row without naming it: halve until it is found."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from connectors.errors import SyncError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Row = TypeVar("Row")
BLIND_REFUSALS = 60  # without one acceptance: then the call as a whole is wrong, not a row of it


def send_in_halves(
    rows: Sequence[Row], send: Callable[[Sequence[Row]], int], of_a_row: Callable[[SyncError], bool]
) -> tuple[int, int, list[Row]]:
    """How many rows were taken, how many of the sent were not, and the rows for which a call was refused.

    `send` gives how many of its rows were taken; `of_a_row` tells whether an error may be about a row; others are raised.
    """
    taken, missed, refused, refusals = 0, 0, [], 0
    parts = [rows] if rows else []
    while parts:
        part = parts.pop()
        try:
            count = send(part)
        except SyncError as error:
            refusals += 1
            if not of_a_row(error) or (not taken and refusals > BLIND_REFUSALS):
                raise
            if len(part) == 1:
                refused.append(part[0])
                continue
            middle = len(part) // 2
            parts += [part[middle:], part[:middle]]
        else:
            taken += count
            missed += len(part) - count
    return taken, missed, refused
