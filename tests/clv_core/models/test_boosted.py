"""The boosted factors: walked column by column they are scikit-learn's own, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from clv_core.models.boosted import Boosted

ROWS = 4000
UNORDERED = np.array([False, False, False, False, True, True])


def _base(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Codes, outcomes and baselines; the third column never varies, the last two are labels."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 49, (6, ROWS)).astype(np.uint8)
    codes[2], codes[4], codes[5] = 7, rng.integers(0, 9, ROWS), 2 * rng.integers(0, 14, ROWS)  # odd labels are unknown
    baseline = rng.uniform(0.1, 0.5, ROWS)
    effect = 0.03 * codes[0] + 1.5 * (codes[5] % 3 == 1) + 0.8 * (codes[4] == 5) * (codes[1] > 20)
    return codes, rng.poisson(baseline * np.exp(effect)).astype(np.float64), baseline


@pytest.mark.parametrize("labels", [True, False])
def test_factors_are_those_of_the_library(labels: bool) -> None:
    codes, outcome, baseline = _base(1)
    unordered = UNORDERED if labels else np.zeros(6, np.bool_)
    ours = Boosted.fit(codes, outcome, baseline, unordered)
    learner = HistGradientBoostingRegressor(
        loss="poisson", learning_rate=0.06, max_iter=70, max_leaf_nodes=6, min_samples_leaf=160, l2_regularization=10.0,
        early_stopping=False, random_state=0, categorical_features=unordered if labels else None,
    )  # fmt: skip
    with threadpool_limits(1):
        theirs = learner.fit(codes.T.astype(float), outcome / baseline, sample_weight=baseline)
    anew = np.random.default_rng(2).integers(0, 60, codes.shape).astype(np.uint8)  # codes that nobody had, too
    for some in (codes, anew):
        np.testing.assert_array_equal(ours.predict(some), theirs.predict(some.T.astype(float)))
    assert any(split.among is not None for tree in ours.trees for split in tree.splits) == labels


def test_what_never_varies_gives_the_mean() -> None:
    _, outcome, baseline = _base(3)
    codes = np.full((6, ROWS), 5, np.uint8)
    factors = Boosted.fit(codes, outcome, baseline, np.zeros(6, np.bool_)).predict(codes)
    np.testing.assert_allclose(factors, outcome.sum() / baseline.sum(), rtol=1e-6)
