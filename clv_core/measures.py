"""What a group of customers cost and is worth: one SQL expression for every grouping, so that all tables agree."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

    from clv_core.doubt import Doubt

_Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

MONEY = ("spend", "conversions", "conversion_value", "first_order_revenue", "realised_value")
COUNTS = ("impressions", "clicks", "customers", "paid_customers", "high_tier_customers", "repeat_customers")
ADDITIVE = (*MONEY, *COUNTS, "predicted_clv")
HIDDEN = ("variance", "silence", "slope_", "early_")  # sums that only serve the intervals
_OF_CUSTOMERS = (
    "customers", "paid_customers", "high_tier_customers", "repeat_customers", "first_order_revenue", "realised_value",
    "predicted_clv",
)  # fmt: skip


def measure(connection: duckdb.DuckDBPyConnection, keys: Sequence[str], doubt: Doubt, confidence: float) -> pa.Table:
    """One row per group of `keys` with spend and customers side by side; groups add up to the totals of both, exactly.

    Reads the tables `customer` and `spend_facts`. Sums are decimals; ratios are floats, null where nothing divides them.
    """
    by = ", ".join(keys)
    slopes = [f"slope_{n}" for n in range(doubt.slopes.shape[1])]
    summed = ["silence", *slopes]
    plain = [*summed, "early_clv", *(f"early_{name}" for name in summed)]
    unsure = ["variance", "early_variance", *plain]
    sums = ", ".join(f"coalesce({name}, 0) {name}" for name in (*ADDITIVE, "early_value", *unsure))
    early = ", ".join(f"sum({name} * early_share) early_{name}" for name in ("clv", "variance", *summed))
    table = connection.sql(f"""
        with by_campaign as (
            select {by}, campaign_no, any_value(factor_doubt) factor_doubt, count(*) customers,
                   count(*) filter (where source = 'paid') paid_customers, sum(first_value) first_order_revenue,
                   sum(realised) realised_value, sum(clv) predicted_clv, sum(early_value) early_value, sum(age) ages,
                   {", ".join(f"sum({name}) {name}" for name in ("variance", *summed))}, {early},
                   count(*) filter (where high_tier) high_tier_customers,
                   count(*) filter (where order_days > 1) repeat_customers
            from customer group by all),
        c as (
            select {by}, {", ".join(f"sum({name}) {name}" for name in (*_OF_CUSTOMERS, "early_value", *plain))},
                   sum(variance + factor_doubt * power(predicted_clv, 2)) variance,
                   sum(early_variance + factor_doubt * power(early_clv, 2)) early_variance, sum(ages) / sum(customers) mean_age
            from by_campaign group by {by}),
        s as (
            select {by}, sum(spend) spend, sum(conversions) conversions, sum(conversion_value) conversion_value,
                   cast(sum(impressions) as bigint) impressions, cast(sum(clicks) as bigint) clicks
            from spend_facts group by {by})
        select {by}, {sums}, mean_age mean_age_days,
               cast(conversion_value as double) / nullif(cast(spend as double), 0) roas,
               cast(spend as double) / nullif(customers, 0) cac,
               high_tier_customers / nullif(customers, 0) high_tier_share,
               repeat_customers / nullif(customers, 0) repeat_rate
        from c full join s using ({by}) order by {by}""").to_arrow_table()
    return with_intervals(table, doubt, confidence)


def floats(table: pa.Table, name: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """A column as float64 array, nulls as nan (also decimals)."""
    return np.asarray(table.column(name).cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)


def with_intervals(table: pa.Table, doubt: Doubt, confidence: float) -> pa.Table:
    """The table with intervals of predicted and lifetime value and the ratios built on them; the sums of doubt are taken out.

    `clv_roas_margin` is half the interval of the difference to the average of all paid rows: what all share cancels out.
    `equal_age_...` is the same of what customers bring within one span after coming (equal_age.py).
    """
    predicted, spend = floats(table, "predicted_clv"), floats(table, "spend")
    own, slopes = _doubts(table, "")
    low, high = doubt.interval(predicted, own, floats(table, "silence"), slopes, confidence)
    realised, customers = floats(table, "realised_value"), floats(table, "customers")
    columns: dict[str, _Floats] = {"predicted_low": low, "predicted_high": high}
    with np.errstate(divide="ignore", invalid="ignore"):
        for suffix, future in (("value", predicted), ("low", low), ("high", high)):
            columns[f"lifetime_{suffix}"] = realised + future
        for suffix, name in (("", "value"), ("_low", "low"), ("_high", "high")):
            lifetime = columns[f"lifetime_{name}"]
            columns[f"clv_roas{suffix}"] = np.where(spend > 0, lifetime / spend, np.nan)
        mean = columns["lifetime_value"] / customers
        cac = spend / customers
        columns["value_per_customer"] = np.where(customers > 0, mean, np.nan)
        columns["clv_to_cac"] = np.where((customers > 0) & (spend > 0), mean / cac, np.nan)
        columns["clv_roas_margin"] = doubt.margin(predicted, own, slopes, spend, confidence)
        columns |= _equal_age(table, doubt, confidence)
    table = table.drop_columns([name for name in table.column_names if name.startswith(HIDDEN)])
    for name, values in columns.items():
        table = table.append_column(name, pa.array(values, pa.float64(), from_pandas=True))
    return table


def _doubts(table: pa.Table, prefix: str) -> tuple[_Floats, _Floats]:
    """The groups' own variance, and their sums of slopes, shape (groups, k)."""
    names = [name for name in table.column_names if name.startswith(f"{prefix}slope_")]
    slopes = [floats(table, name) for name in sorted(names, key=lambda name: int(name.rsplit("_", 1)[1]))]
    return floats(table, f"{prefix}variance"), np.stack(slopes, axis=1) if slopes else np.zeros((len(table), 0))


def _equal_age(table: pa.Table, doubt: Doubt, confidence: float) -> dict[str, _Floats]:
    spend, customers, brought, future = (floats(table, name) for name in ("spend", "customers", "early_value", "early_clv"))
    own, slopes = _doubts(table, "early_")
    found = {
        "equal_age_value": brought + future,
        "equal_age_each": np.where(customers > 0, (brought + future) / customers, np.nan),
    }
    low, high = doubt.interval(future, own, floats(table, "early_silence"), slopes, confidence)
    for name, value in (("", future), ("_low", low), ("_high", high)):
        found[f"equal_age_roas{name}"] = np.where(spend > 0, (brought + value) / spend, np.nan)
    return found | {"equal_age_margin": doubt.margin(future, own, slopes, spend, confidence)}
