"""sources.yaml: the tables, currency and time zone, the state folder, what is written back and who is told."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import available_timezones

from pydantic import AfterValidator, Field, model_validator

from connectors.settings import Model, Secret


def _currency(text: str) -> str:
    if len(text) != 3 or not text.isascii() or not text.isalpha():
        raise ValueError("a currency is its three-letter code, such as USD or EUR")
    return text.upper()


def _timezone(text: str) -> str:
    if text not in available_timezones():
        raise ValueError(f"no such time zone: {text!r} (use a name such as Europe/Berlin or UTC)")
    return text


Currency = Annotated[str, AfterValidator(_currency)]
TimeZone = Annotated[str, AfterValidator(_timezone)]


class TableSource(Model):
    """Where a table comes from: a file (CSV, JSON lines, Parquet; globs allowed) or a query on a database."""

    path: str | None = None
    sql: str | None = None
    database: str | None = None
    columns: dict[str, str] = {}

    @model_validator(mode="after")
    def _one_place(self) -> TableSource:
        if (self.path is None) == (self.sql is None):
            raise ValueError("give either path (a file) or sql with database (a query)")
        if (self.sql is None) != (self.database is None):
            raise ValueError("sql needs database (a DuckDB or SQLite file, or a reference to a URL such as env:WAREHOUSE_URL)")
        return self


class PlatformOrders(TableSource):
    """Orders that the platforms report as theirs: order_id, platform and campaign_id (account_id, adset_id, ad_id).

    `order_column`: the column of the orders that holds that order id, when it isn't their own order_id.
    """

    order_column: str = ""


class Retention(Model):
    """For how many days the state folder keeps what has people in it; what was erased leaves a keyed tombstone for good.

    `runs_days`: scores, records and tables of past runs. `lost_accounts_days`: what was sent to accounts that platforms.yaml no
    longer has; an account that comes back later has its audiences deleted and made anew.
    """

    runs_days: Annotated[int, Field(ge=1)] = 400
    lost_accounts_days: Annotated[int, Field(ge=1)] = 90


class WriteBack(Model):
    """Where scores, tiers and audience membership go for CRM and support tools: a file or a table of a database."""

    path: str | None = None
    database: str | None = None
    table: Annotated[str, Field(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)?$", max_length=120)] = "clv_scores"

    @model_validator(mode="after")
    def _one_place(self) -> WriteBack:
        if (self.path is None) == (self.database is None):
            raise ValueError("give either path (a .parquet or .csv file) or database with table")
        if self.path is not None and Path(self.path).suffix not in (".parquet", ".csv"):
            raise ValueError("end path with .parquet or .csv")
        return self


class Notify(Model):
    """Whom to tell when a run failed or was stopped: a webhook's address (a secret reference), Slack's format."""

    webhook: Secret | None = None
    always: bool = False


class Sources(Model):
    """sources.yaml: the tables, the business's currency and time zone, and where state is kept."""

    orders: TableSource
    contacts: TableSource | None = None
    engagement: TableSource | None = None
    suppression: TableSource | None = None
    rates: TableSource | None = None
    platform_orders: PlatformOrders | None = None
    currency: Currency
    timezone: TimeZone = "UTC"
    as_of: Literal["last_order", "yesterday"] | date = "yesterday"
    max_age_days: Annotated[int, Field(ge=1)] = 7
    state: str = "state"
    encryption_key: Secret | None = None
    old_encryption_key: Secret | None = None
    retention: Retention = Retention()
    write_back: WriteBack | None = None
    notify: Notify | None = None
