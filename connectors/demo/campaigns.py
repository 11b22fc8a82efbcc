"""The demo's campaigns: who they draw, what they cost, and the days that the sandboxes report. All of it is simulated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Campaign:
    """One campaign. `pull` weighs how many it draws, `loyal` and `basket` whom: by later value and by first order.

    `cost` is spent per customer drawn; `claim` is what the platform claims of first-order revenue.
    """

    platform: str
    id: str
    name: str
    pull: float
    loyal: float
    basket: float
    cost: float
    claim: float


CAMPAIGNS = (
    Campaign("meta", "120210000000011", "Prospecting | Founder story", 1.0, 1.1, -0.6, 49.4, 0.75),
    Campaign("meta", "120210000000012", "Prospecting | Spring sale", 1.5, -0.9, 0.8, 39.0, 1.25),
    Campaign("meta", "120210000000013", "Lookalike | Bestseller offer", 1.2, 0.0, 0.1, 44.2, 1.05),
    Campaign("meta", "120210000000014", "Retarget | Basket discount", 0.5, -0.5, 0.4, 31.2, 1.60),
    Campaign("google", "21000000011", "Search | Brand", 1.1, 0.4, 0.2, 28.6, 1.10),
    Campaign("google", "21000000012", "Search | Album deals", 1.3, -0.7, 0.6, 41.6, 1.20),
    Campaign("google", "21000000013", "Demand Gen | Collector's journal", 0.7, 0.9, -0.4, 54.6, 0.70),
    Campaign("tiktok", "1800000000000011", "Discovery | Story of a record", 0.8, 0.8, -0.5, 46.8, 0.65),
    Campaign("tiktok", "1800000000000012", "Discovery | Flash deal", 1.2, -1.0, 0.5, 33.8, 1.30),
)
ORGANIC = 3.2  # how strongly customers come by themselves, on the scale of `pull`
ADS_PER_CAMPAIGN = 2


def assign(first: Floats, later: Floats, rng: np.random.Generator) -> NDArray[np.int64]:
    """The campaign number of each customer (-1: came by themselves), drawn by what is known of their orders."""
    loyal, basket = _standard(np.log1p(later)), _standard(np.log1p(first))
    draws = [np.full(len(first), ORGANIC)]
    draws += [one.pull * np.exp(one.loyal * loyal + one.basket * basket) for one in CAMPAIGNS]
    weights = np.cumsum(np.column_stack(draws), axis=1)
    at = rng.random(len(first)) * weights[:, -1]
    drawn: NDArray[np.int64] = (weights < at[:, None]).sum(axis=1) - 1
    return drawn


def ad_id(campaign: Campaign, ad: int) -> str:
    """The id of a campaign's ad (from 0)."""
    return f"{campaign.id}{ad + 1:02d}"


def days(customers: pd.DataFrame, platform: str, rng: np.random.Generator) -> list[dict[str, Any]]:
    """Rows for a sandbox: spend, clicks and claimed conversions by ad and day.

    `customers` has campaign, ad, first_day (date) and first_value; every customer is one claimed conversion, worth what the
    platform claims of the first order.
    """
    import pandas as pd

    rows: list[dict[str, Any]] = []
    span = pd.date_range(customers["first_day"].min(), customers["first_day"].max())
    for number, campaign in enumerate(CAMPAIGNS):
        if campaign.platform != platform:
            continue
        for ad in range(ADS_PER_CAMPAIGN):
            mine = customers[(customers["campaign"] == number) & (customers["ad"] == ad)]
            won = mine.groupby("first_day")["first_value"].agg(["size", "sum"]).reindex(span, fill_value=0.0)
            paced = won["size"].rolling(7, min_periods=1, center=True).mean() * campaign.cost
            spend = np.round(paced * rng.uniform(0.9, 1.1, len(span)), 2)
            for day, cost, orders, value in zip(span, spend, won["size"], won["sum"], strict=True):
                clicks = int(cost / 0.62)
                rows.append(
                    {
                        "date": day.date().isoformat(),
                        "campaign_id": campaign.id,
                        "campaign_name": campaign.name,
                        "adset_id": f"{campaign.id}0",
                        "ad_id": ad_id(campaign, ad),
                        "spend": f"{cost:.2f}",
                        "impressions": clicks * 61,
                        "clicks": clicks,
                        "conversions": f"{orders:.0f}",
                        "conversion_value": f"{value * campaign.claim:.2f}",
                    }
                )
    return rows


def _standard(values: Floats) -> Floats:
    return np.asarray((values - values.mean()) / values.std())
