"""Source columns as typed SQL: text ids, days in the business's time zone, exact amounts; null where a value is bad."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clv_core.order_source import OrderSource

MONEY = "DECIMAL(18,6)"
_INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT")
_ZONE = r":\d\d(\.\d+)?\s*(z|utc|gmt|[+-]\d\d(:?\d\d)?|[a-z]+/[a-z_]+)$"


@dataclass(frozen=True, slots=True)
class Demand:
    """What a column must hold: the null that tells it doesn't, the message and the remedy."""

    column: str  # of the lines
    source: str  # canonical name of the source's column
    message: str
    remedy: str


def text(source: OrderSource, canonical: str) -> str:
    """The column as trimmed text, null when blank; whole floating-point numbers lose their `.0`."""
    name, kind = source.raw(canonical), source.type(canonical)
    if kind in ("DOUBLE", "FLOAT"):
        name = f"CASE WHEN {name} = trunc({name}) AND abs({name}) < 1e15 THEN {name}::BIGINT::VARCHAR ELSE {name}::VARCHAR END"
    elif kind == "VARCHAR":
        return f"nullif(trim({name}), '')"
    return f"CAST({name} AS VARCHAR)"


def instant(source: OrderSource, timezone: str) -> str:
    """The time of the order as a timestamp in the business's time zone.

    Times with a zone are moved into it; times without one and plain dates are taken to be in it already.
    """
    name, kind = source.raw("ordered_at"), source.type("ordered_at")
    zone = "'" + timezone.replace("'", "''") + "'"
    if kind == "TIMESTAMP WITH TIME ZONE":
        return f"timezone({zone}, {name})"
    if kind == "DATE" or kind.startswith("TIMESTAMP"):
        return f"CAST({name} AS TIMESTAMP)"
    if kind in _INTEGERS:
        return f"try_strptime(CAST({name} AS VARCHAR), '%Y%m%d')"
    if kind != "VARCHAR":
        return "CAST(NULL AS TIMESTAMP)"
    name = f"trim({name})"
    return f"""CASE WHEN length({name}) <= 10 AND NOT regexp_full_match({name}, '\\d{{8}}') THEN try_cast({name} AS TIMESTAMP)
        WHEN regexp_full_match({name}, '\\d{{8}}') THEN try_strptime({name}, '%Y%m%d')
        WHEN regexp_matches({name}, '{_ZONE}', 'i') THEN timezone({zone}, try_cast({name} AS TIMESTAMPTZ))
        ELSE try_cast({name} AS TIMESTAMP) END"""


def day(instant_sql: str) -> str:
    """The day of a timestamp, null outside the years 1900 to 2199 (`infinity`, two-digit years, wrong units)."""
    return f"CASE WHEN {instant_sql} BETWEEN TIMESTAMP '1900-01-01' AND TIMESTAMP '2199-12-31' THEN CAST({instant_sql} AS DATE) END"


def money(source: OrderSource, canonical: str) -> str:
    """The column as an exact decimal of six places, null when it is no finite number."""
    name, kind = source.raw(canonical), source.type(canonical)
    if kind == "FLOAT":
        name = f"round(CAST({name} AS DOUBLE), 4)"
    return f"try_cast({name} AS {MONEY})"


DEMANDS = {
    "customer_id": Demand(
        "customer_id", "customer_id", "no customer id", "give every order its customer, or leave guest orders out"
    ),
    "day": Demand("day", "ordered_at", "not a date that can be read", "write dates as YYYY-MM-DD or YYYY-MM-DD HH:MM:SS+00:00"),
    "amount": Demand(
        "amount", "amount", "not a finite number", "write amounts as plain numbers such as 12.50, negative for refunds"
    ),
    "margin": Demand("value", "margin", "not a finite number", "give every order its margin, or score by revenue"),
    "cost": Demand("value", "cost", "not a finite number", "give every order its cost, or score by revenue"),
    "currency": Demand("currency", "currency", "no three-letter currency code", "write ISO codes such as USD or EUR"),
}
