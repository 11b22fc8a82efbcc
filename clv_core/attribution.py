"""Which campaign brought each customer, as far as ids, click ids, the platforms' own orders and UTM parameters tell."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import duckdb
import pyarrow as pa

from clv_core.evidence import FIELDS, gather

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ALIASES", "FIELDS", "FULL", "SCHEMA", "AttributionRules", "attribute"]

Basis = Literal["ids", "click_id", "order_id", "utm"]
ALIASES = {
    "meta": "meta", "facebook": "meta", "fb": "meta", "instagram": "meta", "ig": "meta", "facebook.com": "meta",
    "google": "google", "google_ads": "google", "googleads": "google", "adwords": "google", "youtube": "google",
    "tiktok": "tiktok", "tiktok.com": "tiktok", "tik_tok": "tiktok",
}  # fmt: skip
ORGANIC = frozenset({"organic", "seo", "direct", "(direct)", "(none)", "none", "referral", "word_of_mouth"})
SCHEMA = pa.schema(
    [("customer_id", pa.string()), ("acquired_at", pa.date32())]
    + [(name, pa.string()) for name in ("platform", "campaign_id", "adset_id", "ad_id", "source", "basis")]
)
"""What `returns` needs to know of a customer."""
FULL = pa.schema([*SCHEMA, ("account_id", pa.string()), ("conflict", pa.string())])
"""What `attribute` tells: also the ad account, where a source knows it, and what other bases say against the chosen one."""


@dataclass(frozen=True, slots=True)
class AttributionRules:
    """Order of belief among the bases, and how sources are spelled.

    `clicks`: click_id, platform, account_id, campaign_id, adset_id, ad_id (from the platforms' click reports); `claims`:
    customer_id and the same (of orders that a platform reports as its own).
    """

    precedence: tuple[Basis, ...] = ("ids", "click_id", "order_id", "utm")
    aliases: Mapping[str, str] = field(default_factory=lambda: dict(ALIASES))
    organic: frozenset[str] = ORGANIC
    clicks: pa.Table | None = None
    claims: pa.Table | None = None


def attribute(contacts: pa.Table, campaign_days: pa.Table | None = None, rules: AttributionRules | None = None) -> pa.Table:
    """One row per customer (FULL); ids are "" where unknown.

    `source` is paid, organic, unknown or the source's own name (email ...). `campaign_days` lets an ad id find its campaign
    and a UTM campaign name its id. `basis` is ids, click_id, order_id, utm or none; where the first names a platform and
    another basis its campaign, both (`click_id+utm`). `conflict` says in words what believed-less bases say otherwise.
    """
    rules = rules or AttributionRules()
    with duckdb.connect() as connection:
        gather(connection, contacts, campaign_days, rules.aliases, rules.clicks, rules.claims)
        connection.register("organic", pa.table({"word": pa.array(sorted(rules.organic), pa.string())}))
        ranks = pa.array(range(len(rules.precedence)), pa.int32())
        connection.register("ranks", pa.table({"basis": pa.array(rules.precedence, pa.string()), "rank": ranks}))
        return connection.sql(_CHOICE).to_arrow_table().cast(FULL)


# What is believed first is taken; a later basis may only add the campaign, or the account, to what it agrees with.
_CHOICE = """
with said as (
    select e.* exclude (nth), 1000 * rank + nth as rank,
           case when platform is not null then platform when word in (select word from organic) then 'organic'
                else coalesce(word, 'unknown') end verdict
    from evidence e join ranks using (basis)),
first as (select * from said qualify 1 = row_number() over (partition by customer_id order by rank)),
fill as (
    select f.customer_id, o.basis, o.account_id, o.campaign_id, o.adset_id, o.ad_id
    from first f join said o on o.customer_id = f.customer_id and o.rank > f.rank and o.platform = f.platform
    where f.campaign_id = '' and o.campaign_id <> '' and (f.account_id = '' or o.account_id in ('', f.account_id))
    qualify 1 = row_number() over (partition by f.customer_id order by o.rank)),
held as (
    select f.customer_id, f.verdict, f.rank, coalesce(f.platform, '') platform, f.word,
           f.basis || coalesce('+' || l.basis, '') basis, coalesce(l.campaign_id, f.campaign_id) campaign_id,
           coalesce(nullif(f.adset_id, ''), l.adset_id, '') adset_id, coalesce(nullif(f.ad_id, ''), l.ad_id, '') ad_id,
           coalesce(nullif(f.account_id, ''), l.account_id, '') account_id
    from first f left join fill l using (customer_id)),
others as (
    select h.customer_id, any_value(o.account_id) filter (
               where o.platform = h.platform and o.campaign_id = h.campaign_id and o.account_id <> '') account_id,
           string_agg(o.basis || ': ' || o.verdict || case when o.verdict = h.verdict then ', another campaign' else '' end,
                      '; ' order by o.rank) filter (
               where (o.verdict <> h.verdict and (o.platform is not null or h.platform <> ''))
                  or (o.verdict = h.verdict and o.campaign_id <> '' and h.campaign_id <> '' and o.campaign_id <> h.campaign_id)
           ) conflict
    from held h join said o on o.customer_id = h.customer_id and o.rank > h.rank group by h.customer_id)
select p.customer_id, p.acquired_at, coalesce(h.platform, '') platform,
       case when h.platform <> '' then h.campaign_id else '' end campaign_id,
       case when h.platform <> '' then h.adset_id else '' end adset_id,
       case when h.platform <> '' then h.ad_id else '' end ad_id,
       case when h.platform <> '' then 'paid' else coalesce(h.verdict, 'unknown') end source, coalesce(h.basis, 'none') basis,
       case when h.platform <> '' then coalesce(nullif(h.account_id, ''), o.account_id, '') else '' end account_id,
       coalesce(o.conflict, '') conflict
from people p left join held h using (customer_id) left join others o using (customer_id) order by p.customer_id"""
