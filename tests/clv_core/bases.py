"""Customer bases with known truth, made from a fixed seed, for tests of scoring."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa

from clv_core.transactions import Transactions, check_orders

START = date(2023, 1, 1)
CDNOW = Path(__file__).parents[2] / "connectors" / "demo" / "cdnow.parquet"


def orders(rows: list[tuple[str, date, float]], **more: Sequence[str | None]) -> Transactions:
    """Transactions of (customer, day, amount) rows; `more` adds columns."""
    ids, days, amounts = zip(*rows, strict=True)
    table = {
        "customer_id": list(ids),
        "ordered_at": list(days),
        "amount": list(amounts),
        **{name: list(column) for name, column in more.items()},
    }
    return check_orders(pa.table(table))


def shop(
    customers: int = 600,
    weeks: int = 80,
    *,
    seed: int = 1,
    amount: str = "gamma",
    regular: bool = False,
    join_weeks: int = 40,
) -> list[tuple[str, date, float]]:
    """Orders of a shop: gamma rates, exponential lifetimes. `amount`: gamma, constant, or heavy (a few wholesale buyers)."""
    rng = np.random.default_rng(seed)
    rows: list[tuple[str, date, float]] = []
    for n in range(customers):
        day = float(rng.uniform(0, join_weeks * 7))
        rate = rng.gamma(0.8, 1 / 8.0)  # orders a week
        leaves = day + 7 * rng.exponential(1 / rng.gamma(0.7, 1 / 14.0))
        mean = {"gamma": 30 / rng.gamma(4, 0.3), "constant": 20.0, "heavy": float(rng.pareto(1.3) * 20 + 10)}[amount]
        while day < min(leaves, weeks * 7) or not rows or rows[-1][0] != f"c{n:05d}":
            value = mean if amount == "constant" else float(mean * rng.gamma(5, 1 / 5))
            rows.append((f"c{n:05d}", START + timedelta(days=int(day)), round(value, 2)))
            gap = rng.gamma(8, 1 / (8 * rate)) if regular else rng.exponential(1 / rate)
            day += max(7 * gap, 1.0)
            if day >= weeks * 7:
                break
    return rows
