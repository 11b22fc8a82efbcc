"""`clvsync score` with config: countries of contacts, engagement, tiers held since the last run, who the customers are."""

from __future__ import annotations

import json
import re
import shutil
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from click.testing import CliRunner

from connectors import paperwork
from connectors.archive import Archive
from connectors.cli import commands
from connectors.config import load
from connectors.errors import ConfigurationError
from tests.clv_core.bases import shop

STARTER = Path(__file__).parents[2] / "config"
SOURCES = """
as_of: last_order
orders: {path: orders.csv}
contacts: {path: contacts.csv}
engagement: {path: events.csv}
currency: USD
state: state
"""
MODEL = """
candidates: [mbg_nbd]
horizon_days: 90
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("config")
    rows = shop(150, 60, seed=5)
    (out / "orders.csv").write_text(
        "customer_id,order_id,ordered_at,amount\n" + "".join(f"{a},{n},{b},{c}\n" for n, (a, b, c) in enumerate(rows))
    )
    ids = sorted({who for who, _, _ in rows})
    (out / "contacts.csv").write_text(
        "customer_id,country\n" + "".join(f"{one},{'DE' if n % 3 else 'US'}\n" for n, one in enumerate(ids))
    )
    seen = [f"{ids[0]},2023-02-01,email_open,email,hello\n", "zoe,2023-02-01,email_open,email,hello\n"]
    (out / "events.csv").write_text("customer_id,at,kind,tactic,message\n" + "".join(seen))
    (out / "sources.yaml").write_text(SOURCES)
    (out / "model.yaml").write_text(MODEL)
    for name in ("audiences", "platforms"):
        shutil.copyfile(STARTER / f"{name}.yaml", out / f"{name}.yaml")
    return out


def scored(folder: Path, *more: str) -> dict[str, Any]:
    found = CliRunner().invoke(commands, ["score", "--config", str(folder), "--json", *more])
    assert found.stdout, found.output
    document: dict[str, Any] = json.loads(found.stdout)
    return document


def test_json_says_who_the_customers_are(folder: Path) -> None:
    found = scored(folder)
    assert sum(row["customers"] for row in found["stages"]) == 151
    assert (found["customers"], found["prospects"]) == (150, 1), "who never bought is no customer"
    assert sum(row["share_of_customers"] for row in found["tiers"]) == pytest.approx(1)
    assert found["stages"][0] | {"customers": 1, "stage": "prospect"} == found["stages"][0]
    tiers = {row["tier"]: row for row in found["profiles"]}
    assert set(tiers) == {"high", "middle", "low"}
    assert {one["label"] for one in tiers["middle"]["countries"]} == {"DE", "US"}
    assert tiers["low"]["why"]
    assert found["churn"] == [found["churn"][0] | {"tactic": "email", "message": "hello", "customers": 2, "buyers": 1}]
    assert found["movements"] == []  # no run has been kept yet


def test_totals_come_with_the_range_in_which_they_will_lie(folder: Path) -> None:
    found = scored(folder)
    tiers, whole = found["tiers"], found["total"]
    for row in (*tiers, whole):
        assert 0 <= row["clv_low"] < row["clv"] < row["clv_high"]
    assert whole["clv"] == pytest.approx(sum(row["clv"] for row in tiers))
    assert whole["clv_high"] < sum(row["clv_high"] for row in tiers)  # what tiers don't share evens out
    by_stage = [row for row in found["stages"] if row["stage"] != "prospect"]
    assert all(row["predicted_low"] < row["predicted_clv"] < row["predicted_high"] for row in by_stage)


def test_tiers_are_held_and_moves_counted_since_the_last_run(folder: Path) -> None:
    from connectors import scored as core
    from connectors.sources import nobody

    settings = load(folder)
    checked = core.transactions(settings)
    earlier = core.of_transactions(settings, checked, date(2023, 12, 1), contacts=nobody())
    Archive.of(settings).start(datetime(2024, 1, 1, tzinfo=UTC)).keep("scores", earlier.scores.table)
    found = scored(folder)
    assert sum(row["customers"] for row in found["movements"]) == 151
    assert {row["from_tier"] for row in found["movements"]} > {"high"}


def test_the_console_says_it_in_words(folder: Path) -> None:
    found = CliRunner().invoke(commands, ["score", "--config", str(folder)])
    assert "prospect" in found.stdout
    assert "low tier: " in found.stdout
    assert re.search(r"All together [\d,]+, 90% sure: [\d,]+ to [\d,]+\. The tiers' ranges don't add up", found.stdout)


def test_stages_follow_the_config(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "config")
    before = {row["stage"]: row["customers"] for row in scored(folder)["stages"]}
    (tmp_path / "config" / "model.yaml").write_text(
        MODEL + "stages: {lapsed_alive: 0, lapsed_gaps: 1000, at_risk_gaps: 1000}\n"
    )
    after = {row["stage"]: row["customers"] for row in scored(tmp_path / "config")["stages"]}
    assert before["lapsed"] > 0
    assert "lapsed" not in after
    (tmp_path / "config" / "model.yaml").write_text(MODEL + "stages: {lapsed_alive: 0.6}\n")
    with pytest.raises(ConfigurationError, match=r"model.yaml:4:1: stages: lapsed comes after at risk"):
        load(tmp_path / "config")


def test_a_run_on_the_same_input_moves_nobody(tmp_path: Path) -> None:
    archive, facts = Archive(tmp_path), dict.fromkeys(paperwork.FACTS) | {"fingerprint": "same"}
    first, second = (archive.start(datetime(2024, 1, day, tzinfo=UTC)) for day in (1, 2))
    rows = {"customer_id": ["a", "b"], "tier": ["high", "low"], "clv": [9.0, 1.0]}
    first.keep("scores", pa.table(rows))
    first.keep("movements", pa.table({"from_tier": ["low"], "to_tier": ["high"], "customers": [1], "clv": [9.0]}))
    first.note(**facts, audiences=[])
    assert paperwork.take_over(second, first, "other") is None
    assert paperwork.take_over(second, first, "same") is not None
    moved = second.table("movements")
    assert moved is not None
    assert [(row["from_tier"], row["to_tier"], row["customers"]) for row in moved.to_pylist()] == [
        ("high", "high", 1), ("low", "low", 1),
    ]  # fmt: skip


def test_a_plan_in_between_hides_neither_who_moved_nor_what_was_sent(tmp_path: Path) -> None:
    archive, facts = Archive(tmp_path), dict.fromkeys(paperwork.FACTS) | {"fingerprint": "same"}
    done, planned, now = (archive.start(datetime(2024, 1, day, tzinfo=UTC)) for day in (1, 2, 3))
    for one in (done, planned):
        one.keep("scores", pa.table({"customer_id": ["a"], "tier": ["high"], "clv": [9.0]}))
        one.note(**facts)
    done.note(audiences=[])
    planned.keep("movements", pa.table({"from_tier": ["low"], "to_tier": ["high"], "customers": [1], "clv": [9.0]}))
    assert paperwork.take_over(now, planned, "same") is not None
    moved = now.table("movements")
    assert moved is not None
    assert moved["from_tier"].to_pylist() == ["low"]
    assert archive.last(before=now) == planned
    assert archive.last(before=now, done=True) == done


def test_an_order_of_a_mistyped_year_moves_neither_the_day_nor_the_age_of_the_source(folder: Path, tmp_path: Path) -> None:
    from connectors import scored as core

    shutil.copytree(folder, tmp_path / "c")
    with (tmp_path / "c" / "orders.csv").open("a") as orders:
        orders.write("typo,999999,2199-01-01,5\n")
    before, after = scored(folder), scored(tmp_path / "c")
    assert after["as_of"] == before["as_of"]
    assert [one["clv"] for one in after["tiers"]] == pytest.approx([one["clv"] for one in before["tiers"]])
    [note] = [one for one in after["warnings"] if "don't count" in one]
    assert note.startswith("1 orders are dated after")
    assert "2199-01-01" in note
    assert not any("don't count" in one for one in before["warnings"])
    checked = core.transactions(load(tmp_path / "c"))
    assert str(core.newest(checked)) == before["as_of"]
    assert core.newest(checked, lambda: datetime(2199, 1, 1, tzinfo=UTC)) == date(2199, 1, 1)
    assert core.newest(checked, lambda: datetime(1999, 1, 1, tzinfo=UTC)) == date(2199, 1, 1), "all of a made-up base's future"
