"""Orders in, scores out: what every customer is expected to order and to be worth, with range, tier and lifecycle stage."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from clv_core.choice import Choice, choose
from clv_core.engagement import dated
from clv_core.intervals import spread
from clv_core.movements import churn, movements
from clv_core.profiles import profiles
from clv_core.score_settings import GateRules, ScoreSettings
from clv_core.stages import PROSPECT, stages
from clv_core.tiers import TierRules, percentiles, tiers
from clv_core.transactions import InputError
from clv_core.uncertainty import UNCERTAINTY, describe
from clv_core.valuation import Fit, Valuation, fit, value
from clv_core.windows import Snapshot, snapshot

if TYPE_CHECKING:
    from datetime import date

    from clv_core.transactions import Transactions
    from clv_core.uncertainty import Uncertainty

__all__ = ["Choice", "GateRules", "ScoreSettings", "Scores", "TierRules", "choose", "score"]

Floats = NDArray[np.float64]
SCHEMA = pa.schema(
    [("customer_id", pa.string())]
    + [(name, pa.float64()) for name in ("frequency", "recency", "T", "monetary_value", "p_alive", "expected_orders",
       "expected_value", "clv", "clv_low", "clv_high", "value_to_date", "lifetime_value", "seed_value")]
    + [("currency", pa.string()), ("percentile", pa.float64()), ("tier", pa.string()), ("lifecycle_stage", pa.string()),
       ("model", pa.string()), ("as_of", pa.date32())]
)  # fmt: skip
NEVER_BOUGHT = "none"  # tier and model of people known from engagement alone


@dataclass(frozen=True, slots=True)
class Seen:
    """What a scoring was given: the tables that profiles, movements and churn are made of."""

    transactions: Transactions
    as_of: date
    engagement: pa.Table | None = None
    contacts: pa.Table | None = None
    previous: pa.Table | None = None


@dataclass(frozen=True)
class Scores:
    """`table` as in SCHEMA, one row per customer. `deciles` sets predicted beside realised on the longest inner window;
    `uncertainty` is the document that `totals.group_totals` needs, which the table carries in its schema metadata too.
    """

    table: pa.Table
    choice: Choice
    deciles: pa.Table
    warnings: tuple[str, ...]
    uncertainty: dict[str, Any]
    seen: Seen = field(repr=False)

    @cached_property
    def profiles(self) -> pa.Table:
        """What each tier looks like (profiles.SCHEMA), made when first asked for."""
        return profiles(self.seen.transactions, self.table, self.seen.as_of, self.seen.contacts, self.seen.engagement)

    @cached_property
    def movements(self) -> pa.Table:
        """Who moved between tiers since the previous scores (movements.MOVEMENTS)."""
        return movements(self.table, self.seen.previous)

    @cached_property
    def churn(self) -> pa.Table:
        """Where people drop out, by tactic and message (movements.CHURN)."""
        return churn(self.table, self.seen.engagement, self.seen.as_of)


def score(
    t: Transactions,
    as_of: date,
    settings: ScoreSettings,
    *,
    choice: Choice | None = None,
    engagement: pa.Table | None = None,
    contacts: pa.Table | None = None,
    previous: pa.Table | None = None,
) -> Scores:
    """The scores of everyone who ordered up to `as_of` (and, with engagement, of those who never did).

    `choice` saves choosing again. `previous` is the last run's scores table: tiers hold within the band, movements are counted.
    Raises InputError when nobody had ordered by `as_of`.
    """
    engagement = dated(engagement)
    s = snapshot(t, as_of)
    if not len(s):
        raise InputError(f"no orders up to {as_of}, so there is nobody to score", remedy="choose a later as_of")
    choice = choice or choose(t, as_of, settings, features=engagement)
    fitted = fit(t, s, choice.order_model, choice.basket, settings, choice)
    valued = value(t, s, fitted, choice, settings, engagement)
    table, document = _table(s, fitted, valued, choice, settings, t.currency, previous)
    if engagement is not None:
        table = pa.concat_tables([table, _aware(table, engagement, t.currency, as_of)])
    table = table.replace_schema_metadata({UNCERTAINTY: document.to_json()})
    warnings = tuple(dict.fromkeys((*choice.warnings, *fitted.warnings)))
    seen = Seen(t, as_of, engagement, contacts, previous)
    return Scores(table, choice, choice.deciles, warnings, document.document, seen)


def _table(
    s: Snapshot,
    fitted: Fit,
    valued: Valuation,
    choice: Choice,
    settings: ScoreSettings,
    currency: str,
    previous: pa.Table | None,
) -> tuple[pa.Table, Uncertainty]:
    f = valued.forecast
    # Millionths of the currency: customers with one history get one value, whatever the last bits say, so that ties are ties.
    expected = np.round(valued.value, 6)
    clv = np.round(valued.value * _discount(s, fitted, f.orders, settings), 6)
    low, high = _range(s, fitted, valued, choice, clv)
    seed = np.where(clv > 0, np.maximum(clv, settings.seed_floor), 0.0)
    columns = {
        "customer_id": s.customer_id, "frequency": s.x, "recency": s.t_x, "T": s.T, "monetary_value": s.m, "p_alive": f.alive,
        "expected_orders": f.orders, "expected_value": expected, "clv": clv, "clv_low": low, "clv_high": high,
        "value_to_date": s.value_to_date, "lifetime_value": s.value_to_date + clv, "seed_value": np.round(seed, 2),
        "currency": pa.repeat(currency, len(s)), "percentile": percentiles(clv),
        "tier": tiers(clv, s.value_to_date, s.customer_id, settings.tiers, previous),
        "lifecycle_stage": stages(s, f.alive, settings.stages), "model": pa.repeat(_name(choice, fitted), len(s)),
        "as_of": pa.repeat(pa.scalar(s.as_of, pa.date32()), len(s)),
    }  # fmt: skip
    table = pa.table([pa.array(column).cast(kind) if isinstance(column, np.ndarray) else column for column, kind in
                      zip(columns.values(), SCHEMA.types, strict=True)], schema=SCHEMA)  # fmt: skip
    return table, describe(fitted, settings, choice.misfit, (s.T, clv))


def _name(choice: Choice, fitted: Fit) -> str:
    """What scored: the choice, or the order model that had to stand in for it."""
    return fitted.model.name if choice.model == choice.order_model else choice.model


def _discount(s: Snapshot, fitted: Fit, orders: Floats, settings: ScoreSettings) -> Floats:
    """The factor from each customer's expected value to its present value."""
    if settings.weekly_discount == 0:
        return np.ones(len(s))
    present = fitted.model.discounted_expected_orders(settings.horizon_weeks, settings.weekly_discount, s.x, s.t_x, s.T)
    return np.clip(present / np.maximum(orders, 1e-12), 0.0, 1.0)


