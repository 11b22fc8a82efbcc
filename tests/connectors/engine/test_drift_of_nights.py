"""Ten nights in which every score moves a little: who changes tier, which values travel, when members are sent again."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import date
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from clv_core.tiers import TierRules, tiers
from connectors.engine.audience import AudienceRequest, ValueBand
from connectors.errors import FatalError
from tests.connectors.engine.platform import LIMITS, Shelf
from tests.connectors.engine.world import LOOSE, Person, World, person

HIGH = AudienceRequest("high", "Group 1", tiers=("high",), guardrails=LOOSE)
SEED = AudienceRequest(
    "seed", "Seed A", value_weighted=True, value_update="add", guardrails=LOOSE, value_band=ValueBand(share=0.10)
)
COUNT, NIGHTS = 1_000, 10


def nights_of(hysteresis: float) -> list[list[Person]]:
    """Everybody in each of ten nights, with 1% of noise on every customer's value."""
    draw = np.random.default_rng(11)
    lasting, ids, before = draw.lognormal(4, 1, COUNT), pa.array([str(number) for number in range(COUNT)]), None
    found = []
    for _ in range(NIGHTS):
        values = lasting * np.exp(draw.normal(0, 0.01, COUNT))
        tier = tiers(values, values, ids, TierRules(hysteresis=hysteresis), before)
        before = pa.table({"customer_id": ids, "tier": tier})
        found.append([person(number, value=float(values[number]), tier=tier[number].as_py()) for number in range(COUNT)])
    return found


def flips(nights: list[list[Person]]) -> list[int]:
    """How many customers enter or leave the high tier each night."""
    high = [{one.id for one in people if one.tier == "high"} for people in nights]
    return [len(before ^ after) for before, after in pairwise(high)]


def test_people_near_an_edge_do_not_flip_every_night(tmp_path: Path) -> None:
    without, held = nights_of(0.0), nights_of(0.02)
    assert sum(flips(without)) > 20
    assert flips(held) == [0] * (NIGHTS - 1)
    world = World(tmp_path, requests=(HIGH,))
    assert [world.push(people).changed for people in (held[0], held[4], held[9])] == [COUNT // 5, 0, 0]
    assert world.push(without[9]).changed == len(
        {one.id for one in without[9] if one.tier == "high"} ^ {one.id for one in held[9] if one.tier == "high"}
    )


def valued(factor: float) -> list[Person]:
    return [person(number, value=100.0 * factor) for number in range(20)]


def test_small_moves_of_value_cost_nothing_and_never_add_up_unseen(tmp_path: Path) -> None:
    world = World(tmp_path, requests=(SEED,))
    sent = [world.push(valued(1.015**night)).changed for night in (0, 1, 5, 6, 7, 8)]
    assert sent == [20, 0, 0, 0, 20, 0], "after seven nights of 1.5% the value is more than 10% off"
    told = {float(value or 0) for value in world.shelf.values("Seed A").values()}
    assert told == {round(100 * 1.015**7, 2)}


def test_a_value_of_cents_travels_only_when_it_moves_by_more_than_the_amount(tmp_path: Path) -> None:
    world = World(tmp_path, requests=(SEED,))
    world.push([person(number, value=2.0) for number in range(20)])
    assert world.push([person(number, value=2.9) for number in range(20)]).changed == 0
    assert world.push([person(number, value=3.1) for number in range(20)]).changed == 20


@pytest.mark.parametrize("membership", [2, 30, 540])
def test_no_membership_runs_out_with_a_run_every_night(tmp_path: Path, membership: int) -> None:
    world = World(tmp_path, Shelf(replace(LIMITS, membership_days=membership)), requests=(HIGH,))
    people, last, renewals = [person(number) for number in range(10)], 0, 0
    nights = {2: [0, 1, 2], 30: [0, 22, 23, 24, 45, 46, 47], 540: [0, 509, 510, 511, 1019, 1020, 1021]}[membership]
    for night in nights:
        world.clock.advance(days=night - last if night else 0)
        outcome = world.push(people)
        if outcome.changed and night:
            renewals += 1
        held_since = world.ledger.audiences()[0]
        assert held_since["rows"] == 10
        age = world.clock().date() - sent_on(world)
        assert age.days < membership
        last = night
    assert renewals == 2


def sent_on(world: World) -> date:
    import pyarrow.parquet as parquet

    days: list[date] = parquet.read_table(world.ledger.snapshot_path(world.ledger.audiences()[0]))["sent_on"].to_pylist()
    return min(days)


def test_adds_come_before_removals(tmp_path: Path) -> None:
    world = World(tmp_path, requests=(HIGH,))
    world.push([person(number) for number in range(30)])
    before = len(world.shelf.log)
    world.push([person(number) for number in range(15, 55)])
    kinds = [one["operation"] for one in world.shelf.log[before:]]
    assert kinds == sorted(kinds)
    assert set(kinds) == {"add", "remove"}


HOLDER = """
import sys, time
from datetime import datetime, UTC
from pathlib import Path
from connectors.engine.ledger import open_ledger
with open_ledger(Path(sys.argv[1])).run("push", datetime.now(UTC)):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_lock_dies_with_its_process(tmp_path: Path) -> None:
    world = World(tmp_path, requests=(HIGH,))
    people = [person(number) for number in range(5)]
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path / "state")], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(Exception, match="another run holds"):
        world.push(people)
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait(20)
    holder.stdout.close()
    assert world.push(people).changed == 5


def test_a_disk_that_can_not_lock_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path, requests=(HIGH,))

    def refuse(handle: object, how: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(FatalError, match="can't be locked"):
        world.push([person(1)])
    assert world.shelf.log == []
