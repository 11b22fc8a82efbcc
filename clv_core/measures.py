"""What a group of customers cost and is worth: one SQL expression for every grouping, so that all tables agree."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from clv_core.spread import total_interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

MONEY = ("spend", "conversions", "conversion_value", "first_order_revenue", "realised_value")
COUNTS = ("impressions", "clicks", "customers", "paid_customers", "high_tier_customers", "repeat_customers")
ADDITIVE = (*MONEY, *COUNTS, "predicted_clv")


def measure(connection: duckdb.DuckDBPyConnection, keys: Sequence[str], *, common: float, confidence: float) -> pa.Table:
    """One row per group of `keys` with spend and customers side by side; groups add up to the totals of both, exactly.

    Reads the tables `customer` and `spend_facts`. Sums are decimals; ratios are floats, null where nothing divides them.
    """
    by = ", ".join(keys)
    group = f"group by {by}" if keys else ""
    each = f"{by}, " if keys else ""
    join = f"full join s using ({by})" if keys else "cross join s"
    sums = ", ".join(f"coalesce({name}, 0) {name}" for name in ADDITIVE)
    table = connection.sql(f"""
        with c as (
            select {each}count(*) customers, count(*) filter (where source = 'paid') paid_customers,
                   sum(first_value) first_order_revenue, sum(realised) realised_value, sum(clv) predicted_clv,
                   sum(variance) variance, count(*) filter (where high_tier) high_tier_customers,
                   count(*) filter (where order_days > 1) repeat_customers
            from customer {group}),
        s as (
            select {each}sum(spend) spend, sum(conversions) conversions, sum(conversion_value) conversion_value,
                   cast(sum(impressions) as bigint) impressions, cast(sum(clicks) as bigint) clicks
            from spend_facts {group})
        select {each}{sums}, coalesce(variance, 0) variance,
               cast(conversion_value as double) / nullif(cast(spend as double), 0) roas,
               cast(spend as double) / nullif(customers, 0) cac,
               high_tier_customers / nullif(customers, 0) high_tier_share,
               repeat_customers / nullif(customers, 0) repeat_rate
        from c {join} {f"order by {by}" if keys else ""}""").to_arrow_table()
    return with_intervals(table, common=common, confidence=confidence)


def floats(table: pa.Table, name: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """A column as float64 array, nulls as nan (also decimals)."""
    return np.asarray(table.column(name).cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)


def with_intervals(table: pa.Table, *, common: float, confidence: float) -> pa.Table:
    """The table with intervals of predicted and lifetime value and the ratios built on them; `variance` is taken out."""
    predicted, spend = floats(table, "predicted_clv"), floats(table, "spend")
    low, high = total_interval(predicted, floats(table, "variance"), common, confidence)
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
    table = table.drop_columns(["variance"])
    for name, values in columns.items():
        table = table.append_column(name, pa.array(values, pa.float64(), from_pandas=True))
    return table
