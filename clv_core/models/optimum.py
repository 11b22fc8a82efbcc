"""Maximum of a log-likelihood: damped Newton on log-parameters, from several starts, inside bounds."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from clv_core.models.base import CannotFitError, Floats

if TYPE_CHECKING:
    from numpy.typing import NDArray

Surface = Callable[[Floats], tuple[float, Floats, Floats]]  # log-parameters -> value, gradient, Hessian

Slope = Callable[[Floats], tuple[float, Floats]]  # log-parameters -> value, gradient

ENOUGH = 1e-8  # a step that promises less log-likelihood than this ends the climb
ROUGHLY = 1e-3  # the same on a stand-in
FLAT = 1e-5
STEPS = 100
CREEP = 4  # so many steps that together gain less than a tenth of FLAT end the climb: a ridge goes on like that without end
PATIENCE = 20  # steps after which ten times FLAT counts as nothing, too
SHIFT = 1e-5  # of log-parameters, for a Hessian by differences of the gradient
ASTRAY = 0.3  # a Hessian that foretold the gradient's change worse than by this share is made anew


@dataclass(frozen=True, slots=True)
class Optimum:
    """Where the climb ended: log-parameters, value, Hessian, which of them lie on a bound, and whether it converged."""

    theta: Floats
    value: float
    hessian: Floats
    bounded: NDArray[np.bool_]
    converged: bool

    @property
    def sharp(self) -> bool:
        """Whether this is a maximum beyond doubt: inside the bounds, and log-parameters known to two units in any direction."""
        curvature = np.linalg.eigvalsh(-self.hessian)
        return bool(self.converged and not self.bounded.any() and curvature.min() > 0.25)

    def covariance(self) -> Floats:
        """Inverse of minus the Hessian over the free log-parameters; zero rows for those on a bound.

        A direction without curvature gets nan: its parameters are not identified.
        """
        free = np.flatnonzero(~self.bounded)
        result = np.zeros_like(self.hessian)
        curvature = -self.hessian[np.ix_(free, free)]
        values, vectors = np.linalg.eigh(curvature)
        if np.any(values <= 1e-12 * max(1.0, float(np.abs(values).max(initial=0.0)))):
            result[np.ix_(free, free)] = np.nan
            return result
        result[np.ix_(free, free)] = (vectors / values) @ vectors.T
        return result


def differences(slope: Slope, theta: Floats, gradient: Floats) -> Floats:
    """The Hessian by forward differences of the exact gradient."""
    rows = np.array([slope(theta + shift)[1] - gradient for shift in SHIFT * np.eye(theta.size)]) / SHIFT
    return np.asarray(0.5 * (rows + rows.T))


class Secant:
    """A surface made of a slope alone. Its Hessian is the last one, corrected by what the gradient has done since.

    Where that had foretold the gradient's change badly, the Hessian is made by differences, which cost as many slopes as there
    are parameters. The correction is the symmetric one of rank one (Nocedal, Wright 2006, equation 6.24).
    """

    def __init__(self, slope: Slope) -> None:
        self.slope = slope
        self.last: tuple[Floats, Floats, Floats] | None = None  # parameters, gradient, Hessian

    def __call__(self, theta: Floats) -> tuple[float, Floats, Floats]:
        """Value, gradient and roughly the Hessian."""
        value, gradient = self.slope(theta)
        hessian = self._corrected(theta, gradient)
        if hessian is None:
            hessian = differences(self.slope, theta, gradient)
        self.last = theta, gradient, hessian
        return value, gradient, hessian

    def _corrected(self, theta: Floats, gradient: Floats) -> Floats | None:
        if self.last is None:
            return None
        before, slope, hessian = self.last
        moved, turned = theta - before, gradient - slope
        missed = turned - hessian @ moved
        if not np.linalg.norm(missed) <= ASTRAY * np.linalg.norm(turned):  # nor with nan
            return None
        share = float(missed @ moved)
        if abs(share) < 1e-8 * np.linalg.norm(missed) * np.linalg.norm(moved) or not share:
            return hessian
        return np.asarray(hessian + np.outer(missed, missed) / share)


def maximise(
    surface: Surface,
    starts: Sequence[Floats],
    lower: Floats,
    upper: Floats,
    rough: Surface | None = None,
    *,
    until_sharp: bool = False,
) -> Optimum:
    """The best optimum reached from the starts; raises CannotFitError when none converges.

    The starts climb `rough`, a cheap stand-in of the surface, where there is one, and roughly; only the best goes all the way.
    With `until_sharp` the first sharp maximum is taken for the only one.
    """
    climbs: list[Optimum] = []
    for start in starts:
        climbs.append(climb(rough or surface, start, lower, upper, ROUGHLY))
        if until_sharp and climbs[-1].sharp:
            break
    best = max(climbs, key=lambda one: one.value)
    best = climb(surface, best.theta, lower, upper)
    if not best.converged or not np.isfinite(best.value):
        raise CannotFitError("the likelihood has no maximum that could be reached: choose another model or a longer history")
    return best


def climb(surface: Surface, start: Floats, lower: Floats, upper: Floats, enough: float = ENOUGH) -> Optimum:
    """The optimum uphill of `start`, to `enough` log-likelihood: Newton on |curvature|, in a trust radius and the bounds."""
    theta = np.clip(start, lower, upper)
    value, gradient, hessian = surface(theta)
    radius, converged = 2.0, False
    gains: deque[float] = deque(maxlen=CREEP)
    for turn in range(STEPS):
        held = ((theta <= lower) & (gradient <= 0)) | ((theta >= upper) & (gradient >= 0))
        step, promise = _step(gradient, hessian, ~held)
        if promise < enough:
            converged = True
            break
        length = float(np.linalg.norm(step))
        trial = _inside(theta, step * min(1.0, radius / length), (gradient, hessian), (lower, upper), ~held)
        moved = trial - theta
        expected = float(gradient @ moved + 0.5 * moved @ hessian @ moved)
        reached, new_gradient, new_hessian = surface(trial)
        gain = reached - value
        if not np.isfinite(reached) or gain < -1e-12 * abs(value):
            radius = 0.25 * min(length, radius)
            if radius < 1e-10:
                converged = promise < 1e-5  # rounding hides the rest of the hill
                break
            continue
        if gain > 0.5 * expected:
            radius = max(radius, 2.0 * min(length, radius))
        elif gain < 0.1 * expected:
            radius *= 0.5
        far = float(np.abs(moved).max())
        flat = (abs(gain) < enough and far < 1e-3) or (abs(gain) < FLAT and far > 0.3)  # arrived, or on a ridge without end
        theta, value, gradient, hessian = trial, reached, new_gradient, new_hessian
        gains.append(abs(gain))
        if flat or (len(gains) == CREEP and sum(gains) < FLAT * (0.1 if turn < PATIENCE else 10.0)):
            converged = True
            break
    return Optimum(theta, value, hessian, (theta <= lower) | (theta >= upper), converged)


def _inside(
    theta: Floats, step: Floats, slopes: tuple[Floats, Floats], bounds: tuple[Floats, Floats], free: NDArray[np.bool_]
) -> Floats:
    """Where the step leads inside the bounds: what would cross one stops there, and the others go where is best given that.

    Merely cutting the step would leave the others where they belong to a parameter far outside: r at its bound, alpha not.
    """
    trial = np.clip(theta + step, *bounds)
    cut = free & (trial != theta + step)
    if cut.any() and (free & ~cut).any():
        gradient, hessian = slopes
        onward, _ = _step(gradient + hessian[:, cut] @ (trial - theta)[cut], hessian, free & ~cut)
        onward *= min(1.0, float(np.linalg.norm(step)) / max(float(np.linalg.norm(onward)), 1e-300))
        trial = np.where(cut, trial, np.clip(theta + onward, *bounds))
    return np.asarray(trial)


def _step(gradient: Floats, hessian: Floats, free: NDArray[np.bool_]) -> tuple[Floats, float]:
    """The Newton step over the free coordinates and the gain it promises."""
    step = np.zeros_like(gradient)
    if not free.any():
        return step, 0.0
    slope = gradient[free]
    values, vectors = np.linalg.eigh(-hessian[np.ix_(free, free)])
    size = np.maximum(np.abs(values), 1e-9 * max(1.0, float(np.abs(values).max())))
    step[free] = vectors @ ((vectors.T @ slope) / size)
    return step, 0.5 * float(slope @ step[free])
