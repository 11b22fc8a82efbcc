"""Campaigns to report when none are given: two campaigns of two ads over sixty days, one ad deleted, by a fixed seed."""

from __future__ import annotations

import random
from datetime import date, timedelta
from typing import Any

SEED, DAYS = 20, 60


def campaigns(today: date) -> list[dict[str, Any]]:
    """Rows {campaign_id, campaign_name, adset_id, ad_id, date, spend, impressions, clicks, conversions, conversion_value}."""
    draw = random.Random(SEED)
    rows: list[dict[str, Any]] = []
    for campaign, name in (("1800000000000001", "Discovery A"), ("1800000000000002", "Discovery B")):
        for ad in (1, 2):
            for back in range(DAYS, 0, -1):
                spend, clicks, orders = draw.uniform(20, 90), draw.randint(20, 90), draw.randint(0, 4)
                rows.append(
                    {
                        "campaign_id": campaign,
                        "campaign_name": name,
                        "adset_id": f"{campaign}0",
                        "ad_id": f"{campaign}0{ad}",
                        "date": (today - timedelta(days=back)).isoformat(),
                        "spend": f"{spend:.2f}",
                        "impressions": str(clicks * 66),
                        "clicks": str(clicks),
                        "conversions": str(orders),
                        "conversion_value": f"{orders * draw.uniform(25, 60):.2f}",
                        "status": "deleted" if (campaign, ad) == ("1800000000000002", 2) else "active",
                    }
                )
    return rows
