"""Packages of others that don't fit: each costs its own platform alone, and is named with what to do about it."""

from __future__ import annotations

import importlib
import json
import random
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from connectors import checkup, config, job, registry, schema
from connectors.commands.check import connectors_command
from connectors.commands.sandbox import sandboxes
from connectors.commands.sync import plan_command
from connectors.demo import starter
from connectors.errors import ConfigurationError
from connectors.protocol import PROTOCOL, utc_now

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WHOLE = """
from connectors.protocol import Capabilities, Operation, Recipe, IdentifierField
from connectors.settings import AccountSettings, PlatformSettings

class CrowSettings(PlatformSettings):
    accounts: list[AccountSettings] = []

class Connector:
    def __init__(self, capabilities, account_id):
        self.capabilities, self.account_id = capabilities, account_id
    check = find_or_create = status = send = settle = find_or_create_lookalike = delete = campaign_days = close = print

class Crow:
    name = "crow"
    settings = CrowSettings
    capabilities = Capabilities("crow", Recipe("1", (IdentifierField("email", "email", "email_plain"),)), False, 10,
                                frozenset(Operation))
    def connect(self, settings, account, *, now):
        return Connector(self.capabilities, account.account_id)
    def sandbox(self):
        return None
"""


@pytest.fixture
def install(tmp_path: Path) -> Iterator[Callable[..., None]]:
    """A function that puts a module and its entry point where Python finds packages, as an installer would."""
    site = tmp_path / "site"
    sys.path.insert(0, str(site))
    made: list[str] = []

    def build(
        code: str, *, package: str = "clv-crow", module: str = "crow_ads", name: str = "crow", at: str = "platform"
    ) -> None:
        info = site / f"{package.replace('-', '_')}-2.1.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 2.1\n")
        (info / "entry_points.txt").write_text(f"[{registry.GROUP}]\n{name} = {module}:{at}\n")
        (site / f"{module}.py").write_text(code)
        made.append(module)
        importlib.invalidate_caches()

    yield build
    sys.path.remove(str(site))
    for module in made:
        sys.modules.pop(module, None)
    importlib.invalidate_caches()


