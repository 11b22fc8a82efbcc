"""The stand-in as a whole: restarts, admin routes, ports."""

from __future__ import annotations

import copy
import json
import socket
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import requests

from connectors.google import platform
from tests.connectors.google.plain import Plain, ads, hexed
from tests.connectors.google.test_sandbox_ads import lookalike, seeds

if TYPE_CHECKING:
    from tests.connectors.google.conftest import World


def test_a_restart_goes_on_from_the_dump(world: World) -> None:
    seed = seeds(world, 300)
    ads(world, "UserListService", "MutateUserLists", lookalike(seed))
    kept = json.loads(json.dumps(world.sandbox.dump()))
    other = platform.sandbox()
    other.load(copy.deepcopy(kept))
    before, after = world.sandbox.state(), other.state()
    assert after["audiences"] == before["audiences"]
    assert after["lookalikes"] == before["lookalikes"]
    assert abs(other.clock.now() - world.now()) < timedelta(minutes=1)
    assert other.store.new_id() > max(other.store.lists)


def test_admin_routes(world: World) -> None:
    plain, base = Plain(world), world.addresses["admin"]
    requests.post(f"{base}/_sandbox/clock", json={"hours": 48}, timeout=5).raise_for_status()
    assert plain.world.now() > datetime.now(UTC) + timedelta(hours=47)
    fault = {"match": "audienceMembers:ingest", "kind": "http", "detail": {"status": 503}}
    requests.post(f"{base}/_sandbox/faults", json=fault, timeout=5).raise_for_status()
    answer = requests.post(f"{plain.base}/v1/audienceMembers:ingest", json=plain.body(), timeout=5)
    assert answer.status_code == 503
    plain.ingest()
    state = requests.get(f"{base}/_sandbox/state", timeout=5).json()
    (held,) = state["audiences"].values()
    consent = {"adUserData": "CONSENT_GRANTED", "adPersonalization": "CONSENT_GRANTED"}
    assert held["members"] == [{"userIdentifiers": [{"emailAddress": hexed("a")}], "consent": consent}]
    assert {one["operation"] for one in state["requests"] if "operation" in one} == {"create", "add"}


def test_ports_can_be_chosen() -> None:
    ports = {}
    for name in ("data_manager", "ads", "admin"):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            ports[name] = free.getsockname()[1]
    sandbox = platform.sandbox()
    try:
        assert sandbox.start(ports) == {
            "data_manager": f"http://127.0.0.1:{ports['data_manager']}",
            "ads": f"insecure:127.0.0.1:{ports['ads']}",
            "admin": f"http://127.0.0.1:{ports['admin']}",
        }
    finally:
        sandbox.stop()
