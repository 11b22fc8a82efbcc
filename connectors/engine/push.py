"""Carries a plan out: accounts side by side, audiences of an account one after the other, resumable at every instant."""

from __future__ import annotations

import logging
import sqlite3
import threading
import traceback
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from connectors import events
from connectors.engine import everywhere, sizes
from connectors.engine.courier import Courier
from connectors.engine.deliveries import open_delivery
from connectors.engine.erased import settle_tombstones
from connectors.engine.holdout import keep_holdout
from connectors.engine.lookalikes import keep_lookalikes
from connectors.engine.outcome import STEPS, PushOutcome, blank, count, fail, show_status, totals, worst
from connectors.engine.remote import Remote
from connectors.engine.seen import seen_before
from connectors.engine.settling import pending_batches, settle
from connectors.engine.side_by_side import side_by_side
from connectors.engine.upkeep import rename, share
from connectors.errors import FatalError, StoppedError, SyncError
from connectors.protocol import AudienceHandle, AudienceState, AudienceStatus, utc_now

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from connectors.engine.ledger import Ledger
    from connectors.engine.plan import Plan, PlannedAudience, Planner

_log = logging.getLogger(__name__)


def _spot(error: BaseException) -> str:
    """File and line where an unexpected error arose; its text may hold anything and is not logged."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{Path(frame.filename).name}:{frame.lineno}"


def push(
    plan: Plan,
    ledger: Ledger,
    *,
    now: Callable[[], datetime] = utc_now,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
    force: str | None = None,
) -> PushOutcome:
    """What became of every audience of the plan, and the exit code.

    Holds the state folder's lock (LockedError while another run does). Audiences stopped by a guardrail are not sent unless
    `force` gives a reason, which is recorded. `progress` is called from several threads after each batch: the audience's
    place ("platform/account/audience"), rows answered, rows in all. Errors of one audience don't stop the others; a state
    folder that can't be written (disk full) ends the run with FatalError, Ctrl-C with StoppedError once the batches under way
    have their answers: the next run goes on from there.
    """
    try:
        with ledger.run("push", now()) as run, events.timed("push", run=run, audiences=len(plan.items)) as told:
            pusher = Pusher(ledger, plan.planner, run, now, progress, force)
            outcomes = pusher.all(plan.items)
            erasures = [] if pusher.stop.is_set() else _finish_erasures(plan, ledger, now())
            codes = [int(one["exit_code"]) for one in (*outcomes, *erasures)]
            outcome = PushOutcome(outcomes, worst(codes))
            ledger.end_run(run, now(), outcome.exit_code, outcomes)
            told |= totals(outcomes) | {"exit_code": outcome.exit_code}
            if pusher.stop.is_set():
                raise StoppedError("stopped by hand before everything was sent")
    except (sqlite3.Error, OSError) as error:
        remedy = "make room on the disk, then run again to resume"
        raise FatalError(f"the state folder can't be written: {error}", remedy=remedy) from error
    return outcome


def _finish_erasures(plan: Plan, ledger: Ledger, now: datetime) -> list[dict[str, Any]]:
    """What is still open of `forget`, one line per account and erasure; done erasures are closed."""
    accounts = {item.account.place: item.account for item in plan.items}
    lines = [line for account in accounts.values() for line in everywhere.finish(ledger, account, plan.members.work)]
    settle_tombstones(ledger, now)
    return lines


@dataclass
class Pusher:
    """One run's push."""

    ledger: Ledger
    planner: Planner
    run: int
    now: Callable[[], datetime]
    progress: Callable[[str, int, int], None]
    force: str | None
    away: dict[tuple[str, str], SyncError] = field(default_factory=dict)
    """Accounts that answer nobody (out of reach, a dead token): one audience has asked, the others need not."""
    stop: threading.Event = field(default_factory=threading.Event)
    """Set when the run is to end: nothing more is begun."""
    remote: Remote = field(init=False)
    courier: Courier = field(init=False)

    def __post_init__(self) -> None:
        self.away |= self.planner.away
        self.remote = Remote(self.ledger, self.planner, self.now)
        self.courier = Courier(self.ledger, self.planner, self.remote, self.run, self.now, self.progress, self.stop)

    def all(self, items: list[PlannedAudience]) -> list[dict[str, Any]]:
        """The outcomes of all audiences: one thread per account, so that a slow platform holds nobody else."""
        groups: dict[tuple[str, str], list[PlannedAudience]] = {}
        for item in items:
            groups.setdefault(item.account.place, []).append(item)
        told = partial(self.progress, "stopping after the batches under way (again to stop at once)", 0, 0)
        parts = side_by_side(self.account, list(groups.values()), name="push", stop=self.stop, stopping=told)
        return [one for part in parts for one in part]

    def account(self, items: list[PlannedAudience]) -> list[dict[str, Any]]:
        """The outcomes of one account's audiences, in order."""
        return [self.audience(item) for item in items]

    def audience(self, item: PlannedAudience) -> dict[str, Any]:
        """The outcome of one audience, also told to the log; raises only what concerns the state folder itself."""
        with events.timed("audience", **asdict(item.place)) as told:
            outcome = self._outcome(item, told)
            told |= {key: outcome[key] for key in ("mode", "state", "guardrail", "detail", "exit_code", *STEPS)}
            told |= totals([outcome])
        return outcome

    def _outcome(self, item: PlannedAudience, told: dict[str, Any]) -> dict[str, Any]:
        outcome = blank(item)
        try:
            self._audience(item, outcome)
        except (sqlite3.Error, OSError):
            raise
        except Exception as error:
            told |= {"error": type(error).__name__, "code": getattr(error, "code", None)}
            self._heed(item, error)
            if not isinstance(error, SyncError):
                _log.error("audience failed: %s at %s", type(error).__name__, _spot(error))
            fail(outcome, error)
        known = self.ledger.audience(item.place)
        if known is not None:
            outcome["snapshot"] = known["rows"]
            count(self.ledger, outcome, int(known["id"]), self.run)
        if outcome["state"] in ("incomplete", "failed", "pending") and open_delivery(self.ledger, known) is None:
            outcome["undelivered"] = outcome["add"] + outcome["change"] + outcome["remove"]
        return outcome

    def _heed(self, item: PlannedAudience, error: BaseException) -> None:
        """Nothing: an error that the whole account would meet is not asked for again."""
        if isinstance(error, SyncError) and error.account_wide:
            self.away.setdefault(item.account.place, error)

    def _audience(self, item: PlannedAudience, outcome: dict[str, Any]) -> None:
        connector = item.account.connector
        if self.stop.is_set():
            raise StoppedError("the run was stopped by hand")
        if item.account.place in self.away:
            raise self.away[item.account.place]
        handle, status = self.remote.known(item)
        open_still: list[str] = []
        if handle is not None and pending_batches(self.ledger, item.place):
            open_still = settle(self.ledger, connector, handle, item.place, self.now(), self.run)
        item = self.remote.current(item, status)
        self.remote.mark(item)
        if item.mode == "retire" or (item.care and handle is None):
            self.remote.retire(item, handle, outcome)
            return
        if item.request.holdout:
            keep_holdout(self.ledger, item.request.key, item.request.holdout, self.now())
        outcome.update(item.row())
        outcome["notes"] += [*open_still, *self._size(item, status)]
        if handle is not None:
            outcome["notes"] += rename(self.ledger, item, handle, self.now())
        if item.guardrails and not self._forced(item):
            try:
                self._relieve(item, handle, outcome)
            except SyncError as error:  # removals that wait or fail are told, and the audience is stopped all the same
                fail(outcome, error)
            outcome["state"], outcome["exit_code"] = "stopped", worst([outcome["exit_code"], 3])
            show_status(outcome, status)
            return
        outcome["forced"] = bool(item.guardrails)
        if item.mode in ("change", "replace", "resume") and status is not None:
            self._remake_if_stuck(item, status)
        if item.mode != "nothing":
            handle = self.courier.deliver(item, handle, outcome)
            status = connector.status(handle) if handle is not None and handle.remote_id else None
        self._remember(item)
        self._finish(item, handle, status, outcome)

    def _size(self, item: PlannedAudience, status: AudienceStatus | None) -> list[str]:
        """A note where the platform seems to have lost members; what it says of the size today is kept."""
        row = self.ledger.audience(item.place)
        if row is None or status is None:
            return []
        sizes.note(self.ledger, row, status, self.now())
        told = sizes.fell(self.ledger, row, status)
        return [told] if told else []

    def _remember(self, item: PlannedAudience) -> None:
        """Nothing: the ledger knows what the source held; what went missing while nothing was to be sent is not forgotten."""
        row = self.ledger.audience(item.place)
        before, limit = seen_before(row), item.request.guardrails.largest_share_gone
        if row is None or item.care or item.seen == before:
            return
        if self.force or limit is None or not any(item.seen.lacks(before, limit)):
            self.ledger.keep_audience(item.place, self.now(), seen=item.seen.text())

    def _relieve(self, item: PlannedAudience, handle: AudienceHandle | None, outcome: dict[str, Any]) -> None:
        """Nothing: those who said no have left an audience that a guardrail stops."""
        if item.relief is None or handle is None:
            return
        relief = self.remote.again(item.relief)
        if relief.mode != "nothing" and not relief.guardrails:
            self.courier.deliver(relief, handle, outcome)

    def _remake_if_stuck(self, item: PlannedAudience, status: AudienceStatus) -> None:
        """Nothing: an audience too small to be edited any more, and of use to nobody, is planned to be made anew."""
        if (
            status.state is AudienceState.TOO_SMALL
            and item.limits.edit_interval_hours
            and item.wanted.rows >= item.limits.minimum_size
        ):
            item.mode = "recreate"
            item.notes.append("the platform no longer edits this audience, which was too small: it is made anew")

    def _finish(
        self, item: PlannedAudience, handle: AudienceHandle | None, status: AudienceStatus | None, outcome: dict[str, Any]
    ) -> None:
        show_status(outcome, status)
        if status is not None and status.state is AudienceState.BLOCKED:
            outcome["state"], outcome["exit_code"] = "blocked", 1
        if handle is None:
            return
        connector = item.account.connector
        outcome["notes"] += share(self.ledger, item, handle, status, self.now())
        outcome["lookalikes"], errors = keep_lookalikes(self.ledger, connector, item, handle, status, self.now())
        for error in errors:
            self._heed(item, error)
        outcome["exit_code"] = worst([outcome["exit_code"], *(error.exit_code for error in errors)])

    def _forced(self, item: PlannedAudience) -> bool:
        if not self.force:
            return False
        events.tell("guardrail overridden", **asdict(item.place), guardrail="; ".join(item.guardrails), reason=self.force)
        self.ledger.journal.write(
            "INSERT INTO overrides (run, platform, account, audience, guardrail, reason, at) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (self.run, *item.account.place, item.spec.key, "; ".join(item.guardrails), self.force, self.now().isoformat()),
        )
        return True
