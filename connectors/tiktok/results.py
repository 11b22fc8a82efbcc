"""Campaign results: a row per ad (or ad group, or campaign) and day, deleted ones too, in the account's currency and zone.

`/report/integrated/get/` (docs?id=1740302848100353): at most 30 days a call with `stat_time_day`; deleted ads are hidden
unless asked for; every number is text, "-" where there is none; more than 20,000 ids are cut off, which only a header tells.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from connectors.protocol import CampaignDay
from connectors.tiktok.tasks import Tasks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    from connectors.tiktok.client import Client
    from connectors.tiktok.settings import TikTokAccount, TikTokSettings

log = logging.getLogger("connectors.tiktok")

SLICE_DAYS = 30
PAGE = 1000
CUT_HEADER = "X-Tt-Ads-Throttle"
BASE_METRICS = ["spend", "impressions", "clicks"]
# Web, app and shop purchases are separate legs: (count, value). `total_complete_payment_rate` is money, despite its name.
PURCHASES = {
    "web": ("complete_payment", "total_complete_payment_rate"),
    "app": ("total_purchase", "total_purchase_value"),
    "shop": ("onsite_total_purchase", "onsite_total_purchase_value"),
}


@dataclass(frozen=True, slots=True)
class Level:
    """What a report of one level asks for: its data_level, its id, the names and ids above it, and its status filter."""

    data_level: str
    identifier: str
    names: tuple[str, ...]

    @property
    def every_status(self) -> list[dict[str, str]]:
        """The filter without which deleted ones are hidden."""
        name = f"{self.identifier.removesuffix('_id')}_status"
        return [{"field_name": name, "filter_type": "IN", "filter_value": json.dumps(["STATUS_ALL"])}]


LEVELS = {
    "campaign": Level("AUCTION_CAMPAIGN", "campaign_id", ("campaign_name",)),
    "adgroup": Level("AUCTION_ADGROUP", "adgroup_id", ("campaign_id", "campaign_name")),
    "ad": Level("AUCTION_AD", "ad_id", ("campaign_id", "campaign_name", "adgroup_id")),
}


class Results:
    """One advertiser's results."""

    def __init__(self, client: Client, account: TikTokAccount, settings: TikTokSettings, now: Callable[[], datetime]) -> None:
        self.client, self.advertiser_id, self.currency, self.now = client, account.account_id, account.currency, now
        self.level, self.always_by_task = LEVELS[settings.report_level], settings.reports == "async"
        self.legs = [PURCHASES[leg] for leg in settings.purchases]
        self.metrics = [*BASE_METRICS, *self.level.names, "currency", *(metric for leg in self.legs for metric in leg)]

    def days(self, since: date, until: date) -> Iterator[CampaignDay]:
        """Rows of both days and all between; days on which nothing happened are left out."""
        spans = (
            [(since, until)] if self.always_by_task and since <= until else slices(since, until)
        )  # a task has no longest span
        for first, last in spans:
            for row in self._rows(first, last):
                day = self._day(row)
                if day.spend or day.impressions or day.clicks or day.conversions or day.conversion_value:
                    yield day

    def _rows(self, first: date, last: date) -> Iterator[dict[str, str]]:
        """The rows of a slice, page by page; one that TikTok cuts off is read on by an asynchronous task."""
        told: set[tuple[str, str]] = set()
        for page in () if self.always_by_task else self._pages(first, last):
            if page is None:
                log.info("report %s to %s is too long for one call: reading it by an asynchronous task", first, last)
                break
            for row in page:
                told.add(self._key(row))
                yield row
        else:
            if not self.always_by_task:
                return
        for row in Tasks(self.client, self.advertiser_id).rows(self._selection(first, last)):
            if self._key(row) not in told:
                yield row

    def _selection(self, first: date, last: date) -> dict[str, Any]:
        return {
            "advertiser_id": self.advertiser_id,
            "report_type": "BASIC",
            "data_level": self.level.data_level,
            "dimensions": [self.level.identifier, "stat_time_day"],
            "metrics": self.metrics,
            "start_date": first.isoformat(),
            "end_date": last.isoformat(),
        }

    def _pages(self, first: date, last: date) -> Iterator[list[dict[str, str]] | None]:
        """Page after page; None once the answer says that it was cut off."""
        page, pages = 1, 1
        while page <= pages:
            query = {**self._selection(first, last), "filtering": self.level.every_status, "page": page, "page_size": PAGE}
            answer = self.client.get("/report/integrated/get/", query)
            if CUT_HEADER.lower() in {name.lower() for name in answer.headers}:
                yield None
            yield [{**row.get("dimensions", {}), **row.get("metrics", {})} for row in answer.data.get("list") or []]
            pages = int((answer.data.get("page_info") or {}).get("total_page") or 1)
            page += 1

    def _key(self, row: Mapping[str, str]) -> tuple[str, str]:
        return str(row[self.level.identifier]), str(row["stat_time_day"])[:10]

    def _day(self, row: Mapping[str, str]) -> CampaignDay:
        return CampaignDay(
            platform="tiktok",
            account_id=self.advertiser_id,
            date=date.fromisoformat(str(row["stat_time_day"])[:10]),
            campaign_id=str(row.get("campaign_id", "")),
            campaign_name=str(row.get("campaign_name", "")),
            adset_id=str(row.get("adgroup_id", "")),
            ad_id=str(row.get("ad_id", "")),
            spend=number(row.get("spend")),
            impressions=int(number(row.get("impressions"))),
            clicks=int(number(row.get("clicks"))),
            conversions=sum((number(row.get(count)) for count, _ in self.legs), Decimal()),
            conversion_value=sum((number(row.get(value)) for _, value in self.legs), Decimal()),
            currency=str(row.get("currency") or self.currency),
            pulled_at=self.now(),
        )


def slices(since: date, until: date) -> Iterator[tuple[date, date]]:
    """Ranges of at most 30 days that cover both days and all between."""
    while since <= until:
        last = min(until, since + timedelta(days=SLICE_DAYS - 1))
        yield since, last
        since = last + timedelta(days=1)


def number(text: Any) -> Decimal:
    """A metric as a Decimal; "-" and nothing are 0."""
    if text in (None, "", "-"):
        return Decimal()
    try:
        return Decimal(str(text).replace(",", ""))
    except InvalidOperation:
        return Decimal()
