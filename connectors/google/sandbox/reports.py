"""Campaign figures as Google reports them: from rows given to the sandbox, else made up with a fixed seed."""

from __future__ import annotations

import random
from collections import defaultdict
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from connectors.google.sandbox.refusals import AdsError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connectors.google.sandbox.gaql import Query
    from connectors.google.sandbox.store import Store

MONTHS_KEPT, CLICK_DAYS = 37, 90
PARTS = {  # report -> the fields of the ids by which it is broken down
    "campaign": (),
    "ad_group": ("ad_group.id",),
    "ad_group_ad": ("ad_group.id", "ad_group_ad.ad.id"),
    "asset_group": ("asset_group.id",),
}
MAX = "PERFORMANCE_MAX"


def generated(today: date, *, days: int = 120, seed: int = 20261122) -> list[dict[str, Any]]:
    """Three campaigns' days with a fixed seed."""
    rng, rows = random.Random(seed), []
    for number, name in ((9001, "Brand search"), (9002, "Prospecting video"), (9003, "Performance Max")):
        for back in range(days, 0, -1):
            clicks = rng.randint(5, 60)
            figures = {
                "spend": f"{clicks * rng.uniform(0.4, 1.6):.6f}",
                "impressions": clicks * rng.randint(15, 40),
                "clicks": clicks,
                "conversions": f"{clicks * rng.uniform(0.01, 0.08):.2f}",
                "conversion_value": f"{clicks * rng.uniform(0.5, 4):.2f}",
            }
            place = {"campaign_id": str(number), "campaign_name": name, "adset_id": str(number * 10 + 1), "ad_id": ""}
            rows.append({**place, "date": (today - timedelta(days=back)).isoformat(), **figures})
    return rows


class Reports:
    """Rows (dicts by GAQL field) for the report resources."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.campaigns = generated(store.clock.now().date())
        self.clicks: list[dict[str, Any]] = []

    def today(self, account: str) -> date:
        """The account's own date."""
        return self._store.clock.now().astimezone(ZoneInfo(self._store.account(account)["time_zone"])).date()

    def rows(self, account: str, query: Query) -> list[dict[str, Any]]:
        """The rows of campaign, ad_group, ad_group_ad, asset_group or click_view; refuses what Google refuses."""
        held = self._store.account(account)
        if held["manager"] and (query.has("metrics.") or query.resource == "click_view"):
            raise AdsError("query_error", "REQUESTED_METRICS_FOR_MANAGER", "Metrics cannot be requested for a manager account.")
        if query.resource == "click_view":
            return list(self._clicks(account, query))
        first, _ = query.days()
        if first and _months_before(self.today(account)) > first:
            raise AdsError(
                "date_range_error",
                "REQUESTED_DATE_GRANULARITY_NOT_SUPPORTED",
                f"Daily data is available for the last {MONTHS_KEPT} months.",
            )
        return list(self._campaigns(account, query, held))

    def source(self, account: str) -> list[dict[str, Any]]:
        """The account's campaign rows."""
        return [row for row in self.campaigns if str(row.get("account_id", account)) == account]

    def _campaigns(self, account: str, query: Query, held: dict[str, Any]) -> Iterator[dict[str, Any]]:
        part = PARTS[query.resource]
        by_day = query.has("segments.date")
        sums: dict[tuple[str, ...], dict[str, Any]] = defaultdict(dict)
        first, last = (day.isoformat() if day else limit for day, limit in zip(query.days(), ("", "9999"), strict=True))
        for row in self.source(account):
            if not first <= str(row["date"]) <= last:
                continue
            asset = "performance max" in str(row.get("campaign_name", "")).lower()
            if part and (query.resource == "asset_group") is not asset:
                continue
            ids = (str(row.get("adset_id") or 0), str(row.get("ad_id") or 0))[: len(part)]
            _add(sums[str(row["date"]) if by_day else "", str(row["campaign_id"]), *ids], row)
        for (day_text, campaign, *found), total in sorted(sums.items()):
            made = _shown(total)
            if query.has("metrics.") and not any(made[name] for name in made if name.startswith("metrics.")):
                continue  # Google leaves out rows of nothing but zeros
            made |= {"customer.id": int(account), "customer.currency_code": held["currency"]}
            made |= {"customer.time_zone": held["time_zone"], "campaign.id": int(campaign), "segments.date": day_text}
            made |= {name: int(one) for name, one in zip(part, found, strict=True)}
            yield made

    def _clicks(self, account: str, query: Query) -> Iterator[dict[str, Any]]:
        first, last = query.days()
        if first is None or first != last:
            raise AdsError("click_view_error", "EXPECTED_FILTER_ON_A_SINGLE_DAY", "Missing filter on a single day.")
        if first <= self.today(account) - timedelta(days=CLICK_DAYS):
            raise AdsError("click_view_error", "DATE_TOO_OLD", "The requested date is too old.")
        for click in self.clicks:
            if str(click["date"]) == first.isoformat() and str(click.get("account_id", account)) == account:
                yield {
                    "click_view.gclid": str(click["gclid"]),
                    "click_view.resource_name": f"customers/{account}/clickViews/{first}~{click['gclid']}",
                    "campaign.id": int(click["campaign_id"]),
                    "ad_group.id": int(click.get("adset_id") or 0),
                    "segments.date": first.isoformat(),
                    "customer.id": int(account),
                }


def _add(total: dict[str, Any], row: dict[str, Any]) -> None:
    total["campaign.name"], total["campaign.status"] = str(row.get("campaign_name", "")), str(row.get("status") or "ENABLED")
    for name in ("spend", "impressions", "clicks", "conversions", "conversion_value"):
        total[name] = total.get(name, Decimal()) + Decimal(str(row.get(name) or 0))


def _shown(total: dict[str, Any]) -> dict[str, Any]:
    """Figures as the API has them: cost in micros, conversions as doubles."""
    conversions, value = float(total["conversions"]), float(total["conversion_value"])
    return {
        "campaign.name": total["campaign.name"],
        "campaign.status": total["campaign.status"],
        "metrics.impressions": int(total["impressions"]),
        "metrics.clicks": int(total["clicks"]),
        "metrics.cost_micros": int((total["spend"] * 1_000_000).to_integral_value()),
        "metrics.conversions": conversions,
        "metrics.conversions_value": value,
        "metrics.all_conversions": conversions,
        "metrics.all_conversions_value": value,
    }


def _months_before(day: date) -> date:
    year, month = divmod(day.year * 12 + day.month - 1 - MONTHS_KEPT, 12)
    return date(year, month + 1, min(day.day, 28))
