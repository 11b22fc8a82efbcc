"""What customers bring within one and the same span after coming, so that groups of different ages can be compared.

Lifetime value so far plus a horizon from today counts more days of those who came earlier. Within the first N days after coming
everyone has the same time: who is younger has brought what is known and is expected to bring the part of the prediction that
falls into the days that are left; who is older has brought what was bought in them, and nothing of it is a prediction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from clv_core.uncertainty import Uncertainty
from clv_core.windows import Snapshot

if TYPE_CHECKING:
    import duckdb

Floats = NDArray[np.float64]


def add_equal_age(connection: duckdb.DuckDBPyConnection, scores: pa.Table, span_days: int) -> None:
    """Nothing; `customer` gets early_value (brought in the first `span_days` days, the first one included) and early_share
    (of the predicted value, what falls into the rest of them). Reads `customer` and `flow`.
    """
    young = connection.sql(
        "select customer_no, customer_id, $span - 1 - age days_left from customer where scored and age + 1 < $span",
        params={"span": span_days},
    ).to_arrow_table()
    at = np.asarray(pc.index_in(young["customer_id"], scores["customer_id"].combine_chunks()))
    left = np.zeros(len(scores))
    left[at] = young["days_left"].to_numpy()
    share = shares(scores, left, span_days)[at]
    connection.register("early_in", pa.table({"customer_no": young["customer_no"], "early_share": pa.array(share)}))
    connection.execute(
        """
        create or replace temp table customer as
        select c.*, coalesce(early_value, 0) early_value, coalesce(early_share, 0) early_share
        from customer c left join early_in using (customer_no)
             left join (select customer_no, sum(amount) early_value from flow where age < $span group by customer_no)
             using (customer_no)""",
        {"span": span_days},
    )
    connection.unregister("early_in")


def shares(scores: pa.Table, days: Floats, span_days: int) -> Floats:
    """The part, 0 to 1, of each customer's predicted value that is expected within the coming `days`.

    By the fitted order model; without it (scores from CSV) orders are spread evenly over the `span_days` of the prediction.
    """
    document = Uncertainty.of(scores)
    if document is None or not len(scores):
        return np.clip(days / span_days, 0.0, 1.0)
    s, (model, _) = Snapshot.of_scores(scores), document.models()
    whole = model.expected_orders(document.horizon_weeks, s.x, s.t_x, s.T)
    part = model.expected_orders(np.minimum(days / 7.0, document.horizon_weeks), s.x, s.t_x, s.T)
    return np.clip(np.divide(part, whole, out=np.zeros(len(s)), where=whole > 0), 0.0, 1.0)
