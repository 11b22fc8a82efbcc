"""Which campaign brought each customer, as far as the contacts tell: ids, then click ids, then UTM, else unknown."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import duckdb
import pyarrow as pa

from clv_core.spend import empty_days

if TYPE_CHECKING:
    from collections.abc import Mapping

Basis = Literal["ids", "click_id", "utm"]
ALIASES = {
    "meta": "meta", "facebook": "meta", "fb": "meta", "instagram": "meta", "ig": "meta", "facebook.com": "meta",
    "google": "google", "google_ads": "google", "googleads": "google", "adwords": "google", "youtube": "google",
    "tiktok": "tiktok", "tiktok.com": "tiktok", "tik_tok": "tiktok",
}  # fmt: skip
ORGANIC = frozenset({"organic", "seo", "direct", "(direct)", "(none)", "none", "referral", "word_of_mouth"})
UNPAID_MEDIUMS = frozenset({"organic", "referral", "direct", "(none)", "social", "organic_social"})
CLICK_PREFIXES = {
    "gclid": "google",
    "gbraid": "google",
    "wbraid": "google",
    "fbclid": "meta",
    "fb.1.": "meta",
    "ttclid": "tiktok",
    "e.c.p.": "tiktok",
}
FIELDS = (
    "acquired_at", "source_platform", "source_campaign_id", "source_adset_id", "source_ad_id", "click_id", "utm_source",
    "utm_medium", "utm_campaign",
)  # fmt: skip
SCHEMA = pa.schema(
    [("customer_id", pa.string()), ("acquired_at", pa.date32())]
    + [(name, pa.string()) for name in ("platform", "campaign_id", "adset_id", "ad_id", "source", "basis")]
)


@dataclass(frozen=True, slots=True)
class AttributionRules:
    """Order of belief among the bases, and how sources are spelled.

    `clicks`: click_id, platform, campaign_id, adset_id, ad_id (from the platforms' click reports).
    """

    precedence: tuple[Basis, ...] = ("ids", "click_id", "utm")
    aliases: Mapping[str, str] = field(default_factory=lambda: dict(ALIASES))
    organic: frozenset[str] = ORGANIC
    clicks: pa.Table | None = None


def attribute(contacts: pa.Table, campaign_days: pa.Table | None = None, rules: AttributionRules | None = None) -> pa.Table:
    """One row per customer (SCHEMA); ids are "" where unknown.

    `source` is paid, organic, unknown or the source's own name (email ...).
    `campaign_days` lets an ad id find its campaign and a UTM campaign name its id. `basis` is ids, click_id, utm or none.
    """
    rules = rules or AttributionRules()
    with duckdb.connect() as connection:
        _register(connection, contacts, campaign_days, rules)
        says = " ".join(f"when {basis}_said then '{basis}'" for basis in rules.precedence)
        connection.execute(f"create temp table judged as select *, case {says} else 'none' end basis from ({_EVIDENCE})")
        return connection.sql(_CHOICE).to_arrow_table().cast(SCHEMA)


def _register(
    connection: duckdb.DuckDBPyConnection, contacts: pa.Table, campaign_days: pa.Table | None, rules: AttributionRules
) -> None:
    connection.register("contacts_in", contacts)
    columns = ", ".join(
        f"nullif(trim(cast({name} as varchar)), '') {name}"
        if name in contacts.column_names
        else f"cast(null as varchar) {name}"
        for name in FIELDS
    )
    connection.execute(f"""
        create temp table contacts as select cast(customer_id as varchar) customer_id, {columns} from contacts_in
        where customer_id is not null
        qualify 1 = row_number() over
            (partition by customer_id order by acquired_at nulls last, source_campaign_id, source_ad_id)""")
    connection.register("places_in", empty_days() if campaign_days is None else campaign_days)
    connection.execute("""
        create temp table places as
        select platform, campaign_id, coalesce(adset_id, '') adset_id, coalesce(ad_id, '') ad_id,
               arg_max(lower(trim(campaign_name)), date) as name, max(date) last_day
        from places_in group by all""")
    clicks = [pa.field(n, pa.string()) for n in ("click_id", "platform", "campaign_id", "adset_id", "ad_id")]
    connection.register("clicks", pa.schema(clicks).empty_table() if rules.clicks is None else rules.clicks)
    spelled = pa.table({"word": list(rules.aliases), "platform": list(rules.aliases.values())})
    connection.register("aliases", spelled.cast(pa.schema([("word", pa.string()), ("platform", pa.string())])))
    for name, words in (("organic", rules.organic), ("unpaid", UNPAID_MEDIUMS)):
        connection.register(name, pa.table({"word": pa.array(sorted(words), pa.string())}))
    prefixes = {"prefix": list(CLICK_PREFIXES), "platform": list(CLICK_PREFIXES.values())}
    connection.register("prefixes", pa.table(prefixes))


# What each basis says of each customer; a campaign name counts only when one campaign of that platform bears it.
_EVIDENCE = """
with known as (select distinct platform from places union select distinct platform from aliases),
ads as (select ad_id, any_value(platform) platform, any_value(campaign_id) campaign_id, any_value(adset_id) adset_id
        from places where ad_id <> '' group by ad_id having count(distinct (platform, campaign_id)) = 1),
sets as (select adset_id, any_value(platform) platform, any_value(campaign_id) campaign_id
         from places where adset_id <> '' group by adset_id having count(distinct (platform, campaign_id)) = 1),
campaigns as (select campaign_id, any_value(platform) platform from places
              group by campaign_id having count(distinct platform) = 1),
names as (select platform, word, any_value(campaign_id) campaign_id from
            (select platform, campaign_id, name as word from places
             union select platform, campaign_id, lower(campaign_id) from places)
          where word <> '' group by platform, word having count(distinct campaign_id) = 1),
prefixed as (select c.customer_id, min(p.platform) platform
             from contacts c join prefixes p on starts_with(lower(c.click_id), p.prefix)
             group by c.customer_id)
select c.customer_id, try_cast(left(c.acquired_at, 10) as date) acquired_at,
       coalesce(c.source_platform, c.source_campaign_id, c.source_adset_id, c.source_ad_id) is not null ids_said,
       lower(c.source_platform) ids_word,
       coalesce(sa.platform, k1.platform, ads.platform, sets.platform, campaigns.platform) ids_platform,
       coalesce(c.source_campaign_id, ads.campaign_id, sets.campaign_id, '') ids_campaign,
       coalesce(c.source_adset_id, ads.adset_id, '') ids_adset, coalesce(c.source_ad_id, '') ids_ad,
       coalesce(cl.platform, prefixed.platform) is not null click_id_said,
       coalesce(cl.platform, prefixed.platform) click_id_platform, coalesce(cl.campaign_id, '') click_id_campaign,
       coalesce(cl.adset_id, '') click_id_adset, coalesce(cl.ad_id, '') click_id_ad, cast(null as varchar) click_id_word,
       c.utm_source is not null utm_said, lower(c.utm_source) utm_word,
       case when lower(coalesce(c.utm_medium, '')) not in (select word from unpaid) then coalesce(ua.platform, k2.platform) end
           utm_platform,
       coalesce(names.campaign_id, '') utm_campaign_found,
       lower(coalesce(c.utm_medium, '')) in (select word from unpaid) utm_unpaid
from contacts c
left join aliases sa on sa.word = lower(c.source_platform)
left join known k1 on k1.platform = lower(c.source_platform)
left join ads on ads.ad_id = c.source_ad_id
left join sets on sets.adset_id = c.source_adset_id
left join campaigns on campaigns.campaign_id = c.source_campaign_id and c.source_platform is null
left join (select distinct on (click_id) * from clicks order by click_id, platform, campaign_id, ad_id) cl
     on cl.click_id = c.click_id
left join prefixed on prefixed.customer_id = c.customer_id
left join aliases ua on ua.word = lower(c.utm_source)
left join known k2 on k2.platform = lower(c.utm_source)
left join names on names.platform = coalesce(ua.platform, k2.platform) and names.word = lower(c.utm_campaign)"""

_CHOICE = """
with chosen as (
  select customer_id, acquired_at, basis,
    case basis when 'ids' then ids_platform when 'click_id' then click_id_platform when 'utm' then utm_platform end platform,
    case basis when 'ids' then ids_campaign when 'click_id' then click_id_campaign when 'utm' then utm_campaign_found else ''
         end campaign_id,
    case basis when 'ids' then ids_adset when 'click_id' then click_id_adset else '' end adset_id,
    case basis when 'ids' then ids_ad when 'click_id' then click_id_ad else '' end ad_id,
    case basis when 'ids' then ids_word when 'utm' then case when utm_unpaid then 'organic' else utm_word end end word
  from judged)
select customer_id, acquired_at, coalesce(platform, '') platform,
       case when platform is null then '' else campaign_id end campaign_id,
       case when platform is null then '' else adset_id end adset_id,
       case when platform is null then '' else ad_id end ad_id,
       case when platform is not null then 'paid' when word in (select word from organic) then 'organic'
            when word is null then 'unknown' else word end source,
       basis
from chosen order by customer_id"""
