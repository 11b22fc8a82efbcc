"""How unevenly value is spread: the Lorenz curve of scores, and what each tier holds."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from clv_core.measures import floats

Floats = NDArray[np.float64]
TIER_ORDER = ("high", "middle", "low")


def lorenz(scores: pa.Table, points: int = 100) -> pa.Table:
    """`share_customers`, `share_predicted`, `share_lifetime`: the part of value held by the best part of customers, 0 to 1."""
    columns = {"share_customers": np.linspace(0, 1, points + 1)}
    for name, column in (("share_predicted", "clv"), ("share_lifetime", "lifetime_value")):
        value = np.sort(np.maximum(np.nan_to_num(floats(scores, column)), 0))[::-1]
        held = np.concatenate([[0.0], np.cumsum(value)])
        at = np.interp(columns["share_customers"] * len(value), np.arange(len(held)), held)
        columns[name] = at / held[-1] if held[-1] > 0 else columns["share_customers"]
    return pa.table({name: pa.array(values, pa.float64()) for name, values in columns.items()})


def tier_table(scores: pa.Table) -> pa.Table:
    """One row per tier, best first: customers, predicted and lifetime value, each with its share, and means per customer."""
    names = np.asarray(scores.column("tier").to_pylist(), dtype=object)
    rest = sorted({str(name) for name in names} - set(TIER_ORDER))
    values = {name: np.nan_to_num(floats(scores, name)) for name in ("clv", "lifetime_value", "value_to_date")}
    means = {name: floats(scores, name) for name in ("p_alive", "expected_orders", "frequency")}
    rows = [_tier(tier, names == tier, values, means) for tier in (*TIER_ORDER, *rest) if (names == tier).any()]
    return pa.Table.from_pylist(rows)


def _tier(tier: str, mine: NDArray[np.bool_], values: dict[str, Floats], means: dict[str, Floats]) -> dict[str, object]:
    count, total = int(mine.sum()), {name: float(value.sum()) for name, value in values.items()}
    clv, lifetime = float(values["clv"][mine].sum()), float(values["lifetime_value"][mine].sum())
    return {
        "tier": tier,
        "customers": count,
        "share_customers": count / len(mine),
        "predicted_clv": clv,
        "share_predicted": clv / total["clv"] if total["clv"] > 0 else None,
        "lifetime_value": lifetime,
        "share_lifetime": lifetime / total["lifetime_value"] if total["lifetime_value"] > 0 else None,
        "mean_clv": clv / count,
        "value_to_date": float(values["value_to_date"][mine].sum()),
        **{f"mean_{name}": float(np.nanmean(value[mine])) for name, value in means.items()},
    }
