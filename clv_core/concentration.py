"""How unevenly value is spread: the Lorenz curve of scores, and what each tier and lifecycle stage holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from clv_core.measures import floats
from clv_core.stages import PROSPECT, STAGES
from clv_core.totals import totals_by

if TYPE_CHECKING:
    from collections.abc import Mapping

Floats = NDArray[np.float64]
TIER_ORDER = ("high", "middle", "low")
STAGE_ORDER = (PROSPECT, *STAGES)


def lorenz(scores: pa.Table, points: int = 100) -> pa.Table:
    """`share_customers`, `share_predicted`, `share_lifetime`: the part of value held by the best part of customers, 0 to 1."""
    scores = _bought(scores)
    columns = {"share_customers": np.linspace(0, 1, points + 1)}
    for name, column in (("share_predicted", "clv"), ("share_lifetime", "lifetime_value")):
        value = np.sort(np.maximum(np.nan_to_num(floats(scores, column)), 0))[::-1]
        held = np.concatenate([[0.0], np.cumsum(value)])
        at = np.interp(columns["share_customers"] * len(value), np.arange(len(held)), held)
        columns[name] = at / held[-1] if held[-1] > 0 else columns["share_customers"]
    return pa.table({name: pa.array(values, pa.float64()) for name, values in columns.items()})


def tier_table(scores: pa.Table) -> pa.Table:
    """One row per tier, best first: customers, predicted value and its 90% range, lifetime value, shares, means per customer.

    Ranges of tiers don't add up to the base's. Who never bought is in no tier and no customer.
    """
    return _held_by(_bought(scores), "tier", "tier", TIER_ORDER)


def stage_table(scores: pa.Table) -> pa.Table:
    """The same per lifecycle stage, in the order of a life: prospect (aware, never bought), new, active, at_risk, lapsed."""
    return _held_by(scores, "lifecycle_stage", "stage", STAGE_ORDER)


def _bought(scores: pa.Table) -> pa.Table:
    if "lifecycle_stage" not in scores.column_names:
        return scores
    return scores.filter(pc.not_equal(scores["lifecycle_stage"].cast(pa.string()), PROSPECT))


def _held_by(scores: pa.Table, column: str, key: str, order: tuple[str, ...]) -> pa.Table:
    names = np.asarray(scores.column(column).to_pylist(), dtype=object)
    rest = sorted({str(name) for name in names} - set(order))
    values = {name: np.nan_to_num(floats(scores, name)) for name in ("clv", "lifetime_value", "value_to_date")}
    means = {name: floats(scores, name) for name in ("p_alive", "expected_orders", "frequency")}
    ranges = {row["group"]: row for row in totals_by(scores, column).to_pylist()}
    rows = [{key: one, **_held(names == one, values, means, ranges[one])} for one in (*order, *rest) if (names == one).any()]
    return pa.Table.from_pylist(rows)


def _held(
    mine: NDArray[np.bool_], values: dict[str, Floats], means: dict[str, Floats], ranged: Mapping[str, Any]
) -> dict[str, object]:
    count, total = int(mine.sum()), {name: float(value.sum()) for name, value in values.items()}
    clv, lifetime = float(values["clv"][mine].sum()), float(values["lifetime_value"][mine].sum())
    return {
        "customers": count,
        "share_customers": count / len(mine),
        "predicted_clv": clv,
        "predicted_low": ranged["clv_low"],
        "predicted_high": ranged["clv_high"],
        "share_predicted": clv / total["clv"] if total["clv"] > 0 else None,
        "lifetime_value": lifetime,
        "share_lifetime": lifetime / total["lifetime_value"] if total["lifetime_value"] > 0 else None,
        "mean_clv": clv / count,
        "value_to_date": float(values["value_to_date"][mine].sum()),
        **{f"mean_{name}": float(np.nanmean(value[mine])) for name, value in means.items()},
    }
