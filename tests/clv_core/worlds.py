"""Shops unlike the models' assumptions, made from a fixed seed: lognormal customers, regular gaps, seasons, sales, wholesale.

A world is a list of kinds of customers plus what the shop does to all of them. Nothing here is gamma-Poisson: rates, lifetimes
and baskets are lognormal, gaps are Erlang, and each world breaks one more assumption.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Floats = NDArray[np.float64]
START = date(2022, 1, 3)
SALES = np.arange(40, 4000, 47)  # days of flash sales


@dataclass(frozen=True)
class Kind:
    """Customers alike: medians and log spreads of gap, lifetime (days) and basket; gaps are Erlang of shape `regular`."""

    share: float = 1.0
    gap: float = 60.0
    gap_spread: float = 0.9
    life: float = 150.0
    life_spread: float = 1.2
    regular: float = 1.0
    basket: float = 40.0
    between: float = 0.5
    within: float = 0.4
    tail: float = 0.0  # Pareto exponent of customers' mean baskets, 0 for lognormal ones
    together: float = 0.0  # correlation of log rate and log basket
    prices: tuple[float, ...] = ()  # customers pay one of these, always


@dataclass(frozen=True)
class Shop:
    """The kinds of customers, and what happens to all of them."""

    kinds: tuple[Kind, ...] = (Kind(),)
    customers: int = 1500
    days: int = 730
    join: str = "even"  # even, growth, early (first quarter), one_month, one_day
    join_share: float = 0.8  # of the days in which customers join
    doubling: float = 122.0  # days in which growth doubles the number who join
    season: float = 0.0  # how much more is bought in November and December
    sale: float = 0.0  # chance that a living customer buys on a sale day
    fading: float = 0.0  # lifetimes shrink by exp(-fading) over the days
    inflation: float = 0.0  # log growth of prices over the days
    gifts: float = 0.0  # share of orders with amount 0
    refunds: float = 0.0  # share of orders paid back within three weeks
    closed: tuple[int, int] = (0, 0)  # from and to: days without a single order


SHOPS: dict[str, Shop] = {
    "plain": Shop(),
    "casual": Shop((Kind(gap=150, life=80),)),
    "regular": Shop((Kind(gap=21, gap_spread=0.6, regular=8.0, life=260),)),
    "very_regular": Shop((Kind(gap=28, gap_spread=0.35, regular=40.0, life=240, life_spread=0.9),)),
    "wholesale": Shop((Kind(0.96, gap=90), Kind(0.04, gap=7, regular=4.0, life=900, basket=250, tail=1.3, within=0.6))),
    "constant": Shop((Kind(prices=(25.0,)),)),
    "seasonal": Shop(season=3.0, days=1095),
    "seasonal_one_year": Shop(season=3.0, days=460),
    "growth": Shop(join="growth", join_share=1.0),
    "fading": Shop(fading=1.5, join_share=1.0),
    "inflation": Shop(inflation=0.7),
    "subscriptions": Shop((Kind(gap=30.4, gap_spread=0.0, regular=900.0, life=200, life_spread=1.0, prices=(9, 19, 49)),)),
    "sales": Shop(sale=0.12),
    "dear_and_often": Shop((Kind(together=0.7),)),
    "cheap_and_often": Shop((Kind(together=-0.7),)),
    "heavy_baskets": Shop((Kind(between=1.3, within=1.1),)),
    "grocery": Shop((Kind(gap=3.0, gap_spread=0.5, regular=3.0, life=400, basket=30),), customers=700),
    "durables": Shop((Kind(gap=300, gap_spread=0.5, regular=3.0, life=2000, life_spread=0.6, basket=400),), days=1460),
    "one_day": Shop(join="one_day", days=400),
    "one_cohort": Shop(join="early", days=540),
    "young": Shop(days=90, customers=1200, join_share=1.0),
    "gifts": Shop(gifts=0.25),
    "refunds": Shop(refunds=0.35),
    "two_kinds": Shop((Kind(0.7, gap=400, life=60), Kind(0.3, gap=18, gap_spread=0.4, life=600, regular=3.0))),
    "whales": Shop(
        (Kind(0.99, gap=90), Kind(0.01, gap=10, life=900, basket=330, tail=1.4, within=0.9)), refunds=0.15, join_share=0.9
    ),
    "clockwork": Shop((Kind(gap=30, gap_spread=0.0, regular=300.0, life=9000, life_spread=0.0, within=0.2),), customers=600),
    "clockwork_leaving": Shop((Kind(gap=30, gap_spread=0.25, regular=100.0, life=200, life_spread=0.8, within=0.2),)),
    "flash": Shop((Kind(gap=500, life=400, life_spread=0.6),), sale=0.35),
    "tenfold": Shop(join="growth", join_share=1.0, doubling=110.0, days=400),
    "one_timers": Shop((Kind(0.95, gap=5000, life=10), Kind(0.05, gap=25, life=500)), customers=3000),
    "one_month": Shop(join="one_month", days=500),
    "closed_months": Shop(closed=(330, 480), days=900),
    "forty": Shop(customers=40),
    "tiny": Shop(customers=30),
    "small": Shop(customers=150),
}  # fmt: skip


def world(name: str, seed: int, customers: int = 0) -> pa.Table:
    """The orders of one shop: customer_id, order_id, ordered_at, amount; the same for the same seed.

    `customers` makes the shop larger or smaller than it is.
    """
    rng = np.random.default_rng([seed, *name.encode()])
    shop = replace(SHOPS[name], customers=customers or SHOPS[name].customers)
    sizes = rng.multinomial(shop.customers, [one.share for one in shop.kinds])
    each = [_customer(rng, shop, kind) for kind, size in zip(shop.kinds, sizes, strict=True) for _ in range(int(size))]
    codes = rng.permutation(len(each)) + 100_001  # ids look like numbers and say nothing of the kind
    who = np.repeat(codes, [len(days) for days, _ in each])
    day, amount = (np.concatenate(parts) for parts in zip(*each, strict=True))
    first = np.datetime64(START)
    return pa.table({
        "customer_id": pa.array(who).cast(pa.string()),
        "order_id": pa.array(np.arange(len(who))).cast(pa.string()),
        "ordered_at": pa.array(first + day.astype("timedelta64[D]")),
        "amount": np.round(amount, 2),
    })  # fmt: skip


def _customer(rng: np.random.Generator, shop: Shop, kind: Kind) -> tuple[Floats, Floats]:
    """Days and amounts of one customer's orders and refunds."""
    z, other = rng.standard_normal(2)
    mixed = kind.together * z + np.sqrt(1 - kind.together**2) * other
    came = _came(rng, shop)
    life = kind.life * np.exp(kind.life_spread * rng.standard_normal() - shop.fading * came / shop.days)
    days = _days(rng, shop, kind, came, life, kind.gap * np.exp(-kind.gap_spread * z))
    if kind.prices:
        paid = np.full(len(days), rng.choice(kind.prices))
    else:
        own = kind.basket * (np.exp(kind.between * mixed) if not kind.tail else (1 - rng.random()) ** (-1 / kind.tail))
        paid = own * np.exp(kind.within * rng.standard_normal(len(days)))
    paid = paid * np.exp(shop.inflation * days / shop.days) * (rng.random(len(days)) >= shop.gifts)
    back = (rng.random(len(days)) < shop.refunds) & (paid > 0)
    late = days[back] + rng.integers(2, 21, int(back.sum()))
    seen = late < shop.days
    return np.concatenate([days, late[seen]]), np.concatenate([paid, -paid[back][seen]])


