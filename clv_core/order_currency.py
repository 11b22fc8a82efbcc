"""One currency for all orders: converted day by day by a dated rate table, or refused."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from clv_core.findings import InputError
from clv_core.order_lines import MONEY

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

_CODE = re.compile(r"[A-Z]{3}")


def settle_currency(connection: duckdb.DuckDBPyConnection, file: str, target: str | None, rates: pa.Table | None) -> str:
    """The one currency that the amounts of `order_lines` are in afterwards.

    `rates` has columns date, currency, rate: how much of `target` one unit is worth from that date on. An order takes the
    latest rate on or before its day. Raises InputError for several currencies without target or rates, or a missing rate.
    """
    found = [str(code) for (code,) in connection.execute("SELECT DISTINCT currency FROM order_lines ORDER BY 1").fetchall()]
    wanted = target or (found[0] if len(found) == 1 else None)
    if wanted is None:
        raise InputError(
            f"orders come in {len(found)} currencies ({', '.join(found[:8])})",
            file=file,
            column="currency",
            remedy="name the currency to convert into and give a table of dated rates (date, currency, rate)",
        )
    if found == [wanted]:
        return wanted
    if rates is None:
        foreign = [code for code in found if code != wanted]
        raise InputError(
            f"orders in {', '.join(foreign[:8])} but values wanted in {wanted}",
            file=file,
            column="currency",
            remedy="give a table of dated rates (date, currency, rate)",
        )
    _load_rates(connection, rates)
    _convert(connection, file, wanted)
    return wanted


def checked_code(code: str) -> str:
    """The currency code in capitals; InputError unless it has three letters."""
    plain = code.strip().upper()
    if not _CODE.fullmatch(plain):
        raise InputError("the wanted currency is no three-letter code", column="currency", remedy="use ISO codes such as USD")
    return plain


def _load_rates(connection: duckdb.DuckDBPyConnection, rates: pa.Table) -> None:
    missing = [name for name in ("date", "currency", "rate") if name not in rates.column_names]
    if missing:
        raise InputError(
            f"the rate table has no column {missing[0]}", column=missing[0], remedy="columns: date, currency, rate"
        )
    connection.register("rates_given", rates)
    connection.execute("""CREATE OR REPLACE TABLE rates AS
        SELECT try_cast(CAST(date AS VARCHAR) AS DATE) AS since, upper(trim(CAST(currency AS VARCHAR))) AS currency,
               try_cast(rate AS DECIMAL(18,8)) AS rate, row_number() OVER () AS row FROM rates_given""")
    connection.unregister("rates_given")
    bad = connection.execute("""SELECT min(row), count(*) FROM rates
        WHERE since IS NULL OR currency IS NULL OR rate IS NULL OR rate <= 0""").fetchall()[0]
    if bad[1]:
        raise InputError(
            "a rate needs a date, a currency and a number above 0", file="rates", row=int(bad[0]), others=int(bad[1]) - 1,
            remedy="correct the rate table",
        )  # fmt: skip
    twice = connection.execute("""SELECT min(row) FROM rates GROUP BY since, currency
        HAVING count(DISTINCT rate) > 1 ORDER BY 1 LIMIT 1""").fetchall()
    if twice:
        raise InputError("two rates for one currency and day", file="rates", row=int(twice[0][0]), remedy="keep one of them")


def _convert(connection: duckdb.DuckDBPyConnection, file: str, wanted: str) -> None:
    connection.execute(f"""CREATE TABLE converted AS
        SELECT l.* REPLACE (CAST(CASE WHEN l.currency = $wanted THEN l.value
                                      ELSE CAST(l.value AS DECIMAL(24,6)) * r.rate END AS {MONEY}) AS value)
        FROM order_lines l ASOF LEFT JOIN (SELECT DISTINCT since, currency, rate FROM rates) r
          ON l.currency = r.currency AND l.day >= r.since""", {"wanted": wanted})  # fmt: skip
    gaps = connection.execute("""SELECT currency, min(day), count(*) FROM converted WHERE value IS NULL
        GROUP BY 1 ORDER BY 3 DESC, 1""").fetchall()
    if gaps:
        code, since, _ = gaps[0]
        raise InputError(
            f"no rate for {code} on or before {since}", file=file, column="currency", others=sum(int(n) for *_, n in gaps) - 1,
            remedy=f"add a rate of {code} dated {since} or earlier",
        )  # fmt: skip
    connection.execute("DROP TABLE order_lines")
    connection.execute("ALTER TABLE converted RENAME TO order_lines")
