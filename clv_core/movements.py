"""Who moved between tiers since the last run, and where people drop out by tactic and message."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

from clv_core.engagement import dated

if TYPE_CHECKING:
    from datetime import date

MOVEMENTS = pa.schema([("from_tier", pa.string()), ("to_tier", pa.string()), ("customers", pa.int64()), ("clv", pa.float64())])
CHURN = pa.schema([
    ("tactic", pa.string()), ("message", pa.string()), ("customers", pa.int64()), ("buyers", pa.int64()),
    ("lapsed", pa.int64()), ("lapsed_share", pa.float64()), ("dropped_out", pa.int64()), ("drop_out_share", pa.float64()),
    ("mean_p_alive", pa.float64()),
])  # fmt: skip
_MOVED = """
    SELECT coalesce(p.tier, 'new') AS from_tier, coalesce(n.tier, 'gone') AS to_tier, count(*) AS customers,
      coalesce(sum(n.clv), 0)::DOUBLE AS clv
    FROM now n FULL JOIN before p ON n.customer_id = p.customer_id GROUP BY ALL ORDER BY ALL"""
_CHURN = """
    WITH reached AS (
      SELECT coalesce(tactic, '') AS tactic, coalesce(message, '') AS message, customer_id, max("at"::DATE) AS last
      FROM engagement WHERE "at"::DATE <= $as_of GROUP BY ALL),
    since AS (SELECT customer_id, max("at"::DATE) AS last_any FROM engagement WHERE "at"::DATE <= $as_of GROUP BY 1)
    SELECT tactic, message, count(*) AS customers, count(*) FILTER (lifecycle_stage <> 'prospect') AS buyers,
      count(*) FILTER (lifecycle_stage = 'lapsed') AS lapsed, lapsed / nullif(buyers, 0) AS lapsed_share,
      count(*) FILTER (lifecycle_stage IN ('at_risk', 'lapsed') AND last_any = last) AS dropped_out,
      dropped_out / nullif(buyers, 0) AS drop_out_share, avg(p_alive) FILTER (lifecycle_stage <> 'prospect') AS mean_p_alive
    FROM reached JOIN scores USING (customer_id) JOIN since USING (customer_id)
    GROUP BY ALL ORDER BY tactic, message"""


def movements(scores: pa.Table, previous: pa.Table | None) -> pa.Table:
    """from_tier, to_tier, customers, clv (as of now); "new" and "gone" for those in one run only. Empty without `previous`."""
    if previous is None:
        return MOVEMENTS.empty_table()
    with duckdb.connect() as connection:
        connection.register("now", scores.select(["customer_id", "tier", "clv"]))
        connection.register("before", previous.select(["customer_id", "tier"]))
        return connection.sql(_MOVED).to_arrow_table().cast(MOVEMENTS)


def churn(scores: pa.Table, engagement: pa.Table | None, as_of: date) -> pa.Table:
    """Per tactic and message: people reached, buyers among them, how many of these lapsed, and how many dropped out: are at
    risk or lapsed with it as the last they reacted to. Shares and the mean p_alive are of the buyers, null without any.

    Empty when engagement is missing or carries neither column.
    """
    events = dated(engagement)
    if events is None or (events["tactic"].null_count == len(events) == events["message"].null_count):
        return CHURN.empty_table()
    with duckdb.connect() as connection:
        connection.register("scores", scores.select(["customer_id", "lifecycle_stage", "p_alive"]))
        connection.register("engagement", events)
        return connection.sql(_CHURN, params={"as_of": as_of}).to_arrow_table().cast(CHURN)
