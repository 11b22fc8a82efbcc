"""The main job on one page: every step in order, and the only place where the CLV core and the engine meet."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from connectors import (
    clicks,
    contacts,
    disk,
    events,
    experiments,
    newcomers,
    paperwork,
    people,
    remains,
    retention,
    scored,
    suppression,
    translate,
    writeback,
)
from connectors.archive import Archive, Run
from connectors.columns import ACQUISITION
from connectors.engine import forget as erasing
from connectors.engine import pull as pulling
from connectors.engine import push as pushing
from connectors.engine import status as standing
from connectors.engine import values as signalling
from connectors.engine.erased import bury
from connectors.engine.ledger import open_ledger
from connectors.engine.members import build_members
from connectors.engine.outcome import worst
from connectors.engine.plan import make_plan
from connectors.errors import ConfigurationError
from connectors.living import living
from connectors.protocol import utc_now

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date
    from pathlib import Path

    import pyarrow as pa

    from clv_core.transactions import Transactions
    from connectors.commands.output import Progress
    from connectors.config import Settings
    from connectors.engine.audience import Account
    from connectors.engine.contact_book import ContactBook
    from connectors.engine.ledger import Ledger
    from connectors.engine.plan import Plan

Clock = Callable[[], datetime]


@dataclass(frozen=True)
class Judged:
    """Checked orders, the contacts, the scores, and why the model gate refuses them (empty: it doesn't)."""

    checked: Transactions
    contacts: ContactBook
    scores: pa.Table
    summary: dict[str, Any]
    as_of: date
    refusals: tuple[str, ...]


@dataclass
class Outcome:
    """What a command did. `summary`: see scored.summary; `plan`, `audiences`: a dict per platform, account and audience;
    `left_out`: customers in no audience at all, by reason; `unreachable`: what is left on accounts that config no longer has,
    see Plan; `signals`: a dict per account that gets predicted values; `written_back`: see writeback.write."""

    exit_code: int = 0
    summary: dict[str, Any] = field(default_factory=dict)
    plan: list[dict[str, Any]] = field(default_factory=list)
    audiences: list[dict[str, Any]] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)
    unreachable: list[dict[str, Any]] = field(default_factory=list)
    signals: list[dict[str, Any]] = field(default_factory=list)
    written_back: dict[str, Any] = field(default_factory=dict)
    refusals: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)  # what the retention clock took
    pulled: dict[str, Any] = field(default_factory=dict)
    report: Path | None = None
    words: str = ""  # the report in a few lines


def run(settings: Settings, *, now: Clock = utc_now, shown: Progress, force: str | None = None, simulated: str = "") -> Outcome:
    """Score, gate, plan, push, pull, report. Raises SyncError; a tripped guardrail is exit code 3, not an error."""
    with _opened(settings, now) as (ledger, accounts), ledger.run("job", now()) as number:
        notes = retention.expire(settings, ledger, translate.lifecycle(settings), now())
        kept = Archive.of(settings).start(now())
        judged = judge(settings, kept, ledger, now=now, shown=shown)
        outcome = Outcome(summary=judged.summary, refusals=judged.refusals, notes=notes)
        _send(settings, judged, ledger, accounts, outcome, now=now, shown=shown, force=force)
        _left_out(outcome, settings)
        shown("pulling campaign results", 0, 0)
        pulled = pulling.pull(ledger, [one.connector for one in accounts], judged.checked.first_day, judged.as_of, now=now)
        outcome.pulled, outcome.exit_code = pulled.summary(), worst([outcome.exit_code, pulled.exit_code])
        came_from = judged.contacts.select(ACQUISITION)
        outcome.pulled["clicks"] = clicks.pull(
            settings.state, came_from, accounts, judged.as_of, translate.encryption_key(settings)
        )
        kept.note(
            audiences=outcome.audiences,
            signals=outcome.signals,
            pulled=outcome.pulled,
            simulated=simulated,
            exit_code=outcome.exit_code,
        )
        shown("writing the page", 0, 0)
        outcome.report = paperwork.write(settings, kept, judged.checked, came_from, ledger)
        outcome.words = kept.record["words"]
        ledger.end_run(number, now(), outcome.exit_code, {"run": kept.id})
    return outcome


