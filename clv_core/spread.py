"""Intervals of totals: what a group of customers is worth together, and how sure we are."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.stats import gamma

Floats = NDArray[np.float64]

_PEAK = 0.08  # the gamma shape whose 95% quantile lies furthest above its mean


@cache
def _shapes() -> tuple[Floats, Floats, Floats, Floats]:
    """Ratios (95% quantile / mean) and log shapes, for quantiles above the mean and (very skewed) below it."""
    upper = np.geomspace(_PEAK, 1e4, 400)
    lower = np.geomspace(8e-3, _PEAK, 200)
    high, low = gamma.ppf(0.95, upper) / upper, gamma.ppf(0.95, lower) / lower
    return high[::-1], np.log(upper[::-1]), low, np.log(lower)


def customer_variance(mean: Floats, high: Floats) -> Floats:
    """The variance of a customer's future value whose mean and 95% quantile are given, as of a gamma distribution.

    Future value is skewed with much weight at nothing; a normal read of (low, high) would understate it. Where the quantile
    lies below the mean the skewed branch is taken; shape is bounded to [0.008, 10,000].
    """
    positive = mean > 0
    ratio = np.divide(high, mean, out=np.ones_like(mean), where=positive)
    high_ratio, high_shape, low_ratio, low_shape = _shapes()
    log_shape = np.where(ratio >= 1, np.interp(ratio, high_ratio, high_shape), np.interp(ratio, low_ratio, low_shape))
    return np.where(positive, mean**2 / np.exp(log_shape), 0.0)


def total_interval(
    mean: Floats, own: Floats, shared: Floats, silence: Floats, confidence: float = 0.90
) -> tuple[Floats, Floats]:
    """(low, high) of totals: a gamma distribution of their mean and variance, with what is left for nothing at all coming.

    `own` is the variance from customers' own chance, `shared` that from what they share; `silence` the log of the chance that
    none of them buys. Over a shared (gamma) error of the rate that chance is a negative binomial's.
    """
    spread = own + shared
    sure = (spread <= 0) | (mean <= 0)
    shape = np.divide(mean**2, spread, out=np.ones_like(mean), where=~sure)
    scale = np.divide(spread, mean, out=np.ones_like(mean), where=~sure)
    tail = (1 - confidence) / 2
    low, high = gamma.ppf(tail, shape, scale=scale), gamma.ppf(1 - tail, shape, scale=scale)
    rate = np.divide(mean**2, np.maximum(shared, 1e-12 * mean**2), out=np.ones_like(mean), where=~sure)
    nothing = -rate * np.log1p(-silence / rate) > np.log(tail)
    return np.where(sure, mean, np.where(nothing, 0.0, low)), np.where(sure, mean, high)
