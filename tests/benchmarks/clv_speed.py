"""CLV against lifetimes and PyMC-Marketing in one run: seconds, peak memory and log-likelihood on CDNOW full, 100 k and 1 M.

The peers live in environments of their own under .bench (newest releases that run on this Python, from the usual registry).
Every cell is a process of its own: best of up to five goes or three seconds; log-likelihoods of all are worked out by one
formula at the parameters each reports. Ratios are peer / ours. ONLY_SIZES=full,100k leaves sizes out; PEERS=lifetimes too.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from clv_core.models.base import Floats
from clv_core.models.beta_geometric import BetaGeometric
from clv_core.models.gamma_gamma import OrderValues
from clv_core.models.histories import merge
from clv_core.models.pareto_likelihood import ParetoLikelihood
from clv_core.summary import summarise
from clv_core.transactions import check_orders
from tests.benchmarks._clv_orders import write_orders

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".bench"
PACKAGES = {"lifetimes": ("lifetimes", "pyarrow"), "pymc": ("pymc-marketing", "pyarrow")}
LIKELIHOODS = {"full": {"bg": -95368.44393, "pareto": -95415.11862, "gg": -40763.47626}}  # tests/data/clv_oracles.md
# (size, job) -> the least ratio to lifetimes that is aimed at; memory: the most of lifetimes' peak
GOALS = {
    ("1m", "path"): 10,
    ("1m", "rfm"): 10,
    ("1m", "bg"): 12,
    ("full", "bg"): 30,
    ("100k", "pareto"): 60,
    ("1m", "predict"): 3.5,
}
MEMORY = 0.65
JOBS = {"full": ("rfm", "path", "bg", "pareto", "gg", "predict"), "100k": ("rfm", "path", "bg", "pareto", "gg", "predict"),
        "1m": ("rfm", "path", "bg", "gg", "predict")}  # fmt: skip
OURS_ONLY = {"1m": ("pareto",)}  # lifetimes does not end there within minutes
PYMC_JOBS = {
    "full": ("rfm", "bg", "pareto", "gg", "predict"),
    "100k": ("rfm", "bg", "gg", "predict"),
    "1m": ("rfm", "bg", "predict"),
}
LIMIT = 1800


def main() -> None:
    """Nothing; prints a table per size and what falls short of its goal."""
    sizes = os.environ.get("ONLY_SIZES", "full,100k,1m").split(",")
    peers = [name for name in os.environ.get("PEERS", "lifetimes,pymc").split(",") if _environment(name)]
    short: list[str] = []
    for size in sizes:
        path, end = _orders(size)
        ours = _run([sys.executable, "-m", "tests.benchmarks._clv_ours"], path, end, (*JOBS[size], *OURS_ONLY.get(size, ())))
        found = {"ours": ours}
        for peer in peers:
            jobs = JOBS[size] if peer == "lifetimes" else PYMC_JOBS[size]
            script = ROOT / "tests" / "benchmarks" / f"_clv_{peer}.py"
            found[peer] = _run([str(_python(peer)), str(script)], path, end, jobs)
        _add_likelihoods(found, path, end)
        _print(size, found)
        short += _shortfalls(size, found)
    print("\n" + ("\n".join(short) if short else "every goal is met"))


def _python(peer: str) -> Path:
    return FOLDER / peer / "bin" / "python"


def _environment(peer: str) -> bool:
    """Whether the peer's environment is there; made when it isn't."""
    FOLDER.mkdir(exist_ok=True)
    marker = FOLDER / peer / "installed.txt"
    if not marker.exists():
        shutil.rmtree(FOLDER / peer, ignore_errors=True)
        uv = Path(sys.executable).with_name("uv")
        subprocess.run([sys.executable, "-m", "venv", str(FOLDER / peer)], check=True)
        install = [str(uv), "pip", "install", "-q", "--python"] if uv.exists() else [str(_python(peer)), "-m", "pip"]
        install += [str(_python(peer))] if uv.exists() else ["install", "-q"]
        if subprocess.run([*install, *PACKAGES[peer]], check=False).returncode:
            print(f"{peer} can't be installed here: left out")
            return False
        code = f"from importlib.metadata import version; print({PACKAGES[peer][0]!r}, version({PACKAGES[peer][0]!r}))"
        marker.write_text(subprocess.run([str(_python(peer)), "-c", code], check=True, capture_output=True, text=True).stdout)
    print(marker.read_text().strip(), flush=True)
    return True


def _orders(size: str) -> tuple[Path, date]:
    """The orders of that size and the last day of calibration."""
    if size == "full":
        path = FOLDER / "orders_full.parquet"
        shutil.copyfile(ROOT / "connectors" / "demo" / "cdnow.parquet", path)
        path.chmod(0o644)
        return path, date(1997, 9, 30)
    path = FOLDER / f"orders_{size}.parquet"
    if not path.exists():
        write_orders(path, {"100k": 100_000, "1m": 1_000_000}[size])
    return path, date(2025, 12, 30)


def _run(command: list[str], path: Path, end: date, jobs: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """Each job in a process of its own."""
    found = {}
    for job in jobs:
        try:
            done = subprocess.run(
                [*command, str(path), end.isoformat(), job],
                cwd=ROOT,
                check=False,
                capture_output=True,
                text=True,
                timeout=LIMIT,
            )
        except subprocess.TimeoutExpired:
            found[job] = {"seconds": np.inf, "peak": np.nan}
            continue
        lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
        if lines:
            found[job] = json.loads(lines[-1])
        else:
            print(f"  {command[-1]} {job} failed: {done.stderr.strip().splitlines()[-1:]}")
    return found


def _add_likelihoods(found: dict[str, dict[str, dict[str, Any]]], path: Path, end: date) -> None:
    """The log-likelihood at the parameters that each side reports, by one formula."""
    rfm = summarise(check_orders(path), end)
    x, t_x, T, m = (rfm[name].to_numpy() for name in ("frequency", "recency", "T", "monetary_value"))
    rows, used = merge(x, t_x, T), (x > 0) & (m > 0)
    surfaces: dict[str, Callable[[Floats], tuple[float, *tuple[Floats, ...]]]] = {  # the value first
        "bg": BetaGeometric(rows, 0),
        "pareto": ParetoLikelihood(rows).slope,
        "gg": OrderValues(x[used], m[used], np.ones(int(used.sum()))),
    }
    for side in found.values():
        for job, surface in surfaces.items():
            if "values" in side.get(job, {}):
                side[job]["likelihood"] = float(surface(np.log(side[job]["values"]))[0])


def _print(size: str, found: dict[str, dict[str, dict[str, Any]]]) -> None:
    peers = [name for name in found if name != "ours"]
    print(f"\n{size:8}" + "".join(f"{name:>34}" for name in found) + "".join(f"{'ratio ' + name:>16}" for name in peers))
    for job, mine in found["ours"].items():
        cells = [f"{job:8}"]
        for side in found.values():
            one = side.get(job)
            likelihood = f" {one['likelihood']:.4f}" if one and "likelihood" in one else ""
            cells.append(f"{one['seconds']:9.4f} s {one['peak']:6.0f} MB{likelihood:>14}"[:34].rjust(34) if one else " " * 34)
        cells += [
            f"{found[peer][job]['seconds'] / mine['seconds']:15.1f}x" if job in found[peer] else " " * 16 for peer in peers
        ]
        print("".join(cells), flush=True)


def _shortfalls(size: str, found: dict[str, dict[str, dict[str, Any]]]) -> list[str]:
    """What misses its goal."""
    ours, peer = found["ours"], found.get("lifetimes", {})
    short = []
    for (where, job), goal in GOALS.items():
        if where == size and job in peer and peer[job]["seconds"] / ours[job]["seconds"] < goal:
            short.append(f"{size} {job}: {peer[job]['seconds'] / ours[job]['seconds']:.1f}x, wanted {goal}x")
    if size == "1m" and "rfm" in peer and ours["rfm"]["peak"] > MEMORY * peer["rfm"]["peak"]:
        short.append(f"{size} rfm memory: {ours['rfm']['peak'] / peer['rfm']['peak']:.0%} of lifetimes', wanted {MEMORY:.0%}")
    for job, known in LIKELIHOODS.get(size, {}).items():
        if ours[job]["likelihood"] < known - 1e-4:
            short.append(f"{size} {job}: log-likelihood {ours[job]['likelihood']:.5f} below {known:.5f}")
    short += [f"{size} {job}: non-finite output" for job, one in ours.items() if one.get("finite") is False]
    return short
