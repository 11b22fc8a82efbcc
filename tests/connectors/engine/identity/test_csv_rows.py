"""Rows of a CSV in columns: the same, whatever way they are read, as the standard library reads them."""

from __future__ import annotations

import csv
import io
from itertools import zip_longest
from unittest.mock import patch

from hypothesis import example, given, settings
from hypothesis import strategies as st

from connectors.engine import csv_rows

CELL = st.text(st.sampled_from("ab|é\u2028 "), max_size=3)
PLAIN = st.lists(st.tuples(CELL, CELL, CELL).map(",".join), max_size=8).map("\n".join)
ODD = st.text(st.sampled_from('ab,\n\r" '), max_size=24)


@settings(max_examples=150, deadline=None)
@given(PLAIN | PLAIN.map(lambda text: text.replace("\n", "\r\n")) | ODD, st.sampled_from([3, 10, 1000]), st.booleans())
@example("a,b\n1,2\n\n3,4\n", 3, True)
@example("a\n\n\nb", 1000, False)
@example('a,b\n1,2\n"x\ny",2', 3, False)
def test_rows_are_those_of_the_csv_module(text: str, block: int, ended: bool) -> None:
    text += "\n" if ended else ""
    expected = list(csv.reader(io.StringIO(text, newline="")))
    with patch.object(csv_rows, "BLOCK", block), patch.object(csv_rows, "ROWS", 2):
        headers, blocks = csv_rows.headed(io.StringIO(text, newline=""), ",")
        found = [list(row) for columns in blocks for row in zip(*(column.to_list() for column in columns), strict=True)]
    assert headers == (expected[0] if expected else [])
    assert len(found) == len(expected[1:])
    for row, cells in zip(found, expected[1:], strict=True):
        assert all(one == other for one, other in zip_longest(row, cells, fillvalue=""))
