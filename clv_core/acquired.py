"""Customers as bought: one row each with source, labels, cohort, value so far and predicted, and their value by age."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from clv_core.attribution import SCHEMA as ACQUISITION
from clv_core.cohorts import prepare_activity
from clv_core.labels import LabelRules, label_places
from clv_core.lifecycle import prepare_people
from clv_core.measures import floats

if TYPE_CHECKING:
    from datetime import date

    import duckdb

    from clv_core.doubt import Doubt
    from clv_core.track import Record

NOT_FROM_ADS = "not from ads"


def label_spend(connection: duckdb.DuckDBPyConnection, labels: LabelRules) -> None:
    """Makes `places` (every ad with its labels) and `spend_facts` (spend with every grouping column)."""
    places = connection.sql("""
        select platform, account_id, campaign_id, adset_id, ad_id, arg_max(campaign_name, date) campaign_name
        from spend group by all order by all""").to_arrow_table()
    connection.register("labelled", label_places(places, labels))
    connection.execute("create temp table places as select * from labelled")
    connection.execute("""
        create temp table spend_facts as
        select s.*, creative, objective, strftime(date, '%Y-%m') cohort, 'all' scope
        from spend s join places using (platform, account_id, campaign_id, adset_id, ad_id)""")
    connection.execute("drop table spend")


def load_customers(
    connection: duckdb.DuckDBPyConnection,
    scores: pa.Table,
    days: Any,
    acquisition: pa.Table,
    as_of: date,
    high_tier: str,
) -> None:
    """Makes `customer` (one row each, with every grouping column) and `flow` (value by age in days)."""
    connection.register("scores_in", scores)
    table = days_table(days)
    categories = "product_category" in table.column_names
    connection.register("days_in", table)
    connection.register("acquisition_in", _whole(acquisition))
    purchase = "orders > 0" if "orders" in table.column_names else "amount >= 0"
    connection.execute(
        f"""
        create temp table purchases as
        select customer_id, day, sum(cast(amount as decimal(18, 6))) amount, bool_or({purchase}) purchase
        from days_in where day <= $as_of group by all""",
        {"as_of": as_of},
    )
    [[twice]] = connection.execute("select count(*) > count(distinct customer_id) from acquisition_in").fetchall()
    source = f"select {'distinct on (customer_id)' if twice else ''} * from acquisition_in"  # sorting them all costs memory
    query = _CUSTOMERS.format(source=f"{source} order by customer_id, campaign_id, ad_id" if twice else source)
    connection.execute(query, {"high": high_tier, "as_of": as_of})
    connection.execute("""
        create temp table campaign_keys as
        select row_number() over (order by source, platform, account_id, campaign_id) - 1 campaign_no, source, platform,
               account_id, campaign_id
        from (select distinct source, platform, account_id, campaign_id from customer)""")
    connection.execute("""
        create or replace temp table customer as
        select c.*, campaign_no, cast(0 as double) factor_doubt
        from customer c join campaign_keys using (source, platform, account_id, campaign_id)""")
    connection.execute("""
        create temp table flow as
        select c.customer_no, greatest(p.day - c.acquired_on, 0) age, p.amount, p.purchase
        from purchases p join customer c using (customer_id)""")
    prepare_activity(connection)
    prepare_people(connection, categories)


def _whole(acquisition: pa.Table) -> pa.Table:
    """The columns of a customer's source; account and conflict are "" where the table doesn't have them."""
    blank = pa.array([""] * len(acquisition), pa.string())
    extra = {one: acquisition[one] if one in acquisition.column_names else blank for one in ("account_id", "conflict")}
    return pa.table({**{one: acquisition[one] for one in ACQUISITION.names}, **extra})


def days_table(days: Any) -> pa.Table:
    """customer_id, day, amount (and orders, product_category where known) of a table or of `Transactions`."""
    if isinstance(days, pa.Table):
        return days
    wanted = "customer_id, day, amount, orders, product_category"
    return days.connection.cursor().sql(f"select {wanted} from {days.relation}").to_arrow_table()


def with_doubt(scores: pa.Table, doubt: Doubt) -> pa.Table:
    """customer_id, tier, clv, and what is needed to sum up doubt: `variance`, `silence`, `slope_0` ... ."""
    found = {name: scores.column(name) for name in ("customer_id", "tier")}
    found |= {
        "clv": pa.array(np.nan_to_num(floats(scores, "clv"))),
        "variance": pa.array(doubt.variance),
        "silence": pa.array(doubt.silence),
    }
    return pa.table(found | {f"slope_{n}": pa.array(slope) for n, slope in enumerate(doubt.slopes.T)})


def move_by_record(connection: duckdb.DuckDBPyConnection, record: Record, doubt: Doubt) -> None:
    """Nothing; multiplies every customer's clv by the factor of the campaign's record, so that the sum over all stays."""
    order = {"campaign_no": pa.array(range(len(record.factor))), "factor": pa.array(record.factor)}
    connection.register("record_in", pa.table(order | {"factor_doubt": pa.array(record.variance / record.factor**2)}))
    [[before, after]] = connection.execute(
        "select sum(clv), sum(clv * factor) from customer join record_in using (campaign_no)"
    ).fetchall()
    level = before / after if after else 1.0
    slopes = "".join(f", slope_{n} * factor * {level!r} as slope_{n}" for n in range(doubt.slopes.shape[1]))
    connection.execute(f"""
        create or replace temp table customer as
        select c.* replace (clv * factor * {level!r} as clv, variance * power(factor * {level!r}, 2) as variance,
                            r.factor_doubt as factor_doubt{slopes})
        from customer c join record_in r using (campaign_no)""")


# A campaign's account is the one that the source names if it has that campaign, else the only one that has it; with several
# it is ambiguous. A campaign all of whose ads bear one label gives it to customers of whom no ad is known.
_CUSTOMERS = f"""
create temp table customer as
with buyer as (
    select customer_id, coalesce(min(day) filter (where purchase), min(day)) first_day, sum(amount) realised,
           coalesce(arg_min(amount, day) filter (where purchase), arg_min(amount, day)) first_value,
           count(*) filter (where purchase) order_days
    from purchases group by customer_id),
