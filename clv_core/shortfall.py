"""Why a backtest's total missed what was realised, as far as orders tell: chance, orders, order values, seasons."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from clv_core.windows import QUARTER, YEAR

if TYPE_CHECKING:
    from clv_core.forecast import Forecast
    from clv_core.windows import Window

TOLERATED = 0.10


def explained(row: dict[str, Any], held_out: Window, view: Forecast, level: float, history_days: int) -> list[str]:
    """A sentence when the row's total is more than 10% off: by how much, and why, or that nothing came; nothing otherwise.

    `view` is what the order model expected of the window, `level` the factor on it that was learned before the split,
    `history_days` how long that part is.
    """
    bias = row["bias"]
    if np.isnan(bias):
        cut, days = held_out.past.as_of, held_out.days
        return [
            f"nobody spent anything, net of refunds, in the {days} days after {cut}: nothing to judge by; try an earlier split"
        ]
    if abs(bias - 1.0) <= TOLERATED:
        return []
    said = f"{row['model']} predicted {bias:.2f} of the realised total"
    low, high = row["intervals"].get("bias", (bias, bias))
    if low <= 1.0 <= high:
        return [f"{said}: within chance, with so few customers the ratio is only known to lie from {low:.2f} to {high:.2f}"]
    return [f"{said}: {'; '.join(_reasons(held_out, view, level, history_days))}"]


def _reasons(held_out: Window, view: Forecast, level: float, history_days: int) -> list[str]:
    expected, came = float(view.orders.sum()), float(held_out.orders.sum())
    out = []
    if expected > 0 and came > 0:
        value, real = float(view.value.sum()) / expected, float(held_out.spend.sum()) / came
        dearer = f" at {real / value:.2f} times the order value" if value > 0 else ""
        out.append(f"customers ordered {came / expected:.2f} times as often as the order model expected{dearer}")
    if abs(level - 1.0) > TOLERATED / 2:
        out.append(f"windows inside the history had moved the level by {level:.2f}")
    if history_days < YEAR + QUARTER:
        out.append(f"{history_days} days of history show no season twice, so a seasonal level can't be told from a lasting one")
    if held_out.days > history_days:
        out.append(f"the horizon of {held_out.days} days is longer than the history")
    return out or ["nobody ordered"]
