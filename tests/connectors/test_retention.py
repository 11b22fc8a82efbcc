"""What the state folder lets go on schedule, and what it keeps for as long as somebody may have to be removed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from connectors import clicks, experiments, retention, tables
from connectors.archive import Archive
from connectors.config.sources import Retention
from connectors.engine.audience import Account, AudienceRequest
from connectors.engine.forget import forget
from connectors.engine.leftover import Lifecycle
from tests.connectors.engine.platform import LIMITS, Shelf
from tests.connectors.engine.world import LOOSE, World, person, row

if TYPE_CHECKING:
    from pathlib import Path

PEOPLE = [person(number) for number in range(20)]
OLD = AudienceRequest("old", "Group 1", guardrails=LOOSE)
NONE = AudienceRequest("new", "Group 2", guardrails=LOOSE, where="false")
HERE, ELSEWHERE = frozenset({("shelf", "1")}), frozenset({("shelf", "2")})


@dataclass
class Settings:
    state: Path
    sources: Any = field(default_factory=lambda: SimpleNamespace(retention=Retention()))


def expire(world: World, accounts: frozenset[tuple[str, str]] = HERE) -> list[str]:
    with world.ledger.run("job", world.clock()):
        lifecycle = Lifecycle((NONE,), accounts=accounts)
        return retention.expire(Settings(world.folder / "state"), world.ledger, lifecycle, world.clock())  # type: ignore[arg-type]


def days(world: World, count: float) -> None:
    world.clock.advance(hours=24 * count)


def test_the_snapshot_of_an_audience_that_left_config_stays_while_it_lives(tmp_path: Path) -> None:
    world = World(tmp_path, requests=(OLD,))
    world.push(PEOPLE)
    world.requests = (NONE,)
    world.push(PEOPLE, lifecycle=Lifecycle((NONE,), accounts=HERE))
    days(world, 5000)
    assert expire(world) == []
    world.push(PEOPLE[1:], lifecycle=Lifecycle((NONE,), accounts=HERE))
    assert world.shelf.members("Group 1") == {row(one) for one in PEOPLE[1:]}, "years later they can still leave"


def test_members_whose_time_is_over_leave_the_snapshot_of_an_audience_that_left_config(tmp_path: Path) -> None:
    world = World(tmp_path, Shelf(replace(LIMITS, membership_days=100)), requests=(OLD,))
    world.push(PEOPLE[:12])
    days(world, 60)
    world.push(PEOPLE)
    world.requests = (NONE,)
    world.push(PEOPLE, lifecycle=Lifecycle((NONE,), accounts=HERE))
    days(world, 41)
    expire(world)
    assert world.ledger.audiences()[0]["rows"] == 20, "two days more than the platform's hundred"
    days(world, 2)
    expire(world)
    assert world.ledger.audiences()[0]["rows"] == 8
    days(world, 60)
    expire(world)
    assert world.ledger.audiences()[0]["rows"] == 0


def test_what_was_sent_to_a_lost_account_goes_and_should_it_return_the_audience_is_made_anew(
    tmp_path: Path,
) -> None:
    world = World(tmp_path, requests=(OLD,))
    world.push(PEOPLE)
    assert expire(world, ELSEWHERE) == []
    days(world, 89)
    assert expire(world, ELSEWHERE) == []
    assert world.ledger.audiences()[0]["rows"] == 20
    days(world, 2)
    (note,) = expire(world, ELSEWHERE)
    assert "90 days after its account left platforms.yaml; its 20 members stay" in note
    assert [path for path in (tmp_path / "state" / "snapshots").iterdir() if path.is_file()] == []
    outcome = forget(world.ledger, ["3"], [], work=tmp_path / "forget", now=world.clock)
    assert (outcome["exit_code"], outcome["left"]) == (1, 1), "nobody can say that they are gone"
    first = world.shelf.named("Group 1").id
    world.push(PEOPLE, lifecycle=Lifecycle((OLD,), accounts=HERE))
    assert world.shelf.named("Group 1").id != first
    assert world.shelf.members("Group 1") == {row(one) for one in PEOPLE if one.id != "3"}
    account = Account(world.shelf.connect(), world.rules)
    assert forget(world.ledger, ["3"], [account], work=tmp_path / "forget", now=world.clock)["left"] == 0


def test_an_account_that_is_back_in_time_goes_on(tmp_path: Path) -> None:
    world = World(tmp_path, requests=(OLD,))
    world.push(PEOPLE)
    expire(world, ELSEWHERE)
    days(world, 30)
    assert world.push(PEOPLE, lifecycle=Lifecycle((OLD,), accounts=HERE)).changed == 0
    days(world, 80)
    expire(world, ELSEWHERE)
    assert world.ledger.audiences()[0]["rows"] == 20, "the clock began anew"


def test_runs_are_kept_for_as_long_as_config_says_and_the_newest_scores_in_any_case(tmp_path: Path) -> None:
    archive, start = Archive(tmp_path, days=10), datetime(2026, 1, 1, tzinfo=UTC)
    scores = pa.table({"customer_id": ["1"]})
    for day in (0, 1, 12):
        archive.start(start + timedelta(days=day)).keep("scores", scores)
    assert [run.id[:8] for run in archive.runs()] == ["20260102", "20260113"], "the newest scores were those of the 2nd"
    (tmp_path / "runs" / archive.runs()[0].id / ".scores.parquet.part").write_bytes(b"half")
    archive.start(start + timedelta(days=90))
    assert [run.id[:8] for run in archive.runs()] == ["20260113", "20260401"]
    assert list((tmp_path / "runs").glob("*/.*")) == []


def test_clicks_trials_and_the_journal_do_not_grow_for_ever(tmp_path: Path) -> None:
    world = World(tmp_path, requests=(OLD,))
    for _ in range(3):
        days(world, 300)
        world.push(PEOPLE)
        world.push(PEOPLE[5:])
    known = {name: ["x", "y"] for name in clicks.COLUMNS} | {"day": ["2026-11-01", "2029-01-01"]}
    tables.keep(pa.table(known), tmp_path / "state" / clicks.FILE, None)
    keys = [world.ledger.member_key(str(number)) for number in range(4)]
    since = [date(2026, 1, 1), date(2026, 1, 1), date(2029, 1, 1), date(2026, 1, 1)]
    told = {"audience": ["gone", "on", "gone", "gone"], "held_out": [True] * 4, "share": [0.1] * 4}
    trial = pa.table({"member_key": pa.array(keys, pa.binary(16)), "since": since, **told})
    tables.keep(trial.select(experiments.COLUMNS), tmp_path / "state" / experiments.FILE, None)
    with world.ledger.run("job", world.clock()):
        on = AudienceRequest("on", "Group 3", holdout=0.1)
        retention.expire(Settings(tmp_path / "state"), world.ledger, Lifecycle((on, OLD), accounts=HERE), world.clock())  # type: ignore[arg-type]
    left = clicks.read(tmp_path / "state")
    assert left is not None
    assert left["day"].to_pylist() == ["2029-01-01"]
    kept = tables.kept(tmp_path / "state" / experiments.FILE, None)
    assert kept is not None
    assert sorted(kept["audience"].to_pylist()) == ["gone", "on"]
    counts = {name: world.ledger.journal.one(f"SELECT count(*) AS n FROM {name}") for name in ("deliveries", "batches")}
    assert all(counts.values())
    assert world.ledger.journal.one("SELECT min(created_at) > '2027-10' AS late FROM deliveries") == {"late": 1}
    assert len(world.shelf.members("Group 1")) == 15
