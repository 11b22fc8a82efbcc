"""Everything else that writes, cut short before its commits and begun again: forget, lookalikes, holdouts, results, events.

A push and a full refresh are killed as processes in tests/faults/test_kill.py. Here every sixth commit is tried, and each
with SOAK_EXAMPLES set.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from connectors.engine.audience import Account, AudienceRequest
from connectors.engine.forget import forget
from connectors.engine.holdout import holdouts
from connectors.engine.identity import IdentityRules
from connectors.engine.pull import pull, read_restatements, read_results
from connectors.engine.values import send_values
from connectors.errors import FatalError
from connectors.protocol import LookalikeSpec
from tests.connectors.engine.dying import Killed, dying
from tests.connectors.engine.platform import LIMITS, Shelf
from tests.connectors.engine.test_pull import day
from tests.connectors.engine.test_values import EVENTS, EventClient, first_orders
from tests.connectors.engine.world import LOOSE, Person, World, person, row

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PEOPLE = [person(number) for number in range(30)]
SETTLES = replace(LIMITS, settles=True, mixed_operations=False)
KINDS = {"at once": LIMITS, "later": SETTLES, "daily": replace(SETTLES, edit_interval_hours=24, batch_rows=100)}
MOST, STEP = 60, 1 if "SOAK_EXAMPLES" in os.environ else 6
ENDS = {"killed": Killed, "disk full": sqlite3.OperationalError}


def cut(world: World, action: Callable[[], Any], end: str, judge: Callable[[], None]) -> None:
    """Nothing: the action was cut short before one commit after the other, each time done again and judged."""
    for commit in range(1, MOST, STEP):
        with suppress(Killed, FatalError, sqlite3.OperationalError), dying(commit, ENDS[end]) as made:
            action()
        world.reopen()
        action()
        judge()
        if len(made) < commit:
            return
    pytest.fail("the action never got through")


@pytest.mark.parametrize(("kind", "end"), [("at once", "disk full"), ("later", "killed"), ("daily", "killed")])
def test_forget_cut_short_forgets_all_the_same(tmp_path: Path, kind: str, end: str) -> None:
    world = World(tmp_path, Shelf(KINDS[kind]))
    world.push(PEOPLE)
    numbers = iter(range(30))
    gone: list[int] = []

    def action() -> None:
        accounts = [Account(world.shelf.connect(), IdentityRules())]
        forget(world.ledger, [str(gone[-1])], accounts, work=tmp_path / "forget", now=world.clock)

    def judge() -> None:
        for _ in range(1 if kind == "at once" else 3):
            world.clock.advance(hours=25)
            world.push(PEOPLE)
        assert world.shelf.members("Customers") == {row(one) for one in PEOPLE if int(one.id) not in gone}
        key = world.ledger.member_key(str(gone[-1]))
        held = [path.name for path in (tmp_path / "state").rglob("*") if path.is_file() and key in path.read_bytes()]
        assert held == []
        gone.append(next(numbers))

    gone.append(next(numbers))
    cut(world, action, end, judge)


@pytest.mark.parametrize("end", sorted(ENDS))
def test_a_lookalike_is_made_once(tmp_path: Path, end: str) -> None:
    spec = LookalikeSpec("us", "Customers lookalike US", ("US",))
    request = AudienceRequest("all", "Customers", lookalikes=(spec,), guardrails=LOOSE)

    for commit in range(1 if end == "killed" else 3, MOST, STEP):
        world = World(tmp_path / str(commit), Shelf(LIMITS), requests=[request])
        with suppress(Killed, FatalError, sqlite3.OperationalError), dying(commit, ENDS[end]) as made:
            world.push(PEOPLE)
        world.reopen()
        world.push(PEOPLE)
        assert [one.spec.name for one in world.shelf.audiences.values() if one.lookalike_of] == [spec.name]
        assert world.push(PEOPLE).audiences[0]["lookalikes"][0]["state"] == "made"
        assert len(world.shelf.audiences) == 2
        world.ledger.close()
        if len(made) < commit:
            return
    pytest.fail("the push never got through")


def test_a_holdout_draws_the_same_people_however_often_it_is_cut_short(tmp_path: Path) -> None:
    request = AudienceRequest("all", "Customers", holdout=0.3, guardrails=LOOSE)
    for commit in range(1, 8, STEP // 2 + 1):
        world = World(tmp_path / str(commit), Shelf(LIMITS), requests=[request])
        kept = {row["audience"]: row for row in holdouts(world.ledger)}
        assert kept == {}
        with suppress(Killed), dying(commit):
            world.push(PEOPLE)
        early = world.shelf.members("Customers") if world.shelf.audiences else set()
        world.reopen()
        world.push(PEOPLE)
        sent = world.shelf.members("Customers")
        assert early <= sent
        assert 0 < len(sent) < len(PEOPLE)
        assert [one["share"] for one in holdouts(world.ledger)] == [0.3]
        assert world.push(PEOPLE).changed == 0
        world.ledger.close()


def test_results_pulled_again_after_a_cut_are_whole_and_single(tmp_path: Path) -> None:
    world = World(tmp_path)
    spans = [day(date(2026, month, 3), str(month)) for month in range(1, 11)]
    world.shelf.campaigns = spans

    def action() -> None:
        pull(world.ledger, [world.shelf.connect()], date(2026, 1, 1), date(2026, 11, 21), now=world.clock, again=True)

    def judge() -> None:
        assert read_results(world.ledger).column("spend").to_pylist() == [Decimal(month) for month in range(1, 11)]
        assert read_restatements(world.ledger).num_rows == 0

    cut(world, action, "killed", judge)


def test_predicted_values_cut_short_go_out_under_the_same_ids(tmp_path: Path) -> None:
    people: list[Person] = [person(number) for number in range(7)]
    for commit in range(1, MOST, STEP // 2 + 1):
        world = World(tmp_path / str(commit), Shelf(EVENTS))
        client = EventClient(world.shelf, "1")
        account = Account(client, IdentityRules(), "shop")
        orders = first_orders(world, {str(number): 1 for number in range(7)})

        def send(world: World = world, account: Account = account, orders: Any = orders) -> None:
            members = world.members(people)
            send_values(world.ledger, members, orders, [account], now=world.clock)
            members.close()

        with suppress(Killed), dying(commit) as made:
            send()
        world.reopen()
        send()
        send()
        ids = {(one["order_id"], one["event_id"]) for one in client.sent()}
        assert len(ids) == 7, "each order under one id, however often it was sent"
        assert len(client.sent()) <= 7 + EVENTS.value_batch_rows
        world.ledger.close()
        if len(made) < commit:
            return
    pytest.fail("the events never got through")