def _came(rng: np.random.Generator, shop: Shop) -> float:
    """The day of the first order."""
    until = shop.days * shop.join_share
    if shop.join == "one_day":
        return 0.0
    if shop.join == "early":
        return float(rng.uniform(0, shop.days / 4))
    if shop.join == "growth":
        return float(max(until + shop.doubling * np.log2(1 - rng.random() * (1 - 2 ** (-until / shop.doubling))), 0.0))
    if shop.join == "one_month":
        return float(rng.uniform(0, 30))
    return float(rng.uniform(0, until))


def _days(rng: np.random.Generator, shop: Shop, kind: Kind, came: float, life: float, gap: float) -> Floats:
    """Whole days of the orders: Erlang gaps while alive, more of them in season, and the sale days."""
    peak = 1.0 + shop.season
    ends = min(came + life, shop.days)
    count = int((ends - came) / gap * peak * 1.5 + 20 * peak)
    gaps = np.maximum(rng.gamma(kind.regular, gap / (kind.regular * peak), count), 0.5)
    times = came + np.cumsum(gaps)
    in_season = (times + START.timetuple().tm_yday) % 365.25 > 304
    times = times[(times < ends) & (rng.random(count) < np.where(in_season, 1.0, 1.0 / peak))]
    sales = SALES[(came < SALES) & (ends > SALES)]
    all_days = np.unique(np.floor(np.concatenate([[came], times, sales[rng.random(len(sales)) < shop.sale]])))
    return np.asarray(all_days[(all_days < shop.closed[0]) | (all_days >= shop.closed[1])])
