"""The main job on one page: every step in order, and the only place where the CLV core and the engine meet."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from connectors import paperwork, scored, sources, translate
from connectors.archive import Archive, Run
from connectors.engine.ledger import open_ledger
from connectors.engine.members import build_members
from connectors.engine.plan import make_plan
from connectors.engine.pull import pull, read_results
from connectors.engine.push import push
from connectors.protocol import utc_now

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import date, datetime
    from pathlib import Path

    import pyarrow as pa

    from connectors.commands.output import Progress
    from connectors.config import Settings
    from connectors.engine.ledger import Ledger
    from connectors.engine.plan import Plan
    from connectors.scored import Scored

Clock = Callable[[], "datetime"] if TYPE_CHECKING else Any


@dataclass(frozen=True)
class Judged:
    """Scores, and what the backtest says of the model that made them."""

    scored: Scored
    contacts: pa.Table
    backtest: Any
    refusals: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    """What a run did. `summary` is scored.summary; `audiences` are outcomes per platform and audience."""

    exit_code: int
    summary: dict[str, Any]
    audiences: list[dict[str, Any]] = field(default_factory=list)
    plan: list[dict[str, Any]] = field(default_factory=list)
    refusals: tuple[str, ...] = ()
    report: Path | None = None
    pulled: dict[str, Any] = field(default_factory=dict)


def run(settings: Settings, *, now: Clock = utc_now, shown: Progress, force: str | None = None, simulated: str = "") -> Outcome:
    """Score, gate, plan, push, pull, report. Raises SyncError; a tripped guardrail is exit code 3, not an error."""
    archive, ledger = Archive(settings.state), _ledger(settings)
    with ledger.run("run", now()) as number:
        kept = archive.start(now())
        judged = judge(settings, archive, kept, now=now, shown=shown)
        accounts = translate.accounts(settings, now)
        try:
            with planned(settings, judged, ledger, accounts, now=now, shown=shown) as plan:
                rows = plan.rows()
                sent = push(plan, ledger, now=now, progress=shown, force=force)
                kept.note(audiences=sent.audiences, match=plan.identity, dropped=plan.dropped)
            shown("pulling campaign results", 0, 0)
            pulled = pull(ledger, [one.connector for one in accounts], *_window(judged), now=now)
        finally:
            for account in accounts:
                account.connector.close()
        kept.note(pulled=pulled.summary(), simulated=simulated, exit_code=max(sent.exit_code, pulled.exit_code))
        page = paperwork.write(settings, archive, kept, judged.scored.transactions, judged.contacts, read_results(ledger))
        code = max(sent.exit_code, pulled.exit_code)
        ledger.end_run(number, now(), code, {"audiences": len(sent.audiences)})
    ledger.close()
    return Outcome(code, scored.summary(judged.scored), sent.audiences, rows, judged.refusals, page, pulled.summary())


def judge(settings: Settings, archive: Archive, kept: Run, *, now: Clock, shown: Progress) -> Judged:
    """Today's scores and the backtest of the model that made them; both are kept with the run."""
    from clv_core.validation import backtest, gate

    shown("reading orders", 0, 0)
    checked = scored.transactions(settings)
    day = scored.day_of(settings, checked, now)
    contacts = sources.contacts(settings.sources.contacts, settings.folder) if settings.sources.contacts else sources.nobody()
    previous = archive.last(before=kept)
    shown("scoring customers", 0, 0)
    made = scored.of_transactions(
        settings, checked, day, contacts=contacts, previous=previous.table("scores") if previous else None
    )
    shown("testing the model on held-out orders", 0, 0)
    tested = backtest(checked, None, settings.model.horizon_days, made.settings)
    refusals = gate(tested, made.settings.gate).reasons if settings.model.gate.enabled else ()
    paperwork.keep(kept, made, tested, refusals)
    return Judged(made, contacts, tested, tuple(refusals))


@contextmanager
def planned(
    settings: Settings,
    judged: Judged,
    ledger: Ledger,
    accounts: Sequence[Any],
    *,
    now: Clock,
    shown: Progress,
    only: Sequence[str] = (),
    refresh: bool = False,
) -> Iterator[Plan]:
    """The plan; the members' work files exist until the block ends."""
    shown("matching members", 0, 0)
    work = settings.state / "work"
    shutil.rmtree(work, ignore_errors=True)  # an earlier run may have been killed
    listed = settings.sources.suppression
    members = build_members(
        judged.scored.scores.table,
        judged.contacts,
        ledger=ledger,
        work=work,
        suppressed=sources.suppression(listed, settings.folder) if listed else (),
        also_strict=settings.consent.also_needed_in,
    )
    try:
        shown("comparing with what was accepted", 0, 0)
        yield make_plan(
            ledger,
            members,
            translate.requests(settings, only),
            accounts,
            now=now(),
            source_day=judged.scored.transactions.last_day,
            gate=judged.refusals,
            refresh=refresh,
        )
    finally:
        members.close()


def _ledger(settings: Settings) -> Ledger:
    return open_ledger(settings.state, translate.encryption_key(settings))


def _window(judged: Judged) -> tuple[date, date]:
    return judged.scored.transactions.first_day, judged.scored.as_of
