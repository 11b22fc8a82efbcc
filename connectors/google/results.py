"""Campaign results through GAQL -> CampaignDay, and clicks -> the campaign they came from.

Dates are the account's own. Daily figures go back 37 months; a longer wish is cut to that. Manager accounts hold no figures:
their clients are read. Money is exact: micros divided in Decimal.
"""

from __future__ import annotations

import calendar
import logging
from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from connectors.errors import FatalError
from connectors.protocol import CampaignDay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from connectors.google.client import GoogleClient

MONTHS_KEPT = 37
CLICK_DAYS = 90
MANAGER = "REQUESTED_METRICS_FOR_MANAGER"
METRICS = (
    "metrics.impressions, metrics.clicks, metrics.cost_micros, metrics.conversions, metrics.conversions_value, "
    "metrics.all_conversions, metrics.all_conversions_value"
)
PARTS: dict[
    str, dict[str, tuple[str, ...]]
] = {  # by report level: the reports that a campaign's figures come apart into, each with the ids that it selects
    "campaign": {},
    "ad_group": {"ad_group": ("ad_group.id",), "asset_group": ("asset_group.id",)},
    "ad": {"ad_group_ad": ("ad_group.id", "ad_group_ad.ad.id"), "asset_group": ("asset_group.id",)},
}
Item = TypeVar("Item")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Click:
    """One ad click: what maps a customer's gclid to a campaign."""

    gclid: str
    day: date
    account_id: str
    campaign_id: str
    ad_group_id: str


@dataclass(frozen=True, slots=True)
class Figures:
    """Spend in micros, counts and values of a campaign's day; they add up."""

    cost: int
    impressions: int
    clicks: int
    conversions: Decimal
    value: Decimal

    def __sub__(self, other: Figures) -> Figures:
        """What is left of a campaign after its parts."""
        return Figures(
            self.cost - other.cost,
            self.impressions - other.impressions,
            self.clicks - other.clicks,
            self.conversions - other.conversions,
            self.value - other.value,
        )

    def __bool__(self) -> bool:
        """Whether anything happened at all."""
        return any((self.cost, self.impressions, self.clicks, self.conversions, self.value))


@dataclass(frozen=True, slots=True)
class Row:
    """A day of a campaign, or of one of its ad groups, asset groups (`group`) or ads."""

    day: date
    campaign_id: str
    campaign_name: str
    group: str
    ad: str
    figures: Figures
    currency: str


