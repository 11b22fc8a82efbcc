"""Orders in columns -> purchase days and totals per customer, by counting sorts instead of hash tables of text.

Meant for some ten thousand rows at a time, which stay in the processor's cache. Customers are told apart by a key of
their id. Rows are sorted by customer and day; a cell is the rows that share both.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Rows = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Totals:
    """One entry per customer: `row` is one of the customer's rows; amounts are exact, in millionths.

    first_value: what was spent before the second purchase day; with refunds only, n is 0 and the days mean nothing.
    """

    row: Rows
    n: NDArray[np.int32]  # purchase days
    first_day: Rows
    last_day: Rows
    total: Ints
    first_value: Ints
    refunds: bool  # whether there is a cell without a purchase


def alike(keys: NDArray[np.uint32]) -> Rows:
    """Per row, a row with the same key: the same one for all rows that share it.

    Rows write their number into a table at a place that the key picks; whoever reads a row of the same key back has found it,
    the others try again at another place, among themselves.
    """
    found, rows, left, turn = np.empty(len(keys), dtype=np.int32), None, keys, 1
    while len(left):
        bits = max(int(len(left) - 1).bit_length(), 4)
        place = (left * np.uint32(turn)) >> np.uint32(32 - bits)
        table = np.empty(1 << bits, dtype=np.int32)
        table[place] = np.arange(len(left), dtype=np.int32)
        winner = table[place]
        lost = np.flatnonzero(left[winner] != left)
        if rows is None:
            found, rows = winner, lost.astype(np.int32)
        else:
            found[rows] = rows[winner]
            rows = rows[lost]
        left, turn = left[lost], turn * 0x9E3779B1 % (1 << 32)
    return found


def sorted_by(group: Rows) -> NDArray[np.int64]:
    """The rows in the order of their group, a number of at least 0; rows of a group keep their order."""
    narrow = group.astype(np.uint16) if group.max() < 1 << 16 else group  # numpy sorts 16 bits by counting
    return np.argsort(narrow, kind="stable")


def gather(who: Rows, day: Rows, millionths: Ints, bought: NDArray[np.bool_]) -> tuple[Totals, Ints]:
    """Totals per customer, and a row of each day of a customer that several rows share.

    `who` names a row of the same customer, the same one for all of the customer's rows (`alike`). Amounts' sums must fit int64.
    """
    by_day = sorted_by(day - day.min())
    order = by_day[sorted_by(who[by_day])]
    whose, when, amounts, purchases = who[order], day[order], millionths[order], bought[order]
    new = np.ones(len(who), dtype=np.bool_)  # where a customer begins
    np.not_equal(whose[1:], whose[:-1], out=new[1:])
    starts = new.copy()  # where a cell begins
    starts[1:] |= when[1:] != when[:-1]
    more = np.flatnonzero(~starts)  # rows after their cell's first
    if not len(more):
        return _totals(whose, when, amounts, purchases, np.flatnonzero(new)), more
    cells = np.flatnonzero(starts)
    cell = more - np.arange(1, len(more) + 1)  # so many rows but `more` lie before
    sums, any_bought = amounts[cells], purchases[cells]
    np.add.at(sums, cell, amounts[more])
    np.logical_or.at(any_bought, cell, purchases[more])
    shared = order[np.unique(cells[cell])]
    return _totals(whose[cells], when[cells], sums, any_bought, np.flatnonzero(new[cells])), shared


def _totals(whose: Rows, when: Rows, amounts: Ints, purchases: NDArray[np.bool_], begin: Ints) -> Totals:
    """Totals of cells in the order of customer and day; customers begin at `begin`."""
    end = np.append(begin[1:], len(whose)) - 1
    total = np.add.reduceat(amounts, begin)
    if purchases.all():
        n = (end - begin + 1).astype(np.int32)
        return Totals(whose[begin], n, when[begin], when[end], total, amounts[begin], False)
    seen: Ints = np.cumsum(purchases)  # purchase days so far, of all customers before too
    before: Ints = seen[begin] - purchases[begin]
    n = (seen[end] - before).astype(np.int32)
    rank: Ints = seen - np.repeat(before, end - begin + 1)
    first = np.add.reduceat(np.where(rank <= 1, amounts, 0), begin)
    bought_on = np.append(np.flatnonzero(purchases), 0)  # the cell of the k-th purchase day of all
    first_day, last_day = when[bought_on[before]], when[bought_on[np.maximum(seen[end] - 1, 0)]]
    return Totals(whose[begin], n, first_day, last_day, total, first, True)
