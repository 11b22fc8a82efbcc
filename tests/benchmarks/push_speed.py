"""Members per second pushed to each sandbox, against a bare client that posts the same bodies, already built.

The sandboxes run in processes of their own. A relay records the bodies during a first push. BENCH_MEMBERS sets the size.
"""

from __future__ import annotations

import http.client
import multiprocessing
import os
import resource
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import grpc
import pyarrow as pa

from connectors.engine.audience import Account, AudienceRequest
from connectors.engine.identity import IdentityRules
from connectors.engine.ledger import open_ledger
from connectors.engine.members import build_members
from connectors.engine.plan import make_plan
from connectors.engine.push import push
from connectors.protocol import utc_now
from connectors.registry import platform as platform_of
from connectors.sandbox import HttpServer, Request, Response
from tests.connectors.engine.world import LOOSE
from tests.faults.stage import connect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LARGE = [("grpc.max_receive_message_length", 1 << 28), ("grpc.max_send_message_length", 1 << 28)]
MEMBERS = int(os.environ.get("BENCH_MEMBERS", "100000"))
DOORS = {"meta": "address", "google": "ads", "tiktok": "address"}
AT_ONCE = 4
WRITES = {"meta": "/users", "google": "IngestAudienceMembers", "tiktok": "/file/upload/"}


def serve(name: str, pipe: Any) -> None:
    """Nothing: the sandbox answers until the pipe says stop."""
    sandbox = platform_of(name).sandbox()
    if name == "tiktok":
        sandbox.limits.enabled = False
    pipe.send(sandbox.start())
    pipe.recv()
    pipe.send(sum(one["member_count"] for one in sandbox.state(members=False)["audiences"].values()))
    sandbox.stop()


class Remote:
    """A sandbox in a process of its own."""

    def __init__(self, name: str) -> None:
        self._pipe, theirs = multiprocessing.Pipe()
        self._process = multiprocessing.get_context("spawn").Process(target=serve, args=(name, theirs), daemon=True)
        self._process.start()
        self.addresses: dict[str, str] = self._pipe.recv()

    def stop(self) -> int:
        """How many members it held."""
        self._pipe.send("stop")
        held = int(self._pipe.recv())
        self._process.join()
        return held


class Relay:
    """Passes everything on to a sandbox and keeps the member writes."""

    def __init__(self, target: str, match: str) -> None:
        self._target, self._match = target.removeprefix("http://"), match
        self.kept: list[tuple[str, str, dict[str, str], bytes]] = []
        self._server = HttpServer(self._pass)
        self.address = self._server.address

    def stop(self) -> None:
        """Nothing: the relay is down."""
        self._server.stop()

    def _pass(self, request: Request) -> Response:
        query = f"?{urlencode(request.query, doseq=True)}" if request.query else ""
        headers = {key: value for key, value in request.headers.items() if key.lower() not in ("host", "accept-encoding")}
        if self._match in request.path:
            self.kept.append((request.method, request.path + query, headers, request.body))
        connection = http.client.HTTPConnection(self._target)
        connection.request(request.method, request.path + query, request.body, headers)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        kept = {key: value for key, value in answer.getheaders() if key.lower().startswith(("content-type", "x-"))}
        return Response(answer.status, body, kept)


class GrpcRelay:
    """The same for gRPC: bytes in, bytes out."""

    def __init__(self, target: str, match: str) -> None:
        self._channel = grpc.insecure_channel(target.removeprefix("insecure:"), options=LARGE)
        self._match, self.kept = match, list[tuple[str, bytes]]()
        self._server = grpc.server(ThreadPoolExecutor(4), options=LARGE)
        self._server.add_generic_rpc_handlers([self])
        self.address = f"insecure:127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def service(self, details: Any) -> Any:
        """A handler that forwards the call."""

        def forward(body: bytes, context: Any) -> bytes:
            if self._match in details.method:
                self.kept.append((details.method, body))
            answer: bytes = self._channel.unary_unary(details.method)(body)
            return answer

        return grpc.unary_unary_rpc_method_handler(forward)

    def stop(self) -> None:
        """Nothing: the relay is down."""
        self._server.stop(None)
        self._channel.close()


def people(count: int) -> tuple[pa.Table, pa.Table]:
    """Scores and contacts of made-up customers: an e-mail, every second a phone."""
    ids = pa.array([str(n) for n in range(count)])
    lists = pa.list_(pa.string())
    known = {
        "customer_id": ids,
        "email": pa.array([[f"p{n}@example.com"] for n in range(count)], lists),
        "phone": pa.array([[f"+1212{n % 10_000_000:07d}"] if n % 2 else [] for n in range(count)], lists),
        "country": pa.array(["US"] * count),
    }
    score = {
        "customer_id": ids,
        "seed_value": pa.array([n / 7 for n in range(count)]),
        "currency": pa.array(["USD"] * count),
        "tier": pa.array(["high"] * count),
        "lifecycle_stage": pa.array(["active"] * count),
    }
    return pa.table(score), pa.table(known)


