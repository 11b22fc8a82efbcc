"""An installed wheel works as the checkout does, package data included."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    (found,) = folder.glob("*.whl")
    return found


def test_the_wheel_holds_every_file_of_the_packages(wheel: Path) -> None:
    listed = subprocess.run(["git", "ls-files", "clv_core", "connectors"], cwd=ROOT, capture_output=True, text=True, check=True)
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    assert set(listed.stdout.split()) <= held
    assert {f"connectors/_config/{name}.yaml" for name in ("sources", "model", "audiences", "platforms", "labels")} <= held
    assert not [name for name in held if name.startswith(("tests/", "docs/"))]


def test_the_installed_wheel_runs(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    environment = {**os.environ, "PYTHONPATH": str(site)}

    def run(*arguments: str) -> str:
        found = subprocess.run(
            [sys.executable, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert found.returncode == 0, found.stderr
        return found.stdout

    assert str(site) in run("-c", "import connectors; print(connectors.__file__)")
    run("-m", "connectors.cli", "init", "starter")
    assert (tmp_path / "starter" / "audiences.yaml").read_text().startswith("# yaml-language-server: $schema=schema/")
    run("-m", "connectors.cli", "init", "rehearsal", "--demo")
    assert (tmp_path / "rehearsal" / "data" / "orders.csv").stat().st_size > 1_000_000
    assert '"name": "tiktok"' in run("-m", "connectors.cli", "connectors", "--json")
    probe = "from connectors.engine.report import ReportData, RunInfo, render; import datetime, pathlib; "
    probe += "render(ReportData(RunInfo('r', datetime.date(2026, 1, 1), 'USD', 1)), pathlib.Path('page.html'))"
    run("-c", probe)
    assert "<html" in (tmp_path / "page.html").read_text()
