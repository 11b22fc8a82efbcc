"""What an audience brought: realised value of the people who could be reached against those who were held out."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

from connectors.engine.holdout import held_out, salt_of

if TYPE_CHECKING:
    from datetime import datetime

    import pyarrow as pa

    from connectors.engine.ledger import Ledger


@dataclass(frozen=True)
class Lift:
    """Mean realised value per person in both arms, their difference and its interval.

    The interval is Welch's with the normal quantile (both arms large); None where an arm has fewer than two people.
    """

    exposed: int
    held_out: int
    mean_exposed: float
    mean_held_out: float
    difference: float
    low: float | None
    high: float | None
    level: float


def keep_holdout(ledger: Ledger, audience: str, share: float, now: datetime) -> None:
    """Nothing: the experiment of this audience is on record from its first push on; another share is a new experiment."""
    known = ledger.journal.one("SELECT share FROM holdouts WHERE audience = ?", (audience,))
    if known is None or known["share"] != share:
        values = (audience, salt_of(ledger, audience), share, now.isoformat())
        ledger.journal.write("INSERT OR REPLACE INTO holdouts (audience, salt, share, since) VALUES (?, ?, ?, ?)", values)


def holdouts(ledger: Ledger) -> list[dict[str, Any]]:
    """Every experiment: audience (the request's key), share, since."""
    return ledger.journal.rows("SELECT audience, share, since FROM holdouts ORDER BY audience")


def measure_lift(ledger: Ledger, audience: str, people: pa.Table, *, level: float = 0.95) -> Lift | None:
    """The lift of an audience's experiment, or None when nobody was ever held out of it.

    `people`: customer_id (text) and value (realised since the experiment began) of everybody whom the audience selected then;
    who buys nothing counts with 0. The arms are drawn anew from the recorded salt, so no list of people is kept.
    """
    row = ledger.journal.one("SELECT * FROM holdouts WHERE audience = ?", (audience,))
    if row is None:
        return None
    out = np.array(held_out(people["customer_id"].to_pylist(), row["salt"], row["share"]), bool)
    values = np.asarray(people["value"].to_numpy(zero_copy_only=False), float)
    return compare(values[~out], values[out], level)


def compare(exposed: np.ndarray[Any, Any], kept: np.ndarray[Any, Any], level: float) -> Lift:
    """The lift between two arms of values."""
    means = [float(arm.mean()) if len(arm) else 0.0 for arm in (exposed, kept)]
    low = high = None
    if min(len(exposed), len(kept)) > 1:
        error = float(np.sqrt(exposed.var(ddof=1) / len(exposed) + kept.var(ddof=1) / len(kept)))
        reach = NormalDist().inv_cdf(0.5 + level / 2) * error
        low, high = means[0] - means[1] - reach, means[0] - means[1] + reach
    return Lift(len(exposed), len(kept), means[0], means[1], means[0] - means[1], low, high, level)