BROKEN = {
    "needs what is not there": ("import a_library_nobody_has", "ModuleNotFoundError: No module named 'a_library_nobody_has'"),
    "ends the process": ("raise SystemExit('no licence')", "SystemExit: no licence"),
    "is no Python": ("def platform(:", "SyntaxError"),
    "has nothing of that name": ("other = 1", "AttributeError"),
    "is anything but a platform": ("platform = object()", "it has no capabilities"),
    "speaks a later protocol": (
        WHOLE + f"\nplatform = Crow()\nplatform.protocol = {PROTOCOL + 1}",
        f"it was written for protocol {PROTOCOL + 1}, this version speaks {PROTOCOL} (upgrade clv-audience-sync)",
    ),
    "speaks an earlier protocol": (WHOLE + "\nplatform = Crow()\nplatform.protocol = 0", "(upgrade the package)"),
    "has another name": (
        WHOLE + "\nplatform = Crow()\nplatform.name = 'raven'",
        "its name is 'raven', its entry point's 'crow'",
    ),
    "has settings of its own kind": (WHOLE + "\nplatform = Crow()\nplatform.settings = dict", "settings is no subclass"),
    "has capabilities of its own kind": (WHOLE + "\nplatform = Crow()\nplatform.capabilities = {}", "capabilities is no"),
    "has another's capabilities": (
        WHOLE + "\nimport dataclasses\nplatform = Crow()\n"
        "platform.capabilities = dataclasses.replace(Crow.capabilities, platform='raven')",
        "its capabilities are those of 'raven'",
    ),
    "makes no stand-in": (WHOLE + "\nplatform = Crow()\nplatform.sandbox = None", "sandbox can't be called"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_package_that_does_not_fit_is_named(install: Callable[..., None], what: str) -> None:
    code, words = BROKEN[what]
    install(code)
    with pytest.raises(registry.PackageError) as caught:
        registry.platform("crow")
    assert words in caught.value.message
    assert "'crow' of clv-crow 2.1" in caught.value.message
    assert "clv-crow" in caught.value.remedy
    assert registry.platform("meta").name == "meta"


def test_a_whole_package_is_taken(install: Callable[..., None]) -> None:
    install(WHOLE + "\nplatform = Crow()")
    assert registry.platform("crow").capabilities.batch_rows == 10


def test_of_two_packages_with_one_name_neither_is_used(install: Callable[..., None]) -> None:
    install(WHOLE + "\nplatform = Crow()")
    install(WHOLE + "\nplatform = Crow()", package="corvids", module="corvids")
    with pytest.raises(registry.PackageError, match=r"clv-crow 2\.1, corvids 2\.1") as caught:
        registry.platform("crow")
    assert "pip uninstall corvids" in caught.value.remedy


def test_no_package_takes_over_a_platform_of_ours_unseen(install: Callable[..., None]) -> None:
    install(WHOLE + "\nplatform = Crow()", name="meta")
    with pytest.raises(registry.PackageError, match=r"clv-audience-sync .*, clv-crow 2\.1"):
        registry.platform("meta")
    assert registry.platform("google").name == "google"


@pytest.mark.parametrize(
    ("capability", "method"),
    [
        ("", "settle"),
        ("renames=True", "rename"),
        ("shares=True", "unshare"),
        ("foresees=True", "objection"),
        ("maximum_audiences=3", "count_audiences"),
        ("lookalike_refresh_days=1", "refresh_lookalike"),
        ("removes_everywhere=True", "remove_everywhere"),
        ("predicted_values=True", "send_values"),
    ],
)
def test_a_connector_without_a_method_is_refused_before_anything_is_sent(
    install: Callable[..., None], capability: str, method: str
) -> None:
    code = WHOLE if capability else WHOLE.replace(" = settle", "")
    code += "\nimport dataclasses\nplatform = Crow()\n"
    install(code + f"platform.capabilities = dataclasses.replace(Crow.capabilities, {capability})")
    settings = registry.platform("crow").settings(accounts=[{"account_id": "1"}])
    with pytest.raises(registry.PackageError, match=f"has no {method}"):
        registry.connect("crow", settings, settings.accounts[0], now=utc_now)


def test_the_list_of_connectors_names_the_broken_one_and_shows_the_others(install: Callable[..., None]) -> None:
    install("import a_library_nobody_has")
    found = CliRunner().invoke(connectors_command, ["--json"], standalone_mode=False)
    document = json.loads(found.stdout)
    assert [one["name"] for one in document["connectors"]] == ["file", "google", "meta", "tiktok"]
    assert [one["name"] for one in document["broken"]] == ["crow"]
    assert found.return_value == 2
    said = CliRunner().invoke(connectors_command, [], standalone_mode=False)
    assert "clv-crow 2.1 can't be loaded: ModuleNotFoundError" in said.stderr
    assert "pip uninstall clv-crow" in said.stderr
    assert "crow" not in schema.schemas()["platforms"]["properties"]


def quiet(what: str, done: int, total: int) -> None:
    """No progress is shown."""


def orders() -> str:
    draw, now = random.Random(4), datetime.now(UTC)
    rows = [
        f"c{customer},o{customer}-{number},{(now - timedelta(days=draw.uniform(2, 365))).isoformat()},{draw.uniform(5, 80):.2f}"
        for customer in range(120)
        for number in range(draw.randint(1, 6))
    ]
    return "\n".join(["customer_id,order_id,ordered_at,amount", *rows])


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("raise RuntimeError('built for Python 2')", "built for Python 2"),
        (WHOLE.replace(" = settle", "") + "\nplatform = Crow()", "settle"),
    ],
    ids=["at import", "without a method"],
)
def test_other_platforms_go_on_beside_a_broken_package(
    install: Callable[..., None], tmp_path: Path, code: str, words: str
) -> None:
    """Config names both: the broken one is told by name and with exit code 2, the other's members arrive all the same."""
    install(code)
    folder, data = tmp_path / "config", tmp_path / "data"
    with sandboxes(("meta",)) as (running, addresses):
        starter.write(folder)
        data.mkdir()
        (data / "orders.csv").write_text(orders())
        people = "\n".join(f"c{one},person{one}@example.com,US" for one in range(120))
        (data / "contacts.csv").write_text(f"customer_id,email,country\n{people}")
        (folder / "audiences.yaml").write_text(
            "guardrails: {min_size: 0}\naudiences:\n  - {name: all, title: Group, platforms: [meta, crow]}\n"
        )
        (folder / "platforms.yaml").write_text(
            f"meta: {{api_base: '{addresses['meta']['address']}', credentials: anonymous, accounts: [{{account_id: '111'}}]}}\n"
            "crow: {accounts: [{account_id: '7'}]}\n"
        )
        (folder / "model.yaml").write_text("horizon_days: 90\ncandidates: [mbg_nbd]\ngate: {enabled: false}\n")
        settings = config.load(folder)
        outcome = job.push(settings, shown=quiet)
        assert outcome.exit_code == 2
        assert [(one["platform"], one["state"]) for one in outcome.audiences] == [("meta", "done")]
        assert any("crow was left out" in note and "clv-crow 2.1" in note for note in outcome.notes)
        assert [one["member_count"] for one in running["meta"].state()["audiences"].values()] == [120]
        assert job.push(settings, shown=quiet, platforms=("meta",)).exit_code == 0, "nobody asked for the broken one"
        with pytest.raises(ConfigurationError, match=r"of clv-crow 2\.1"):
            job.push(settings, shown=quiet, platforms=("crow",))
        told: Any = CliRunner().invoke(plan_command, ["--config", str(folder)], standalone_mode=False)
        assert told.return_value == 2
        assert "crow was left out" in told.stderr
        failed = [one for one in checkup.check(folder) if one["subject"] == "crow"]
        assert [(one["ok"], words in one["detail"]) for one in failed] == [(False, True)]
        erased = job.forget(settings, ["c3"], shown=quiet)
        assert erased["exit_code"] == 2
        assert any("nobody was removed there" in note for note in erased["notes"])