def engine(
    name: str, addresses: dict[str, str], folder: Path, tables: tuple[pa.Table, pa.Table], concurrent: int = 0
) -> tuple[float, float]:
    """Seconds of planning and of pushing; `concurrent`: batches at once, instead of what the platform's capabilities say."""
    began = time.perf_counter()
    ledger = open_ledger(folder / "state")
    members = build_members(*tables, ledger=ledger, work=folder / "work")
    if name == "google":
        addresses = {**addresses, "data_manager": addresses["ads"]}
    connector = connect(name, addresses)
    if concurrent:
        connector.capabilities = replace(connector.capabilities, concurrent_batches=concurrent)
    account = Account(connector, IdentityRules())
    plan = make_plan(ledger, members, [AudienceRequest("all", "Customers", guardrails=LOOSE)], [account], now=utc_now())
    planned = time.perf_counter()
    outcome = push(plan, ledger)
    pushed = time.perf_counter()
    assert outcome.exit_code == 0, outcome.audiences[0]["detail"]
    connector.close()
    members.close()
    ledger.close()
    return planned - began, pushed - planned


def bare(address: str, bodies: list[tuple[str, str, dict[str, str], bytes]]) -> float:
    """Seconds to post all bodies over one kept connection."""
    connection = http.client.HTTPConnection(address.removeprefix("http://"))
    began = time.perf_counter()
    for method, path, headers, body in bodies:
        connection.request(method, path, body, headers)
        connection.getresponse().read()
    return time.perf_counter() - began


def bare_grpc(target: str, bodies: list[tuple[str, bytes]]) -> float:
    """Seconds to send all bodies over one channel."""
    channel = grpc.insecure_channel(target.removeprefix("insecure:"), options=LARGE)
    began = time.perf_counter()
    for method, body in bodies:
        channel.unary_unary(method)(body)
    spent = time.perf_counter() - began
    channel.close()
    return spent


def recorded(name: str, folder: Path, tables: tuple[pa.Table, pa.Table]) -> tuple[float, int]:
    """Seconds of a bare client for the bodies of one push, and how many bodies these are."""
    first, second = Remote(name), Remote(name)
    door = first.addresses[DOORS[name]]
    relay: Any = GrpcRelay(door, WRITES[name]) if name == "google" else Relay(door, WRITES[name])
    # the second sandbox has the same audience (the ids are the same) and no members yet
    engine(name, {**first.addresses, DOORS[name]: relay.address}, folder / "recorded", tables)
    engine(name, second.addresses, folder / "made", tuple(one.slice(0, 1200) for one in tables))  # type: ignore[arg-type]
    spent = (bare_grpc if name == "google" else bare)(second.addresses[DOORS[name]], relay.kept)
    relay.stop()
    first.stop()
    held = second.stop()
    assert held == MEMBERS or name == "tiktok", f"the bare client's bodies were not taken: {held:,} members"
    return spent, len(relay.kept)


def measured(name: str, folder: Path, tables: tuple[pa.Table, pa.Table]) -> Iterator[str]:
    """The lines for one platform."""
    replayed, bodies = recorded(name, folder, tables)
    second = Remote(name)
    planned, pushed = engine(name, second.addresses, folder / "timed", tables)
    held = second.stop()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    yield f"{name}: planned in {planned:.1f} s, pushed in {pushed:.1f} s = {MEMBERS / pushed:,.0f} members/s; held {held:,}"
    yield f"  bare client, {bodies} bodies: {replayed:.1f} s = {MEMBERS / replayed:,.0f} members/s"
    yield f"  share of the bare client's speed: {replayed / pushed:.2f} (goal: at least 0.5); peak memory {peak:,.0f} MB"
    if name == "google":  # Meta's sessions take their batches in order; a TikTok delivery is one batch
        third = Remote(name)
        _, together = engine(name, third.addresses, folder / "together", tables, AT_ONCE)
        third.stop()
        yield f"  with {AT_ONCE} batches at once: {MEMBERS / together:,.0f} members/s, share {replayed / together:.2f}"


def main() -> None:
    """Prints the figures."""
    tables = people(MEMBERS)
    show: Callable[..., None] = print
    for name in DOORS:
        with tempfile.TemporaryDirectory() as folder:
            for line in measured(name, Path(folder), tables):
                show(line, flush=True)
