"""Where ROAS and customer value disagree beyond noise, in a marketer's words, with the money at stake."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from clv_core.measures import floats

if TYPE_CHECKING:
    from clv_core.returns import ReturnSettings

Floats = NDArray[np.float64]

# Order values vary about as much as their mean, so a sum of n conversions has a relative error near sqrt(2 / n).
_ROAS_NOISE = 2.0
_Z90 = 1.6449
APART = 30.0  # days between the mean ages of campaigns' customers from which on they are compared at equal age
EQUAL_AGE, LIFETIME = "equal age", "lifetime"
_COLUMNS = {
    EQUAL_AGE: ("equal_age_roas", "equal_age_margin", "equal_age_value"),
    LIFETIME: ("clv_roas", "clv_roas_margin", "lifetime_value"),
}
QUADRANTS = {
    ("above", "above"): "winner",
    ("below", "above"): "hidden gem",
    ("above", "below"): "false friend",
    ("below", "below"): "poor by both",
}
SCHEMA = pa.schema(
    [
        *(
            (name, pa.string())
            for name in ("platform", "account_id", "campaign_id", "campaign_name", "kind", "by_roas", "by_clv", "judged_by")
        ),
        ("spend", pa.decimal128(38, 6)),
        *((n, pa.float64()) for n in ("roas", "clv_roas", "clv_roas_low", "clv_roas_high", "at_stake", "at_stake_low")),
        ("sentence", pa.string()),
    ]
)


def decide(campaigns: pa.Table, settings: ReturnSettings) -> pa.Table:
    """Campaigns with `roas_low/high`, the two benchmarks, `by_roas`, `by_clv` (above, below, unclear, too few) and `quadrant`.

    A benchmark is the target of the settings, else the average over all paid spend with enough customers. A side is taken
    only when the whole interval lies on it; the quadrant is "unclear" while either side is. Against the average, campaigns
    whose customers came at different times are compared by what customers bring within one span after coming: `judged_by` says
    which it was, `judged_roas`, `judged_low` and `judged_high` are the figures that were compared.
    """
    spend, customers = floats(campaigns, "spend"), floats(campaigns, "customers")
    judged = (spend > 0) & (customers >= settings.minimum_customers)
    low, high = _roas_interval(campaigns)
    roas_mark = settings.target_roas if settings.target_roas is not None else _average(campaigns, "conversion_value", spend > 0)
    against_average = settings.target_clv_roas is None
    basis = EQUAL_AGE if against_average and _ages_differ(campaigns, judged) else LIFETIME
    ratio, _, value = _COLUMNS[basis]
    clv_mark = _average(campaigns, value, spend > 0) if settings.target_clv_roas is None else settings.target_clv_roas
    by_roas = _side(low, high, roas_mark, judged)
    by_clv = _side(*_clv_interval(campaigns, basis, against_average), clv_mark, judged)
    quadrant = [_quadrant(*sides) for sides in zip(by_roas, by_clv, spend > 0, strict=True)]
    told = {
        f"judged_{end}": floats(campaigns, f"{ratio}{suffix}")
        for end, suffix in (("roas", ""), ("low", "_low"), ("high", "_high"))
    }
    for name, values in {"roas_low": low, "roas_high": high, **told}.items():
        campaigns = campaigns.append_column(name, pa.array(values, pa.float64(), from_pandas=True))
    for name, mark in (("roas_benchmark", roas_mark), ("clv_roas_benchmark", clv_mark)):
        campaigns = campaigns.append_column(name, pa.array([mark] * len(campaigns), pa.float64(), from_pandas=True))
    for name, words in (
        ("by_roas", by_roas),
        ("by_clv", by_clv),
        ("quadrant", quadrant),
        ("judged_by", [basis] * len(campaigns)),
    ):
        campaigns = campaigns.append_column(name, pa.array(words, pa.string()))
    return campaigns


def _roas_interval(campaigns: pa.Table) -> tuple[Floats, Floats]:
    roas, count = floats(campaigns, "roas"), floats(campaigns, "conversions")
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.exp(_Z90 * np.sqrt(np.log1p(_ROAS_NOISE / count)))
        return np.where(count > 0, roas / error, 0.0 * roas), np.where(count > 0, roas * error, np.inf * (1 + 0.0 * roas))


def _ages_differ(campaigns: pa.Table, judged: NDArray[np.bool_]) -> bool:
    ages = floats(campaigns, "mean_age_days")[judged]
    return bool(len(ages) and ages.max() - ages.min() > APART)


def _clv_interval(campaigns: pa.Table, basis: str, against_average: bool) -> tuple[Floats, Floats]:
    """A target is outside the model; the average is predicted by it too, so that errors which all share don't count."""
    if not against_average:
        return floats(campaigns, "clv_roas_low"), floats(campaigns, "clv_roas_high")
    ratio, margin, _ = _COLUMNS[basis]
    middle, half = floats(campaigns, ratio), floats(campaigns, margin)
    return middle - half, middle + half


