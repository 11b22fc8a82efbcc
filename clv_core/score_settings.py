"""What a team may decide about scoring; the defaults suit a shop."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from clv_core.stages import StageRules
from clv_core.tiers import TierRules

ORDER_MODELS = ("bg_nbd", "mbg_nbd", "pareto_nbd")
LEARNER = "early_life"
CANDIDATES = (*ORDER_MODELS, LEARNER)
BASKETS = ("all_orders", "repeat_orders", "credibility")
WEEKS_A_YEAR = 365.25 / 7


@dataclass(frozen=True, slots=True)
class GateRules:
    """When a backtest forbids a push: predicted over realised total outside the two ratios, or top-20% value captured below
    past spend's by more than noise (the 90% interval of the paired difference lies under 0).
    """

    total_low: float = 0.7
    total_high: float = 1.4
    compare_top20: bool = True


@dataclass(frozen=True, slots=True)
class ScoreSettings:
    """Horizon, discount, candidates and rules. No candidates means all; one name ("bg_nbd") scores with that alone, fastest.

    `baskets` are the order-value models that the inner splits choose from. Choosing looks at about `choice_customers` customers
    and fitting at about `fit_customers`, the same ones in every run.
    """

    horizon_days: int = 365
    annual_discount: float = 0.10
    candidates: tuple[str, ...] = CANDIDATES
    baskets: tuple[str, ...] = BASKETS[:2]  # credibility stands in wherever a Gamma-Gamma can't be fitted
    tiers: TierRules = field(default_factory=TierRules)
    stages: StageRules = field(default_factory=StageRules)
    gate: GateRules = field(default_factory=GateRules)
    seed_floor: float = 0.0  # least seed_value of a customer with any predicted value
    choice_customers: int = 25_000
    fit_customers: int = 100_000
    bootstrap_draws: int = 100
    seed: int = 20_261

    def __post_init__(self) -> None:
        if not self.candidates:
            object.__setattr__(self, "candidates", CANDIDATES)
        unknown = [name for name in self.candidates if name not in CANDIDATES]
        if unknown or not any(name in ORDER_MODELS for name in self.candidates):
            wrong = f"{', '.join(unknown)} unknown" if unknown else "no order model"
            raise ValueError(f"candidates: {wrong}; give at least one of {', '.join(ORDER_MODELS)}, and {LEARNER} if wanted")
        if not self.baskets or any(name not in BASKETS for name in self.baskets):
            raise ValueError(f"baskets: {', '.join(self.baskets) or 'none'}; give some of {', '.join(BASKETS)}")
        if self.horizon_days < 1:
            raise ValueError(f"horizon_days: {self.horizon_days}; give at least 1")
        if not 0 <= self.annual_discount < 10:
            raise ValueError(f"annual_discount: {self.annual_discount}; give a rate such as 0.10 for 10% a year")

    @property
    def horizon_weeks(self) -> float:
        """The horizon in weeks."""
        return self.horizon_days / 7.0

    @property
    def weekly_discount(self) -> float:
        """The continuous weekly rate equal to the annual one."""
        return math.log1p(self.annual_discount) / WEEKS_A_YEAR
