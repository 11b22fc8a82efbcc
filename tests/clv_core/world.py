"""A small simulated world: campaigns with known customer quality, their spend and orders, and the value that came after."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from clv_core.attribution import SCHEMA as ACQUISITION
from clv_core.spend import empty_days

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Places = NDArray[np.int64]
    Texts = NDArray[np.str_]
    Days = NDArray[np.datetime64]

AS_OF = date(2026, 6, 30)
STYLES = ("storytelling", "transactional", "brand", "retargeting")


@dataclass(frozen=True)
class World:
    """Tables as the product gets them, and `future`: what each customer really spent in the year after AS_OF."""

    days: pa.Table
    acquisition: pa.Table
    campaign_days: pa.Table
    scores: pa.Table
    future: dict[str, float]


def money(values: NDArray[np.float64]) -> pa.Array:
    """Decimals to the cent."""
    return pa.array([Decimal(f"{v:.2f}") for v in values], pa.decimal128(18, 6))


def simulate(customers: int = 3000, campaigns: int = 8, seed: int = 7, days: int = 540, organic: float = 0.25) -> World:
    """A world: order rates, drop-out and basket differ by campaign; platforms claim first orders, over-counting some."""
    rng = np.random.default_rng(seed)
    campaign = rng.integers(0, campaigns, customers)
    quality = np.linspace(0.4, 2.2, campaigns)[campaign]
    rate = rng.gamma(1.2, 0.03 * quality / 1.2) / 7
    leave = rng.gamma(2.0, 0.004 / quality / 2.0) / 7
    basket = rng.gamma(6, 40 / 6, customers) * (1.6 - 0.35 * quality)
    came = rng.integers(0, days, customers)
    ids = np.char.add("c", np.arange(customers).astype(str))
    who, when, amount, future = _orders(rng, came, days, rate, leave, basket)
    paid = rng.random(customers) > organic
    start = AS_OF - timedelta(days=days - 1)
    first = np.array([start + timedelta(days=int(d)) for d in range(days)], dtype="datetime64[D]")
    orders = pa.table({"customer_id": ids[who], "day": pa.array(first[when]), "amount": np.round(amount, 2)})
    acquisition = _acquisition(ids, first[came], campaign, paid)
    results = _results(rng, first, campaign, came, paid, basket, campaigns)
    scores = _scores(ids, rate, leave, basket, days - came, who, when, days)
    return World(orders, acquisition, results, scores, dict(zip(ids.tolist(), future.tolist(), strict=True)))


def _orders(
    rng: np.random.Generator, came: Places, days: int, rate: Floats, leave: Floats, basket: Floats
) -> tuple[Places, Places, Floats, Floats]:
    who: list[int] = []
    when: list[int] = []
    amount: list[float] = []
    future = np.zeros(len(came))
    for i in range(len(came)):
        lives = rng.exponential(1 / leave[i])
        day, first = float(came[i]), True
        while first or (day - came[i] <= lives and day < days + 365):
            value = basket[i] * rng.gamma(8, 1 / 8)
            if day < days:
                who.append(i)
                when.append(int(day))
                amount.append(value)
            else:
                future[i] += value
            day, first = day + rng.exponential(1 / rate[i]), False
    return np.array(who), np.array(when), np.array(amount), future


def _acquisition(ids: Texts, came: Days, campaign: Places, paid: NDArray[np.bool_]) -> pa.Table:
    rows = [
        {
            "customer_id": c, "acquired_at": d.item(), "platform": ("meta", "google", "tiktok")[k % 3] if p else "",
            "campaign_id": f"k{k}" if p else "", "adset_id": f"k{k}s{i % 2}" if p else "",
            "ad_id": f"k{k}a{i % 4}" if p else "",
            "source": "paid" if p else ("organic", "unknown", "email")[i % 3], "basis": "ids" if p else "none",
        }
        for i, (c, d, k, p) in enumerate(zip(ids.tolist(), came, campaign.tolist(), paid.tolist(), strict=True))
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, schema=ACQUISITION)


def _results(
    rng: np.random.Generator,
    first: Days,
    campaign: Places,
    came: Places,
    paid: NDArray[np.bool_],
    basket: Floats,
    campaigns: int,
) -> pa.Table:
    rows: list[dict[str, Any]] = []
    claim = np.linspace(1.6, 0.7, campaigns)
    for k in range(campaigns):
        mine = paid & (campaign == k)
        daily = mine.sum() * rng.uniform(18, 30) / len(first)
        counts = np.bincount(came[mine], minlength=len(first))
        value = np.bincount(came[mine], basket[mine], minlength=len(first))
        for d, day in enumerate(first):
            rows.append({
                "platform": ("meta", "google", "tiktok")[k % 3], "account_id": f"acct{k % 3}", "date": day.item(),
                "campaign_id": f"k{k}", "campaign_name": f"Campaign {k} {STYLES[k % 4]}", "adset_id": f"k{k}s{d % 2}",
                "ad_id": f"k{k}a{d % 4}", "spend": Decimal(f"{daily * rng.uniform(0.5, 1.5):.2f}"),
                "impressions": int(daily * 200),
                "clicks": int(daily * 4), "conversions": Decimal(f"{counts[d] * claim[k]:.2f}"),
                "conversion_value": Decimal(f"{value[d] * claim[k]:.2f}"), "currency": "USD",
                "pulled_at": datetime(2026, 7, 1, tzinfo=UTC),
            })  # fmt: skip
    return pa.Table.from_pylist(rows, schema=empty_days().schema)


def _scores(
    ids: Texts, rate: Floats, leave: Floats, basket: Floats, age: Places, who: Places, when: Places, days: int
) -> pa.Table:
    """What an analyst who knew each customer's rates would predict: alive or not, then orders until drop-out in a year."""
    last = np.zeros(len(ids))
    np.maximum.at(last, who, when)
    repeats = np.bincount(who, minlength=len(ids)) - 1
    silent = (days - 1) - last
    gone = leave / (rate + leave) * (np.exp((rate + leave) * silent) - 1)
    alive = 1 / (1 + gone)
    future = alive * rate * basket * (1 - np.exp(-leave * 365)) / leave
    second = alive * (rate * 365) ** 2 * basket**2 + future * basket * 1.125
    high = future + 1.645 * np.sqrt(np.maximum(second - future**2, 0))
    order = np.argsort(np.argsort(-future)) / len(ids)
    tier = np.where(order < 0.2, "high", np.where(order < 0.7, "middle", "low"))
    return pa.table({
        "customer_id": ids, "frequency": repeats.astype(float), "p_alive": alive, "clv": future, "clv_low": np.zeros(len(ids)),
        "clv_high": high, "tier": tier, "lifecycle_stage": np.where(alive > 0.5, "active", "lapsed"),
    })  # fmt: skip
