"""A platform in a package of its own installs, registers and earns the contract; and the contract catches a careless one."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import json
import os
import re
import subprocess
import sys
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from connectors.errors import OutcomeUnknownError, RemovalRefusedError, RetriableError, SyncError
from connectors.protocol import Capabilities, IdentifierField, Receipt
from connectors.testing import ConnectorSuite, Rig

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PACKAGE = Path(__file__).parent / "pigeon"


@dataclasses.dataclass(frozen=True)
class Installed:
    """The package: where it is installed, and its own folder."""

    site: Path
    source: Path

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a process that finds the package and this project."""
        return {**os.environ, "PYTHONPATH": os.pathsep.join([str(self.site), str(PACKAGE.parents[2])])}


@pytest.fixture(scope="module")
def pigeon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    """The package, installed from a copy, and where."""
    site, source = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("source") / "pigeon"
    for path in sorted(PACKAGE.rglob("*")):
        if path.suffix in (".py", ".toml"):
            place = source / path.relative_to(PACKAGE)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(path.read_bytes())
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--disable-pip-version-check", "--target", str(site), str(source)], check=True, timeout=120)
    sys.path.insert(0, str(site))
    importlib.invalidate_caches()
    yield Installed(site, source)
    sys.path.remove(str(site))
    for name in [name for name in sys.modules if name.partition(".")[0] == "pigeon"]:
        del sys.modules[name]


