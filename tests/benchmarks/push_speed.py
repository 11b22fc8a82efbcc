"""Members per second pushed to each sandbox, against a bare client that posts the same bodies, already built.

Sandbox, engine and bare client are processes of their own; the engine reads scores and contacts from Parquet. A relay keeps
the bodies of a first push. Both sides are timed in turn, each against a fresh sandbox, with as many calls under way at a time
as the engine has; the better of ROUNDS counts on both sides. Peak memory is the engine's, at a tenth of the members and at all.
BENCH_MEMBERS sets the size.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.benchmarks._push_wire import DOORS, Body, GrpcRelay, Relay, Remote, apart, bare, bare_grpc

if TYPE_CHECKING:
    from collections.abc import Callable

MEMBERS = int(os.environ.get("BENCH_MEMBERS", "1000000"))
ROUNDS = 2
FIRST = 1_200
"""Members enough for an audience to exist on every platform."""


def people(count: int, folder: Path) -> Path:
    """The folder, with scores and contacts of made-up customers: an e-mail, every second a phone."""
    folder.mkdir()
    with (
        pq.ParquetWriter(folder / "scores.parquet", _scores(0, 0).schema) as scores,
        pq.ParquetWriter(folder / "contacts.parquet", _contacts(0, 0).schema) as contacts,
    ):
        for start in range(0, count, 100_000):
            end = min(count, start + 100_000)
            scores.write_table(_scores(start, end))
            contacts.write_table(_contacts(start, end))
    return folder


def _scores(start: int, end: int) -> pa.Table:
    rows = range(start, end)
    return pa.table(
        {
            "customer_id": pa.array([str(n) for n in rows], pa.string()),
            "seed_value": pa.array([n / 7 for n in rows], pa.float64()),
            "currency": pa.array(["USD"] * len(rows), pa.string()),
            "tier": pa.array(["high"] * len(rows), pa.string()),
            "lifecycle_stage": pa.array(["active"] * len(rows), pa.string()),
        }
    )


def _contacts(start: int, end: int) -> pa.Table:
    rows, lists = range(start, end), pa.list_(pa.string())
    return pa.table(
        {
            "customer_id": pa.array([str(n) for n in rows], pa.string()),
            "email": pa.array([[f"p{n}@example.com"] for n in rows], lists),
            "phone": pa.array([[f"+1212{n % 10_000_000:07d}"] if n % 2 else [] for n in rows], lists),
            "country": pa.array(["US"] * len(rows), pa.string()),
        }
    )


def engine(name: str, addresses: dict[str, str], tables: Path, state: Path) -> dict[str, float]:
    """Seconds of planning and of pushing, and the process's peak memory in MB in each; run in a process of its own."""
    from connectors.engine.audience import Account, AudienceRequest
    from connectors.engine.identity import IdentityRules
    from connectors.engine.ledger import open_ledger
    from connectors.engine.members import build_members
    from connectors.engine.plan import make_plan
    from connectors.engine.push import push
    from connectors.protocol import utc_now
    from tests.connectors.engine.world import LOOSE
    from tests.faults.stage import connect

    began = time.perf_counter()
    ledger = open_ledger(state / "state")
    scores, contacts = tables / "scores.parquet", tables / "contacts.parquet"
    members = build_members(scores, contacts, ledger=ledger, work=state / "work")
    connector = connect(name, addresses)
    account = Account(connector, IdentityRules())
    plan = make_plan(ledger, members, [AudienceRequest("all", "Customers", guardrails=LOOSE)], [account], now=utc_now())
    planned, plan_peak = time.perf_counter(), _peak()
    _forget_peak()
    outcome = push(plan, ledger)
    pushed, push_peak = time.perf_counter(), _peak()
    assert outcome.exit_code == 0, outcome.audiences[0]["detail"]
    connector.close()
    members.close()
    ledger.close()
    return {"planned": planned - began, "pushed": pushed - planned, "plan_peak": plan_peak, "push_peak": push_peak}


def replayed(name: str, bodies: list[Body], few: Path, state: Path) -> float:
    """Seconds of the bare client against a fresh sandbox that has the same audience (with the same id; TikTok's is made)."""
    sandbox = Remote(name)
    if name != "tiktok":
        apart(engine, name, sandbox.addresses, few, state)
    door = sandbox.addresses[DOORS[name]]
    spent = bare_grpc(door, bodies, at_once(name)) if name == "google" else bare(door, bodies)
    held = sandbox.stop()
    assert held == MEMBERS, f"the bare client's bodies were not taken: {held:,} members"
    return spent


def at_once(name: str) -> int:
    """How many calls the engine has under way at a time."""
    from connectors.registry import platform

    return platform(name).capabilities.concurrent_batches


def recorded(name: str, tables: Path, state: Path) -> list[Body]:
    """The bodies of one push."""
    sandbox = Remote(name)
    door = sandbox.addresses[DOORS[name]]
    relay: Any = GrpcRelay(name, door) if name == "google" else Relay(name, door)
    given = {key: relay.address if address == door else address for key, address in sandbox.addresses.items()}
    apart(engine, name, given, tables, state)
    relay.stop()
    sandbox.stop()
    return list(relay.kept)


def pushed(name: str, tables: Path, state: Path, members: int) -> dict[str, float]:
    """One timed push to a fresh sandbox, which holds everybody in the end."""
    sandbox = Remote(name)
    found: dict[str, float] = apart(engine, name, sandbox.addresses, tables, state)
    held = sandbox.stop()
    assert held == members, f"the sandbox holds {held:,} members"
    return found


def measured(name: str, folder: Path, show: Callable[..., None]) -> None:
    """Nothing: the lines for one platform are printed."""
    few, some, all_ = folder / "few", folder / "some", folder / "all"
    bodies = recorded(name, all_, folder / f"{name}-recorded")
    theirs, ours = [], []
    for number in range(ROUNDS):
        theirs.append(replayed(name, bodies, few, folder / f"{name}-few-{number}"))
        ours.append(pushed(name, all_, folder / f"{name}-all-{number}", MEMBERS))
    tenth = pushed(name, some, folder / f"{name}-some", MEMBERS // 10)
    best, bare_best = min(one["pushed"] for one in ours), min(theirs)
    show(f"{name}: {MEMBERS:,} members planned in {ours[-1]['planned']:.1f} s, pushed at {MEMBERS / best:,.0f} a second")
    show(f"  bare client, {len(bodies)} bodies, {at_once(name)} at once: {MEMBERS / bare_best:,.0f} a second")
    show(f"  share of the bare client's speed: {bare_best / best:.2f} (goal: at least 0.5)")
    for what in ("plan", "push"):
        peaks = tenth[f"{what}_peak"], max(one[f"{what}_peak"] for one in ours)
        show(f"  peak memory of {what}: {peaks[0]:,.0f} MB at {MEMBERS // 10:,} members, {peaks[1]:,.0f} MB at {MEMBERS:,}")


def main() -> None:
    """Prints the figures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for size, part in ((FIRST, "few"), (MEMBERS // 10, "some"), (MEMBERS, "all")):
            people(size, folder / part)
        for platform in os.environ.get("BENCH_PLATFORM", ",".join(DOORS)).split(","):
            measured(platform, folder, lambda line: print(line, flush=True))


def _forget_peak() -> None:
    with open("/proc/self/clear_refs", "w") as switch:
        switch.write("5")


def _peak() -> float:
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
