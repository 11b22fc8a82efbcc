"""Source columns as typed SQL: text ids, days in the business's time zone, exact amounts; null where a value is bad."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import pyarrow as pa

    from clv_core.order_source import OrderSource

MONEY = "DECIMAL(18,6)"
CODE = "[A-Z]{3}"
_INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT")
_PLAIN = r"\d{4}[-/]\d{1,2}[-/]\d{1,2}[ T]+\d{1,2}:\d\d(:\d\d(\.\d+)?)?"  # DuckDB would ignore whatever else follows
_OFFSET = r"\s+([+-]\d\d:?\d*)$"
_ZONE = r":\d\d(\.\d+)?\s*(z|utc|gmt|[+-]\d\d(:?\d\d)?|[a-z]+(/[a-z_]+){1,2})$"
_TWELVE = r"\s*[ap]m$"
_TWELVES = "['%Y-%m-%d %I:%M:%S %p', '%Y-%m-%d %I:%M %p', '%Y/%m/%d %I:%M:%S %p', '%Y/%m/%d %I:%M %p']"


@dataclass(frozen=True, slots=True)
class OrderRules:
    """How orders are read: the wanted currency and its dated rates, the business's time zone, and what counts as value."""

    currency: str | None = None
    rates: pa.Table | None = None
    timezone: str = "UTC"
    value: Literal["revenue", "margin"] = "revenue"


def text(source: OrderSource, canonical: str, *, trim: bool = True) -> str:
    """The column as text, null when empty; with `trim`, blanks around it are cut. Whole floats lose their `.0`."""
    name, kind = source.raw(canonical), source.type(canonical)
    if kind in ("DOUBLE", "FLOAT"):
        return f"CASE WHEN {name} = trunc({name}) AND abs({name}) < 1e15 THEN {name}::BIGINT::VARCHAR ELSE {name}::VARCHAR END"
    if kind != "VARCHAR":
        return f"CAST({name} AS VARCHAR)"
    return f"nullif(trim({name}, ' \t\r\n'), '')" if trim else f"nullif({name}, '')"


def instant(source: OrderSource, timezone: str) -> str:
    """The time of the order as a timestamp in the business's time zone.

    Times with a zone (an offset, Z, or a name such as Europe/Berlin) are moved into it; times without one and plain dates are
    taken to be in it already. Abbreviations such as CST mean several zones and are refused.
    """
    name, kind = source.raw("ordered_at"), source.type("ordered_at")
    zone = "'" + timezone.replace("'", "''") + "'"
    if "TIME ZONE" in kind or kind.startswith("TIMESTAMPTZ"):
        return f"timezone({zone}, CAST({name} AS TIMESTAMPTZ))"
    if kind == "DATE" or kind.startswith("TIMESTAMP"):
        return f"CAST({name} AS TIMESTAMP)"
    if kind in _INTEGERS:
        return f"try_strptime(CAST({name} AS VARCHAR), '%Y%m%d')"
    if kind != "VARCHAR":
        return "CAST(NULL AS TIMESTAMP)"
    name = f"trim({name})"
    compact = f"regexp_full_match({name}, '\\d{{8}}')"
    return f"""CASE WHEN length({name}) <= 10 AND NOT {compact} THEN try_cast({name} AS TIMESTAMP)
        WHEN regexp_full_match({name}, '{_PLAIN}') THEN try_cast({name} AS TIMESTAMP)
        WHEN {compact} THEN try_strptime({name}, '%Y%m%d')
        WHEN regexp_matches({name}, '{_ZONE}', 'i')
            THEN timezone({zone}, try_cast(regexp_replace({name}, '{_OFFSET}', '\\1') AS TIMESTAMPTZ))
        WHEN regexp_matches({name}, '{_TWELVE}', 'i') THEN try_strptime({name}, {_TWELVES}) END"""


def day(source: OrderSource, timezone: str) -> str:
    """The day of the order in the business's time zone."""
    name, kind = source.raw("ordered_at"), source.type("ordered_at")
    if kind == "DATE":
        return name
    general = f"CAST({instant(source, timezone)} AS DATE)"
    if kind != "VARCHAR":
        return general
    return (
        f"CASE WHEN length({name}) = 10 THEN try_cast({name} AS DATE) ELSE {general} END"  # the common form, four times faster
    )


def money(source: OrderSource, canonical: str) -> str:
    """The column as an exact decimal of six places, null when it is no finite number."""
    name, kind = source.raw(canonical), source.type(canonical)
    if kind == "FLOAT":
        name = f"round(CAST({name} AS DOUBLE), 4)"
    elif kind == "VARCHAR":
        name = f"nullif({name}, '')"  # a bare column would be cast by DuckDB's CSV reader, which stops at the first bad one
    cast = f"try_cast({name} AS {MONEY})"
    if kind in ("DOUBLE", "FLOAT"):  # a Parquet file's least and largest leave NaN out, and DuckDB judges `>= 0` by them alone
        return f"CASE WHEN isfinite({name}) THEN {cast} END"
    return cast


def code(source: OrderSource) -> str:
    """The currency code in capitals, null unless it has three letters."""
    plain = f"upper(trim(CAST({source.raw('currency')} AS VARCHAR)))"
    return f"CASE WHEN regexp_full_match({plain}, '{CODE}') THEN {plain} END"
