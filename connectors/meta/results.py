"""Insights -> campaign days: at ad level by default, day by day, with windows explicit (fact sheet 5)."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from connectors.errors import FatalError, NotReadyError, RetriableError, SyncError
from connectors.meta.codes import find
from connectors.meta.refusals import tag_of
from connectors.protocol import CampaignDay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from connectors.meta.client import GraphClient
    from connectors.meta.settings import MetaAccount, MetaSettings

HISTORY_MONTHS: Final = 37
SYNC_DAYS: Final = 35  # `reports: auto` takes longer spans as report runs
SPAN_DAYS: Final = 90  # one request's longest span
PAGE: Final = 500
LONGEST_RUN: Final = 3600.0  # seconds
STATUSES: Final = {
    "campaign": ("ACTIVE", "PAUSED", "DELETED", "ARCHIVED", "IN_PROCESS", "WITH_ISSUES"),
    "adset": ("ACTIVE", "PAUSED", "DELETED", "CAMPAIGN_PAUSED", "ARCHIVED", "IN_PROCESS", "WITH_ISSUES"),
    "ad": (
        "ACTIVE", "PAUSED", "DELETED", "PENDING_REVIEW", "DISAPPROVED", "PREAPPROVED", "PENDING_BILLING_INFO",
        "CAMPAIGN_PAUSED", "ARCHIVED", "ADSET_PAUSED", "IN_PROCESS", "WITH_ISSUES",
    ),
}  # fmt: skip
"""Every status that a level knows: without this filter Meta leaves deleted and archived ones out of account reports."""
_LEVELS: Final = {"campaign": ("campaign",), "adset": ("campaign", "adset"), "ad": ("campaign", "adset", "ad")}


class Insights:
    """The reports of one ad account."""

    def __init__(
        self,
        client: GraphClient,
        settings: MetaSettings,
        account: MetaAccount,
        *,
        now: Callable[[], datetime],
        sleep: Callable[[float], None],
    ) -> None:
        self._client, self._settings, self._account = client, settings, account
        self._now, self._sleep = now, sleep
        self._node = f"act_{account.account_id}"

    def campaign_days(self, since: date, until: date) -> Iterator[CampaignDay]:
        """Every day with spend, impressions or conversions, as far back as Meta keeps them: 37 months."""
        since = max(since, _months_before(self._now().date(), HISTORY_MONTHS) + timedelta(days=1))
        wanted = self._settings.reports
        by_run = wanted == "async" or (wanted == "auto" and (until - since).days >= SYNC_DAYS)
        while since <= until:
            stop = min(until, since + timedelta(days=SPAN_DAYS - 1))
            yield from self._span(since, stop, by_run=by_run)
            since = stop + timedelta(days=1)

    def _span(self, since: date, until: date, *, by_run: bool) -> Iterator[CampaignDay]:
        """A span's days; one that is too large for Meta is halved, a single day becomes a report run."""
        try:
            rows = list(self._run(since, until) if by_run else self._rows((self._node, "insights"), since, until))
        except FatalError as error:
            if tag_of(error) != "split" or (by_run and since == until):
                raise
        else:
            yield from (self._day(row) for row in rows)
            return
        if since == until:
            yield from self._span(since, until, by_run=True)
            return
        middle = since + (until - since) // 2
        yield from self._span(since, middle, by_run=by_run)
        yield from self._span(middle + timedelta(days=1), until, by_run=by_run)

    def _rows(self, path: tuple[str, ...], since: date, until: date) -> Iterator[dict[str, Any]]:
        return self._client.pages(*path, limit=PAGE, smallest=PAGE, **self._query(since, until))

    def _query(self, since: date, until: date) -> dict[str, Any]:
        level = self._settings.report_level
        names = [f"{part}_id" for part in _LEVELS[level]]
        fields = ["account_currency", *names, "campaign_name", "spend", "impressions", "clicks", "actions", "action_values"]
        return {
            "level": level,
            "fields": ",".join([*fields, "date_start", "date_stop"]),
            "time_range": {"since": since.isoformat(), "until": until.isoformat()},
            "time_increment": 1,
            "action_attribution_windows": list(self._settings.attribution_windows),
            "filtering": [{"field": f"{level}.effective_status", "operator": "IN", "value": list(STATUSES[level])}],
        }

    def _run(self, since: date, until: date) -> Iterator[dict[str, Any]]:
        """The rows of a report run; one that Meta fails or skips is asked for once more."""
        for attempt in (1, 2):
            # A run asked for twice costs quota and nothing else, so a lost reply is simply asked again.
            answer = self._client.post(self._node, "insights", expect="report_run_id", resend=True, **self._query(since, until))
            run = str(answer["report_run_id"])
            status = self._wait(run)
            if status["async_status"] == "Job Completed":
                return self._client.pages(run, "insights", limit=PAGE)
            error = _failure(status)
            if attempt == 2 or isinstance(error, FatalError):
                raise error
        raise FatalError("the report was skipped twice", platform="meta")

    def _wait(self, run: str) -> dict[str, Any]:
        waited, pause = 0.0, 0.2
        while True:
            status = self._client.get(run, expect="async_status")
            percent, state = int(status.get("async_percent_completion") or 0), status["async_status"]
            if state in ("Job Failed", "Job Skipped") or (state == "Job Completed" and percent >= 100):
                return status
            if waited >= LONGEST_RUN:
                raise NotReadyError(f"report run {run} is at {percent}% after an hour", platform="meta")
            self._sleep(pause)
            waited, pause = waited + pause, min(30.0, pause * 1.5)

    def _day(self, row: dict[str, Any]) -> CampaignDay:
        return CampaignDay(
            platform="meta",
            account_id=self._account.account_id,
            date=date.fromisoformat(row["date_start"]),
            campaign_id=str(row["campaign_id"]),
            campaign_name=str(row.get("campaign_name") or ""),
            adset_id=str(row.get("adset_id") or ""),
            ad_id=str(row.get("ad_id") or ""),
            spend=Decimal(str(row.get("spend") or "0")),
            impressions=int(row.get("impressions") or 0),
            clicks=int(row.get("clicks") or 0),
            conversions=self._purchases(row.get("actions")),
            conversion_value=self._purchases(row.get("action_values")),
            currency=str(row.get("account_currency") or self._account.currency),
            pulled_at=self._now(),
        )

    def _purchases(self, actions: Any) -> Decimal:
        """The amount under the first purchase type that is present: the types overlap, so they are never added."""
        found = {one.get("action_type"): one for one in actions or [] if isinstance(one, dict)}
        for kind in self._settings.purchase_actions:
            if kind in found:
                return self._in_windows(found[kind])
        return Decimal(0)

    def _in_windows(self, action: dict[str, Any]) -> Decimal:
        """A click and a view window exclude each other, so their sum counts nobody twice; `value` where none is named."""
        if not any(name.startswith(("1d_", "7d_", "28d_")) for name in action):
            return Decimal(str(action.get("value") or "0"))
        return sum((Decimal(str(action.get(window) or "0")) for window in self._settings.attribution_windows), Decimal(0))


def _failure(status: dict[str, Any]) -> SyncError:
    code, subcode = int(status.get("error_code") or -2), status.get("error_subcode")
    row = find(code, int(subcode) if subcode else None)
    name = f"{code}/{subcode}" if subcode else str(code)
    message = f"report run: {status['async_status']}: {row.meaning}"
    if issubclass(row.raises, RetriableError):
        return RetriableError(message, platform="meta", code=name)
    return FatalError(message, remedy=row.remedy, platform="meta", code=name)


def _months_before(day: date, months: int) -> date:
    count = day.year * 12 + day.month - 1 - months
    year, month = divmod(count, 12)
    last = (date(year + month // 11, (month + 1) % 12 + 1, 1) - timedelta(days=1)).day
    return date(year, month + 1, min(day.day, last))