def _range(s: Snapshot, fitted: Fit, valued: Valuation, choice: Choice, clv: Floats) -> tuple[Floats, Floats]:
    """The 5% and 95% points of the customer's own future value, discounted as clv is."""
    own = spread(valued.value, valued.forecast, fitted.basket, fitted.model, s)
    factor = clv / np.maximum(valued.value, 1e-12)
    low, high = (own.quantile(probability) * factor for probability in choice.probabilities)
    return low, high


def _aware(table: pa.Table, engagement: pa.Table, currency: str, as_of: date) -> pa.Table:
    """Rows of people whose engagement up to `as_of` is known but who never bought: all numbers 0, stage "prospect"."""
    seen = engagement.filter(pc.less_equal(engagement["at"], pa.scalar(as_of, pa.date32())))
    ids = pc.unique(seen["customer_id"].cast(pa.string()))
    ids = pc.drop_null(ids.filter(pc.invert(pc.is_in(ids, table["customer_id"].combine_chunks()))))
    ids = ids.take(pc.sort_indices(ids))
    same = {"currency": currency, "tier": NEVER_BOUGHT, "lifecycle_stage": PROSPECT, "model": NEVER_BOUGHT, "as_of": as_of}
    arrays = [
        ids if name == "customer_id" else pa.repeat(pa.scalar(same.get(name, 0.0), kind), len(ids))
        for name, kind in zip(SCHEMA.names, SCHEMA.types, strict=True)
    ]
    return pa.table(arrays, schema=SCHEMA)
