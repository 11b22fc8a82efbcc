"""The report as Markdown: the same sections in the same order, tables instead of charts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from connectors.engine.page import words
from connectors.engine.page.campaigns import COLUMNS, GROUP_COLUMNS, Column
from connectors.engine.page.formats import DASH, count, days, money, ratio, share

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from connectors.engine.report import ReportData

_TIERS = (
    Column("tier", "Tier", "text"),
    Column("customers", "Customers", "count"),
    Column("share_customers", "Share", "share"),
    Column("predicted_clv", "Predicted value", "money"),
    Column("predicted_low", "At least (90% sure)", "money"),
    Column("predicted_high", "At most", "money"),
    Column("share_predicted", "Share of value", "share"),
)
_STAGES = (Column("stage", "Stage", "text"), *_TIERS[1:])
_SHORT = tuple(
    column for column in COLUMNS if column.key not in {"campaign_id", "account_id", "payback_kind", "objective", "repeat_rate"}
)


def document(data: ReportData) -> str:
    """The whole report as Markdown."""
    from connectors.engine.report import headline

    now, run = headline(data), data.run
    parts = [
        f"# {_safe(run.title)}",
        f"As of {run.as_of}, {count(run.customers)} customers, {run.currency}, run {_safe(run.run_id)}.",
    ]
    parts += [f"> Simulated data: {_safe(run.simulated)}"] if run.simulated else []
    parts += [_safe(note) for note in run.notes]
    parts += ["## What changed since last time", _bullets(words.changes(now, data.previous, data.audiences)), "## In numbers"]
    parts.append(_bullets([f"{card['label']}: {card['value']} ({card['note']})" for card in words.cards(now, data.previous)]))
    if data.tiers is not None:
        parts += ["## Where the value sits", _table(_TIERS, data.tiers.to_pylist(), run.currency)]
    if data.stages is not None:
        rows = [{**row, "stage": words.STAGES.get(row["stage"], row["stage"])} for row in data.stages.to_pylist()]
        parts += ["### Where customers are in their life", _table(_STAGES, rows, run.currency)]
    why = [said for row in data.profiles.to_pylist() for said in row["why"]] if data.profiles is not None else []
    parts += ["### Why the low tier is low", _bullets(why)] if why else []
    if data.rows("campaigns"):
        advice = [
            f"{r['kind'].capitalize()}: {r['campaign_name']} ({r['platform']}). {r['sentence']}"
            for r in data.rows("disagreements")
        ]
        parts += ["## What the money bought", _bullets(advice or ["ROAS and customer value disagree nowhere beyond noise."])]
        parts.append(_table(_SHORT, data.rows("campaigns"), run.currency))
    for name, columns in GROUP_COLUMNS.items():
        if data.rows(name):
            parts += [f"### By {columns[0].label.lower()}", _table(columns, data.rows(name), run.currency)]
    parts += [_audiences(data.audiences)] if data.audiences else []
    parts += [_signals(data.signals)] if data.signals else []
    parts += ["## Data quality", _bullets(list(data.warnings) or ["Nothing to warn of in this run."])]
    return "\n\n".join(part for part in parts if part) + "\n"


def _safe(text: object) -> str:
    """Text that Markdown shows as it is: no markup, no table breaks."""
    out = str(text).replace("\\", "\\\\").replace("<", "&lt;").replace("\n", " ")
    for char in "|*_`[]":
        out = out.replace(char, f"\\{char}")
    return out


def _bullets(lines: Sequence[str]) -> str:
    return "\n".join(f"- {_safe(line)}" for line in lines)


def _table(columns: Sequence[Column], rows: Sequence[Mapping[str, Any]], currency: str) -> str:
    head = f"| {' | '.join(column.label for column in columns)} |"
    rule = f"|{'|'.join('---' if column.kind == 'text' else '---:' for column in columns)}|"
    return "\n".join(
        [head, rule, *(f"| {' | '.join(_cell(row.get(c.key), c.kind, currency) for c in columns)} |" for row in rows)]
    )


def _cell(value: Any, kind: str, currency: str) -> str:
    write = {"count": count, "ratio": ratio, "share": share, "days": days}
    if kind == "money":
        return money(value, currency)
    return write[kind](value) if kind in write else _safe(value if value not in (None, "") else DASH)


def _signals(rows: Sequence[Mapping[str, Any]]) -> str:
    head = "| Account | New customers | Sent | Accepted | Pending | Unknown | Rejected | Not sent |"
    lines = [
        f"| {_safe(row['platform'])} {_safe(row['account'])} | {count(row.get('customers'))} | {count(row.get('sent'))} | "
        f"{count(row.get('accepted'))} | {count(row.get('pending'))} | {count(row.get('unknown'))} | "
        f"{_safe(words.reasons(row.get('rejected')))} | {_safe(words.reasons(row.get('dropped')))} |"
        for row in rows
    ]
    return "\n".join(["## Predicted values sent as signals", "", head, "|---|---:|---:|---:|---:|---:|---|---|", *lines])


def _audiences(rows: Sequence[Mapping[str, Any]]) -> str:
    head = "| Audience | Platform | Wanted | Accepted | Pending | Unknown | Rejected | Dropped | State |"
    lines = [
        f"| {_safe(row.get('name') or row.get('audience'))} | {_safe(row.get('platform'))} | {count(row.get('wanted'))} | "
        f"{count(row.get('accepted'))} | {count(row.get('pending'))} | {count(row.get('unknown'))} | "
        f"{_safe(words.reasons(row.get('rejected')))} | {_safe(words.reasons(row.get('dropped')))} | "
        f"{_safe(row.get('state') or '')} |"
        for row in rows
    ]
    return "\n".join(["## Audiences", "", head, "|---|---|---:|---:|---:|---:|---|---|---|", *lines])
