"""Histories and known data for the model tests: CDNOW through the product's own orders contract, and simulated customers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clv_core.summary import summarise
from clv_core.transactions import check_orders

Floats = NDArray[np.float64]
DATA = Path(__file__).parents[1] / "data"
FULL = Path(__file__).parents[2] / "connectors" / "demo" / "cdnow.parquet"
CALIBRATION_END = date(1997, 9, 30)


@dataclass(frozen=True)
class Customers:
    """One row per customer, by customer id as a number."""

    x: Floats
    t_x: Floats
    T: Floats
    m: Floats
    first_value: Floats

    @property
    def times(self) -> tuple[Floats, Floats, Floats]:
        """x, t_x and T."""
        return self.x, self.t_x, self.T


@cache
def cdnow(name: str) -> Customers:
    """The `sample` or the `full` CDNOW customers, calibration to 1997-09-30."""
    table = summarise(check_orders(DATA / "cdnow_sample.csv" if name == "sample" else FULL), CALIBRATION_END)
    order = np.argsort(table["customer_id"].to_numpy().astype(np.int64))
    names = ("frequency", "recency", "T", "monetary_value", "first_value")
    return Customers(*(table[one].to_numpy()[order] for one in names))


def geometric(rng: np.random.Generator, n: int, values: dict[str, float], *, entry: bool) -> tuple[Floats, Floats, Floats]:
    """x, t_x, T (whole days) of simulated BG/NBD customers, or MBG/NBD ones with `entry`."""
    T = rng.integers(20 * 7, 80 * 7, n) / 7.0
    rates, chances = rng.gamma(values["r"], 1 / values["alpha"], n), rng.beta(values["a"], values["b"], n)
    x, t_x = np.zeros(n), np.zeros(n)
    for i in range(n):
        at, gone = 0.0, entry and rng.random() < chances[i]
        while not gone:
            at += rng.exponential(1 / rates[i])
            if at >= T[i]:
                break
            x[i], t_x[i] = x[i] + 1, at
            gone = rng.random() < chances[i]
    return x, t_x, T


def pareto(rng: np.random.Generator, n: int, values: dict[str, float]) -> tuple[Floats, Floats, Floats]:
    """x, t_x, T of simulated Pareto/NBD customers."""
    T = rng.integers(20 * 7, 80 * 7, n) / 7.0
    rates, ends = (
        rng.gamma(values["r"], 1 / values["alpha"], n),
        rng.exponential(1 / rng.gamma(values["s"], 1 / values["beta"], n)),
    )
    x, t_x = np.zeros(n), np.zeros(n)
    for i in range(n):
        at = rng.exponential(1 / rates[i])
        while at < min(T[i], ends[i]):
            x[i], t_x[i] = x[i] + 1, at
            at += rng.exponential(1 / rates[i])
    return x, t_x, T
