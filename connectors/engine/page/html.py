"""The page as one HTML text: charts and campaign rows as JSON inside, scripts allowed by their digest alone, no network."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from connectors.engine.page import figures, formats, past_runs, verdicts, words
from connectors.engine.page.campaigns import COLUMNS, GROUP_COLUMNS, cells, group_rows

if TYPE_CHECKING:
    from connectors.engine.page.figures import Figure
    from connectors.engine.report import ReportData

OUTCOME = (
    "name", "audience", "platform", "account", "wanted", "snapshot", "accepted", "pending", "unknown", "undelivered",
    "rejected", "dropped", "held_out", "state", "platform_state", "guardrail", "forced", "detail",
    "notes", "lookalikes", "size_lower", "size_upper",
)  # fmt: skip
SIGNAL = (
    "platform", "account", "target", "event", "currency", "customers", "sent_before", "dropped", "sent", "accepted", "rejected",
    "pending", "unknown", "settled", "state", "detail",
)  # fmt: skip
FIRST_ROWS = 25  # drawn on the server, so that the table is there before (and without) the script


def page(data: ReportData) -> str:
    """The whole page. Everything that came from data is escaped, by Jinja2 or in JSON."""
    import jinja2
    from plotly.offline import get_plotlyjs

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(str(files("connectors.engine.page"))),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        name: getattr(formats, name) for name in ("money", "count", "share", "ratio", "days", "label", "moment", "sentence")
    }
    environment.filters |= {
        "reasons": words.reasons,
        "size": words.size,
        "lookalike": words.lookalike,
        "known_by": words.known_by,
    }
    place = files("connectors.engine.page")
    # A script is allowed by the digest of its text, so whatever slipped into the page as markup could still not run.
    scripts = {"plotly": get_plotlyjs(), "app": (place / "page.js").read_text("utf-8")}
    return environment.get_template("page.html.j2").render(
        **content(data),
        style=(place / "style.css").read_text("utf-8"),
        scripts=scripts,
        policy=" ".join(_digest(script) for script in scripts.values()),
    )


def _digest(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def content(data: ReportData) -> dict[str, Any]:
    """What the template shows, computed from the data."""
    from connectors.engine.report import headline

    now, campaigns = headline(data), data.rows("campaigns")
    shown = {figure.id: figure for figure in _figures(data, campaigns)}
    table = [cells(row) for row in campaigns if row["campaign_id"] or row["customers"] or row["spend"]]
    document = {
        "figures": {name: figure.document for name, figure in shown.items()},
        "currency": data.run.currency,
        "columns": [{"key": c.key, "label": c.label, "kind": c.kind} for c in COLUMNS],
        "campaigns": table,
    }
    return {
        "run": data.run,
        "data": data,
        "cards": words.cards(now, data.previous),
        "audiences": [dict.fromkeys(OUTCOME) | dict(row) for row in data.audiences],
        "changes": words.changes(now, data.previous, data.audiences),
        "figures": shown,
        "tiers": data.tiers.to_pylist() if data.tiers is not None else [],
        "stages": data.stages.to_pylist() if data.stages is not None else [],
        "stage_words": words.STAGES,
        "profiles": [row for row in data.profiles.to_pylist() if row["tier"]] if data.profiles is not None else [],
        "churn": data.churn.to_pylist() if data.churn is not None else [],
        **_moves(data),
        "decisions": data.rows("disagreements"),
        "columns": COLUMNS,
        "first_campaigns": table[:FIRST_ROWS],
        "campaign_count": len(table),
        "platforms": sorted({row["platform"] for row in campaigns if row["platform"]}),
        "verdicts": sorted({row["quadrant"] for row in campaigns}),
        "groups": {name: group_rows(data.rows(name), name) for name in GROUP_COLUMNS if data.rows(name)},
        "group_columns": GROUP_COLUMNS,
        "coverage": data.rows("coverage"),
        "contradictions": data.rows("contradictions"),
        "signals": [dict.fromkeys(SIGNAL) | dict(row) for row in data.signals],
        "kpis": data.rows("kpis"),
        "funnel": data.rows("funnel"),
        "lift": data.rows("lift"),
        "history": _history(data),
        "restatements": data.rows("restatements"),
        "match": {name: match_rows(report) for name, report in data.match.items()},
        "document": _inline(document),
    }


def _moves(data: ReportData) -> dict[str, Any]:
    """`movements`: rows of those who changed their tier, came or went, most first; `stayed`: how many did not."""
    rows = data.movements.to_pylist() if data.movements is not None else []
    moved = [row for row in rows if row["from_tier"] != row["to_tier"]]
    return {
        "movements": sorted(moved, key=lambda row: -row["customers"]),
        "stayed": sum(row["customers"] for row in rows if row not in moved),
    }


def _figures(data: ReportData, campaigns: list[dict[str, Any]]) -> list[Figure]:
    currency, found = data.run.currency, []
    if data.lorenz is not None:
        found.append(figures.lorenz(data.lorenz.to_pylist()))
    if data.deciles is not None:
        found.append(figures.calibration(data.deciles.to_pylist(), currency))
    if data.rows("retention"):
        found.append(figures.cohort_curves(data.rows("retention"), currency))
    if data.rows("cohorts"):
        found.append(figures.cohort_value(data.rows("cohorts"), currency))
    if any(row["roas"] is not None and row["clv_roas"] is not None for row in campaigns):
        found.append(verdicts.scatter(campaigns, currency))
        mark, least = campaigns[0]["clv_roas_benchmark"], data.run.minimum_customers
        for name, key, title in (
            ("creative", "creative", "Creative style: which brings lasting customers?"),
            ("objectives", "objective", "Objective: which brings lasting customers?"),
        ):
            rows = [row for row in data.rows(name) if (row["spend"] or 0) > 0]
            rows = verdicts.at_equal_age(rows) if verdicts.judged_at_equal_age(campaigns) else rows
            if len({row[key] for row in rows}) > 1:
                found.append(verdicts.dots(name, title, key, rows, mark, least))
    judged = past_runs.accountability(data.rows("accountability"), currency)
    found += [judged] if judged else []
    days = {str(one["as_of"]): one for one in data.rows("growth")}  # the last run of each day
    if len(days) > 1:
        found.append(past_runs.growth(list(days.values()), currency))
    return found


def _history(data: ReportData) -> list[Any]:
    """The headlines of all runs, this one last."""
    from connectors.engine.report import headline

    return [*(one for one in data.history if one.get("run_id") != data.run.run_id), headline(data)] if data.history else []


def match_rows(report: Any) -> dict[str, Any]:
    """`rows`: per identifier of an identity report valid, invalid with reasons, empty; `absent`: fields nobody has."""
    fields = report.get("fields", {}) if hasattr(report, "get") else {}
    rows = [{"field": name, **counts} for name, counts in fields.items() if hasattr(counts, "get")]
    given = [row for row in rows if row.get("valid") or row.get("invalid")]
    names = {"people": "people", "rows_sent": "rows", "without": "without_identifier", "depth": "people_by_identifiers"}
    facts = {name: report.get(key) for name, key in (names | {"expected": "expected_match"}).items()} if rows else {}
    facts["found"] = (facts.get("people") or 0) - (facts.get("without") or 0)
    return {**facts, "rows": given, "absent": [row["field"] for row in rows if row not in given]}


def _inline(document: dict[str, Any]) -> str:
    """JSON that can stand inside a script element: no `<`, `>` or `&`, no line separators."""
    import orjson

    text = orjson.dumps(document, default=float).decode()
    for char in ("<", ">", "&", "\u2028", "\u2029"):
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text
