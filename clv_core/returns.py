"""Customers and spend -> what the money bought: per campaign, ad set, ad, platform, label and cohort, with intervals."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa

from clv_core.acquired import label_spend, load_customers, move_by_record, with_doubt
from clv_core.cohorts import curves
from clv_core.coverage import contradictions_of, coverage_of, warnings_of
from clv_core.decisions import decide, disagreements
from clv_core.doubt import Doubt
from clv_core.equal_age import add_equal_age
from clv_core.labels import LabelRules
from clv_core.lifecycle import funnel, kpis
from clv_core.measures import measure
from clv_core.payback import observed, with_payback
from clv_core.spend import load_spend
from clv_core.track import Record, track

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

GROUPINGS: dict[str, tuple[str, ...]] = {
    "campaigns": ("platform", "account_id", "campaign_id"),
    "adsets": ("platform", "account_id", "campaign_id", "adset_id"),
    "ads": ("platform", "account_id", "campaign_id", "adset_id", "ad_id"),
    "platforms": ("platform",),
    "creative": ("creative",),
    "objectives": ("objective",),
    "cohorts": ("cohort",),
}


@dataclass(frozen=True, slots=True)
class ReturnSettings:
    """How returns are judged. `level_error` is the relative error of the predicted level that all customers share; None takes
    what the scores say of themselves.

    Below `minimum_customers` a group gets no verdict. `target_roas`, `target_clv_roas`: what a campaign must reach; None
    takes the average over all paid spend.
    """

    horizon_days: int = 365
    confidence: float = 0.90
    level_error: float | None = None
    minimum_customers: int = 30
    high_tier: str = "high"
    by_record: bool = True  # move a campaign's prediction by its track record
    target_roas: float | None = None
    target_clv_roas: float | None = None
    months: int = 36
    threads: int | None = None


@dataclass(frozen=True)
class Returns:
    """What the money bought. Every table is Arrow; money columns are decimals in `currency`, ratios are floats.

    Every grouping holds a row for customers and spend that fit nowhere (empty ids, organic, unknown), so each adds up to
    `totals` (its row `all`).
    """

    currency: str
    as_of: date
    horizon_days: int
    campaigns: pa.Table
    adsets: pa.Table
    ads: pa.Table
    platforms: pa.Table
    creative: pa.Table
    objectives: pa.Table
    cohorts: pa.Table
    totals: pa.Table
    coverage: pa.Table
    contradictions: pa.Table
    retention: pa.Table
    disagreements: pa.Table
    restatements: pa.Table
    track: pa.Table
    kpis: pa.Table
    funnel: pa.Table
    warnings: tuple[str, ...] = ()

    def tables(self) -> dict[str, pa.Table]:
        """Every table by its name, to be written out."""
        return {one.name: getattr(self, one.name) for one in fields(self) if isinstance(getattr(self, one.name), pa.Table)}


def returns(
    scores: pa.Table,
    days: Any,
    acquisition: pa.Table,
    campaign_days: pa.Table,
    *,
    currency: str,
    as_of: date,
    rates: pa.Table | None = None,
    labels: LabelRules | None = None,
    settings: ReturnSettings | None = None,
    engagement: pa.Table | None = None,
    restated: pa.Table | None = None,
) -> Returns:
    """What the money bought, as known on `as_of`.

    `days`: customer_id, day, amount (a table, or `Transactions`); `acquisition`: see `attribution.attribute`; `rates`: dated,
    into `currency`; `engagement`: customer_id, at (for the funnel); `restated`: earlier figures of campaign days, for the
    history of restatements alone. Raises SpendError for campaign days that can't be converted.
    """
    settings, labels = settings or ReturnSettings(), labels or LabelRules()
    with duckdb.connect() as connection:
        connection.execute("set preserve_insertion_order = false")  # every result is ordered; copies cost memory
        if settings.threads:
            connection.execute(f"set threads = {int(settings.threads)}")
        restated, warnings = load_spend(connection, campaign_days, rates, currency, as_of, restated)
        label_spend(connection, labels)
        doubt = Doubt.of(scores, settings.level_error)
        load_customers(connection, with_doubt(scores, doubt), days, acquisition, as_of, settings.high_tier)
        record = track(connection, scores, as_of, settings.horizon_days) if settings.by_record else None
        if record is not None:
            move_by_record(connection, record, doubt)
        connection.execute("drop table purchases")
        connection.unregister("days_in")
        add_equal_age(connection, scores, settings.horizon_days)
        lifecycle = {"kpis": kpis(connection, as_of), "funnel": funnel(connection, scores, engagement, as_of)}
        found = {name: _group(connection, keys, doubt, settings) for name, keys in GROUPINGS.items()}
        found["campaigns"] = decide(_named(connection, found["campaigns"], Record.rows(record)), settings)
        totals = _totals(connection, doubt, settings)
        retention = curves(
            connection, [("all", "'all'"), *((n, n) for n in ("platform", "creative", "cohort"))], settings.months
        )
        coverage, contradictions = coverage_of(connection), contradictions_of(connection)
        warnings = (*warnings, *warnings_of(connection, as_of))
    return Returns(
        currency, as_of, settings.horizon_days, totals=totals, coverage=coverage, contradictions=contradictions,
        retention=retention, warnings=warnings,
        disagreements=disagreements(found["campaigns"], currency, settings.horizon_days), restatements=restated,
        track=Record.rows(record),
        **lifecycle, **found,
    )  # fmt: skip


def _group(connection: duckdb.DuckDBPyConnection, keys: Sequence[str], doubt: Doubt, settings: ReturnSettings) -> pa.Table:
    table = measure(connection, keys, doubt, settings.confidence)
    found = observed(connection, keys, settings.minimum_customers)
    return with_payback(table, found, keys, horizon_days=settings.horizon_days, minimum=settings.minimum_customers)


def _totals(connection: duckdb.DuckDBPyConnection, doubt: Doubt, settings: ReturnSettings) -> pa.Table:
    """Row `all` (blended: every customer over all spend), then a row per source; all spend belongs to `paid`."""
    everything = _group(connection, ["scope"], doubt, settings)
    connection.execute("alter table spend_facts add column source varchar default 'paid'")
    by_source = _group(connection, ["source"], doubt, settings).rename_columns({"source": "scope"})
    return pa.concat_tables([everything, by_source])


def _named(connection: duckdb.DuckDBPyConnection, campaigns: pa.Table, record: pa.Table) -> pa.Table:
    """Campaigns with name, account, labels and first and last day of spend; a campaign without results is named by its id."""
    connection.register("campaigns_in", campaigns)
    connection.register("track_in", record)
    named = connection.sql("""
        with facts as (
            select platform, account_id, campaign_id, arg_max(campaign_name, date) campaign_name,
                   min(date) filter (where spend > 0) first_spend_day, max(date) filter (where spend > 0) last_spend_day
            from spend_facts group by all),
        labels as (select platform, account_id, campaign_id, string_agg(distinct creative, ', ' order by creative) creative,
                          string_agg(distinct objective, ', ' order by objective) objective from places group by all)
        select coalesce(nullif(f.campaign_name, ''), a.campaign_id || ' (in several accounts)', nullif(c.campaign_id, ''),
                        case when c.platform = '' then 'not from ads, or unknown' else 'campaign unknown' end) campaign_name,
               coalesce(l.creative, '') creative, coalesce(l.objective, '') objective,
               f.first_spend_day, f.last_spend_day, c.*, t.factor track_factor
        from campaigns_in c
             left join (select platform, account_id, campaign_id, factor from track_in where campaign_id <> '') t
                  using (platform, account_id, campaign_id)
             left join facts f using (platform, account_id, campaign_id)
             left join labels l using (platform, account_id, campaign_id)
             left join (select distinct platform, account_id, campaign_id from customer where ambiguous) a
                  using (platform, account_id, campaign_id)
        order by c.spend desc, c.platform, c.account_id, c.campaign_id""").to_arrow_table()
    connection.unregister("campaigns_in")
    return named
