"""Campaign days as pulled -> spend in one currency, each day at its latest statement."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    from datetime import date

    import duckdb

COLUMNS = (
    "platform", "account_id", "date", "campaign_id", "campaign_name", "adset_id", "ad_id",
    "spend", "impressions", "clicks", "conversions", "conversion_value", "currency", "pulled_at",
)  # fmt: skip
_KEY = "platform, account_id, date, campaign_id, adset_id, ad_id"
_MONEY = "decimal(18, 6)"


class SpendError(ValueError):
    """The campaign days can't be used as they are; the message says what to change."""


def empty_days() -> pa.Table:
    """A campaign-day table without rows."""
    money, text = pa.decimal128(18, 6), pa.string()
    types = [text, text, pa.date32(), text, text, text, text, money, pa.int64(), pa.int64(), money, money, text]
    return pa.schema([*zip(COLUMNS, [*types, pa.timestamp("us", tz="UTC")], strict=True)]).empty_table()


def load_spend(
    connection: duckdb.DuckDBPyConnection,
    days: pa.Table,
    rates: pa.Table | None,
    currency: str,
    as_of: date,
    restated: pa.Table | None = None,
) -> tuple[pa.Table, tuple[str, ...]]:
    """The restatements found, and warnings; makes the table `spend` (latest statement of each day, in `currency`, to `as_of`).

    `rates` has `date, currency, rate` (units of `currency` for one of the other); a day takes the latest rate not after it.
    `restated` has earlier figures in the same columns, which stand no more: what is in it alone has vanished.
    Raises SpendError for a missing column or a currency without a rate.
    """
    missing = [name for name in COLUMNS if name not in days.column_names]
    if missing:
        raise SpendError(f"campaign days lack the columns {', '.join(missing)}: pull the results again")
    connection.register("pulled_days", days.select(COLUMNS))
    connection.register("restated_days", empty_days() if restated is None else restated.select(COLUMNS))
    connection.execute(f"""
        create temp table statements as
        select coalesce(platform, '') platform, coalesce(account_id, '') account_id, date,
               coalesce(campaign_id, '') campaign_id, coalesce(campaign_name, '') campaign_name,
               coalesce(adset_id, '') adset_id, coalesce(ad_id, '') ad_id,
               cast(coalesce(spend, 0) as {_MONEY}) spend, coalesce(impressions, 0) impressions, coalesce(clicks, 0) clicks,
               cast(coalesce(conversions, 0) as {_MONEY}) conversions,
               cast(coalesce(conversion_value, 0) as {_MONEY}) conversion_value,
               coalesce(nullif(upper(currency), ''), '{currency}') currency, pulled_at,
               stands and 1 = row_number() over
                   (partition by {_KEY}, stands order by pulled_at desc nulls last, spend desc, conversion_value desc) latest
        from (select *, true stands from pulled_days union all by name select *, false stands from restated_days)""")
    _check_rates(connection, rates, currency, as_of)
    _convert(connection, currency, as_of)
    found = restatements(connection), _later(connection, as_of)
    connection.execute("drop table statements")  # as large as all results: memory is needed for customers
    connection.unregister("pulled_days")
    return found


def _check_rates(connection: duckdb.DuckDBPyConnection, rates: pa.Table | None, currency: str, as_of: date) -> None:
    empty = pa.schema([("date", pa.date32()), ("currency", pa.string()), ("rate", pa.float64())]).empty_table()
    connection.register("given_rates", empty if rates is None else rates)
    connection.execute("""
        create temp table rates as
        select cast(date as date) date, upper(currency) currency, cast(rate as decimal(18, 9)) rate from given_rates""")
    bare = connection.execute(
        """
        select s.currency, min(s.date), count(*) from statements s
        where s.latest and s.date <= $as_of and s.currency <> $currency
          and not exists (select 1 from rates r where r.currency = s.currency and r.date <= s.date)
        group by s.currency order by s.currency limit 1""",
        {"as_of": as_of, "currency": currency},
    ).fetchall()
    if bare:
        name, day, count = bare[0]
        raise SpendError(
            f"{count} campaign days are in {name} and there is no rate into {currency} on or before {day}: "
            f"add {name} to the dated rates of sources.yaml"
        )


def _convert(connection: duckdb.DuckDBPyConnection, currency: str, as_of: date) -> None:
    kept = "platform, account_id, date, campaign_id, campaign_name, adset_id, ad_id, impressions, clicks, conversions"
    money = ", ".join(f"cast(round({name} * r.rate, 6) as {_MONEY}) {name}" for name in ("spend", "conversion_value"))
    connection.execute(
        f"""
        create temp table spend as
        select {kept}, spend, conversion_value from statements
        where latest and date <= $as_of and currency = $currency
        union all
        select {kept.replace("date", "s.date")}, {money} from statements s asof join rates r
               on s.currency = r.currency and s.date >= r.date
        where latest and s.date <= $as_of and s.currency <> $currency""",
        {"as_of": as_of, "currency": currency},
    )


def restatements(connection: duckdb.DuckDBPyConnection) -> pa.Table:
    """Campaigns whose past days were restated: first and latest statement of spend, conversions, value, in their currency."""
    pairs = (("spend", "spend"), ("conversions", "conversions"), ("value", "conversion_value"))
    sums = ", ".join(
        f"coalesce(sum({column}) filter (where {when}), 0) {said}_{name}"
        for name, column in pairs
        for said, when in (("first", "earliest"), ("latest", "latest"))
    )
    return connection.sql(f"""
        with marked as (
            select *, row_number() over (partition by {_KEY} order by latest, pulled_at, spend, conversion_value) = 1 earliest,
                   count(*) filter (where not latest) over (partition by {_KEY}) older
            from statements),
        per_day as (
            select platform, account_id, campaign_id, currency, date,
                   {sums}
            from marked where older > 0 group by all)
        select platform, account_id, campaign_id, currency, count(*) as "days", min(date) first_day, max(date) last_day,
               sum(first_spend) first_spend, sum(latest_spend) latest_spend,
               sum(first_conversions) first_conversions, sum(latest_conversions) latest_conversions,
               sum(first_value) first_value, sum(latest_value) latest_value
        from per_day
        where (first_spend, first_conversions, first_value) is distinct from (latest_spend, latest_conversions, latest_value)
        group by all order by platform, account_id, campaign_id, currency""").to_arrow_table()


def _later(connection: duckdb.DuckDBPyConnection, as_of: date) -> tuple[str, ...]:
    [[count]] = connection.execute("select count(*) from statements where latest and date > ?", [as_of]).fetchall()
    return (f"{count} campaign days lie after {as_of} and are left out until orders reach that day",) if count else ()