class Results:
    """Reports of one account, or of all clients of a manager account."""

    def __init__(self, client: GoogleClient, now: Callable[[], datetime]) -> None:
        self._client, self._now = client, now

    def campaign_days(self, since: date, until: date) -> Iterator[CampaignDay]:
        """Each campaign's (or ad group's, or ad's) days with any activity, in Google's order, month by month."""
        first = max(since, months_before(self._today(), MONTHS_KEPT))
        if first > since:
            _log.warning("google: daily figures go back %s months; reading from %s", MONTHS_KEPT, first)

        def read(account: str) -> Iterator[CampaignDay]:
            for start, end in months(first, until):
                yield from self._days(account, start, end)

        yield from self._per_account(read)

    def _today(self) -> date:
        """The account's date; without its time zone the latest date on earth, so that no day asked for is too old."""
        zone = self._client.account.timezone
        try:
            return self._now().astimezone(ZoneInfo(zone or "Pacific/Kiritimati")).date()
        except ZoneInfoNotFoundError:
            return self._now().astimezone(ZoneInfo("Pacific/Kiritimati")).date()

    def _per_account(self, read: Callable[[str], Iterator[Item]]) -> Iterator[Item]:
        """What `read` gives for the account, or for each enabled client when the account is a manager."""
        own = self._client.account.account_id
        try:
            yield from read(own)
        except FatalError as refused:
            if refused.code != MANAGER:
                raise
            found = self._client.query(
                "SELECT customer_client.id, customer_client.manager, customer_client.status FROM customer_client "
                "WHERE customer_client.status = 'ENABLED' AND customer_client.manager = FALSE"
            )
            for row in found:
                yield from read(str(row.customer_client.id))

    def _days(self, account: str, start: date, end: date) -> Iterator[CampaignDay]:
        pulled = self._now()
        for row in self._rows(account, start, end):
            yield CampaignDay(
                platform="google",
                account_id=account,
                date=row.day,
                campaign_id=row.campaign_id,
                campaign_name=row.campaign_name,
                adset_id=row.group,
                ad_id=row.ad,
                spend=Decimal(row.figures.cost).scaleb(-6),
                impressions=row.figures.impressions,
                clicks=row.figures.clicks,
                conversions=row.figures.conversions,
                conversion_value=row.figures.value,
                currency=row.currency or self._client.account.currency,
                pulled_at=pulled,
            )

    def _rows(self, account: str, start: date, end: date) -> Iterator[Row]:
        campaigns = list(self._read(account, "campaign", (), start, end))
        parts: dict[tuple[date, str], list[Row]] = defaultdict(list)
        for resource, fields in PARTS[self._client.settings.report_level].items():
            for row in self._read(account, resource, fields, start, end):
                parts[row.day, row.campaign_id].append(row)
        for whole in campaigns:
            rest = whole.figures
            for row in parts[whole.day, whole.campaign_id]:
                rest -= row.figures
                yield row
            if rest:  # what Google gives to no group, so that groups add up to their campaign
                yield replace(whole, figures=rest)

    def _read(self, account: str, resource: str, ids: tuple[str, ...], start: date, end: date) -> Iterator[Row]:
        query = (
            "SELECT customer.id, customer.currency_code, customer.time_zone, campaign.id, campaign.name, "
            f"{''.join(f'{name}, ' for name in ids)}segments.date, {METRICS} FROM {resource} "
            f"WHERE segments.date BETWEEN '{start}' AND '{end}'"
        )
        for row in self._client.query(query, account):
            yield Row(
                day=date.fromisoformat(row.segments.date),
                campaign_id=str(row.campaign.id),
                campaign_name=row.campaign.name,
                group=str(attrgetter(ids[0])(row)) if ids else "",
                ad=str(attrgetter(ids[1])(row)) if len(ids) > 1 else "",
                figures=self._figures(row.metrics),
                currency=row.customer.currency_code,
            )

    def _figures(self, metrics: Any) -> Figures:
        every = self._client.settings.conversions == "all_conversions"
        count = metrics.all_conversions if every else metrics.conversions
        value = metrics.all_conversions_value if every else metrics.conversions_value
        return Figures(metrics.cost_micros, metrics.impressions, metrics.clicks, Decimal(repr(count)), Decimal(repr(value)))

    def clicks(self, since: date, until: date) -> Iterator[Click]:
        """Every click of the last 90 days between the two days; Google takes exactly one day per query."""
        first = max(since, self._today() - timedelta(days=CLICK_DAYS - 1))

        def read(account: str) -> Iterator[Click]:
            day = first
            while day <= until:
                yield from self._clicks_of(account, day)
                day += timedelta(days=1)

        yield from self._per_account(read)

    def _clicks_of(self, account: str, day: date) -> Iterator[Click]:
        query = (
            f"SELECT click_view.gclid, campaign.id, ad_group.id, segments.date FROM click_view WHERE segments.date = '{day}'"
        )
        for row in self._client.query(query, account):
            if row.click_view.gclid:  # clicks on app campaigns have none
                yield Click(row.click_view.gclid, day, account, str(row.campaign.id), str(row.ad_group.id))


def months_before(day: date, count: int) -> date:
    """The same day of the month so many months ago (the month's last day where there is none)."""
    year, month = divmod(day.year * 12 + day.month - 1 - count, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def months(first: date, last: date) -> Iterator[tuple[date, date]]:
    """Slices of at most one month: a stream can't be resumed, so each is short enough to read again."""
    while first <= last:
        end = min(last, date(first.year, first.month, calendar.monthrange(first.year, first.month)[1]))
        yield first, end
        first = end + timedelta(days=1)
