"""What each tier looks like, and why the low one is low: sizes, habits, stages, channels, categories, countries, engagement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from clv_core.engagement import dated
from clv_core.tiers import TIERS, edge_values

if TYPE_CHECKING:
    from datetime import date

    import duckdb

    from clv_core.transactions import Transactions

TOP = 5  # labels listed per tier
REASONS = {
    "refund_share": "{0:.0%} of them have sent something back ({1:.0%} of all customers)",
    "one_category_share": "{0:.0%} have bought from one category only ({1:.0%} of all)",
    "long_gap_share": "{0:.0%} have been away longer than nine in ten customers usually are between orders ({1:.0%} of all)",
    "one_order_share": "{0:.0%} have ordered once ({1:.0%} of all)",
}
_HABITS = """
    WITH sent AS (SELECT DISTINCT customer_id FROM {relation} WHERE day <= $as_of AND refunds > 0),
    lined AS (SELECT customer_id, min(product_category) = max(product_category) AS one_category
      FROM {lines} WHERE day <= $as_of AND product_category IS NOT NULL GROUP BY 1)
    SELECT s.tier, count(*) AS customers, sum(s.clv) AS clv, avg(s.clv) AS mean_clv, avg(s.frequency + 1) AS mean_orders,
      avg(s.value_to_date) AS mean_spend, avg((s.T - s.recency) * 7) AS days_since_last, avg(s.p_alive) AS mean_p_alive,
      avg((sent.customer_id IS NOT NULL)::INT) AS refund_share,
      avg(lined.one_category::INT) AS one_category_share,
      avg((s.T - s.recency > $gap)::INT) AS long_gap_share, avg((s.frequency = 0)::INT) AS one_order_share
    FROM scores s LEFT JOIN sent USING (customer_id) LEFT JOIN lined USING (customer_id)
    GROUP BY GROUPING SETS ((s.tier), ())"""
_LABELS = """
    WITH counted AS (
      SELECT s.tier, o.{column} AS label, sum(o.amount) AS weight FROM {lines} o JOIN scores s USING (customer_id)
      WHERE o.day <= $as_of AND o.{column} IS NOT NULL AND o.amount > 0 GROUP BY ALL)
    SELECT tier, label, weight / sum(weight) OVER (PARTITION BY tier) AS share FROM counted ORDER BY tier, share DESC, label"""
_COUNTRIES = """
    WITH counted AS (
      SELECT s.tier, c.country AS label, count(*) AS weight FROM contacts c JOIN scores s USING (customer_id)
      WHERE c.country IS NOT NULL AND c.country <> '' GROUP BY ALL)
    SELECT tier, label, weight / sum(weight) OVER (PARTITION BY tier) AS share FROM counted ORDER BY tier, share DESC, label"""
_ENGAGEMENT = """
    SELECT s.tier, e.kind AS label, count(DISTINCT e.customer_id) / any_value(n.customers) AS share
    FROM engagement e JOIN scores s USING (customer_id)
    JOIN (SELECT tier, count(*) AS customers FROM scores GROUP BY 1) n USING (tier)
    WHERE e."at" <= $as_of AND e.kind IS NOT NULL GROUP BY s.tier, e.kind ORDER BY s.tier, share DESC, label"""
_STAGES = """
    SELECT tier, lifecycle_stage AS label, count(*) / sum(count(*)) OVER (PARTITION BY tier) AS share
    FROM scores GROUP BY tier, lifecycle_stage ORDER BY tier, share DESC, label"""
_SHARES = pa.list_(pa.struct([("label", pa.string()), ("share", pa.float64())]))
_NUMBERS = (
    "customer_share", "clv", "clv_share", "mean_clv", "mean_orders", "mean_spend", "days_since_last", "mean_p_alive",
    "refund_share", "one_category_share", "long_gap_share", "one_order_share", "distance_to_next",
)  # fmt: skip
SCHEMA = pa.schema(
    [("tier", pa.string()), ("customers", pa.int64()), *((name, pa.float64()) for name in _NUMBERS)]
    + [(name, _SHARES) for name in ("stages", "channels", "categories", "countries", "engagement")]
    + [("why", pa.list_(pa.string()))]
)


def profiles(
    t: Transactions, scores: pa.Table, as_of: date, contacts: pa.Table | None = None, engagement: pa.Table | None = None
) -> pa.Table:
    """One row per tier (best first), columns as in SCHEMA; shares of unknown things are null, lists empty.

    Shares of channels and categories are of what was spent, of countries of those whose country is known, of stages and
    engagement of the tier's customers. `distance_to_next` is the median clv that a customer lacks to the next better tier;
    `why` gives reasons for the low tier, most telling first.
    """
    cursor = t.connection.cursor()
    buyers = scores.filter(pc.is_in(scores["tier"], pa.array(TIERS)))
    cursor.register("scores", buyers)
    gap = _long_gap(buyers)
    habits = cursor.sql(_HABITS.format(relation=t.relation, lines=t.lines), params={"as_of": as_of, "gap": gap})
    rows = {row["tier"]: row for row in habits.to_arrow_table().to_pylist()}
    if None not in rows:
        return SCHEMA.empty_table()
    base = rows.pop(None)
    lists = _lists(cursor, t, as_of, contacts, dated(engagement))
    edges = edge_values(np.asarray(buyers["clv"]), buyers["tier"].combine_chunks())
    out = [_row(rows[tier], base, edges, buyers, lists) for tier in TIERS if tier in rows]
    if out[-1]["tier"] == TIERS[-1]:
        out[-1]["why"] = _why(out[-1], base, t.currency)
    return pa.Table.from_pylist(out, schema=SCHEMA)


def _row(
    row: dict[str, Any], base: dict[str, Any], edges: dict[str, float], buyers: pa.Table, lists: dict[str, Any]
) -> dict[str, Any]:
    tier = row["tier"]
    row["customer_share"] = row["customers"] / base["customers"]
    row["clv_share"] = row["clv"] / base["clv"] if base["clv"] else 0.0
    better = TIERS[TIERS.index(tier) - 1] if tier != TIERS[0] else None
    if better and not np.isnan(edges[better]):
        mine = np.asarray(buyers.filter(pc.equal(buyers["tier"], tier))["clv"])
        row["distance_to_next"] = float(np.median(np.maximum(edges[better] - mine, 0.0)))
    for name, held in lists.items():
        row[name] = held.get(tier, [])[:TOP]
    row["why"] = []
    return row


def _why(row: dict[str, Any], base: dict[str, Any], currency: str) -> list[str]:
    """The habits in which the low tier differs from the base, widest difference first, and what it lacks."""
    gaps = {name: (row[name] or 0.0) - (base[name] or 0.0) for name in REASONS}
    told = [name for name in sorted(gaps, key=lambda name: -gaps[name]) if gaps[name] > 0.02]
    out = [REASONS[name].format(row[name], base[name]) for name in told]
    if row.get("distance_to_next") is not None:
        lack = f"{row['distance_to_next']:,.2f} {currency}".strip()
        out.append(f"half of them lack at least {lack} of predicted value to the next tier")
    return out


def _long_gap(buyers: pa.Table) -> float:
    """The gap in weeks that nine in ten customers' mean gaps stay under; infinite without repeat orders."""
    x, t_x = np.asarray(buyers["frequency"]), np.asarray(buyers["recency"])
    repeat = x > 0
    return float(np.quantile(t_x[repeat] / x[repeat], 0.9)) if repeat.any() else 1e9


def _lists(
    cursor: duckdb.DuckDBPyConnection, t: Transactions, as_of: date, contacts: pa.Table | None, engagement: pa.Table | None
) -> dict[str, dict[str, list[dict[str, Any]]]]:
    def by_tier(sql: str, parameters: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
        out: dict[str, list[dict[str, Any]]] = {}
        for tier, label, share in cursor.execute(sql, parameters).fetchall():
            out.setdefault(tier, []).append({"label": label, "share": share})
        return out

    day = {"as_of": as_of}
    lists = {
        "stages": by_tier(_STAGES, {}),
        "channels": by_tier(_LABELS.format(lines=t.lines, column="channel"), day),
        "categories": by_tier(_LABELS.format(lines=t.lines, column="product_category"), day),
        "countries": {},
        "engagement": {},
    }
    if contacts is not None and "country" in contacts.column_names:
        cursor.register("contacts", contacts.select(["customer_id", "country"]))
        lists["countries"] = by_tier(_COUNTRIES, {})
    if engagement is not None:
        cursor.register("engagement", engagement)
        lists["engagement"] = by_tier(_ENGAGEMENT, day)
    return lists
