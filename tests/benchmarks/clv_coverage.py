"""Do the ranges hold: how often held-out spend lies between clv_low and clv_high, and totals of groups between theirs.

CDNOW at average ages of 7 to 33 weeks, and shops unlike any model's assumptions (tests/clv_core/worlds.py). Each row: the share
of customers inside their 90% range (95% where its low end is 0), below and above it, inside among one-time buyers
and among the best fifth; of how many campaigns (ten at random), months of coming and tiers the total lies inside its range; and
the whole base's range over what came. At the end, what totals would hold if the model were the truth (parameters and customers'
own chance alone), and half the width of ranges over what they are of. COVERAGE_SHOPS picks shops (NAME:5000 of that many
customers), COVERAGE_SEEDS seeds: the product was developed with 1 to 9, its priors of errors come from 31 to 34.
"""

from __future__ import annotations

import json
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from clv_core.score_settings import ScoreSettings
from clv_core.scoring import score
from clv_core.totals import group_totals
from clv_core.transactions import check_orders
from clv_core.uncertainty import UNCERTAINTY
from clv_core.windows import Window, window
from tests.benchmarks.clv_accuracy import AGES, CDNOW
from tests.clv_core.worlds import world

Floats = NDArray[np.float64]
SHOPS = (
    "plain,wholesale,very_regular,constant,subscriptions,heavy_baskets,refunds,young,seasonal,whales,flash,clockwork_leaving,"
    "one_timers,regular:5000,two_kinds:5000,durables:5000"
)
SPLITS = (0.5, 0.75)
BOUNDS = (0.85, 0.97)
FEW = 100  # customers; totals of fewer say little
KINDS = ("campaigns", "months", "tiers")
Total = tuple[float, float, float]  # low, predicted, high
COLUMNS = ("inside", "below", "above", "once", "best")
HEAD = f"{'set':24s} " + " ".join(f"{one:>6s}" for one in COLUMNS) + "".join(f" {one:>10s}" for one in KINDS) + "   base / came"


@dataclass(frozen=True)
class Held:
    """Shares of customers (COLUMNS); of groups the kind, what came and the range, with and without errors that are shared; the
    base is the first.
    """

    name: str
    shares: tuple[float, ...]
    kinds: list[str]
    came: list[float]
    told: list[Total]
    sure: list[Total]

    def inside(self, kind: str, told: list[Total]) -> list[bool]:
        """Whether what came lies inside, per group of a kind."""
        rows = zip(self.kinds, self.came, told, strict=True)
        return [low <= came <= high for one, came, (low, _, high) in rows if one == kind]

    def widths(self, kind: str, told: list[Total]) -> list[float]:
        """Half the width of each range over the predicted total."""
        rows = zip(self.kinds, told, strict=True)
        return [(high - low) / 2 / middle for one, (low, middle, high) in rows if one == kind and middle > 0]


def main() -> None:
    """Nothing; prints a line per set and what all of them say together."""
    shops = os.environ.get("COVERAGE_SHOPS", SHOPS).split(",")
    seeds = [int(one) for one in os.environ.get("COVERAGE_SEEDS", "101").split(",")]
    cases = [(f"CDNOW {age}", 0, float(split.toordinal())) for age, split in AGES.items()]
    cases += [(name, seed, share) for name in shops for seed in seeds for share in SPLITS]
    print(HEAD)
    with ProcessPoolExecutor(2) as pool:
        found = []
        for one in pool.map(judge, cases):
            print(_line(one), flush=True)
            found.append(one)
    inside = np.array([one.shares[0] for one in found])
    within = np.mean((inside >= BOUNDS[0]) & (inside <= BOUNDS[1]))
    print(f"\n{len(found)} sets: customers inside {inside.mean():.1%} ({inside.min():.0%} to {inside.max():.0%})")
    print(f"sets within {BOUNDS[0]:.0%} to {BOUNDS[1]:.0%}: {within:.0%}")
    print("totals, 90% wanted: inside / half the width of ranges (median); were the model the truth: the same")
    for kind in ("base", *KINDS):
        told, sure = (_together(found, kind, name) for name in ("told", "sure"))
        print(f"  {kind:10s} {told}; {sure}")


