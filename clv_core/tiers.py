"""Which customers are high, middle and low value: cut stably, and without people flipping every night at an edge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from clv_core.metrics import ranks

Floats = NDArray[np.float64]
TIERS = ("high", "middle", "low")


@dataclass(frozen=True, slots=True)
class TierRules:
    """How to cut. quantile: `high` and `middle` are shares of customers; value_share: shares of all value; threshold: `high`
    and `middle` are the least clv of those tiers, in money. `hysteresis` is the half-width of the band around an edge in which
    a customer keeps the previous tier: in shares for the first two, relative to the edge for thresholds.
    """

    method: Literal["quantile", "value_share", "threshold"] = "quantile"
    high: float = 0.2
    middle: float = 0.5
    hysteresis: float = 0.02

    def __post_init__(self) -> None:
        if self.method not in ("quantile", "value_share", "threshold"):
            raise ValueError(f"tiers: method is {self.method!r}; use quantile, value_share or threshold")
        if not 0 <= self.hysteresis < 1:
            raise ValueError(f"tiers: hysteresis is {self.hysteresis}; use a number from 0 to below 1")
        if self.method == "threshold":
            if not self.high > self.middle >= 0:
                raise ValueError(f"tiers: thresholds are high {self.high}, middle {self.middle}; high must exceed middle")
        elif not (self.high > 0 and self.middle >= 0 and self.high + self.middle <= 1):
            raise ValueError(f"tiers: high {self.high} and middle {self.middle} are shares; together at most 1")


def tiers(
    clv: Floats,
    tie_break: Floats,
    customer_id: pa.Array | pa.ChunkedArray,
    rules: TierRules,
    previous: pa.Table | None = None,
) -> pa.Array:
    """The tier ("high", "middle", "low") of each customer as a dictionary-free string array.

    Equal clv is cut by `tie_break` (more is better), then by customer_id. `previous`: customer_id and tier of the last run.
    """
    place, edges = _places(clv, tie_break, customer_id, rules)
    tier = np.searchsorted(np.asarray(edges), place, side="left").astype(np.int8)
    if previous is not None and rules.hysteresis > 0:
        tier = _held(tier, place, edges, _previous(customer_id, previous), rules)
    return pa.array(np.asarray(TIERS, dtype=object)).take(pa.array(tier))


def percentiles(clv: Floats) -> Floats:
    """The percent of customers worth less (equal ones count half), 0 to 100: the same whatever the order of rows."""
    return ranks(clv) / max(len(clv), 1) * 100.0


def edge_values(clv: Floats, tier: pa.Array) -> dict[str, float]:
    """The least clv found in the high and the middle tier (nan where a tier is empty)."""
    codes = np.asarray(pc.index_in(tier, pa.array(TIERS)))
    return {name: float(clv[codes == n].min()) if np.any(codes == n) else float("nan") for n, name in enumerate(TIERS[:2])}


def _places(
    clv: Floats, tie_break: Floats, ids: pa.Array | pa.ChunkedArray, rules: TierRules
) -> tuple[Floats, tuple[float, float]]:
    """Where each customer stands, 0 best, on the scale on which `edges` are the ends of the high and the middle tier."""
    if rules.method == "threshold":
        return -clv, (-rules.high, -rules.middle)
    edges = (rules.high, rules.high + rules.middle)
    n = len(clv)
    order = np.argsort(-clv, kind="stable")
    value = np.maximum(clv, 0.0)
    if rules.method == "quantile":
        _break_ties(order, clv, tie_break, ids, [round(edge * n) for edge in edges])
        place = np.empty(n)
        # Half a place below its rank: the cut after round(edge * n) customers falls between two of them.
        place[order] = (np.arange(n) + 0.5) / max(n, 1)
        cut = (round(edges[0] * n) / max(n, 1), round(edges[1] * n) / max(n, 1))
        return place, cut
    total = float(value.sum())
    held = np.cumsum(value[order]) / total if total > 0 else np.arange(1, n + 1) / max(n, 1)
    inside = [int(np.searchsorted(held, edge - 1e-12)) + 1 for edge in edges]
    _break_ties(order, clv, tie_break, ids, inside)
    place = np.empty(n)
    # The customer that carries the sum across the edge still belongs to the better tier.
    place[order] = np.r_[0.0, held[:-1]] + 1e-12 if n else held
    return place, edges


def _break_ties(
    order: NDArray[np.intp], clv: Floats, tie_break: Floats, ids: pa.Array | pa.ChunkedArray, cuts: list[int]
) -> None:
    """Sort in place the groups of equal clv that a cut divides: by tie_break (most first), then by id."""
    for cut in cuts:
        if not 0 < cut < len(order) or clv[order[cut - 1]] != clv[order[cut]]:
            continue
        ranked = -clv[order]
        first = int(np.searchsorted(ranked, ranked[cut], side="left"))
        last = int(np.searchsorted(ranked, ranked[cut], side="right"))
        group = order[first:last]
        names = np.asarray(ids.take(pa.array(group)).to_pylist(), dtype=object).astype(str)
        order[first:last] = group[np.lexsort((names, -tie_break[group]))]


def _previous(ids: pa.Array | pa.ChunkedArray, previous: pa.Table) -> NDArray[np.int8]:
    """The code of each customer's previous tier, -1 for the unknown."""
    codes = pc.index_in(previous["tier"].cast(pa.string()), pa.array(TIERS)).combine_chunks()
    at = pc.index_in(ids, previous["customer_id"].cast(pa.string()).combine_chunks())
    found = codes.take(at.combine_chunks() if isinstance(at, pa.ChunkedArray) else at)
    return np.asarray(pc.fill_null(found, -1)).astype(np.int8)


def _held(
    tier: NDArray[np.int8], place: Floats, edges: tuple[float, float], before: NDArray[np.int8], rules: TierRules
) -> NDArray[np.int8]:
    """The tiers after the band: near the edge between the old and the new tier, the old one stays."""
    out = tier.copy()
    for n, edge in enumerate(edges):
        band = rules.hysteresis * (abs(edge) if rules.method == "threshold" else 1.0)
        near = np.abs(place - edge) <= band
        crossed = ((before == n) & (tier == n + 1)) | ((before == n + 1) & (tier == n))
        out[near & crossed] = before[near & crossed]
    return out
