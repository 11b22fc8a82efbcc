"""Who an audience selects: tiers, stages, SQL conditions that can reach nothing, holdouts that stay the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from connectors.engine.audience import AudienceRequest
from connectors.engine.holdout import held_out
from connectors.engine.selection import _closed, check_condition
from connectors.errors import ConfigurationError
from tests.connectors.engine.world import LOOSE, World, person, row

PEOPLE = [
    person(1, tier="high", stage="active", value=100.0),
    person(2, tier="high", stage="lapsed", value=50.0, contact={"country": "US", "city": "Boston"}),
    person(3, tier="low", stage="lapsed", value=1.0),
]


@pytest.mark.parametrize(
    ("who", "ids"),
    [
        ({}, [1, 2, 3]),
        ({"tiers": ("high",)}, [1, 2]),
        ({"tiers": ("high",), "stages": ("lapsed",)}, [2]),
        ({"where": "clv > 10 AND city = 'Boston'"}, [2]),
        ({"where": "city = 'Boston' OR clv < 5"}, [2, 3]),
        ({"where": "city = 'Boston' OR clv < 5", "tiers": ("high",)}, [2]),
        ({"where": "city IS NULL"}, [1, 3]),
        ({"where": "customer_id IN (SELECT '3')"}, [3]),
    ],
)
def test_who_is_selected(tmp_path: Path, who: dict[str, Any], ids: list[int]) -> None:
    world = World(tmp_path, requests=(AudienceRequest("a", "Some", guardrails=LOOSE, **who),))
    world.push(PEOPLE)
    assert world.shelf.members("Some") == {row(PEOPLE[number - 1]) for number in ids}


@pytest.mark.parametrize(
    "where",
    [
        "clv > ",
        "clv > 1; DROP TABLE members",
        "1) OR (1 = 1",
        "no_such_column = 1",
        "customer_id IN (SELECT content FROM read_text('/etc/passwd'))",
        "customer_id IN (SELECT * FROM '/etc/passwd')",
        "EXISTS (SELECT 1 FROM read_csv('/etc/hosts'))",
    ],
)
def test_conditions_that_are_no_condition_or_reach_for_files_are_refused(tmp_path: Path, where: str) -> None:
    world = World(tmp_path, requests=(AudienceRequest("a", "Some", where=where),))
    with pytest.raises(ConfigurationError):
        world.plan(PEOPLE)


COLUMNS = pa.schema([("clv", pa.float64()), ("country", pa.string())])


def test_a_condition_can_be_checked_without_people() -> None:
    check_condition(AudienceRequest("a", "Some", where="clv > 1 AND country = 'US'"), COLUMNS)
    with pytest.raises(ConfigurationError, match="audience a"):
        check_condition(AudienceRequest("a", "Some", where="missing = 1"), COLUMNS)


def test_the_holdout_is_stable_near_its_share_and_drawn_apart_per_audience() -> None:
    ids = [str(number) for number in range(20_000)]
    first = held_out(ids, "salt one", 0.1)
    assert first == held_out(ids, "salt one", 0.1)
    assert 1_850 < sum(first) < 2_150
    assert all(a <= b for a, b in zip(first, held_out(ids, "salt one", 0.2), strict=True))
    other = held_out(ids, "salt two", 0.1)
    assert 120 < sum(a and b for a, b in zip(first, other, strict=True)) < 290
    assert sum(held_out(ids, "salt one", 0.0)) == 0
    assert sum(held_out(ids, "salt one", 1.0)) == 20_000


def test_a_condition_may_need_more_than_memory_and_still_reaches_no_file(tmp_path: Path) -> None:
    connection = _closed(tmp_path)
    [(spill,)] = connection.execute("SELECT current_setting('temp_directory')").fetchall()
    assert Path(spill).parent == tmp_path
    for reaching in (
        f"SELECT * FROM read_text('{Path(__file__)}')",
        "SET temp_directory = '/'",
        "SET enable_external_access = true",
    ):
        with pytest.raises(duckdb.Error):
            connection.execute(reaching)
    connection.close()