def _average(campaigns: pa.Table, value: str, chosen: NDArray[np.bool_]) -> float:
    spend = floats(campaigns, "spend")[chosen].sum()
    return float(np.nansum(floats(campaigns, value)[chosen]) / spend) if spend > 0 else float("nan")


def _side(low: Floats, high: Floats, mark: float, judged: NDArray[np.bool_]) -> list[str]:
    words = np.where(low > mark, "above", np.where(high < mark, "below", "unclear"))
    return [str(word) for word in np.where(judged, words, "too few")]


def _quadrant(by_roas: str, by_clv: str, paid: bool) -> str:
    if not paid:
        return "no spend"
    return "too few customers" if "too few" in (by_roas, by_clv) else QUADRANTS.get((by_roas, by_clv), "unclear")


def disagreements(campaigns: pa.Table, currency: str, span_days: int = 365) -> pa.Table:
    """Hidden gems (ROAS would cut, customer value would scale) and false friends, by money at stake, most first (SCHEMA).

    `at_stake` is the customer value that the campaign's spend brought above (gem) or below (friend) what the same spend
    brings at the benchmark; `at_stake_low` the same at the interval's cautious end. `span_days` is what equal age means.
    """
    rows = [
        _disagreement(row, currency, span_days)
        for row in campaigns.to_pylist()
        if row["quadrant"] in ("hidden gem", "false friend")
    ]
    rows.sort(key=lambda row: -row["at_stake"])
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def _disagreement(row: dict[str, Any], currency: str, span_days: int) -> dict[str, Any]:
    spend, mark, gem = float(row["spend"]), row["clv_roas_benchmark"], row["quadrant"] == "hidden gem"
    cautious = row["judged_low"] if gem else row["judged_high"]
    stake, least = spend * abs(row["judged_roas"] - mark), spend * abs(cautious - mark)
    out = {name: row[name] for name in SCHEMA.names if name in row}
    return {
        **out,
        "kind": row["quadrant"],
        "at_stake": stake,
        "at_stake_low": least,
        "sentence": _sentence(row, stake, currency, span_days),
    }


def _sentence(row: dict[str, Any], stake: float, currency: str, span_days: int) -> str:
    gem = row["quadrant"] == "hidden gem"
    within = f" in their first {span_days} days" if row["judged_by"] == EQUAL_AGE else ""
    said, does, verb = ("cut", "scale", "give up") if gem else ("scale", "cut", "gain")
    sure = f"(90% sure: {row['judged_low']:.2f} to {row['judged_high']:.2f})"
    return (
        f"ROAS of {row['roas']:.2f} against {row['roas_benchmark']:.2f} says {said}, but its customers are worth "
        f"{row['judged_roas']:.2f} times its spend{within} {sure}, against {row['clv_roas_benchmark']:.2f} overall: {does} it. "
        f"Moving this spend to an average campaign would {verb} about {stake:,.0f} {currency} of customer value."
    )
