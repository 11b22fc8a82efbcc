"""PyMC-Marketing's side of clv_totals, in its own environment: posterior draws of the totals of groups of customers.

Arguments: a folder with rfm.parquet (customer_id, frequency, recency, T, monetary_value) and members.npy (customers x groups),
weeks ahead, how many draws to predict from, then `model:priors` pairs. Each pair gives a line of JSON and a file of draws.
"""

import json
import resource
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import arviz as az
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pymc_extras.prior import Prior
from pymc_marketing.clv import BetaGeoModel, GammaGammaModel, ParetoNBDModel

Floats = NDArray[np.float64]
warnings.filterwarnings("ignore")
FLAT = {"bg": {name: Prior("HalfFlat") for name in ("r", "alpha", "a", "b")}}  # Pareto/NBD's sampling doesn't end with them
KINDS: dict[str, type[Any]] = {"bg": BetaGeoModel, "pareto": ParetoNBDModel}
NAMES = {"bg": ("r", "alpha", "a", "b"), "pareto": ("r", "alpha", "s", "beta"), "gg": ("p", "q", "v")}
SAMPLING: dict[str, Any] = {"cores": 2, "random_seed": 7, "progressbar": False}
NUTS: dict[str, Any] = {"method": "mcmc", "chains": 2, "draws": 1000, "tune": 1000, "target_accept": 0.9}
# NUTS takes a quarter of an hour for Pareto/NBD
METROPOLIS: dict[str, Any] = {"method": "demz", "chains": 4, "draws": 3000, "tune": 2000}


def sample(kind: type[Any], data: pd.DataFrame, config: dict[str, Any] | None = None) -> tuple[Any, float]:
    """The fitted model and seconds."""
    begun = time.perf_counter()
    model = kind(data=data, model_config=config)
    model.fit(**(METROPOLIS if kind is ParetoNBDModel else NUTS), **SAMPLING)
    return model, time.perf_counter() - begun


def thinned(model: Any, wanted: int) -> Any:
    """The model with about `wanted` of its draws."""
    post = model.fit_result.posterior if hasattr(model.fit_result, "posterior") else model.fit_result
    total = post.sizes["chain"] * post.sizes["draw"]
    return model.thin_fit_result(keep_every=max(1, total // wanted))


def by_draw(found: Any) -> Floats:
    """(draws, customers) of an expectation by chain, draw and customer."""
    drawn: Floats = found.stack(sample=("chain", "draw")).transpose("sample", "customer_id").to_numpy()
    return drawn


def parameters(model: Any, names: Sequence[str]) -> Floats:
    """(draws, parameters), in the order of by_draw."""
    post = model.fit_result.posterior if hasattr(model.fit_result, "posterior") else model.fit_result
    stacked = post[list(names)].stack(sample=("chain", "draw"))
    return np.stack([stacked[name].to_numpy() for name in names], axis=1)


def futures(kind: str, theta: Floats, alive: Floats, x: Floats, T: Floats, weeks: float, rng: np.random.Generator) -> Floats:
    """(draws, customers) of orders: each draw's parameters, each customer's own rate and leaving given the history."""
    r, alpha, third, fourth = (theta[:, [n]] for n in range(4))
    rate = rng.gamma(r + x) / (alpha + T)
    if kind == "bg":
        chance = rng.beta(np.broadcast_to(third, rate.shape), fourth + x)
        orders = np.minimum(rng.poisson(rate * weeks), rng.geometric(np.clip(chance, 1e-12, 1.0)))
    else:
        leaves = rng.exponential(1.0, rate.shape) * (fourth + T) / rng.gamma(np.broadcast_to(third, rate.shape))
        orders = rng.poisson(rate * np.minimum(leaves, weeks))
    return orders * (rng.random(rate.shape) < alive)


def spends(theta: Floats, orders: Floats, x: Floats, m: Floats, rng: np.random.Generator) -> Floats:
    """(draws, customers) of spend on the drawn orders; the mean of customers without repeat orders is drawn from the base."""
    p, q, v = (theta[:, [n]] for n in range(3))
    scale = rng.gamma(q + p * x) / (v + x * m)
    return np.where(orders > 0, rng.gamma(np.maximum(p * orders, 1e-9)) / scale, 0.0)


def main(folder: Path, weeks: float, wanted: int, pairs: list[str]) -> None:
    rfm, members = pd.read_parquet(folder / "rfm.parquet"), np.load(folder / "members.npy").astype(float)
    x, T, m = (rfm[name].to_numpy() for name in ("frequency", "T", "monetary_value"))
    repeat = rfm[(x > 0) & (m > 0)]
    spending, took = sample(GammaGammaModel, repeat)
    worst = az.summary(spending.idata, var_names=list(NAMES["gg"]))
    print(f"Gamma-Gamma: {took:.1f} s, least ESS {worst.ess_bulk.min():.0f}, R-hat {worst.r_hat.max():.3f}", file=sys.stderr)
    thin = thinned(spending, wanted)
    value, values = by_draw(thin.expected_customer_spend(rfm)), parameters(thin, NAMES["gg"])
    for pair in pairs:
        kind, priors = pair.split(":")
        rng = np.random.default_rng(11)
        model, seconds = sample(KINDS[kind], rfm, FLAT[kind] if priors == "flat" else None)
        told = az.summary(model.idata, var_names=list(NAMES[kind]))
        begun = time.perf_counter()
        few = thinned(model, wanted)
        expected = by_draw(few.expected_purchases(data=rfm, future_t=weeks))
        alive = by_draw(few.expected_probability_alive(data=rfm))
        theta = parameters(few, NAMES[kind])
        n = min(len(expected), len(value))
        at = np.random.default_rng(3).permutation(len(value))[:n]
        orders = futures(kind, theta[:n], alive[:n], x, T, weeks, rng)
        drawn = {
            "orders": expected[:n] @ members, "value": (expected[:n] * value[at]) @ members,
            "orders_own": orders @ members, "value_own": spends(values[at], orders, x, m, rng) @ members,
            "theta": theta, "spend_theta": values,
        }  # fmt: skip
        predicted = time.perf_counter() - begun
        np.savez(folder / f"{kind}_{priors}.npz", **drawn)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        facts = {"fit": seconds, "spend_fit": took, "predict": predicted, "peak": peak, "draws": n}
        facts |= {"ess": float(told.ess_bulk.min()), "r_hat": float(told.r_hat.max())}
        print(json.dumps({"pair": pair, **facts}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
