"""The CLI starts at once: heavy packages are not loaded for help."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = (
    "pandas",
    "numpy",
    "scipy",
    "duckdb",
    "ibis",
    "plotly",
    "google.ads",
    "facebook_business",
    "polars",
    "pyarrow",
    "sklearn",
    "grpc",
)
COMMANDS = "demo init check score backtest hash plan push pull report run status forget sandbox connectors".split()


def loaded(*arguments: str) -> set[str]:
    run = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "connectors.cli", *arguments], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr[-2000:]
    return {line.rsplit("|", 1)[-1].strip() for line in run.stderr.splitlines() if line.startswith("import time:")}


def heavy(modules: set[str]) -> set[str]:
    return {one for one in modules if any(one == name or one.startswith(f"{name}.") for name in HEAVY)}


def test_help_loads_no_heavy_package() -> None:
    modules = loaded("--help")
    assert "click" in modules
    assert not heavy(modules)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help_with_an_example_and_loads_nothing_heavy_for_it(command: str) -> None:
    assert not heavy(loaded(command, "--help"))
    run = subprocess.run(
        [sys.executable, "-m", "connectors.cli", command, "--help"], capture_output=True, text=True, check=True
    )
    assert f"Example: clvsync {command}" in " ".join(run.stdout.split())


def test_an_unexpected_error_never_repeats_its_text(capsys: pytest.CaptureFixture[str]) -> None:
    from connectors.cli import _explain

    assert _explain(RuntimeError("row 3: Mary Leakname, 12 High Street")) == 1
    assert "Leakname" not in capsys.readouterr().err
