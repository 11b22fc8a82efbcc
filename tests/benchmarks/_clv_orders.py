"""Simulated orders of fixed seed: BG/NBD customers (r 1.1, alpha 13 weeks, a 0.62, b 2.9) of two years, Gamma-Gamma values."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

SEED, DAYS = 20261122, 730


def write_orders(path: Path, customers: int) -> None:
    """Nothing; writes customer_id, date, amount in the order of time. About 4.9 orders per customer."""
    rng = np.random.default_rng(SEED)
    rate, leave = rng.gamma(1.1, 1 / (13 * 7.0), customers), rng.beta(0.62, 2.9, customers)
    at = rng.integers(0, 365, customers) + rng.random(customers)
    mean = 6.25 * 15.0 / rng.gamma(3.74, 1.0, customers)
    who, when = [np.arange(customers)], [at.copy()]
    there = who[0]
    while there.size:
        at[there] += rng.exponential(1 / rate[there])
        there = there[at[there] < DAYS]
        who.append(there)
        when.append(at[there].copy())
        there = there[rng.random(there.size) >= leave[there]]
    every, times = np.concatenate(who), np.concatenate(when)
    order = np.argsort(times, kind="stable")
    every, times = every[order], times[order]
    amounts = np.round(rng.gamma(6.25, 1 / 6.25, every.size) * mean[every], 2)
    ids = pa.array([f"C{number:07d}" for number in range(customers)]).take(pa.array(every))
    dates = np.datetime64("2024-01-01") + times.astype(np.int64)
    pq.write_table(pa.table({"customer_id": ids, "date": dates, "amount": amounts}), path)


if __name__ == "__main__":
    write_orders(Path(sys.argv[1]), int(sys.argv[2]))
