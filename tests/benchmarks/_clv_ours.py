"""Our side of clv_speed, in a process of its own (arguments: file, last day, jobs): a JSON line a job."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from clv_core.models.base import Floats
from clv_core.models.bg_nbd import BgNbd
from clv_core.models.gamma_gamma import GammaGamma
from clv_core.models.pareto_nbd import ParetoNbd
from clv_core.summary import summarise
from clv_core.transactions import check_orders

WEEKS, DISCOUNT = 52.0, 0.01 / 4.345


def best(work: Callable[[], Any]) -> tuple[float, Any]:
    """Least seconds of up to five goes, or of those that fit in three seconds, and what came back."""
    least, begun = np.inf, time.perf_counter()
    for _ in range(5):
        start = time.perf_counter()
        result = work()
        least = min(least, time.perf_counter() - start)
        if time.perf_counter() - begun > 3:
            break
    return float(least), result


def scores(path: Path, end: date) -> pa.Table:
    """From the order file to p_alive, expected orders, spend and discounted value per customer, in a file."""
    rfm = summarise(check_orders(path), end)
    x, t_x, T, m = (rfm[name].to_numpy() for name in ("frequency", "recency", "T", "monetary_value"))
    orders, spend = BgNbd.fit(x, t_x, T), GammaGamma.fit(x, m)
    value = spend.expected_spend(x, m)
    found = {"p_alive": orders.p_alive(x, t_x, T), "expected_orders": orders.expected_orders(WEEKS, x, t_x, T)}
    found |= {"expected_value": found["expected_orders"] * value}
    found |= {"clv": orders.discounted_expected_orders(WEEKS, DISCOUNT, x, t_x, T) * value}
    table = rfm
    for name, values in found.items():
        table = table.append_column(name, pa.array(values))
    pq.write_table(table, path.with_suffix(".ours.parquet"))
    return table


def predict(model: BgNbd, x: Floats, t_x: Floats, T: Floats) -> tuple[Floats, Floats]:
    """Expected orders of the year and p_alive."""
    return model.expected_orders(WEEKS, x, t_x, T), model.p_alive(x, t_x, T)


def main(path: Path, end: date, jobs: list[str]) -> None:
    """Nothing; prints a line per job."""
    rfm = None
    if set(jobs) - {"rfm", "path"}:
        rfm = summarise(check_orders(path), end)
        x, t_x, T, m = (rfm[name].to_numpy() for name in ("frequency", "recency", "T", "monetary_value"))
    for job in jobs:
        more: dict[str, Any] = {}
        if job == "rfm":
            seconds, found = best(lambda: summarise(check_orders(path), end))
            more["rows"] = found.num_rows
        elif job == "path":
            seconds, found = best(lambda: scores(path, end))
            more["finite"] = all(
                np.isfinite(found[name].to_numpy()).all() for name in found.column_names[1:] if "day" not in name
            )
        elif job == "gg":
            seconds, model = best(lambda: GammaGamma.fit(x, m))
        elif job == "predict":
            model = BgNbd.fit(x, t_x, T)
            seconds, found = best(partial(predict, model, x, t_x, T))
            more["finite"] = bool(np.isfinite(found).all())
        else:
            fit = {"bg": BgNbd.fit, "pareto": ParetoNbd.fit}[job]
            seconds, model = best(partial(fit, x, t_x, T))
        if job in ("bg", "pareto", "gg"):
            more |= {"values": list(model.values), "likelihood": model.log_likelihood}
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({"job": job, "seconds": seconds, "peak": peak, **more}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), date.fromisoformat(sys.argv[2]), sys.argv[3:])
