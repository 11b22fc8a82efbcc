"""What a run keeps for the page, and the page made from what was kept: scores, backtest, outcomes, returns, history."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

from connectors import claims, clicks, experiments, scored, sources, translate
from connectors.archive import Archive
from connectors.engine import report
from connectors.engine.results import read_restatements, read_results
from connectors.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa

    from clv_core.transactions import Transactions
    from clv_core.validation import Backtest
    from connectors.archive import Run
    from connectors.config import Settings
    from connectors.engine.ledger import Ledger
    from connectors.engine.plan import Plan
    from connectors.scored import Scored


SHOWN_RUNS = 90
KEPT = ("scores", "tiers", "stages", "lorenz", "deciles", "movements", "profiles", "churn")
SCORED = ("customers", "orders", "currency", "as_of", "horizon_days", "model", "total", "tiers", "warnings")
FACTS = (*SCORED, "fingerprint", "models", "split", "refusals")


def keep(kept: Run, made: Scored, tested: Backtest, refusals: Sequence[str], mark: str) -> None:
    """Nothing: scores, backtest and what the page shows of them are in the run's folder."""
    from clv_core.concentration import lorenz, stage_table, tier_table

    scores = made.scores
    kept.keep("scores", scores.table)
    kept.keep("tiers", tier_table(scores.table))
    kept.keep("stages", stage_table(scores.table))
    kept.keep("lorenz", lorenz(scores.table))
    kept.keep("deciles", tested.deciles)
    for name in ("movements", "profiles", "churn"):
        kept.keep(name, getattr(scores, name))
    facts = scored.summary(made)
    facts["warnings"] += [one for one in tested.warnings if one not in facts["warnings"]]
    kept.note(
        **facts,
        fingerprint=mark,
        models=[scored.finite(row) for row in tested.models],
        split=tested.split,
        refusals=list(refusals),
    )


def take_over(kept: Run, older: Run, mark: str) -> pa.Table | None:
    """The scores of an earlier run made from the very same input, now kept with this run too; None if the input differs.

    Nobody has moved between tiers since that run, whatever it had to tell; if it only planned, what it told still stands.
    """
    from clv_core.movements import movements

    record = older.record
    scores = older.table("scores")
    if record.get("fingerprint") != mark or scores is None or any(name not in record for name in FACTS):
        return None
    for name in KEPT:
        table = older.table(name)
        if table is not None:
            kept.keep(name, movements(scores, scores) if name == "movements" and older.done else table)
    kept.note(**{name: record[name] for name in FACTS})
    return scores


def summary(record: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a run's record that says what was scored."""
    return {name: record[name] for name in SCORED}


def keep_match(kept: Run, plan: Plan) -> None:
    """Nothing: what became of every identifier, and who was left out and why, is in the run's record."""
    kept.note(match=plan.identity, dropped=plan.dropped)


def write(settings: Settings, kept: Run, checked: Transactions, contacts: pa.Table, ledger: Ledger) -> Path:
    """The page's path: what the money bought, from the run's scores, all orders and the results pulled so far."""
    data = report_data(settings, kept, checked, contacts, ledger)
    for name, table in data.returns.items():
        kept.keep(f"returns_{name}", table)
    kept.note(headline=report.headline(data), words=report.summary_text(data))
    return report.render(data, settings.state / "report.html")


def publish(data: report.ReportData, out: Path | None, kind: str, table: str) -> tuple[str, Path | None]:
    """The report as text for stdout, or written to `out` (the page always goes to a file)."""
    if kind == "html" and out is not None:
        return "", report.render(data, out)
    try:
        text = report.summary_text(data) if kind == "summary" else report.export(data, kind, table)
    except ValueError as error:
        raise ConfigurationError(str(error)) from None
    if out is None:
        return text, None
    out.write_text(text, encoding="utf-8")
    return "", out


def forget(settings: Settings) -> bool:
    """Whether there was a last page, made while the erased customers were still there; it is gone."""
    page = settings.state / "report.html"
    there = page.is_file()
    page.unlink(missing_ok=True)
    return there


def report_data(settings: Settings, kept: Run, checked: Transactions, contacts: pa.Table, ledger: Ledger) -> report.ReportData:
    """Everything the page shows of one run."""
    record = kept.record
    older = [one for one in Archive.of(settings).runs() if one.id < kept.id and "headline" in one.record][-SHOWN_RUNS:]
    returned, warnings = _returns(settings, kept, older, checked, contacts, ledger)
    found: dict[str, Any] = {name: kept.table(name) for name in KEPT if name != "scores"}
    return report.ReportData(
        run=report.RunInfo(
            run_id=kept.id,
            as_of=date.fromisoformat(record["as_of"]),
            currency=record["currency"],
            customers=record["customers"],
            model=record["model"],
            horizon_days=record["horizon_days"],
            minimum_customers=settings.labels.minimum_customers,
            simulated=record.get("simulated", ""),
        ),
        models=record.get("models", ()),
        audiences=record.get("audiences", ()),
        signals=record.get("signals", ()),
        match=record.get("match", {}),
        left_out=record.get("dropped", {}),
        returns=returned,
        previous=older[-1].record["headline"] if older else None,
        history=[one.record["headline"] for one in older],
        warnings=[*record.get("refusals", ()), *record.get("warnings", ()), *warnings],
        **found,
    )


def _returns(
    settings: Settings, kept: Run, older: Sequence[Run], checked: Transactions, contacts: pa.Table, ledger: Ledger
) -> tuple[dict[str, pa.Table], tuple[str, ...]]:
    from clv_core.attribution import attribute
    from clv_core.history import over_time
    from clv_core.lift import lift
    from clv_core.returns import ReturnSettings, returns

    scores = kept.table("scores")
    assert scores is not None, "a run keeps its scores before anything else"
    day = date.fromisoformat(kept.record["as_of"])
    rates, events, results = settings.sources.rates, settings.sources.engagement, read_results(ledger)
    claimed = claims.read(settings, kept.table("people"))
    rules = translate.attribution(
        settings, clicks.read(settings.state, translate.encryption_key(settings)), claimed.table if claimed else None
    )
    acquisition = attribute(contacts, results, rules)
    found = returns(
        scores,
        checked,
        acquisition,
        results,
        currency=kept.record["currency"],
        as_of=day,
        rates=sources.rates(rates, settings.folder) if rates else None,
        labels=translate.labels(settings),
        settings=ReturnSettings(horizon_days=settings.model.horizon_days, minimum_customers=settings.labels.minimum_customers),
        engagement=sources.engagement(events, settings.folder) if events else None,
        restated=read_restatements(ledger),
    )
    past = [table for one in older if (table := one.table("returns_snapshot")) is not None]
    made = {**found.tables(), **over_time(found, kept.id, past, checked, acquisition)}
    arms = experiments.arms(settings.state, ledger, scores["customer_id"].combine_chunks())
    if arms is not None:
        made["lift"] = lift(arms, checked, day)
    return made, (*found.warnings, *(claimed.warnings if claimed else ()))
