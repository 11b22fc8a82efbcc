"""What each basis says of each customer's source, side by side: ids, click ids, the platform's own orders, UTM parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from clv_core.spend import empty_days

if TYPE_CHECKING:
    from collections.abc import Mapping

    import duckdb

FIELDS = (
    "acquired_at", "source_platform", "source_account_id", "source_campaign_id", "source_adset_id", "source_ad_id", "click_id",
    "utm_source", "utm_medium", "utm_campaign", "utm_id",
)  # fmt: skip
PLACE = ("platform", "account_id", "campaign_id", "adset_id", "ad_id")
CLICK_PREFIXES = {
    "gclid": "google",
    "gbraid": "google",
    "wbraid": "google",
    "fbclid": "meta",
    "fb.1.": "meta",
    "ttclid": "tiktok",
    "e.c.p.": "tiktok",
}
UNPAID_MEDIUMS = frozenset({"organic", "referral", "direct", "(none)", "social", "organic_social"})


def gather(
    connection: duckdb.DuckDBPyConnection,
    contacts: pa.Table,
    campaign_days: pa.Table | None,
    aliases: Mapping[str, str],
    clicks: pa.Table | None,
    claims: pa.Table | None,
) -> None:
    """Nothing; makes `people` (customer_id, acquired_at) and `evidence`: a row per customer and basis that says something.

    Columns: customer_id, basis, platform (null where the basis names no ad platform), account_id, campaign_id, adset_id,
    ad_id ("" where unknown), word (the source as it was written), nth (of several of a basis, from 1).
    """
    _contacts(connection, contacts)
    connection.register("places_in", empty_days() if campaign_days is None else campaign_days)
    connection.execute("""
        create temp table places as
        select platform, coalesce(account_id, '') account_id, campaign_id, coalesce(adset_id, '') adset_id,
               coalesce(ad_id, '') ad_id, arg_max(lower(trim(campaign_name)), date) as name
        from places_in group by all""")
    _register(connection, "clicks", clicks, ("click_id", *PLACE))
    _register(connection, "claims", claims, ("customer_id", *PLACE))
    for name, words in (("aliases", aliases), ("prefixes", CLICK_PREFIXES)):
        spelled = pa.table({"word": pa.array(list(words), pa.string()), "platform": pa.array(words.values(), pa.string())})
        connection.register(name, spelled)
    connection.register("unpaid", pa.table({"word": pa.array(sorted(UNPAID_MEDIUMS), pa.string())}))
    for name, query in (("named", _NAMED), ("people", _PEOPLE)):
        connection.execute(f"create temp table {name} as {query}")
    parts = " union all ".join(f"({one})" for one in (_IDS, _CLICKS, _CLAIMS, _UTM))
    connection.execute(f"create temp table evidence as {parts}")


def _contacts(connection: duckdb.DuckDBPyConnection, contacts: pa.Table) -> None:
    connection.register("contacts_in", contacts)
    known = contacts.column_names
    columns = ", ".join(
        f"nullif(trim(cast({name} as varchar)), '') {name}" if name in known else f"cast(null as varchar) {name}"
        for name in FIELDS
    )
    connection.execute(f"""
        create temp table contacts as select cast(customer_id as varchar) customer_id, {columns} from contacts_in
        where customer_id is not null
        qualify 1 = row_number() over
            (partition by customer_id order by acquired_at nulls last, source_campaign_id, source_ad_id)""")


def _register(connection: duckdb.DuckDBPyConnection, name: str, given: pa.Table | None, columns: tuple[str, ...]) -> None:
    """Nothing; makes the view `name` with exactly these text columns, "" where the table has none."""
    rows = 0 if given is None else given.num_rows
    have = {} if given is None else {one: given[one].cast(pa.string()) for one in given.column_names if one in columns}
    connection.register(name, pa.table({one: have.get(one, pa.array([""] * rows, pa.string())) for one in columns}))


_PEOPLE = """
select customer_id, try_cast(left(acquired_at, 10) as date) acquired_at from contacts
union all select distinct customer_id, cast(null as date) from claims
where customer_id not in (select customer_id from contacts)"""

# A campaign's name counts only when one campaign of that platform bears it; its id may stand in the name's place.
_NAMED = """
select platform, word, any_value(campaign_id) campaign_id,
       case when count(distinct account_id) = 1 then any_value(account_id) else '' end account_id
from (select platform, account_id, campaign_id, name as word from places
      union select platform, account_id, campaign_id, lower(campaign_id) from places)