source as ({{source}}),
holder as (
    select platform, campaign_id, any_value(account_id) account_id, count(distinct account_id) accounts
    from places where campaign_id <> '' group by all),
exact as (select distinct platform, account_id, campaign_id, true as named from places where campaign_id <> ''),
placed as (
    select s.* replace (
               case when e.named or h.accounts is distinct from 1 then s.account_id else h.account_id end as account_id),
           e.named is null and h.accounts > 1 ambiguous
    from source s left join exact e using (platform, account_id, campaign_id) left join holder h using (platform, campaign_id)),
known as (
    select b.*, least(coalesce(a.acquired_at, b.first_day), b.first_day) acquired_on,
           coalesce(a.platform, '') platform, coalesce(a.campaign_id, '') campaign_id, coalesce(a.adset_id, '') adset_id,
           coalesce(a.ad_id, '') ad_id, coalesce(a.source, 'unknown') source, coalesce(a.basis, 'none') basis,
           case when a.ambiguous then '' else coalesce(a.account_id, '') end account_id, coalesce(a.ambiguous, false) ambiguous,
           coalesce(a.conflict, '') conflict,
           s.* exclude (customer_id, tier), coalesce(s.tier = $high, false) high_tier,
           s.customer_id is not null scored
    from buyer b left join placed a using (customer_id)
         left join scores_in s using (customer_id)),
ad_label as (select platform, account_id, campaign_id, ad_id, any_value(creative) creative, any_value(objective) objective
             from places where ad_id <> '' group by all
             having count(distinct creative) = 1 and count(distinct objective) = 1),
campaign_label as (
    select platform, account_id, campaign_id, case when count(distinct creative) = 1 then any_value(creative) end creative,
           case when count(distinct objective) = 1 then any_value(objective) end objective
    from places group by all)
select k.*, row_number() over (order by k.customer_id) customer_no, strftime(acquired_on, '%Y-%m') cohort,
       cast($as_of as date) - acquired_on age,
       case when source = 'paid' then coalesce(a.creative, c.creative, 'unlabelled') else '{NOT_FROM_ADS}' end creative,
       case when source = 'paid' then coalesce(a.objective, c.objective, 'unlabelled') else '{NOT_FROM_ADS}' end objective,
       'all' scope
from known k left join ad_label a using (platform, account_id, campaign_id, ad_id)
     left join campaign_label c using (platform, account_id, campaign_id)"""