def plan(
    settings: Settings, *, now: Clock = utc_now, shown: Progress, audiences: Sequence[str] = (), platforms: Sequence[str] = ()
) -> Outcome:
    """What a push would do; nothing is sent."""
    _known(settings, audiences, platforms)
    with _opened(settings, now, platforms) as (ledger, accounts), ledger.run("plan", now()) as number:
        judged = judge(settings, Archive.of(settings).start(now()), ledger, now=now, shown=shown)
        with planned(settings, judged, ledger, accounts, now=now, shown=shown, only=audiences) as made:
            rows, unreachable, left_out = made.rows(), made.unreachable, dict(made.dropped)
        ledger.end_run(number, now(), 0, {})
    outcome = Outcome(summary=judged.summary, plan=rows, unreachable=unreachable, left_out=left_out, refusals=judged.refusals)
    _left_out(outcome, settings, platforms)
    return outcome


def push(
    settings: Settings,
    *,
    now: Clock = utc_now,
    shown: Progress,
    audiences: Sequence[str] = (),
    platforms: Sequence[str] = (),
    refresh: bool = False,
    force: str | None = None,
) -> Outcome:
    """Scores, gate, plan and push, without results and page."""
    _known(settings, audiences, platforms)
    with _opened(settings, now, platforms) as (ledger, accounts), ledger.run("push by hand", now()) as number:
        notes = retention.expire(settings, ledger, translate.lifecycle(settings), now())
        kept = Archive.of(settings).start(now())
        judged = judge(settings, kept, ledger, now=now, shown=shown)
        outcome = Outcome(summary=judged.summary, refusals=judged.refusals, notes=notes)
        _send(settings, judged, ledger, accounts, outcome, now=now, shown=shown, force=force, only=audiences, refresh=refresh)
        _left_out(outcome, settings, platforms)
        kept.note(audiences=outcome.audiences, signals=outcome.signals, exit_code=outcome.exit_code)
        ledger.end_run(number, now(), outcome.exit_code, {"run": kept.id})
    return outcome


def pull(
    settings: Settings, *, now: Clock = utc_now, shown: Progress, since: date | None = None, until: date | None = None
) -> Outcome:
    """Campaign results into the state folder; with `since` the whole span is read again."""
    shown("pulling campaign results", 0, 0)
    with _opened(settings, now) as (ledger, accounts), ledger.run("pull", now()) as number:
        checked = scored.transactions(settings) if since is None or until is None else None
        first = since or (checked.first_day if checked else None)
        last = until or (scored.day_of(settings, checked, now) if checked else None)
        if first is None or last is None or first > last:
            raise ConfigurationError(f"--since {first} lies after --until {last}")
        found = pulling.pull(ledger, [one.connector for one in accounts], first, last, now=now, again=since is not None)
        outcome = Outcome(found.exit_code, pulled=found.summary())
        _left_out(outcome, settings)
        ledger.end_run(number, now(), outcome.exit_code, found.summary())
    return outcome


def report(settings: Settings, out: Path | None, kind: str, table: str, *, shown: Progress) -> tuple[str, Path | None]:
    """The text (when it goes to stdout) and the path (when it went to a file) of the last run's report."""
    shown("writing the report", 0, 0)
    archive = Archive.of(settings)
    kept = archive.last(done=True) or archive.last()
    if kept is None:
        raise ConfigurationError("no run has left scores yet", remedy="run first: clvsync run")
    with _opened(settings, utc_now, ("nothing",)) as (ledger, _):
        checked, known = living(ledger, scored.transactions(settings), contacts.read(settings, ledger))
        checked, known, _ = contacts.by_person(settings, checked, known, utc_now().year, ledger)
        data = paperwork.report_data(settings, kept, checked, known.select(ACQUISITION), ledger)
    return paperwork.publish(data, out or (settings.state / "report.html" if kind == "html" else None), kind, table)


