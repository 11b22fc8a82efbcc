"""Accuracy on held-out orders: what `clvsync score` uses, beside Pareto/NBD + Gamma-Gamma as published, RFM and past spend.

CDNOW at average ages of 7, 11, 20 and 33 weeks and the published sample are always run; a further set of orders is read in
place from the file that CLV_ORDERS names (columns customer_id, date, spend), half of its days held out. Peers' own fits agree
with ours to four decimals of log-likelihood, so "pareto_nbd + gg" is theirs.
"""

from __future__ import annotations

import os
import time
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from clv_core.forecast import fit_basket_or_credibility, fit_first, forecast
from clv_core.heuristics import past_spend, rfm
from clv_core.metrics import Ranking, bootstrap, metrics
from clv_core.score_settings import ScoreSettings
from clv_core.scoring import score
from clv_core.transactions import Transactions, check_orders
from clv_core.windows import Window, window

Floats = NDArray[np.float64]
ROOT = Path(__file__).parents[2]
CDNOW = ROOT / "connectors" / "demo" / "cdnow.parquet"
SAMPLE = ROOT / "tests" / "data" / "cdnow_sample.csv"
AGES = {
    "7 weeks": date(1997, 3, 31),
    "11 weeks": date(1997, 4, 30),
    "20 weeks": date(1997, 6, 30),
    "33 weeks": date(1997, 9, 30),
}
DRAWS = 200


def main() -> None:
    """Prints one table per set: figures with 90% intervals, and paired differences of ours from each rival."""
    t = check_orders(CDNOW)
    for age, split in AGES.items():
        _report(f"CDNOW full, average age {age}", t, split)
    if SAMPLE.exists():
        _report("CDNOW sample, 39/39 weeks", _sample(), date(1997, 9, 30))
    further = os.environ.get("CLV_ORDERS", "")
    if further and Path(further).exists():
        extra = check_orders(Path(further))
        _report(Path(further).stem, extra, extra.first_day + timedelta(days=(extra.last_day - extra.first_day).days // 2))
    else:
        print("no further set: name an orders file in CLV_ORDERS to add one")


def _report(title: str, t: Transactions, split: date) -> None:
    held_out = window(t, split, (t.last_day - split).days, known_until=t.last_day)
    started = time.perf_counter()
    mine, model = ours(t, held_out)
    seconds = time.perf_counter() - started
    scores = {
        "ours": mine,
        "pareto_nbd + gg": published(held_out),
        "rfm": rfm(held_out.past),
        "past_spend": past_spend(held_out.past),
    }
    money = {"ours", "pareto_nbd + gg"}
    rankings = {name: Ranking.of(values, held_out.spend) for name, values in scores.items()}
    spans, draws = bootstrap(rankings, money, draws=DRAWS, seed=1)
    print(f"\n{title}: {len(held_out.past):,} customers, {held_out.days} days held out; ours: {model}, in {seconds:.1f} s")
    print(f"{'method':16s} {'Spearman':>8s} {'Gini':>20s} {'top 20%':>20s} {'WAPE':>6s} {'pred/real':>18s} {'MAE':>6s}")
    for name, values in scores.items():
        print(_line(name, metrics(values, held_out.spend, money=name in money), spans[name]))
    for rival in list(scores)[1:]:
        gaps = [_gap(figure, draws["ours"][figure] - draws[rival][figure]) for figure in ("gini", "top20_capture")]
        print(f"ours - {rival:16s} {'; '.join(gaps)}")


def ours(t: Transactions, held_out: Window) -> tuple[Floats, str]:
    """What `clvsync score` predicts, and the model it names."""
    settings = replace(ScoreSettings(), horizon_days=held_out.days, annual_discount=0.0)
    table = score(t, held_out.past.as_of, settings).table
    known = dict(zip(table["customer_id"].to_pylist(), table["clv"].to_pylist(), strict=True))
    return np.array([known[name] for name in held_out.past.customer_id.to_pylist()]), str(table["model"][0])


def published(held_out: Window) -> Floats:
    """Pareto/NBD and the Gamma-Gamma of repeat orders, as every library does it."""
    s = held_out.past
    model, _ = fit_first(("pareto_nbd",), s)
    basket, _ = fit_basket_or_credibility("repeat_orders", s)
    return forecast(model, basket, s, held_out.weeks).value


def _sample() -> Transactions:
    with duckdb.connect() as connection:
        rows = connection.sql(f"SELECT * FROM '{SAMPLE}'").to_arrow_table()
    return check_orders(rows)


def _line(name: str, found: dict[str, float], span: dict[str, list[float]]) -> str:
    def ranged(figure: str) -> str:
        if figure not in span:
            return "-"
        return f"{found[figure]:.3f} [{span[figure][0]:.3f} {span[figure][1]:.3f}]"

    plain: dict[str, Any] = {n: "-" if np.isnan(found[n]) else f"{found[n]:.3f}" for n in ("spearman", "decile_wape")}
    mae = "-" if np.isnan(found["mae"]) else f"{found['mae']:.1f}"
    return (
        f"{name:16s} {plain['spearman']:>8s} {ranged('gini'):>20s} {ranged('top20_capture'):>20s} {plain['decile_wape']:>6s} "
        f"{ranged('bias'):>18s} {mae:>6s}"
    )


def _gap(figure: str, gaps: Floats) -> str:
    low, high = np.nanquantile(gaps, 0.05), np.nanquantile(gaps, 0.95)
    verdict = "better" if low > 0 else "worse" if high < 0 else "level"
    return f"{figure} {np.nanmean(gaps):+.3f} [{low:+.3f} {high:+.3f}] {verdict}"


if __name__ == "__main__":
    main()
