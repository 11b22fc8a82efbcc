"""Chebyshev points in log(offset + t): times at which a function is worked out, and how others follow from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from clv_core.models.base import Floats

PRECISE = 36.0  # exp(-36) is less than rounding
SMALL_PRODUCT = 1 << 18  # of a matrix product's three sizes: the linear-algebra library starts no threads for it


@dataclass(frozen=True, slots=True)
class Nodes:
    """The points and, for values at them, the matrices that give values at the wanted times and slopes in log(offset + t).

    For functions that are analytic in a strip of half-width pi around the real log(offset + t), to full precision.
    """

    offset: float
    times: Floats  # ascending, shape (k,)
    to_wanted: Floats  # shape (k, wanted)
    to_slope: Floats  # shape (k, k): slopes = to_slope @ values

    @classmethod
    def of(cls, offset: float, wanted: Floats) -> Nodes:
        """The nodes for the wanted times, which ascend."""
        low, high = np.log(offset + wanted[[0, -1]])
        half = max(0.5 * float(high - low), 1e-9)
        points = int(np.ceil(PRECISE / np.arcsinh(np.pi / half))) + 4
        order = np.arange(points)
        angles = np.pi * (points - order - 0.5) / points
        to_series = 2.0 / points * np.cos(np.outer(angles, order))
        to_series[:, 0] *= 0.5
        at = np.arccos(np.clip((np.log(offset + wanted) - low) / half - 1.0, -1.0, 1.0))
        logs = low + half * (1.0 + np.cos(angles))
        return cls(offset, np.exp(logs) - offset, product(to_series, np.cos(np.outer(order, at))), _slopes(angles, half))


def product(left: Floats, right: Floats) -> Floats:
    """left @ right, in blocks so small that no threads are started."""
    width = 512
    height = max(1, SMALL_PRODUCT // (width * left.shape[1]))
    out = np.empty((left.shape[0], right.shape[1]))
    for row in range(0, left.shape[0], height):
        for column in range(0, right.shape[1], width):
            here = slice(row, row + height), slice(column, column + width)
            np.matmul(left[here[0]], right[:, here[1]], out=out[here])
    return out


def _slopes(angles: Floats, half: float) -> Floats:
    """Derivatives of the polynomial through values at the points, by barycentric weights."""
    weights = np.where(np.arange(angles.size) % 2, -1.0, 1.0) * np.sin(angles)
    middle, gap = 0.5 * np.add.outer(angles, angles), 0.5 * np.subtract.outer(angles, angles)
    apart = -2.0 * np.sin(middle) * np.sin(gap)  # cos - cos without cancellation
    np.fill_diagonal(apart, 1.0)
    result = weights[None, :] / weights[:, None] / apart
    np.fill_diagonal(result, 0.0)
    np.fill_diagonal(result, -result.sum(axis=1))
    return np.asarray(result / half)