def status(settings: Settings, *, shown: Progress, offline: bool = False) -> dict[str, Any]:
    """What is where and what is pending; asks the platforms unless `offline`."""
    shown("asking the platforms", 0, 0)
    with _opened(settings, utc_now) as (ledger, accounts):
        known = translate.lifecycle(settings)
        asked = None if offline else [one.connector for one in accounts]
        return standing.status(ledger, asked, lambda row: known.told(ledger, row, accounts))


def forget(settings: Settings, ids: Sequence[str], *, now: Clock = utc_now, shown: Progress) -> dict[str, Any]:
    """What became of these customers (and of all ids of the same people) at every platform and in all state."""
    shown("erasing", 0, 0)
    with _opened(settings, now) as (ledger, accounts), ledger.run("erasure", now()) as number:
        archive = Archive.of(settings)
        ids = people.everyone(ids, archive)
        bury(ledger, ids, now())
        notes, done = remains.forget(settings, ids, archive, ledger)
        found = erasing.forget(ledger, ids, accounts, work=_work(settings), now=now)
        left = _broken(settings)
        found["notes"] += [*notes, *(f"{name} was left out, nobody was removed there: {why}" for name, why in left.items())]
        found["exit_code"] = worst([found["exit_code"], 0 if done else 4, *(why.exit_code for why in left.values())])
        ledger.end_run(number, now(), found["exit_code"], {})
    return found


def judge(settings: Settings, kept: Run, ledger: Ledger, *, now: Clock, shown: Progress) -> Judged:
    """Today's scores and what the backtest says of the model that made them; both are kept with the run.

    When orders, contacts, settings and day are those of an earlier run, so are its scores: they are taken over.
    """
    from clv_core.validation import backtest, gate

    shown("reading orders", 0, 0)
    checked = scored.transactions(settings)
    day, known = scored.day_of(settings, checked, now), contacts.read(settings, ledger)
    checked, known = living(ledger, checked, known)
    checked, known, links = contacts.by_person(settings, checked, known, now().year, ledger)
    if links is not None:
        kept.keep("people", links)
    archive = Archive.of(settings)
    older = archive.last(before=kept)
    mark = scored.fingerprint(settings, checked, known.bare(), day)
    if older is not None and (scores := paperwork.take_over(kept, older, mark)) is not None:
        record = kept.record
        return Judged(checked, known, scores, paperwork.summary(record), day, tuple(record["refusals"]))
    shown("scoring customers", 0, 0)
    lands = known.select(("customer_id", "country"))
    before = archive.last(before=kept, done=True) or older  # a plan in between is not the last time
    made = scored.of_transactions(settings, checked, day, contacts=lands, previous=before.table("scores") if before else None)
    shown("testing the model on held-out orders", 0, 0)
    tested = backtest(checked, None, settings.model.horizon_days, made.settings)
    refusals = gate(tested, made.settings.gate).reasons if settings.model.gate.enabled else ()
    paperwork.keep(kept, made, tested, refusals, mark)
    return Judged(checked, known, made.scores.table, scored.summary(made), day, tuple(refusals))


@contextmanager
def planned(
    settings: Settings,
    judged: Judged,
    ledger: Ledger,
    accounts: Sequence[Account],
    *,
    now: Clock,
    shown: Progress,
    only: Sequence[str] = (),
    refresh: bool = False,
) -> Iterator[Plan]:
    """The plan; the members' work files exist until the block ends."""
    shown("matching members", 0, 0)
    members = build_members(
        judged.scores,
        judged.contacts,
        ledger=ledger,
        work=_work(settings),
        suppressed=people.joined(suppression.customers(settings, judged.contacts.bare(), now().year), Archive.of(settings)),
        also_strict=settings.consent.also_needed_in,
    )
    try:
        shown("comparing with what was accepted", 0, 0)
        wanted = translate.requests(settings, only)
        newest = scored.newest(judged.checked, now)
        yield make_plan(
            ledger,
            members,
            wanted,
            accounts,
            now=now(),
            source_day=newest,
            gate=judged.refusals,
            refresh=refresh,
            lifecycle=None if only else translate.lifecycle(settings),
        )
    finally:
        members.close()


