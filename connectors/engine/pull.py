"""Campaign results from every account into the state folder; figures keep changing for weeks, so a window is read again."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from connectors import events
from connectors.engine.outcome import worst
from connectors.engine.results import Results, read_restatements, read_results
from connectors.engine.side_by_side import side_by_side
from connectors.errors import StoppedError, SyncError
from connectors.protocol import utc_now

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from connectors.engine.ledger import Ledger
    from connectors.protocol import Connector

__all__ = ["PullOutcome", "pull", "read_restatements", "read_results"]
SPAN = 30
"""Days kept in one transaction: an interrupted first pull goes on where it was."""


@dataclass
class PullOutcome:
    """`accounts`: per account platform, account, since, until, rows, restated, detail. `exit_code` as in a push."""

    accounts: list[dict[str, Any]] = field(default_factory=list)
    exit_code: int = 0

    def summary(self) -> dict[str, Any]:
        """The sums, and what went wrong where."""
        return {
            "rows": sum(one["rows"] for one in self.accounts),
            "restated": sum(one["restated"] for one in self.accounts),
            "accounts": self.accounts,
            "exit_code": self.exit_code,
        }


def pull(
    ledger: Ledger,
    connectors: Sequence[Connector],
    since: date,
    until: date,
    *,
    now: Callable[[], datetime] = utc_now,
    again: bool = False,
) -> PullOutcome:
    """What was pulled from each account. `since` is the earliest day that matters (the earliest acquisition).

    An account's first pull goes back to `since`, as far as the platform keeps reports; later ones read what is new and the
    trailing window in which its platform still changes figures. `again` reads the whole span once more. One account's error
    doesn't stop the others: it is in the outcome, with the exit code of its class.
    """
    asked = [one for one in connectors if one.capabilities.results]
    results = Results(ledger)
    try:
        stop = threading.Event()
        found = side_by_side(lambda one: _account(results, one, since, until, now, again, stop), asked, name="pull", stop=stop)
        if stop.is_set():
            raise StoppedError("stopped by hand before all results were pulled")
    finally:
        results.close()
    return PullOutcome(found, worst([one.pop("exit_code") for one in found]))


def _account(
    results: Results,
    connector: Connector,
    since: date,
    until: date,
    now: Callable[[], datetime],
    again: bool,
    stop: threading.Event,
) -> dict[str, Any]:
    limits = connector.capabilities
    place = (limits.platform, connector.account_id)
    line: dict[str, Any] = {"platform": place[0], "account": place[1], "rows": 0, "restated": 0, "detail": "", "exit_code": 0}
    first = max(since, now().date() - timedelta(days=limits.report_history_days))
    covered = results.covered(*place)
    if covered is not None and not again and covered[0] <= first:
        first = max(first, min(covered[1], until) - timedelta(days=limits.report_restatement_days))
    line["since"], line["until"] = first.isoformat(), until.isoformat()
    with events.timed("pull", platform=place[0], account=place[1], since=line["since"], until=line["until"]) as told:
        try:
            for start, end in _spans(first, until):
                if stop.is_set():
                    raise StoppedError("stopped by hand")
                rows, restated = results.keep(place, start, end, connector.campaign_days(start, end), now())
                line["rows"] += rows
                line["restated"] += restated
        except SyncError as error:
            line["detail"], line["exit_code"] = str(error), error.exit_code
            told |= events.failure(error)
        told |= {"rows": line["rows"], "restated": line["restated"], "exit_code": line["exit_code"]}
    return line


def _spans(first: date, last: date) -> Iterator[tuple[date, date]]:
    while first <= last:
        end = min(last, first + timedelta(days=SPAN - 1))
        yield first, end
        first = end + timedelta(days=1)
