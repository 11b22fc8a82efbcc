"""lifetimes' side of clv_speed, run by the Python of its own environment: a JSON line a job."""

import json
import resource
import sys
import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import lifetimes
import numpy as np
import pandas as pd
from lifetimes.utils import summary_data_from_transaction_data

warnings.filterwarnings("ignore")
WEEKS = 52.0


def best(work: Callable[[], Any]) -> tuple[float, Any]:
    least, begun = np.inf, time.perf_counter()
    for _ in range(5):
        start = time.perf_counter()
        result = work()
        least = min(least, time.perf_counter() - start)
        if time.perf_counter() - begun > 3:
            break
    return float(least), result


def summary(path: str, end: str) -> pd.DataFrame:
    orders = pd.read_parquet(path)
    if "spend" in orders:
        orders = orders.rename(columns={"spend": "amount"})
    rfm: pd.DataFrame = summary_data_from_transaction_data(
        orders, "customer_id", "date", "amount", observation_period_end=end, freq="D", freq_multiplier=7
    )
    return rfm


def fit(kind: type[Any], rfm: pd.DataFrame) -> Any:
    return kind().fit(rfm["frequency"], rfm["recency"], rfm["T"])


def fit_spend(rfm: pd.DataFrame) -> Any:
    repeat = rfm[(rfm["frequency"] > 0) & (rfm["monetary_value"] > 0)]
    return lifetimes.GammaGammaFitter().fit(repeat["frequency"], repeat["monetary_value"])


def predict(model: Any, rfm: pd.DataFrame) -> tuple[Any, Any]:
    history = (rfm["frequency"], rfm["recency"], rfm["T"])
    return (
        model.conditional_expected_number_of_purchases_up_to_time(WEEKS, *history),
        model.conditional_probability_alive(*history),
    )


def scores(path: str, end: str) -> pd.DataFrame:
    rfm = summary(path, end)
    model, spend = fit(lifetimes.BetaGeoFitter, rfm), fit_spend(rfm)
    expected, alive = predict(model, rfm)
    value = spend.conditional_expected_average_profit(rfm["frequency"], rfm["monetary_value"])
    clv = spend.customer_lifetime_value(
        model, rfm["frequency"], rfm["recency"], rfm["T"], rfm["monetary_value"], time=12, discount_rate=0.01, freq="W"
    )
    table = rfm.assign(p_alive=alive, expected_orders=expected, expected_value=np.asarray(expected) * value, clv=clv)
    table.to_parquet(path + ".lifetimes")
    return table


def main(path: str, end: str, jobs: list[str]) -> None:
    rfm = summary(path, end) if set(jobs) - {"rfm", "path"} else pd.DataFrame()
    model = None
    for job in jobs:
        more: dict[str, Any] = {}
        if job == "rfm":
            seconds, found = best(lambda: summary(path, end))
            more["rows"] = len(found)
        elif job == "path":
            seconds, _ = best(lambda: scores(path, end))
        elif job == "gg":
            seconds, found = best(lambda: fit_spend(rfm))
            more["values"] = [float(found.params_[name]) for name in ("p", "q", "v")]
        elif job == "predict":
            model = model or fit(lifetimes.BetaGeoFitter, rfm)
            seconds, _ = best(partial(predict, model, rfm))
        else:
            kind = {"bg": lifetimes.BetaGeoFitter, "pareto": lifetimes.ParetoNBDFitter}[job]
            seconds, found = best(partial(fit, kind, rfm))
            model = found if job == "bg" else model
            names = ("r", "alpha", "a", "b") if job == "bg" else ("r", "alpha", "s", "beta")
            more["values"] = [float(found.params_[name]) for name in names]
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({"job": job, "seconds": seconds, "peak": peak, **more}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