def _send(
    settings: Settings,
    judged: Judged,
    ledger: Ledger,
    accounts: Sequence[Account],
    outcome: Outcome,
    *,
    now: Clock,
    shown: Progress,
    force: str | None,
    only: Sequence[str] = (),
    refresh: bool = False,
) -> None:
    with planned(settings, judged, ledger, accounts, now=now, shown=shown, only=only, refresh=refresh) as made:
        outcome.plan = made.rows()
        shown("sending to the platforms", 0, 0)
        sent = pushing.push(made, ledger, now=now, progress=shown, force=force)
        outcome.audiences, outcome.unreachable, outcome.left_out = sent.audiences, made.unreachable, dict(made.dropped)
        outcome.exit_code = worst([sent.exit_code, int(any(one["must_leave"] for one in made.unreachable))])
        paperwork.keep_match(Archive.of(settings).runs()[-1], made)
        if judged.refusals and not force:
            return  # what the gate holds back from audiences goes nowhere else either
        if not only:
            outcome.signals = _signal(settings, made, ledger, accounts, now=now, shown=shown)
        experiments.record(settings.state, made.members, translate.requests(settings), ledger, judged.as_of)
        outcome.written_back = writeback.write(settings, judged.scores, made.members, ledger)
        codes = [one.pop("exit_code") for one in outcome.signals] + [outcome.written_back.get("exit_code", 0)]
        outcome.exit_code = worst([outcome.exit_code, *codes])


def _signal(
    settings: Settings, made: Plan, ledger: Ledger, accounts: Sequence[Account], *, now: Clock, shown: Progress
) -> list[dict[str, Any]]:
    """Predicted values of new customers to the accounts that ask for them; orders are read again only if one does."""
    days = [signal.days for one in accounts if (signal := signalling.wants_values(one))]
    if not days:
        return []
    shown("sending predicted values", 0, 0)
    return signalling.send_values(
        ledger,
        made.members,
        newcomers.first_orders(settings, now() - timedelta(days=max(days))),
        accounts,
        identified=made.identified,
        rates=newcomers.newest_rates(settings),
        maximum=Decimal(str(settings.audiences.guardrails.max_value)),
        now=now,
    )


@contextmanager
def _opened(settings: Settings, now: Clock, platforms: Sequence[str] = ()) -> Iterator[tuple[Ledger, list[Account]]]:
    accounts = translate.accounts(settings, now, platforms)
    for name, why in _broken(settings, platforms).items():
        events.tell("platform left out", wrong=True, platform=name, detail=str(why))
    usual = os.umask(0o077)  # whatever any library writes into the state folder is owner-only
    try:
        with disk.watched(settings.state):
            ledger = open_ledger(
                settings.state,
                translate.encryption_key(settings),
                old=translate.encryption_key(settings, "old_encryption_key"),
                also=lambda old, key: remains.reseal(settings.state, old, key),
            )
            try:
                yield ledger, accounts
            finally:
                ledger.close()
                contacts.drop(settings)
    finally:
        for account in accounts:
            account.connector.close()
        os.umask(usual)


def _known(settings: Settings, audiences: Sequence[str], platforms: Sequence[str]) -> None:
    for kind, named, there in (
        ("audience", audiences, [one.name for one in settings.audiences.audiences]),
        ("platform", platforms, list(settings.platforms)),
    ):
        for name in named:
            if name in settings.broken and kind == "platform":
                raise settings.broken[name]
            if name not in there:
                raise ConfigurationError(f"there is no {kind} {name!r} in config", remedy=f"there are: {', '.join(there)}")


def _broken(settings: Settings, platforms: Sequence[str] = ()) -> dict[str, ConfigurationError]:
    """The platforms asked for whose package can't serve them: the others go on, and the exit code says so in the end."""
    return {name: why for name, why in settings.broken.items() if not platforms or name in platforms}


def _left_out(outcome: Outcome, settings: Settings, platforms: Sequence[str] = ()) -> None:
    """Nothing: the outcome tells of platforms that could not be served."""
    if broken := _broken(settings, platforms):
        outcome.notes = [*(f"{name} was left out: {why}" for name, why in broken.items()), *outcome.notes]
        outcome.exit_code = worst([outcome.exit_code, *(why.exit_code for why in broken.values())])


def _work(settings: Settings) -> Path:
    return settings.state / f"work-{os.getpid()}"
