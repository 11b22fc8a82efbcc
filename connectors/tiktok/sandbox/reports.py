"""Reports from campaign rows: date ranges, metrics per level, hidden deleted ads, the cut that only a header tells."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from connectors.tiktok.sandbox.wire import RefusalError, choice, pages, texts, wrong

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LEVELS = ("AUCTION_ADVERTISER", "AUCTION_CAMPAIGN", "AUCTION_ADGROUP", "AUCTION_AD")
IDS = ("advertiser_id", "campaign_id", "adgroup_id", "ad_id")  # position = level
TIMES = ("stat_time_day", "stat_time_hour")
ROW_KEYS = {"campaign_id": "campaign_id", "adgroup_id": "adset_id", "ad_id": "ad_id"}
NUMBERS = {
    "spend": "spend",
    "impressions": "impressions",
    "clicks": "clicks",
    "conversion": "conversions",
    "complete_payment": "conversions",
    "total_complete_payment_rate": "conversion_value",
}
UNUSED = ("total_purchase", "total_purchase_value", "onsite_total_purchase", "onsite_total_purchase_value")
RATIOS = ("ctr", "cpc", "cpm", "complete_payment_roas", "cost_per_conversion")
NAMES = {"campaign_id": 2, "campaign_name": 1, "adgroup_id": 3, "adgroup_name": 2, "ad_name": 3, "objective_type": 1}
ACCOUNT_ONLY = ("cash_spend", "voucher_spend")
CUT = "Only the first {0} ids are returned. Narrow the query, or use an asynchronous report."


@dataclass
class Account:
    """What an advertiser is known by."""

    currency: str = "USD"
    timezone: str = "UTC"
    name: str = "Sandbox advertiser"
    status: str = "STATUS_ENABLE"


@dataclass
class Selection:
    """A checked report request."""

    advertiser: str
    level: int
    dimensions: list[str]
    metrics: list[str]
    first: date
    last: date
    every_status: bool
    only: dict[str, set[str]] = field(default_factory=dict)


def selection(body: Mapping[str, Any], advertiser: str, *, asynchronous: bool = False) -> Selection:
    """The request, or 40002."""
    choice(body, "report_type", ("BASIC",))
    level = LEVELS.index(choice(body, "data_level", LEVELS))
    dimensions = texts(body, "dimensions")
    identifiers = [one for one in dimensions if one in IDS]
    if any(one not in (*IDS, *TIMES) for one in dimensions) or len(identifiers) != 1 or len(set(dimensions)) > 2:
        raise wrong("dimensions", "Give one id dimension and at most one time dimension.")
    if IDS.index(identifiers[0]) > level:
        raise wrong("dimensions", f"{identifiers[0]} is not supported at {LEVELS[level]}.")
    metrics = texts(body, "metrics") if "metrics" in body else ["spend", "impressions"]
    bad = [one for one in metrics if not _allowed(one, level)]
    if bad:
        raise RefusalError(40002, f"Invalid metric fields: {', '.join(bad)}")
    first, last = _day(body, "start_date"), _day(body, "end_date")
    longest = 1 if "stat_time_hour" in dimensions else 30 if "stat_time_day" in dimensions else 365
    if last < first:
        raise wrong("end_date", "Must not be before start_date.")
    if not asynchronous and (last - first).days + 1 > longest:
        raise RefusalError(40002, f"The date range must be within {longest} days for these dimensions.")
    statuses, only = _filters(body.get("filtering") or [], IDS[level].removesuffix("_id"), asynchronous=asynchronous)
    every = asynchronous or statuses
    return Selection(advertiser, level, dimensions, metrics, first, last, every, only)


def rows(campaigns: Sequence[Mapping[str, Any]], account: Account, wanted: Selection) -> list[dict[str, Any]]:
    """All rows of a report, ordered by date and id: `dimensions` and `metrics`, all text."""
    identifier = next(one for one in wanted.dimensions if one in IDS)
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in campaigns:
        day = str(row["date"])[:10]
        if not wanted.first.isoformat() <= day <= wanted.last.isoformat():
            continue
        if row.get("status") == "deleted" and not wanted.every_status:
            continue
        if any(str(row[ROW_KEYS[name]]) not in ids for name, ids in wanted.only.items()):
            continue
        key = wanted.advertiser if identifier == "advertiser_id" else str(row[ROW_KEYS[identifier]])
        groups.setdefault((day if "stat_time_day" in wanted.dimensions else "", key), []).append(row)
    found = []
    for (day, key), members in sorted(groups.items()):
        dimensions = {identifier: key} | ({"stat_time_day": f"{day} 00:00:00"} if day else {})
        found.append({"dimensions": dimensions, "metrics": {one: _metric(one, members, account) for one in wanted.metrics}})
    return found


def page(
    found: list[dict[str, Any]], wanted: Selection, body: Mapping[str, Any], most: int
) -> tuple[dict[str, Any], dict[str, str]]:
    """One page, and the header that tells of a cut."""
    identifier = next(one for one in wanted.dimensions if one in IDS)
    ids = list(dict.fromkeys(one["dimensions"][identifier] for one in found))
    headers = {}
    if len(ids) > most:
        kept = set(ids[:most])
        found = [one for one in found if one["dimensions"][identifier] in kept]
        headers = {"X-Tt-Ads-Throttle": CUT.format(most)}
    return pages(found, body, largest=1000), headers


def _allowed(metric: str, level: int) -> bool:
    if metric in ACCOUNT_ONLY:
        return level == 0
    if metric in NAMES:
        return level >= NAMES[metric]
    return metric in NUMBERS or metric in UNUSED or metric in RATIOS or metric == "currency"


def _metric(name: str, members: Sequence[Mapping[str, Any]], account: Account) -> str:
    first = members[0]
    if name in NUMBERS:
        return str(_sum(members, NUMBERS[name]))
    if name == "currency":
        return account.currency
    if name in ROW_KEYS:
        return str(first[ROW_KEYS[name]])
    if name in UNUSED:
        return "0"
    if name == "campaign_name":
        return str(first["campaign_name"])
    if name == "complete_payment_roas":
        return _ratio(_sum(members, "conversion_value"), _sum(members, "spend"))
    if name in NAMES:
        return str(first.get(name, "-"))
    return "-"


def _sum(members: Sequence[Mapping[str, Any]], key: str) -> Decimal:
    return sum((Decimal(str(row[key])) for row in members), Decimal())


def _ratio(above: Decimal, below: Decimal) -> str:
    return f"{above / below:.2f}" if below else "-"


def _day(body: Mapping[str, Any], name: str) -> date:
    try:
        return date.fromisoformat(str(body.get(name)))
    except ValueError:
        raise wrong(name, "Must be YYYY-MM-DD.") from None


def _filters(filtering: Any, level: str, *, asynchronous: bool) -> tuple[bool, dict[str, set[str]]]:
    """Whether every status of the level's own objects is asked for, and the ids that are."""
    every, only = False, {}
    if not isinstance(filtering, list):
        raise wrong("filtering", "Not a valid list.")
    for one in filtering:
        name, kind, value = (one.get(key) for key in ("field_name", "filter_type", "filter_value"))
        try:
            values = json.loads(value) if isinstance(value, str) else None
        except ValueError:
            values = None
        if kind != "IN" or not isinstance(values, list):
            raise wrong("filtering", "filter_value must be a JSON array as text for IN.")
        if name in ("campaign_ids", "adgroup_ids", "ad_ids"):
            if len(values) > (20_000 if asynchronous else 100):
                raise RefusalError(40011, "Too many ids in filtering.")
            only[str(name)[:-1]] = {str(one) for one in values}
        elif asynchronous:
            raise wrong("filtering", "Asynchronous reports take campaign_ids, adgroup_ids and ad_ids.")
        elif name in ("campaign_status", "adgroup_status", "ad_status"):
            every = every or (name == f"{level}_status" and "STATUS_ALL" in values)
        else:
            raise wrong("filtering", f"Unknown field {name}.")
    return every, only