where word <> '' group by platform, word having count(distinct campaign_id) = 1"""

_PAID = "coalesce({alias}.platform, {known}.platform)"

_IDS = f"""
select c.customer_id, 'ids' basis,
       coalesce({_PAID.format(alias="a", known="k")}, ads.platform, sets.platform, campaigns.platform) platform,
       coalesce(case when regexp_full_match(c.source_account_id, '(act_)?[0-9-]+')
                then regexp_replace(c.source_account_id, '^act_|-', '', 'g') else c.source_account_id end,
                ads.account_id, sets.account_id, '') account_id,
       coalesce(c.source_campaign_id, ads.campaign_id, sets.campaign_id, '') campaign_id,
       coalesce(c.source_adset_id, ads.adset_id, '') adset_id, coalesce(c.source_ad_id, '') ad_id,
       lower(c.source_platform) word, 1 nth
from contacts c
left join aliases a on a.word = lower(c.source_platform)
left join (select distinct platform from places) k on k.platform = lower(c.source_platform)
left join (select ad_id, any_value(platform) platform, any_value(campaign_id) campaign_id, any_value(adset_id) adset_id,
                  case when count(distinct account_id) = 1 then any_value(account_id) end account_id
           from places where ad_id <> '' group by ad_id having count(distinct (platform, campaign_id)) = 1) ads
     on ads.ad_id = c.source_ad_id
left join (select adset_id, any_value(platform) platform, any_value(campaign_id) campaign_id,
                  case when count(distinct account_id) = 1 then any_value(account_id) end account_id
           from places where adset_id <> '' group by adset_id having count(distinct (platform, campaign_id)) = 1) sets
     on sets.adset_id = c.source_adset_id
left join (select campaign_id, any_value(platform) platform from places
           group by campaign_id having count(distinct platform) = 1) campaigns
     on campaigns.campaign_id = c.source_campaign_id and c.source_platform is null
where coalesce(c.source_platform, c.source_campaign_id, c.source_adset_id, c.source_ad_id) is not null"""

# A person may have several, divided by spaces, each written with its parameter's name, as in gclid=..., or as a report has it.
# Those whose campaign is known come first.
_CLICKS = """
with token as (
    select customer_id, unnest(string_split(click_id, ' ')) token, generate_subscripts(string_split(click_id, ' '), 1) nth
    from contacts where click_id is not null),
bare as (select *, regexp_replace(token, '^(gclid|gbraid|wbraid|fbclid|ttclid)[=:]', '', 'i') bare from token),
known as (select distinct on (click_id) * from clicks order by click_id, platform, account_id, campaign_id, ad_id),
judged as (
    select b.customer_id, b.nth, coalesce(k.platform, p.platform) platform, k.* exclude (click_id, platform)
    from bare b left join known k on k.click_id = b.bare
         left join (select distinct token, p.platform from token join prefixes p on starts_with(lower(token), p.word)) p
              on p.token = b.token)
select customer_id, 'click_id' basis, platform, coalesce(account_id, '') account_id, coalesce(campaign_id, '') campaign_id,
       coalesce(adset_id, '') adset_id, coalesce(ad_id, '') ad_id, cast(null as varchar) word,
       row_number() over (partition by customer_id order by campaign_id is null, nth) nth
from judged where platform is not null"""

# Several claims of one customer say something only as far as they agree.
_CLAIMS = """
select customer_id, 'order_id' basis, any_value(a.platform) platform,
       case when count(distinct c.account_id) = 1 then any_value(c.account_id) else '' end account_id,
       case when count(distinct c.campaign_id) = 1 then any_value(c.campaign_id) else '' end campaign_id,
       case when count(distinct c.adset_id) = 1 then any_value(c.adset_id) else '' end adset_id,
       case when count(distinct c.ad_id) = 1 then any_value(c.ad_id) else '' end ad_id, cast(null as varchar) word, 1 nth
from (select * replace (lower(platform) as platform, coalesce(account_id, '') as account_id,
             coalesce(campaign_id, '') as campaign_id, coalesce(adset_id, '') as adset_id, coalesce(ad_id, '') as ad_id)
      from claims) c
join (select word, platform from aliases union select distinct platform, platform from places) a on a.word = c.platform
group by customer_id having count(distinct a.platform) = 1"""

_UTM = f"""
select c.customer_id, 'utm' basis,
       case when lower(coalesce(c.utm_medium, '')) not in (select word from unpaid)
            then {_PAID.format(alias="a", known="k")} end platform,
       coalesce(n.account_id, '') account_id, coalesce(n.campaign_id, '') campaign_id, '' adset_id, '' ad_id,
       case when lower(coalesce(c.utm_medium, '')) in (select word from unpaid) then 'organic' else lower(c.utm_source)
            end word, 1 nth
from contacts c
left join aliases a on a.word = lower(c.utm_source)
left join (select distinct platform from places) k on k.platform = lower(c.utm_source)
left join named i on i.platform = {_PAID.format(alias="a", known="k")} and i.word = lower(c.utm_id)
left join named m on m.platform = {_PAID.format(alias="a", known="k")} and m.word = lower(c.utm_campaign) and i.word is null
left join (select platform, word, campaign_id, account_id from named) n
     on n.platform = coalesce(i.platform, m.platform) and n.word = coalesce(i.word, m.word)
where c.utm_source is not null"""
