"""Every registered connector earns the contract: none is forgotten."""

from __future__ import annotations

import importlib
from pathlib import Path

from connectors import registry
from connectors.testing import AudienceSuite, ConnectorSuite

NETWORKLESS = {"file"}  # no faults, lookalikes or results to judge


def test_every_registered_connector_has_its_suite() -> None:
    folder = Path(__file__).parent
    for name in registry.names():
        assert (folder / f"test_{name}.py").is_file(), f"tests/contract/test_{name}.py is missing"
        module = importlib.import_module(f"tests.contract.test_{name}")
        suite = AudienceSuite if name in NETWORKLESS else ConnectorSuite
        earned = [one for one in vars(module).values() if isinstance(one, type) and issubclass(one, suite) and one is not suite]
        assert any(one.__name__.startswith("Test") for one in earned), f"{name} earns no {suite.__name__}"
