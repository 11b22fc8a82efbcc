"""A run in a process of its own that is killed (SIGKILL) just before its n-th journal commit."""

from __future__ import annotations

import os
import resource
import signal
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from connectors.engine.audience import Account
from connectors.engine.identity import IdentityRules
from connectors.engine.journal import Journal
from connectors.engine.ledger import open_ledger
from connectors.engine.members import build_members
from connectors.engine.plan import make_plan
from connectors.engine.push import push
from tests.connectors.engine.world import contacts, scores
from tests.faults.stage import connect, request_of, small_batches

if TYPE_CHECKING:
    from collections.abc import Callable

    from connectors.engine.ledger import Ledger
    from connectors.protocol import Connector


def mortal(commit: int) -> None:
    """Nothing: the process dies before journal commit number `commit` from now (from 1; 0: never)."""
    left = commit

    def count(self: Journal, commit: Any = Journal.commit) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        commit(self)

    Journal.commit = count  # type: ignore[method-assign]


def act(action: Callable[[Ledger, Connector, Path], object], addresses: dict[str, str], folder: str, commit: int) -> None:
    """Nothing, or no return: the action with the folder's ledger, Meta and a work folder, killed before its commit `commit`."""
    ledger = open_ledger(Path(folder) / "state")
    connector = connect("meta", addresses)
    small_batches(connector)
    mortal(commit)
    action(ledger, connector, Path(folder) / f"victim{commit}")


def run(
    name: str, addresses: dict[str, str], folder: str, people: list[Any], now: datetime, commit: int, refresh: bool, room: int
) -> None:
    """Nothing, or no return: the process dies before commit number `commit` (from 1; 0: never) or runs out of disk."""
    if room:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))  # no file may grow beyond this: a disk that is full
    ledger = open_ledger(Path(folder) / "state")
    mortal(commit)
    started = datetime.now(now.tzinfo)

    def clock() -> datetime:
        return now + (datetime.now(now.tzinfo) - started)

    members = build_members(scores(people), contacts(people), ledger=ledger, work=Path(folder) / f"victim{commit}")
    connector = connect(name, addresses, clock)
    small_batches(connector)
    plan = make_plan(ledger, members, [request_of(name)], [Account(connector, IdentityRules())], now=clock(), refresh=refresh)
    push(plan, ledger, now=clock)
