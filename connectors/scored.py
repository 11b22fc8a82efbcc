"""Orders -> checked transactions -> scores, for the commands and the job: what config says, in the core's own terms."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from connectors import sources
from connectors.config import load
from connectors.errors import ConfigurationError
from connectors.protocol import utc_now

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import date
    from pathlib import Path

    import duckdb
    import pyarrow as pa

    from clv_core.choice import Choice
    from clv_core.scoring import Scores, ScoreSettings
    from clv_core.transactions import OrderRules, Transactions
    from clv_core.validation import Backtest
    from connectors.commands.output import Progress
    from connectors.config import Settings
    from connectors.config.model import ModelSettings


@dataclass(frozen=True)
class Scored:
    """Checked transactions and the scores made from them."""

    transactions: Transactions
    scores: Scores
    as_of: date
    settings: ScoreSettings


def order_rules(settings: Settings) -> OrderRules:
    """Currency, rates, time zone and what counts as value, as config says."""
    from clv_core.transactions import OrderRules

    source = settings.sources
    return OrderRules(
        currency=source.currency,
        rates=sources.rates(source.rates, settings.folder) if source.rates else None,
        timezone=source.timezone,
        value=settings.model.value,
    )


def score_settings(model: ModelSettings, horizon_days: int | None = None) -> ScoreSettings:
    """model.yaml in the core's terms; raises ConfigurationError for candidates that don't exist."""
    from clv_core.score_settings import GateRules
    from clv_core.scoring import ScoreSettings
    from clv_core.stages import StageRules
    from clv_core.tiers import TierRules

    tiers, gate = model.tiers, model.gate
    chosen: dict[str, Any] = {"candidates": tuple(model.candidates)} if model.candidates else {}
    try:
        return ScoreSettings(
            horizon_days=horizon_days or model.horizon_days,
            annual_discount=model.annual_discount,
            tiers=TierRules(method=tiers.method, high=tiers.high, middle=tiers.middle, hysteresis=tiers.hysteresis),
            stages=StageRules(**model.stages.model_dump()),
            gate=GateRules(
                total_low=gate.lowest_ratio, total_high=gate.highest_ratio, compare_top20=gate.must_match_past_spend
            ),
            **chosen,
        )
    except ValueError as error:
        raise ConfigurationError(f"model.yaml: {error}") from None


def transactions(settings: Settings) -> Transactions:
    """The checked transactions of config's orders."""
    from clv_core.transactions import check_orders

    source = settings.sources.orders
    return check_orders(sources.orders(source, settings.folder), order_rules(settings), columns=source.columns)


def day_of(settings: Settings, checked: Transactions, now: Callable[[], Any] = utc_now) -> date:
    """The last day that counts, as config says, in the business's time zone."""
    from zoneinfo import ZoneInfo

    wanted = settings.sources.as_of
    if wanted == "last_order":
        return newest(checked, now)
    if wanted == "yesterday":
        today: date = now().astimezone(ZoneInfo(settings.sources.timezone)).date()
        return today - timedelta(days=1)
    return wanted


def newest(checked: Transactions, now: Callable[[], Any] = utc_now) -> date:
    """The day of the newest order that isn't in the future, which a mistyped year is; of the newest of all where every one is.

    A day's grace is given, since somewhere it is tomorrow already.
    """
    latest: date = now().date() + timedelta(days=1)
    if checked.last_day <= latest:
        return checked.last_day
    query = f"SELECT max(day) FROM {checked.relation} WHERE day <= ?"
    [[found]] = checked.connection.cursor().execute(query, [latest]).fetchall()
    return found or checked.last_day


def uncounted(checked: Transactions, day: date) -> list[str]:
    """A note of orders dated later than the day after `day`; today's orders beside an `as_of` of yesterday are none of them."""
    bound = day + timedelta(days=1)
    if checked.last_day <= bound:
        return []
    query = f"SELECT sum(orders) FROM {checked.relation} WHERE day > ?"
    [[count]] = checked.connection.cursor().execute(query, [bound]).fetchall()
    return [f"{count:,} orders are dated after {bound} (the last on {checked.last_day}) and don't count"] if count else []


def of_file(file: Path, as_of: date | None, horizon_days: int | None, shown: Progress) -> Scored:
    """Scores of a file of orders, with the defaults of model.yaml; no config is read."""
    from clv_core.scoring import score
    from clv_core.transactions import check_orders
    from connectors.config.model import ModelSettings

    shown("reading orders", 0, 0)
    checked = check_orders(file)
    chosen = score_settings(ModelSettings(), horizon_days)
    shown("scoring customers", 0, 0)
    day = as_of or newest(checked)
    return Scored(checked, score(checked, day, chosen), day, chosen)


def of_config(folder: Path, as_of: date | None, horizon_days: int | None, shown: Progress) -> Scored:
    """Scores of config's orders, with the countries of its contacts and the tiers of the last run, which it leaves as it is."""
    from connectors.archive import Archive

    settings = load(folder)
    shown("reading orders", 0, 0)
    checked, source = transactions(settings), settings.sources.contacts
    contacts = sources.contacts(source, settings.folder) if source else None
    last = Archive.of(settings).last()
    previous = last.table("scores") if last else None
    shown("scoring customers", 0, 0)
    day = as_of or day_of(settings, checked)
    return of_transactions(settings, checked, day, horizon_days=horizon_days, contacts=contacts, previous=previous)


