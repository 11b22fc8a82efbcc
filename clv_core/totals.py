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


def group_totals(scores: pa.Table, groups: pa.Table, confidence: float = 0.90) -> pa.Table:
    """group, customers, clv, clv_low, clv_high: each group's total with its interval, in the order of group.

    `groups` has customer_id and group; a customer may be in several. Three sources add up: what customers do for themselves,
    the parameters (delta method on the covariance of their logs) and the level that all share. The last two need the document
    in the table's metadata (Scores.uncertainty); without it (scores from CSV) the level is taken to be 10% uncertain.
    """
    at = pc.index_in(groups["customer_id"].cast(pa.string()), scores["customer_id"].combine_chunks()).combine_chunks()
    known = pc.is_valid(at)
    labels = groups["group"].cast(pa.string()).combine_chunks().filter(known).dictionary_encode()
    members = scores.take(at.filter(known))
    code, count = np.asarray(labels.indices).astype(np.intp), len(labels.dictionary)
    doubt = Doubt.of(members)
    clv = np.nan_to_num(np.asarray(members["clv"], dtype=np.float64))
    total, own = (np.bincount(code, each, minlength=count).astype(np.float64) for each in (clv, doubt.variance))
    slopes = np.zeros((count, doubt.slopes.shape[1]))
    np.add.at(slopes, code, doubt.slopes)
    low, high = doubt.interval(total, own, slopes, confidence)
    sizes = np.bincount(code, minlength=count)
    table = pa.table([labels.dictionary, pa.array(sizes), pa.array(total), pa.array(low), pa.array(high)], schema=TOTALS)
    return table.sort_by("group")
