"""The report: one self-contained page, its tables, and a few lines for a chat or an e-mail. It receives tables."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from connectors.engine.page.formats import DASH, count, label, money, number, plain, ratio
from connectors.engine.page.words import changes, reasons

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date
    from pathlib import Path

    import pyarrow as pa

FORMATS = ("html", "md", "csv", "json")


@dataclass(frozen=True, slots=True)
class RunInfo:
    """Which run this is. `simulated` says in a sentence what is not real; `notes` are further facts (a date shift)."""

    run_id: str
    as_of: date
    currency: str
    customers: int
    model: str = ""
    horizon_days: int = 365
    minimum_customers: int = 30
    title: str = "What your customers are worth"
    simulated: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ReportData:
    """All that the page shows; every part may be missing.

    `tiers`, `stages`, `lorenz`: of `clv_core.concentration`; `deciles`: decile, predicted, actual; `models`: of the backtest;
    `audiences`: outcomes per platform and audience; `signals`: of predicted values, per account; `match`: identity reports by
    platform; `left_out`: people in no audience,
    by reason; `returns`: `Returns.tables()`, also `accountability`, `growth` and `lift` where there are any; `movements`,
    `profiles`, `churn`: of the scores; `previous`: the last run's `headline`; `history`: headlines of earlier runs, oldest
    first.
    """

    run: RunInfo
    tiers: pa.Table | None = None
    stages: pa.Table | None = None
    lorenz: pa.Table | None = None
    deciles: pa.Table | None = None
    models: Sequence[Mapping[str, Any]] = ()
    audiences: Sequence[Mapping[str, Any]] = ()
    signals: Sequence[Mapping[str, Any]] = ()
    match: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    left_out: Mapping[str, int] = field(default_factory=dict)
    returns: Mapping[str, pa.Table] = field(default_factory=dict)
    previous: Mapping[str, Any] | None = None
    history: Sequence[Mapping[str, Any]] = ()
    movements: pa.Table | None = None
    profiles: pa.Table | None = None
    churn: pa.Table | None = None
    warnings: Sequence[str] = ()

    def rows(self, name: str) -> list[dict[str, Any]]:
        """The rows of one of the returns tables; empty when it is not there."""
        return self.returns[name].to_pylist() if name in self.returns else []

    def tables(self) -> dict[str, pa.Table]:
        """Every table behind the page, by name."""
        own = {
            "tiers": self.tiers,
            "stages": self.stages,
            "lorenz": self.lorenz,
            "deciles": self.deciles,
            "movements": self.movements,
            "profiles": self.profiles,
            "churn": self.churn,
        }
        return {**{name: table for name, table in own.items() if table is not None}, **self.returns}


def headline(data: ReportData) -> dict[str, Any]:
    """The run's figures as a small JSON document: kept by the job, and given to the next report as `previous`."""
    run = data.run
    out: dict[str, Any] = {
        name: plain(getattr(run, name)) for name in ("run_id", "as_of", "currency", "customers", "horizon_days")
    }
    tiers = {row["tier"]: row for row in data.tiers.to_pylist()} if data.tiers is not None else {}
    out["tiers"] = {tier: row["customers"] for tier, row in tiers.items()}
    out["high_tier"] = out["tiers"].get("high")
    out["predicted_clv"] = sum(row["predicted_clv"] for row in tiers.values()) if tiers else None
    totals = {row["scope"]: row for row in data.rows("totals")}
    everyone, paid = totals.get("all", {}), totals.get("paid", {})
    for name in ("predicted_clv", "predicted_low", "predicted_high", "realised_value", "lifetime_value"):
        out |= {name: number(everyone[name])} if name in everyone else {}
    for name in ("spend", "roas", "clv_roas", "clv_roas_low", "clv_roas_high", "cac"):
        out |= {name: number(paid[name])} if name in paid else {}
    out["paid_value"] = paid.get("value_per_customer")
    coverage = data.rows("coverage")
    if coverage:
        out["source_known"] = 1 - sum(row["share"] for row in coverage if row["source"] == "unknown")
    campaigns = [row for row in data.rows("campaigns") if row["campaign_id"]]
    keys = ["/".join(row[part] for part in ("platform", "account_id", "campaign_id")) for row in campaigns]
    out["verdicts"] = {key: row["quadrant"] for key, row in zip(keys, campaigns, strict=True)}
    out["names"] = {key: row["campaign_name"] for key, row in zip(keys, campaigns, strict=True)}
    return out


