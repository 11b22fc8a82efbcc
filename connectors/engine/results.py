"""Campaign results in the state folder: the current figure of every day, and every figure that was restated."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import astuple, fields, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from connectors.engine.journal import Journal
from connectors.protocol import CampaignDay

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from connectors.engine.ledger import Ledger

COLUMNS = tuple(one.name for one in fields(CampaignDay))
KEY = ("platform", "account_id", "date", "campaign_id", "adset_id", "ad_id")
MONEY = ("spend", "conversions", "conversion_value")
FIGURES = ("campaign_name", "spend", "impressions", "clicks", "conversions", "conversion_value", "currency")
SCHEMA = pa.schema(
    [
        pa.field(one, pa.string())
        if one not in {*MONEY, "date", "impressions", "clicks", "pulled_at"}
        else pa.field(one, pa.decimal128(18, 6))
        if one in MONEY
        else pa.field(one, {"date": pa.date32(), "pulled_at": pa.timestamp("us", "UTC")}.get(one, pa.int64()))
        for one in COLUMNS
    ]
)
_FIELDS = ", ".join(f"{one} {'INTEGER' if one in ('impressions', 'clicks') else 'TEXT'} NOT NULL" for one in COLUMNS)
MIGRATIONS = (
    f"""
    CREATE TABLE campaign_days ({_FIELDS}, PRIMARY KEY ({", ".join(KEY)})) WITHOUT ROWID;
    CREATE TABLE restatements ({_FIELDS}, restated_at TEXT NOT NULL);
    CREATE TABLE pulls (platform TEXT NOT NULL, account_id TEXT NOT NULL, since TEXT NOT NULL, until TEXT NOT NULL,
        pulled_at TEXT NOT NULL, rows INTEGER NOT NULL, restated INTEGER NOT NULL);
    """,
)


class Results:
    """The result table; SQLite, in a file of its own so that readers never wait for a push."""

    def __init__(self, ledger: Ledger) -> None:
        path = ledger.folder / "results.sqlite"
        self._journal = Journal(path, created=not path.exists(), migrations=MIGRATIONS, marked=False)

    def covered(self, platform: str, account: str) -> tuple[date, date] | None:
        """First and last day that were pulled, or None."""
        query = "SELECT min(since) AS since, max(until) AS until FROM pulls WHERE platform = ? AND account_id = ?"
        row = self._journal.one(query, (platform, account))
        if row is None or row["since"] is None:
            return None
        return date.fromisoformat(row["since"]), date.fromisoformat(row["until"])

    def keep(
        self, place: tuple[str, str], since: date, until: date, days: Iterable[CampaignDay], now: datetime
    ) -> tuple[int, int]:
        """How many days' rows there are and how many were restated. The span is replaced as a whole, in one transaction.

        Rows of one ad and day that arrive in parts are added up. What changed or vanished goes to the restatements.
        """
        fresh = {_key(one): one for one in _merged(days)}
        owners = sorted({place[1], *(one.account_id for one in fresh.values())})  # a manager's rows are of its clients
        span = (place[0], *owners, since.isoformat(), until.isoformat())
        where = f"platform = ? AND account_id IN ({', '.join('?' for _ in owners)}) AND date BETWEEN ? AND ?"
        old = {
            tuple(row[one] for one in KEY): row
            for row in self._journal.rows(f"SELECT * FROM campaign_days WHERE {where}", span)
        }
        gone = [row for key, row in old.items() if key not in fresh or _figures(row) != _figures(_plain(fresh[key]))]
        with self._journal.transaction() as connection:
            marks = ", ".join("?" for _ in COLUMNS)
            connection.executemany(
                f"INSERT INTO restatements VALUES ({marks}, ?)",
                [(*(row[one] for one in COLUMNS), now.isoformat()) for row in gone],
            )
            connection.execute(f"DELETE FROM campaign_days WHERE {where}", span)
            connection.executemany(
                f"INSERT INTO campaign_days VALUES ({marks})", [tuple(_plain(one).values()) for one in fresh.values()]
            )
            values = (*place, since.isoformat(), until.isoformat(), now.isoformat(), len(fresh), len(gone))
            connection.execute("INSERT INTO pulls VALUES (?, ?, ?, ?, ?, ?, ?)", values)
        return len(fresh), len(gone)

    def table(self, name: str = "campaign_days") -> pa.Table:
        """All rows of `campaign_days` or `restatements` (their `pulled_at` is when the figure was first seen)."""
        rows = self._journal.rows(f"SELECT {', '.join(COLUMNS)} FROM {name} ORDER BY {', '.join(KEY)}, pulled_at")
        return pa.table({one.name: pa.array([_typed(one.name, row[one.name]) for row in rows], one.type) for one in SCHEMA})

    def close(self) -> None:
        """Nothing: the file is closed."""
        self._journal.close()


def _key(one: CampaignDay) -> tuple[str, ...]:
    return (one.platform, one.account_id, one.date.isoformat(), one.campaign_id, one.adset_id, one.ad_id)


def _merged(days: Iterable[CampaignDay]) -> Iterable[CampaignDay]:
    found: dict[tuple[str, ...], CampaignDay] = {}
    for one in days:
        first = found.get(_key(one))
        if first is not None:
            sums = {name: getattr(first, name) + getattr(one, name) for name in (*MONEY, "impressions", "clicks")}
            one = replace(first, **sums)
        found[_key(one)] = one
    return found.values()


def _plain(one: CampaignDay) -> dict[str, Any]:
    return dict(zip(COLUMNS, (_text(value) for value in astuple(one)), strict=True))


def _text(value: Any) -> Any:
    if isinstance(value, (date, datetime)):
        return value.isoformat()
    return format(value, "f") if isinstance(value, Decimal) else value


def _figures(row: dict[str, Any]) -> Sequence[Any]:
    return [Decimal(row[one]) if one in MONEY else row[one] for one in FIGURES]


def _typed(name: str, value: Any) -> Any:
    if name in MONEY:
        return Decimal(value).quantize(Decimal("0.000001"))
    if name == "date":
        return date.fromisoformat(value)
    return datetime.fromisoformat(value).astimezone(UTC) if name == "pulled_at" else value


def campaigns_kept(folder: Path) -> list[tuple[str, frozenset[str]]]:
    """(name, ids of the campaign, its ad sets and ads) of every campaign pulled so far; the file is only read."""
    path = folder / "results.sqlite"
    if not path.is_file():
        return []
    found: dict[str, set[str]] = {}
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
        for name, *ids in connection.execute("SELECT DISTINCT campaign_name, campaign_id, adset_id, ad_id FROM campaign_days"):
            found.setdefault(name or ids[0], set()).update(one for one in ids if one)
    return sorted((name, frozenset(ids)) for name, ids in found.items())


def read_results(ledger: Ledger) -> pa.Table:
    """The current figure of every campaign day: the fields of CampaignDay, money as decimal128(18, 6)."""
    return _read(ledger, "campaign_days")


def read_restatements(ledger: Ledger) -> pa.Table:
    """Every figure that a platform changed later, in the same columns."""
    return _read(ledger, "restatements")


def _read(ledger: Ledger, name: str) -> pa.Table:
    results = Results(ledger)
    try:
        return results.table(name)
    finally:
        results.close()
