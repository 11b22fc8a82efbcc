"""What a group of customers cost and is worth: one SQL expression for every grouping, so that all tables agree."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

    from clv_core.doubt import Doubt

MONEY = ("spend", "conversions", "conversion_value", "first_order_revenue", "realised_value")
COUNTS = ("impressions", "clicks", "customers", "paid_customers", "high_tier_customers", "repeat_customers")
ADDITIVE = (*MONEY, *COUNTS, "predicted_clv")
_OF_CUSTOMERS = (
    "customers", "paid_customers", "high_tier_customers", "repeat_customers", "first_order_revenue", "realised_value",
    "predicted_clv",
)  # fmt: skip


def measure(connection: duckdb.DuckDBPyConnection, keys: Sequence[str], doubt: Doubt, confidence: float) -> pa.Table:
    """One row per group of `keys` with spend and customers side by side; groups add up to the totals of both, exactly.

    Reads the tables `customer` and `spend_facts`. Sums are decimals; ratios are floats, null where nothing divides them.
    """
    by = ", ".join(keys)
    unsure = ["variance", *(f"slope_{n}" for n in range(doubt.slopes.shape[1]))]
    sums = ", ".join(f"coalesce({name}, 0) {name}" for name in (*ADDITIVE, *unsure))
    table = connection.sql(f"""
        with by_campaign as (
            select {by}, campaign_no, any_value(factor_doubt) factor_doubt, count(*) customers,
                   count(*) filter (where source = 'paid') paid_customers, sum(first_value) first_order_revenue,
                   sum(realised) realised_value, sum(clv) predicted_clv, {", ".join(f"sum({name}) {name}" for name in unsure)},
                   count(*) filter (where high_tier) high_tier_customers,
                   count(*) filter (where order_days > 1) repeat_customers
            from customer group by all),
        c as (
            select {by}, {", ".join(f"sum({name}) {name}" for name in (*_OF_CUSTOMERS, *unsure[1:]))},
                   sum(variance + factor_doubt * power(predicted_clv, 2)) variance
            from by_campaign group by {by}),
        s as (
            select {by}, sum(spend) spend, sum(conversions) conversions, sum(conversion_value) conversion_value,
                   cast(sum(impressions) as bigint) impressions, cast(sum(clicks) as bigint) clicks
            from spend_facts group by {by})
        select {by}, {sums},
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
    """
    unsure = [name for name in table.column_names if name == "variance" or name.startswith("slope_")]
    own, slopes = floats(table, "variance"), np.zeros((len(table), len(unsure) - 1))
    for n in range(len(unsure) - 1):
        slopes[:, n] = floats(table, f"slope_{n}")

    predicted, spend = floats(table, "predicted_clv"), floats(table, "spend")
    low, high = doubt.interval(predicted, own, slopes, confidence)
    realised, customers = floats(table, "realised_value"), floats(table, "customers")
    columns: dict[str, np.ndarray[tuple[int], np.dtype[np.float64]]] = {"predicted_low": low, "predicted_high": high}
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
    table = table.drop_columns(unsure)
    for name, values in columns.items():
        table = table.append_column(name, pa.array(values, pa.float64(), from_pandas=True))
    return table