def judge(case: tuple[str, int, float]) -> Held:
    """What the ranges of one set hold."""
    name, seed, share = case
    if name.startswith("CDNOW"):
        t, split = check_orders(CDNOW), date.fromordinal(int(share))
    else:
        kind, _, customers = name.partition(":")
        t = check_orders(world(kind, seed, int(customers or 0)))
        split = t.first_day + timedelta(days=int((t.last_day - t.first_day).days * share))
        name = f"{name} {seed} {share:.2f}"
    w = window(t, split, min((t.last_day - split).days, 365), known_until=t.last_day)
    return held(name, score(t, split, ScoreSettings(horizon_days=w.days, annual_discount=0.0)).table, w)


def held(name: str, scores: pa.Table, w: Window) -> Held:
    """What the ranges of one scores table hold of what came in the window."""
    mine = scores.take(pc.index_in(w.past.customer_id, scores["customer_id"].combine_chunks()))
    low, high, clv, frequency = (np.asarray(mine[one]) for one in ("clv_low", "clv_high", "clv", "frequency"))
    under, over = w.spend < low - 1e-9, w.spend > high + 1e-9
    inside, once, best = ~(under | over), frequency == 0, np.argsort(-clv)[: max(len(clv) // 5, 1)]
    shares = tuple(float(np.mean(each)) if len(each) else np.nan for each in (inside, under, over, inside[once], inside[best]))
    groups = _groups(mine, w)
    every = [who for each in groups.values() for who in each]
    came = [float(w.spend[who].sum()) for who in every]
    kinds = [kind for kind, each in groups.items() for _ in each]
    return Held(name, shares, kinds, came, _totals(scores, mine, every), _totals(_sure(scores), mine, every))


def _sure(scores: pa.Table) -> pa.Table:
    """The scores with the errors that customers share taken out."""
    document = json.loads(scores.schema.metadata[UNCERTAINTY]) | {"level_error": 0.0}
    kept = {name: value for name, value in document.items() if name not in ("age", "value")}
    return scores.replace_schema_metadata({UNCERTAINTY: json.dumps(kept).encode()})


def _together(found: list[Held], kind: str, name: str) -> str:
    inside = [one for each in found for one in each.inside(kind, getattr(each, name))]
    widths = [one for each in found for one in each.widths(kind, getattr(each, name))]
    return f"{np.mean(inside):.0%} of {len(inside)} / {np.median(widths):.2f}" if inside else "none"


def _groups(mine: pa.Table, w: Window) -> dict[str, list[NDArray[np.bool_]]]:
    """Who is in which group, by kind; everyone first, small groups left out."""
    months = np.array([f"{w.past.as_of - timedelta(days=round(7 * age)):%Y-%m}" for age in w.past.T])
    campaigns = np.random.default_rng(4).integers(0, 10, len(mine))
    labels = {"months": months, "tiers": np.array(mine["tier"].to_pylist()), "campaigns": campaigns}
    found = {kind: [each == one for one in np.unique(each)] for kind, each in labels.items()}
    return {"base": [np.ones(len(mine), dtype=bool)]} | {
        kind: [who for who in each if who.sum() >= FEW] for kind, each in found.items()
    }


def _totals(scores: pa.Table, mine: pa.Table, groups: list[NDArray[np.bool_]]) -> list[Total]:
    """Low, predicted and high of each group's total."""
    members = [
        pa.table({"customer_id": mine["customer_id"].filter(pa.array(who)), "group": pa.repeat(f"{n:04d}", int(who.sum()))})
        for n, who in enumerate(groups)
    ]
    found = group_totals(scores, pa.concat_tables(members)).to_pylist()
    return [(row["clv_low"], row["clv"], row["clv_high"]) for row in found]


def _line(one: Held) -> str:
    low, middle, high = (end / one.came[0] for end in one.told[0])
    inside = [one.inside(kind, one.told) for kind in KINDS]
    groups = "".join(f" {sum(right):4d} of {len(right):2d}" for right in inside)
    return (
        f"{one.name:24s} "
        + " ".join(f"{each:6.1%}" for each in one.shares)
        + f"{groups}   {middle:.2f} ({low:.2f} to {high:.2f})"
    )


if __name__ == "__main__":
    main()
