"""What a run keeps for the page, and the page made from what was kept: scores, backtest, outcomes, returns, history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from connectors import scored, sources, translate
from connectors.engine import report

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pyarrow as pa

    from clv_core.returns import Returns
    from clv_core.transactions import Transactions
    from clv_core.validation import Backtest
    from connectors.archive import Archive, Run
    from connectors.config import Settings
    from connectors.scored import Scored

TABLES = ("tiers", "lorenz", "deciles", "movements", "profiles", "churn")


def keep(kept: Run, made: Scored, tested: Backtest, refusals: Sequence[str]) -> None:
    """Nothing: scores, backtest and what the page shows of them are in the run's folder."""
    from clv_core.concentration import lorenz, tier_table

    scores = made.scores
    kept.keep("scores", scores.table)
    kept.keep("tiers", tier_table(scores.table))
    kept.keep("lorenz", lorenz(scores.table))
    kept.keep("deciles", tested.deciles)
    for name in ("movements", "profiles", "churn"):
        kept.keep(name, getattr(scores, name))
    facts = scored.summary(made)
    kept.note(
        **facts,
        choice=scores.choice.model,
        models=[scored.finite(row) for row in tested.models],
        split=tested.split,
        refusals=list(refusals),
        warnings=[*facts["warnings"], *tested.warnings],
    )


def write(
    settings: Settings, archive: Archive, kept: Run, checked: Transactions, contacts: pa.Table, results: pa.Table
) -> Path:
    """The page's path: what the money bought, from the run's scores, all orders and the results pulled so far."""
    data = report_data(settings, archive, kept, checked, contacts, results)
    for name, table in data.returns.items():
        kept.keep(f"returns_{name}", table)
    kept.note(headline=report.headline(data))
    return report.render(data, settings.state / "report.html")


def report_data(
    settings: Settings, archive: Archive, kept: Run, checked: Transactions, contacts: pa.Table, results: pa.Table
) -> report.ReportData:
    """Everything the page shows of one run."""
    record = kept.record
    returned = _returns(settings, kept, checked, contacts, results)
    older = [one for one in archive.runs() if one.id < kept.id and "headline" in one.record]
    found: dict[str, Any] = {name: kept.table(name) for name in ("tiers", "lorenz", "deciles", "movements")}
    return report.ReportData(
        run=report.RunInfo(
            run_id=kept.id,
            as_of=checked.last_day if "as_of" not in record else _day(record["as_of"]),
            currency=record["currency"],
            customers=record["customers"],
            model=record["model"],
            horizon_days=record["horizon_days"],
            minimum_customers=settings.labels.minimum_customers,
            simulated=record.get("simulated", ""),
        ),
        models=record.get("models", ()),
        audiences=record.get("audiences", ()),
        match=record.get("match", {}),
        returns=returned.tables(),
        previous=older[-1].record["headline"] if older else None,
        history=[one.record["headline"] for one in older[-90:]],
        warnings=[*record.get("refusals", ()), *record.get("warnings", ()), *returned.warnings],
        **found,
    )


def _returns(settings: Settings, kept: Run, checked: Transactions, contacts: pa.Table, results: pa.Table) -> Returns:
    from clv_core.attribution import attribute
    from clv_core.returns import ReturnSettings, returns

    scores = kept.table("scores")
    assert scores is not None, "a run keeps its scores before anything else"
    rates = settings.sources.rates
    return returns(
        scores,
        checked,
        attribute(contacts, results),
        results,
        currency=kept.record["currency"],
        as_of=_day(kept.record["as_of"]),
        rates=sources.rates(rates, settings.folder) if rates else None,
        labels=translate.labels(settings),
        settings=ReturnSettings(horizon_days=settings.model.horizon_days, minimum_customers=settings.labels.minimum_customers),
    )


def _day(text: str) -> Any:
    from datetime import date

    return date.fromisoformat(text)
