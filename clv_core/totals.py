"""What groups of customers are worth together, with the interval in which their totals will lie."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from clv_core.doubt import Doubt

TOTALS = pa.schema([
    ("group", pa.string()), ("customers", pa.int64()), ("clv", pa.float64()), ("clv_low", pa.float64()),
    ("clv_high", pa.float64()),
])  # fmt: skip
SLICE = 100_000  # rows whose doubt is held at a time


def group_totals(scores: pa.Table, groups: pa.Table, confidence: float = 0.90) -> pa.Table:
    """group, customers, clv, clv_low, clv_high: each group's total with its interval, in the order of group.

    `groups` has customer_id and group; a customer may be in several. Four sources add up: what customers do for themselves,
    the parameters (delta method on the covariance of their logs), what the model may miss of customers of one age or one value,
    and the level that all share. The last three need the document in the table's metadata (Scores.uncertainty); without it
    (scores from CSV) the level is taken to be 10% uncertain. Totals add up, ranges don't: what all share moves groups together,
    the rest evens out.
    """
    at = pc.index_in(groups["customer_id"].cast(pa.string()), scores["customer_id"].combine_chunks()).combine_chunks()
    known = pc.is_valid(at)
    return _totals(scores.take(at.filter(known)), groups["group"].cast(pa.string()).combine_chunks().filter(known), confidence)


def totals_by(scores: pa.Table, column: str, confidence: float = 0.90) -> pa.Table:
    """The same for every value of a column of the scores, then a row for everyone, its group null."""
    found = _totals(scores, scores[column].cast(pa.string()).combine_chunks(), confidence)
    everyone = _totals(scores, pa.repeat("", len(scores)), confidence)
    whole = everyone.set_column(0, TOTALS.field("group"), pa.nulls(len(everyone), pa.string()))
    return pa.concat_tables([found, whole])


def _totals(members: pa.Table, group: pa.Array, confidence: float) -> pa.Table:
    labels = group.dictionary_encode()
    codes, count = np.asarray(labels.indices).astype(np.intp), len(labels.dictionary)
    total, own, silence = np.zeros(count), np.zeros(count), np.zeros(count)
    doubt, slopes = Doubt.of(members.slice(0, 0)), None
    for start in range(0, len(members), SLICE):
        some, code = members.slice(start, SLICE), codes[start : start + SLICE]
        doubt = Doubt.of(some)
        total += np.bincount(code, np.nan_to_num(np.asarray(some["clv"], dtype=np.float64)), minlength=count)
        own += np.bincount(code, doubt.variance, minlength=count)
        silence += np.bincount(code, doubt.silence, minlength=count)
        slopes = np.zeros((count, doubt.slopes.shape[1])) if slopes is None else slopes
        np.add.at(slopes, code, doubt.slopes)
    low, high = doubt.interval(total, own, silence, np.zeros((count, 0)) if slopes is None else slopes, confidence)
    sizes = np.bincount(codes, minlength=count)
    table = pa.table([labels.dictionary, pa.array(sizes), pa.array(total), pa.array(low), pa.array(high)], schema=TOTALS)
    return table.sort_by("group")
