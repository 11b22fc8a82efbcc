"""PyMC-Marketing's side of clv_speed (maximum a posteriori, compiled once before it is timed), in its own environment."""

import json
import resource
import sys
import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from pymc_marketing.clv import BetaGeoModel, GammaGammaModel, ParetoNBDModel
from pymc_marketing.clv.utils import rfm_summary

warnings.filterwarnings("ignore")
WEEKS = 52


def best(work: Callable[[], Any]) -> tuple[float, Any]:
    least, begun = np.inf, time.perf_counter()
    for _ in range(3):
        start = time.perf_counter()
        result = work()
        least = min(least, time.perf_counter() - start)
        if time.perf_counter() - begun > 20:
            break
    return float(least), result


def summary(path: str, end: str) -> pd.DataFrame:
    orders = pd.read_parquet(path)
    if "spend" in orders:
        orders = orders.rename(columns={"spend": "amount"})
    orders["date"] = pd.to_datetime(orders["date"])
    rfm: pd.DataFrame = rfm_summary(
        orders, "customer_id", "date", "amount", observation_period_end=end, time_unit="D", time_scaler=7
    )
    return rfm


def fit(kind: type[Any], rfm: pd.DataFrame) -> Any:
    model = kind(data=rfm)
    model.fit(method="map", progressbar=False)
    return model


def predict(model: Any) -> tuple[Any, Any]:
    return model.expected_purchases(future_t=WEEKS), model.expected_probability_alive()


def main(path: str, end: str, jobs: list[str]) -> None:
    rfm = summary(path, end) if set(jobs) - {"rfm"} else pd.DataFrame()
    model = None
    for job in jobs:
        more: dict[str, Any] = {}
        if job == "rfm":
            seconds, found = best(lambda: summary(path, end))
            more["rows"] = len(found)
        elif job == "predict":
            model = model or fit(BetaGeoModel, rfm)
            seconds, _ = best(partial(predict, model))
        else:
            kind = {"bg": BetaGeoModel, "pareto": ParetoNBDModel, "gg": GammaGammaModel}[job]
            data = rfm[(rfm["frequency"] > 0) & (rfm["monetary_value"] > 0)] if job == "gg" else rfm
            seconds, found = best(partial(fit, kind, data))
            model = found if job == "bg" else model
            names = {"bg": ("r", "alpha", "a", "b"), "pareto": ("r", "alpha", "s", "beta"), "gg": ("p", "q", "v")}[job]
            point = found.fit_result.posterior if hasattr(found.fit_result, "posterior") else found.fit_result
            more["values"] = [float(np.asarray(point[name]).ravel()[0]) for name in names]
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({"job": job, "seconds": seconds, "peak": peak, **more}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