def render(data: ReportData, path: Path) -> Path:
    """The path, now holding the page: one HTML file that opens without a network."""
    from connectors.engine.page.html import page

    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.part")
    partial.write_text(page(data), encoding="utf-8")
    partial.replace(path)
    return path


def export(data: ReportData, format: str, table: str = "campaigns") -> str:
    """The report as text: `md` (a readable document), `json` (everything), `csv` (one table, the campaigns by default)."""
    if format == "json":
        return _json(data)
    if format == "md":
        from connectors.engine.page.markdown import document

        return document(data)
    if format == "csv":
        return _csv(data, table)
    raise ValueError(f"format {format!r} is unknown: use {', '.join(FORMATS)}")


def _json(data: ReportData) -> str:
    import orjson

    document = {
        "run": {name: plain(getattr(data.run, name)) for name in data.run.__slots__},
        "headline": headline(data),
        "changes": changes(headline(data), data.previous, data.audiences),
        "models": list(data.models),
        "audiences": list(data.audiences),
        "signals": list(data.signals),
        "match": dict(data.match),
        "left_out": dict(data.left_out),
        "history": list(data.history),
        "warnings": list(data.warnings),
        "tables": {name: [{k: plain(v) for k, v in row.items()} for row in t.to_pylist()] for name, t in data.tables().items()},
    }
    return orjson.dumps(document, option=orjson.OPT_INDENT_2, default=str).decode()


def _csv(data: ReportData, table: str) -> str:
    tables = data.tables()
    if table not in tables:
        raise ValueError(f"there is no table {table!r} in this report: choose one of {', '.join(sorted(tables)) or 'none yet'}")
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(tables[table].column_names)
    writer.writerows([safe_cell(value) for value in row.values()] for row in tables[table].to_pylist())
    return out.getvalue()


def safe_cell(value: Any) -> Any:
    """The value for a CSV cell; text that a spreadsheet would run as a formula gets a leading apostrophe."""
    value = plain(value)
    return f"'{value}" if isinstance(value, str) and value[:1] in "=+-@\t\r" and not _numeric(value) else value


def _numeric(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


def summary_text(data: ReportData, link: str = "") -> str:
    """A short text for Slack or e-mail: the headline, what changed, what to do, what is pending."""
    now, currency = headline(data), data.run.currency
    predicted = money(now.get("predicted_clv"), currency)
    lines = [f"{data.run.title}, as of {data.run.as_of}"]
    if data.run.simulated:
        lines.append(f"({data.run.simulated})")
    lines.append(
        f"{count(data.run.customers)} customers, predicted to bring {predicted} in the next {data.run.horizon_days} days."
    )
    if ratio(now.get("clv_roas")) != DASH:
        lines.append(
            f"Ads: {ratio(now['clv_roas'])} customer value per unit of spend; the platforms claim {ratio(now.get('roas'))}."
        )
    lines += [f"- {said}" for said in changes(now, data.previous, data.audiences)[:6]]
    for row in data.rows("disagreements")[:3]:
        lines.append(f"- {label(row['kind'])}: {row['campaign_name']} ({row['platform']}). {row['sentence']}")
    for one in data.audiences:
        if one.get("rejected") or one.get("unknown"):
            lines.append(
                f"- {one.get('platform')} {one.get('name') or one.get('audience')}: rejected {reasons(one.get('rejected'))}, "
                f"outcome unknown {count(one.get('unknown') or 0)}."
            )
    for one in data.signals:
        if one.get("rejected") or one.get("unknown") or one.get("detail"):
            lines.append(
                f"- Predicted values, {one['platform']} {one['account']}: {count(one.get('sent'))} sent, rejected "
                f"{reasons(one.get('rejected'))}, outcome unknown {count(one.get('unknown') or 0)}."
            )
    lines += [f"- Check: {warning}" for warning in list(data.warnings)[:3]]
    return "\n".join([*lines, link] if link else lines) + "\n"