@pytest.fixture
def rig(pigeon: Installed) -> Iterator[Rig]:
    """The rig of the package's own tests."""
    spec = importlib.util.spec_from_file_location("pigeon_contract", pigeon.source / "tests" / "test_contract.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield from module.rig_of()


def test_it_earns_the_contract_as_its_author_runs_it(pigeon: Installed) -> None:
    """`pytest` in the package's own folder, the package installed: nothing of this project's tests is there."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
    done = subprocess.run(command, cwd=pigeon.source, capture_output=True, text=True, env=pigeon.environment, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    wanted = [name for name in dir(ConnectorSuite) if name.startswith("test_")]
    assert int(re.findall(r"(\d+) passed", done.stdout)[-1]) >= len(wanted) > 20
    assert "failed" not in done.stdout
    assert "skipped" not in done.stdout


def claims_success(rig: Rig) -> None:
    send = rig.connector.send

    def careless(handle: Any, batch: Any) -> Receipt:
        try:
            return send(handle, batch)
        except SyncError:
            return Receipt(accepted=batch.rows)

    rig.connector.send = careless  # type: ignore[method-assign]


def counts_all(rig: Rig) -> None:
    send = rig.connector.send

    def careless(handle: Any, batch: Any) -> Receipt:
        return replace(send(handle, batch), accepted=batch.rows)

    rig.connector.send = careless  # type: ignore[method-assign]


def forgets_names(rig: Rig) -> None:
    rig.connector._find = lambda key, value: ""  # type: ignore[attr-defined]


def blindly_again(rig: Rig) -> None:
    def careless(name: str) -> str:
        client = rig.connector.client  # type: ignore[attr-defined]
        return str(client.call("POST", "/lists", {"name": name}, again=True)["id"])

    rig.connector._make = careless  # type: ignore[attr-defined]


def retries_refusals(rig: Rig) -> None:
    send = rig.connector.send

    def careless(handle: Any, batch: Any) -> Receipt:
        try:
            return send(handle, batch)
        except SyncError:
            return send(handle, batch)

    rig.connector.send = careless  # type: ignore[method-assign]


def hides_refused_removals(rig: Rig) -> None:
    send = rig.connector.send

    def careless(handle: Any, batch: Any) -> Receipt:
        try:
            return send(handle, batch)
        except RemovalRefusedError:
            return Receipt(accepted=0, rejected={"too small": batch.rows})

    rig.connector.send = careless  # type: ignore[method-assign]


def says_never_sent(rig: Rig) -> None:
    send = rig.connector.send

    def careless(handle: Any, batch: Any) -> Receipt:
        try:
            return send(handle, batch)
        except (OutcomeUnknownError, RetriableError) as error:
            raise ValueError(str(error)) from error

    rig.connector.send = careless  # type: ignore[method-assign]


def tells_digests(rig: Rig) -> None:
    import logging

    send = rig.connector.send

    def careless(handle: Any, batch: Any) -> Receipt:
        logging.getLogger("pigeon").debug("sending %s", [one.hex() for one in next(batch.chunks()).column("email").to_pylist()])
        return send(handle, batch)

    rig.connector.send = careless  # type: ignore[method-assign]


def doubles_results(rig: Rig) -> None:
    days = rig.connector.campaign_days
    rig.connector.campaign_days = lambda since, until: iter([*days(since, until), *days(since, until)])  # type: ignore[method-assign]


@pytest.mark.parametrize(
    ("fault", "test", "more"),
    [
        (claims_success, "test_a_page_is_no_answer", {}),
        (claims_success, "test_a_platform_that_is_gone_is_no_success", {}),
        (claims_success, "test_an_unknown_code_is_fatal", {}),
        (claims_success, "test_a_removal_below_the_floor_is_said_to_be_refused", {}),
        (counts_all, "test_a_bad_row_costs_nobody_else", {}),
        (forgets_names, "test_an_audience_is_made_once", {}),
        (blindly_again, "test_a_lost_reply_to_a_creation_makes_no_second_audience", {"kind": "lost_reply"}),
        (retries_refusals, "test_a_refusal_is_not_tried_again", {}),
        (hides_refused_removals, "test_a_removal_below_the_floor_is_said_to_be_refused", {}),
        (says_never_sent, "test_a_platform_that_is_gone_is_no_success", {}),
        (tells_digests, "test_nothing_secret_is_logged", {}),
        (doubles_results, "test_results_add_up_to_the_platforms_own", {}),
    ],
)
def test_the_contract_catches_a_careless_connector(
    rig: Rig, caplog: pytest.LogCaptureFixture, fault: Callable[[Rig], None], test: str, more: dict[str, Any]
) -> None:
    fault(rig)
    if test == "test_nothing_secret_is_logged":
        more = {"caplog": caplog}
    with pytest.raises((AssertionError, pytest.fail.Exception, ValueError)):
        getattr(ConnectorSuite(), test)(rig, **more)


def test_the_page_on_adding_a_platform_shows_this_very_code() -> None:
    """Whoever follows the page literally has what this test runs: an example that isn't run goes stale."""
    page = (PACKAGE.parents[2] / "docs" / "adding-a-platform.md").read_text()
    shown = {kind: re.findall(rf"```{kind}\n(.*?)```", page, re.DOTALL) for kind in ("python", "toml")}
    assert shown["python"] == [(PACKAGE / "tests" / "test_contract.py").read_text()]
    assert shown["toml"] == [(PACKAGE / "pyproject.toml").read_text()]
    files = re.findall(r"^pigeon/(\w+\.py)", page, re.MULTILINE)
    assert sorted(files) == sorted(one.name for one in (PACKAGE / "pigeon").glob("*.py"))


def test_every_name_that_the_page_uses_exists() -> None:
    """Dotted names are modules and their members, capabilities are fields, and suites can be imported."""
    page = (PACKAGE.parents[2] / "docs" / "adding-a-platform.md").read_text()
    words = set(re.findall(r"`([A-Za-z_.]+)(?:\([^`]*\))?`", page))
    for name in sorted(one for one in words if one.startswith("connectors.")):
        module, _, member = name.rpartition(".")
        try:
            importlib.import_module(name)
        except ModuleNotFoundError:
            assert hasattr(importlib.import_module(module), member), name
    suites = [one for one in words if one.endswith("Suite")]
    assert len(suites) >= 5
    assert all(hasattr(importlib.import_module("connectors.testing"), one) for one in suites)
    fields = {one.name for one in dataclasses.fields(Capabilities)} | {one.name for one in dataclasses.fields(IdentifierField)}
    named = set(
        "settles operations lookalikes results removal_floor value_batch_rows click_parameters renames shares foresees "
        "maximum_audiences lookalike_refresh_days predicted_values identifies opt_in".split()
    )
    assert named <= fields
    assert all(re.search(rf"`(Capabilities\.)?{one}[`=,]", page) or one in ("removal_floor",) for one in named)


def test_its_stand_in_is_served_by_the_command(pigeon: Installed) -> None:
    """`clvsync sandbox --platform` takes any installed platform and says which there are."""
    command = [sys.executable, "-m", "connectors.cli", "sandbox", "--platform"]
    with subprocess.Popen([*command, "pigeon", "--json"], stdout=subprocess.PIPE, text=True, env=pigeon.environment) as served:
        assert served.stdout is not None
        address = json.loads(served.stdout.readline())["pigeon"]["address"]
        with urllib.request.urlopen(f"{address}/_sandbox/state", timeout=30) as answer:
            assert json.load(answer)["audiences"] == {}
        served.terminate()
        assert served.wait(timeout=30) == 0
    refused = subprocess.run([*command, "crow"], capture_output=True, text=True, env=pigeon.environment, check=False)
    assert refused.returncode == 2
    assert "pigeon" in refused.stderr
