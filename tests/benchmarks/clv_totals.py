"""Intervals of totals beside PyMC-Marketing's MCMC: CDNOW sample, 2,357 customers, 39 weeks after 39 weeks.

Groups are the months and weeks of the first order and ten campaigns drawn at random. Both sides fit BG/NBD (and Pareto/NBD)
with the Gamma-Gamma of repeat orders; MCMC with the library's default priors, for BG/NBD with flat ones too. Two kinds of 90%
interval: of the parameters alone, and of what will come (the customers' own chance as well). MCMC's is read from draws, ours is
closed-form and knows no priors; how much narrower the peer's priors would make it is said beside. Ratios are ours / MCMC's of
widths, MCMC's / ours of seconds. PAIRS=bg:flat picks what the peer samples.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from clv_core.basket import CredibilityBasket, GammaBasket
from clv_core.doubt import Doubt
from clv_core.forecast import ORDER_MODELS, forecast
from clv_core.score_settings import ScoreSettings
from clv_core.scoring import score
from clv_core.totals import group_totals
from clv_core.transactions import Transactions, check_orders
from clv_core.uncertainty import UNCERTAINTY, describe
from clv_core.valuation import Fit
from clv_core.windows import Window, window
from tests.benchmarks.clv_speed import _environment, _python

Floats = NDArray[np.float64]
ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "tests" / "data" / "cdnow_sample.csv"
SPLIT, DAYS = date(1997, 9, 30), 273
DRAWS = 500
CAMPAIGNS = 10
FURTHER = 200  # random groups on which coverage is counted
PRIOR_SCALES = {"bg": (1.0, 10.0, np.inf, np.inf), "pareto": (1.0, 10.0, 1.0, 10.0)}  # Weibull(2, scale), the peer's defaults
NAMES = {"bg": "bg_nbd", "pareto": "pareto_nbd"}
ORDERS_ALONE = CredibilityBasket(mean=1.0, within=0.0, between=0.0)  # so that value is the number of orders


@dataclass(frozen=True, slots=True)
class Groups:
    """Names of groups, and who is in them: (customers, groups), 0 or 1. The last FURTHER ones only count for coverage."""

    names: list[str]
    members: Floats


def main() -> None:
    """Nothing; prints the intervals of both sides, ratios of widths and seconds, and the coverage of what came."""
    t = _orders()
    held_out = window(t, SPLIT, DAYS, known_until=t.last_day)
    groups = _groups(held_out)
    pairs = os.environ.get("PAIRS", "bg:default,bg:flat,pareto:default").split(",")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        peers = _peer(folder, held_out, groups, pairs) if _environment("pymc") else {}
        for pair in pairs:
            if pair in peers:
                _compare(pair, held_out, groups, peers[pair], np.load(folder / f"{pair.replace(':', '_')}.npz"))
    _product(t, held_out, groups)


def _orders() -> Transactions:
    with duckdb.connect() as connection:
        return check_orders(connection.sql(f"SELECT * FROM '{SAMPLE}'").to_arrow_table())


def _groups(w: Window) -> Groups:
    s, rng = w.past, np.random.default_rng(5)
    first = [date.fromordinal(SPLIT.toordinal() - round(7 * age)) for age in s.T]
    names, columns = ["all"], [np.ones(len(s))]
    for month in sorted({f"{day:%Y-%m}" for day in first}):
        names.append(month)
        columns.append(np.array([f"{day:%Y-%m}" == month for day in first], dtype=float))
    week = np.floor(s.T.max() - s.T + 1e-9).astype(int)
    for one in np.unique(week):
        names.append(f"week {one + 1}")
        columns.append((week == one).astype(float))
    campaign = rng.choice(CAMPAIGNS, len(s), p=rng.dirichlet(np.full(CAMPAIGNS, 3.0)))
    for one in range(CAMPAIGNS):
        names.append(f"campaign {one + 1}")
        columns.append((campaign == one).astype(float))
    for one in range(FURTHER):
        names.append(f"random {one + 1}")
        columns.append((rng.random(len(s)) < rng.uniform(0.02, 0.2)).astype(float))
    kept = [n for n, column in enumerate(columns) if column.sum() >= 20]
    return Groups([names[n] for n in kept], np.stack([columns[n] for n in kept], axis=1))


def _peer(folder: Path, w: Window, groups: Groups, pairs: list[str]) -> dict[str, dict[str, Any]]:
    """What the peer says of itself, by pair; its draws lie in the folder."""
    s = w.past
    ids = np.arange(len(s))
    columns = {"customer_id": ids, "frequency": s.x, "recency": s.t_x, "T": s.T, "monetary_value": s.m}
    pq.write_table(pa.table(columns), folder / "rfm.parquet")
    np.save(folder / "members.npy", groups.members)
    script = ROOT / "tests" / "benchmarks" / "_clv_pymc_totals.py"
    command = [str(_python("pymc")), str(script), str(folder), str(w.weeks), str(DRAWS), *pairs]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        print(f"  peer failed: {done.stderr.strip().splitlines()[-1:]}")
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return {line["pair"]: line for line in lines}


def _ours(kind: str, w: Window, groups: Groups) -> tuple[dict[str, tuple[Floats, Floats, Floats]], float]:
    """Per measure (orders, value; alone and with the customers' own chance) total, low and high by group; and seconds."""
    begun = time.perf_counter()
    s = w.past
    model = ORDER_MODELS[NAMES[kind]].fit(s.x, s.t_x, s.T)
    spending = GammaBasket.fit(s, all_orders=False)
    found = {}
    for measure, basket in (("orders", ORDERS_ALONE), ("value", spending)):
        doubt, clv = _doubt(Fit(model, basket, (), len(s)), w)
        total, slopes = clv @ groups.members, (doubt.slopes.T @ groups.members).T
        own, silence = doubt.variance @ groups.members, doubt.silence @ groups.members
        found[measure] = (total, *doubt.interval(total, 0.0 * own, silence, slopes, 0.90))
        found[f"{measure}_own"] = (total, *doubt.interval(total, own, silence, slopes, 0.90))
    return found, time.perf_counter() - begun


def _doubt(fitted: Fit, w: Window) -> tuple[Doubt, Floats]:
    s = w.past
    view = forecast(fitted.model, fitted.basket, s, w.weeks)
    columns = {"customer_id": s.customer_id, "frequency": s.x, "recency": s.t_x, "T": s.T, "monetary_value": s.m,
               "value_to_date": s.value_to_date, "expected_orders": view.orders, "p_alive": view.alive,
               "clv": view.value, "as_of": pa.repeat(pa.scalar(s.as_of, pa.date32()), len(s))}  # fmt: skip
    document = describe(fitted, ScoreSettings(horizon_days=w.days, annual_discount=0.0))
    table = pa.table(columns).replace_schema_metadata({UNCERTAINTY: document.to_json()})
    return Doubt.of(table), view.value


def _compare(pair: str, w: Window, groups: Groups, said: dict[str, Any], draws: Any) -> None:
    ours, seconds = _ours(pair.split(":")[0], w, groups)
    real = {"orders": w.orders @ groups.members, "value": w.spend @ groups.members}
    shown = len(groups.names) - FURTHER
    took = said["fit"] + said["spend_fit"] + said["predict"]
    print(
        f"\n{pair}: {said['draws']} draws, least ESS {said['ess']:.0f}, R-hat {said['r_hat']:.3f}, peak {said['peak']:.0f} MB"
    )
    print(f"seconds: MCMC {took:.1f} (fits {said['fit'] + said['spend_fit']:.1f}), ours {seconds:.2f}: {took / seconds:.0f}x")
    head = f"{'low':>9s} {'high':>9s} {'width':>8s}"
    print(f"{'total of 39 weeks':26s} {'real':>8s} {'ours ' + head:>34s} {'MCMC ' + head:>34s} {'ours/MCMC':>9s}")
    print(f"ours with the peer's priors as well: parameters alone {_with_priors(pair, w):.2f} as wide")
    for measure, (_, low, high) in ours.items():
        theirs = np.quantile(draws[measure], [0.05, 0.95], axis=0)
        ratio, came = (high - low) / (theirs[1] - theirs[0]), real[measure.removesuffix("_own")]
        for n in range(4):
            print(_line(f"{measure} {groups.names[n]}", came[n], low[n], high[n], theirs[0, n], theirs[1, n]))
        parts = {"months": slice(1, 4), "weeks": slice(4, shown - CAMPAIGNS), "campaigns": slice(shown - CAMPAIGNS, shown)}
        means = "; ".join(f"{name} {ratio[part].mean():.2f}" for name, part in parts.items())
        print(f"  {measure}: width ours / MCMC: all {ratio[0]:.2f}; {means}; from {ratio.min():.2f} to {ratio.max():.2f}")
        if measure.endswith("_own"):
            held, their = (np.mean((came >= a) & (came <= b)) for a, b in ((low, high), theirs))
            print(f"  {measure}: what came lies inside in {held:.0%} of {len(came)} groups (MCMC {their:.0%}), 90% wanted")


def _with_priors(pair: str, w: Window) -> float:
    """The width of our interval of all orders, the curvature of the pair's priors added to the likelihood's, over ours."""
    kind, priors = pair.split(":")
    if priors == "flat":
        return 1.0
    s = w.past
    model = ORDER_MODELS[NAMES[kind]].fit(s.x, s.t_x, s.T)
    values = np.array([one.value for one in model.parameters.values()])
    known = np.diag(4.0 * (values / np.array(PRIOR_SCALES[kind])) ** 2)  # of a Weibull of shape 2, in the parameter's log
    doubt, clv = _doubt(Fit(model, ORDERS_ALONE, (), len(s)), w)
    slopes, total = doubt.slopes.sum(axis=0)[None], np.array([clv.sum()])
    held = Doubt(doubt.variance, doubt.silence, doubt.slopes, np.linalg.inv(np.linalg.inv(doubt.covariance) + known), 0.0)
    return float(np.sqrt(held.shared(slopes, total) / doubt.shared(slopes, total))[0])


def _line(name: str, real: float, low: float, high: float, their_low: float, their_high: float) -> str:
    ratio = (high - low) / (their_high - their_low)
    ours = f"{low:14,.0f} {high:9,.0f} {high - low:8,.0f}"
    theirs = f"{their_low:14,.0f} {their_high:9,.0f} {their_high - their_low:8,.0f}"
    return f"{name:26s} {real:8,.0f} {ours:>34s} {theirs:>34s} {ratio:9.2f}"


def _product(t: Transactions, w: Window, groups: Groups) -> None:
    """What `clvsync score` says of the same groups: its own choice of models, and the doubt of the level too."""
    begun = time.perf_counter()
    table = score(t, SPLIT, ScoreSettings(horizon_days=DAYS, annual_discount=0.0)).table
    rows, columns = np.nonzero(groups.members)
    ids = w.past.customer_id.take(pa.array(rows))
    found = group_totals(table, pa.table({"customer_id": ids, "group": pa.array(groups.names).take(pa.array(columns))}))
    seconds = time.perf_counter() - begun
    order = {name: n for n, name in enumerate(groups.names)}
    real = (w.spend @ groups.members)[[order[name] for name in found["group"].to_pylist()]]
    inside = (real >= np.asarray(found["clv_low"])) & (real <= np.asarray(found["clv_high"]))
    model = table["model"][0].as_py()
    print(
        f"\nclvsync score ({model}, choice included: {seconds:.1f} s): what came lies inside in {inside.mean():.0%} of groups"
    )
    for row, came in zip(found.to_pylist(), real, strict=True):
        if row["group"] in groups.names[:4]:
            low, high = (f"{row[name]:,.0f}" for name in ("clv_low", "clv_high"))
            print(f"  {row['group']:10s} {came:9,.0f} came; {row['clv']:9,.0f} said, {low} to {high}")


if __name__ == "__main__":
    main()