def of_transactions(
    settings: Settings,
    checked: Transactions,
    day: date,
    *,
    horizon_days: int | None = None,
    choice: Choice | None = None,
    contacts: pa.Table | None = None,
    previous: pa.Table | None = None,
) -> Scored:
    """Scores with everything config knows of customers: contacts, engagement, the tiers of the previous run."""
    from clv_core.scoring import score

    chosen = score_settings(settings.model, horizon_days)
    source = settings.sources.engagement
    events = sources.engagement(source, settings.folder) if source else None
    made = score(checked, day, chosen, choice=choice, engagement=events, contacts=contacts, previous=previous)
    return Scored(checked, made, day, chosen)


def fingerprint(settings: Settings, checked: Transactions, contacts: Iterable[pa.RecordBatch], day: date) -> str:
    """A digest of all that scores depend on: orders, contacts, engagement, model.yaml, the day and this version."""
    import duckdb

    source = settings.sources.engagement
    events = sources.engagement(source, settings.folder) if source else None
    query = f"SELECT sum(hash(t)), count(*) FROM {checked.relation} t"
    parts: list[Any] = [version("clv-audience-sync"), str(day), settings.model.model_dump_json()]
    parts.append(checked.connection.execute(query).fetchall())
    with duckdb.connect() as connection:
        parts.append(_told(connection, contacts))
        if events is not None:
            parts.append(_told(connection, [events]))
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _told(connection: duckdb.DuckDBPyConnection, tables: Iterable[pa.Table | pa.RecordBatch]) -> tuple[int, int]:
    """What tells rows from others, whatever their order: the sum of their hashes, and how many they are."""
    import pyarrow as pa

    total = rows = 0
    for table in tables:
        connection.register("given", pa.table(table) if isinstance(table, pa.RecordBatch) else table)
        [(some, count)] = connection.execute("SELECT coalesce(sum(hash(g)), 0), count(*) FROM given g").fetchall()
        total, rows = total + int(some), rows + int(count)
    return total, rows


def backtest(file: Path | None, folder: Path, split: date | None, horizon_days: int | None, shown: Progress) -> Backtest:
    """The backtest of a file's orders, or of config's."""
    from clv_core.transactions import check_orders
    from clv_core.validation import backtest as judge
    from connectors.config.model import ModelSettings

    shown("reading orders", 0, 0)
    if file:
        checked, chosen = check_orders(file), score_settings(ModelSettings(), horizon_days)
    else:
        settings = load(folder)
        checked, chosen = transactions(settings), score_settings(settings.model, horizon_days)
    shown("backtesting models", 0, 0)
    return judge(checked, split, chosen.horizon_days, chosen)


def summary(scored: Scored) -> dict[str, Any]:
    """What was scored: customers, model, value of all and of tiers (with 90% ranges, which don't add up), and tiers' shares."""
    import pyarrow.compute as pc

    from clv_core.totals import totals_by

    table = scored.scores.table
    total = pc.sum(table["clv"]).as_py() or 0.0
    groups = table.group_by("tier").aggregate([("customer_id", "count"), ("clv", "sum"), ("value_to_date", "sum")]).to_pylist()
    found = {group["tier"]: group for group in groups if group["tier"] in ("high", "middle", "low")}
    customers = sum(group["customer_id_count"] for group in found.values())  # who never bought is known, but no customer
    ranges = {
        row["group"]: {name: row[name] for name in ("clv", "clv_low", "clv_high")}
        for row in totals_by(table, "tier").to_pylist()
    }
    tiers = [
        {
            "tier": tier,
            "customers": found[tier]["customer_id_count"],
            "share_of_customers": found[tier]["customer_id_count"] / customers,
            **ranges[tier],
            "share_of_clv": found[tier]["clv_sum"] / total if total else 0.0,
            "mean_clv": found[tier]["clv_sum"] / found[tier]["customer_id_count"],
        }
        for tier in ("high", "middle", "low")
        if tier in found
    ]
    return {
        "customers": customers,
        "prospects": table.num_rows - customers,
        "orders": scored.transactions.orders,
        "currency": scored.transactions.currency,
        "as_of": scored.as_of,
        "horizon_days": scored.settings.horizon_days,
        "model": table["model"][0].as_py(),  # as fitted: a fall-back has a name of its own
        "total": ranges[None],
        "tiers": tiers,
        "warnings": [
            *(str(one) for one in scored.transactions.findings),
            *uncounted(scored.transactions, scored.as_of),
            *scored.scores.warnings,
        ],
    }


def insight(scored: Scored) -> dict[str, Any]:
    """Who the customers are: stages, a profile per tier, who moved between tiers, where people drop out; rows of each."""
    from clv_core.concentration import stage_table

    made = scored.scores
    tables = {"stages": stage_table(made.table), "profiles": made.profiles, "movements": made.movements, "churn": made.churn}
    return {name: [finite(row) for row in table.to_pylist()] for name, table in tables.items()}


def finite(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row with what is not a number as None, so that it is valid JSON."""
    return {key: None if isinstance(value, float) and not math.isfinite(value) else value for key, value in row.items()}
