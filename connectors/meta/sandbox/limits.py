"""Quotas and the headers that tell how full they are (fact sheet 6)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from connectors.meta.sandbox.world import GraphError

if TYPE_CHECKING:
    from datetime import datetime

    from connectors.meta.sandbox.world import Account

DECAY_SECONDS: Final = 300.0


@dataclass(frozen=True)
class Tier:
    """The quotas of an access tier: account score, its block in seconds, custom-audience and insights calls in an hour."""

    name: str
    score: float
    block: float
    audience_calls: int
    insights_calls: int


TIERS: Final = {
    "limited": Tier("development_access", 60, 300, 5_000, 600),
    "full": Tier("standard_access", 9000, 60, 190_000, 190_000),
}


def count(account: Account, tier: Tier, now: datetime, *, write: bool, audience: bool) -> None:
    """Nothing: the call is counted, one for insights unless `audience`; raises GraphError once a quota is full.

    A read scores 1, a write 3.
    """
    at = now.timestamp()
    if at < account.blocked_until:
        raise GraphError(17, "User request limit reached", 2446079, is_transient=True)
    account.score = max(0.0, account.score - (at - account.scored_at) * tier.score / DECAY_SECONDS)
    account.scored_at = at
    if account.score + (3 if write else 1) > tier.score:
        account.blocked_until = at + tier.block
        raise GraphError(17, "User request limit reached", 2446079, is_transient=True)
    account.score += 3 if write else 1
    hour = int(at // 3600)
    if hour != account.hour:
        account.hour, account.hour_calls, account.insights_calls = hour, 0, 0
    if not audience:
        if account.insights_calls >= tier.insights_calls:
            raise GraphError(80000, "There have been too many calls from this ad-account", 2446079)
        account.insights_calls += 1
    else:
        if account.hour_calls >= tier.audience_calls:
            raise GraphError(80003, "There have been too many calls to this ad-account", 2446079)
        account.hour_calls += 1


def headers(account: Account | None, tier: Tier, now: datetime, version: str) -> dict[str, str]:
    """The answer's usage headers, in percent; waits in minutes and seconds as Meta mixes them."""
    base = {"facebook-api-version": version, "x-fb-trace-id": "sandbox"}
    if account is None:
        return base
    score = min(100.0, 100.0 * account.score / tier.score)
    calls = 100.0 * account.hour_calls / tier.audience_calls
    left = max(0.0, account.blocked_until - now.timestamp())
    usage: dict[str, Any] = {
        "type": "custom_audience",
        "call_count": round(calls),
        "total_cputime": 0,
        "total_time": 0,
        "estimated_time_to_regain_access": _minutes_left(now) if calls >= 100 else 0,
        "ads_api_access_tier": tier.name,
    }
    reports = 100.0 * account.insights_calls / tier.insights_calls
    insights = {**usage, "type": "ads_insights", "call_count": round(reports)}
    insights["estimated_time_to_regain_access"] = _minutes_left(now) if reports >= 100 else 0
    throttle = {"app_id_util_pct": round(reports, 2), "acc_id_util_pct": round(reports, 2), "ads_api_access_tier": tier.name}
    account_usage = {"acc_id_util_pct": round(score, 2), "reset_time_duration": round(left), "ads_api_access_tier": tier.name}
    return {
        **base,
        "X-App-Usage": json.dumps({"call_count": round(score), "total_time": 0, "total_cputime": 0}),
        "X-Ad-Account-Usage": json.dumps(account_usage),
        "X-Business-Use-Case-Usage": json.dumps({account.id: [usage, insights]}),
        "X-FB-Ads-Insights-Throttle": json.dumps(throttle),
    }


def _minutes_left(now: datetime) -> int:
    return 60 - int(now.timestamp() % 3600 // 60)
