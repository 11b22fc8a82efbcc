"""The whole job with predicted values and write-back on, against the three sandboxes over their real clients."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as parquet
import pytest
from click.testing import CliRunner

from connectors import config, job
from connectors.commands.sandbox import sandboxes
from connectors.commands.sync import run_command
from connectors.demo import starter

DATASET, ACTION, PIXEL = "900100", "777001", "C4ABCDEFGH0123456789"
SANDBOXES = ("meta", "google", "tiktok")
AUDIENCES = """
guardrails: {min_size: 0}
audiences:
  - {name: best, title: Group 1, who: {tiers: [high]}, platforms: [google]}
  - {name: german, title: Group 2, who: {where: "country = 'DE'"}, platforms: [google]}
"""
NEW = 40


def orders(now: datetime) -> str:
    """300 customers of a year and 40 whose first order is one to five days old."""
    draw = random.Random(4)
    rows = ["customer_id,order_id,ordered_at,amount"]
    for customer in range(300):
        for number in range(draw.randint(1, 8)):
            at = now - timedelta(days=draw.uniform(12, 365))
            rows.append(f"c{customer},c{customer}-{number},{at.isoformat()},{draw.uniform(5, 80):.2f}")
    for customer in range(NEW):
        at = now - timedelta(days=draw.uniform(1.6, 5))
        rows.append(f"n{customer},n{customer}-0,{at.isoformat()},{draw.uniform(5, 80):.2f}")
    return "\n".join(rows)


def contacts() -> str:
    names = [f"c{number}" for number in range(300)] + [f"n{number}" for number in range(NEW)]
    rows = ["customer_id,email,country"]
    rows += [f"{one},{one}@example.com,{'DE' if one.endswith('7') else 'US'}" for one in names]
    return "\n".join(rows)


def platforms(addresses: dict[str, dict[str, str]]) -> str:
    return f"""
meta:
  api_base: {addresses["meta"]["address"]}
  credentials: anonymous
  accounts: [{{account_id: "111", currency: USD, predicted_value: {{dataset_id: "{DATASET}"}}}}]
google:
  data_manager_endpoint: {addresses["google"]["data_manager"]}
  ads_endpoint: {addresses["google"]["ads"]}
  credentials: anonymous
  accounts: [{{account_id: "1234567890", predicted_value: {{action: "{ACTION}"}}}}]
tiktok:
  api_base: {addresses["tiktok"]["address"]}
  credentials: anonymous
  accounts: [{{account_id: "7000000000000000001", predicted_value: {{pixel_code: {PIXEL}, page_url: "https://shop.example/"}}}}]
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, Any]]]:
    folder = tmp_path_factory.mktemp("signals") / "config"
    with sandboxes(SANDBOXES) as (running, addresses):
        running["google"].store.actions = {ACTION}  # type: ignore[attr-defined]
        starter.write(folder)
        data = folder.parent / "data"
        data.mkdir()
        (data / "orders.csv").write_text(orders(datetime.now(UTC)))
        (data / "contacts.csv").write_text(contacts())
        (folder / "audiences.yaml").write_text(AUDIENCES)
        (folder / "platforms.yaml").write_text(platforms(addresses))
        (folder / "model.yaml").write_text("horizon_days: 90\ncandidates: [mbg_nbd]\ngate: {enabled: false}\n")
        text = (folder / "sources.yaml").read_text()
        (folder / "sources.yaml").write_text(f"{text}\nwrite_back: {{path: ../scores.parquet}}\n")
        yield folder, running


def quiet(what: str, done: int, total: int) -> None:
    """No progress is shown."""


def run(folder: Path) -> job.Outcome:
    return job.run(config.load(folder), shown=quiet)


def test_values_arrive_once_and_apart_from_purchases(world: tuple[Path, dict[str, Any]]) -> None:
    folder, running = world
    outcome = run(folder)
    lines = {one["platform"]: one for one in outcome.signals}
    assert outcome.exit_code == 0, (lines, outcome.audiences)
    may_be_sent = NEW - sum(str(number).endswith("7") for number in range(NEW))
    assert {name: (one["customers"], one["sent"]) for name, one in lines.items()} == dict.fromkeys(
        SANDBOXES, (may_be_sent, may_be_sent)
    )
    assert (lines["meta"]["accepted"], lines["google"]["pending"], lines["tiktok"]["accepted"]) == (may_be_sent,) * 3

    values = {
        row["customer_id"]: round(row["clv"], 2) for row in parquet.read_table(folder.parent / "scores.parquet").to_pylist()
    }
    meta, google, tiktok = (running[name] for name in SANDBOXES)
    for event in meta.events:
        customer = event["original_event_data"]["order_id"].removesuffix("-0")
        assert event["custom_data"]["predicted_ltv"] == pytest.approx(values[customer], abs=0.011)
    assert {event["event_name"] for event in meta.events} == {"AppendValue"}
    assert not any("value" in event["custom_data"] for event in meta.events)
    assert {event["dataset"] for event in meta.events} == {DATASET}
    assert {event["event"] for event in tiktok.events} == {"PredictedValue"}
    assert {one["bucket"] for one in google.store.events} <= {1, 2, 3}
    assert len(google.store.events) == len(tiktok.events) == len(meta.events) == may_be_sent

    google.clock.advance(hours=2)
    again = run(folder)
    later = {one["platform"]: one for one in again.signals}
    assert [(one["sent"], one["sent_before"]) for one in again.signals] == [(0, may_be_sent)] * 3
    assert (later["google"]["accepted"], later["google"]["settled"], later["google"]["pending"]) == (
        may_be_sent,
        may_be_sent,
        0,
    )
    assert len(google.store.events) == len(tiktok.events) == len(meta.events) == may_be_sent


def test_membership_goes_back_and_the_erased_do_not(world: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = world
    told = CliRunner().invoke(run_command, ["--config", str(folder), "--json"])
    document = json.loads(told.stdout)
    assert {one["event"] for one in document["signals"]} == {"AppendValue", "conversion", "PredictedValue"}
    assert document["written_back"] == {"place": "../scores.parquet", "rows": 340, "exit_code": 0, "detail": ""}
    rows = {row["customer_id"]: row for row in parquet.read_table(folder.parent / "scores.parquet").to_pylist()}
    assert all(("best" in row["audiences"]) == (row["tier"] == "high") for one, row in rows.items() if not one.endswith("7"))
    assert all(row["audiences"] == [] for one, row in rows.items() if one.endswith("7")), "without consent: no audience"
    notes = job.forget(config.load(folder), ["n1"], shown=quiet)["notes"]
    assert "1 rows were taken out of ../scores.parquet" in notes
    text = CliRunner().invoke(run_command, ["--config", str(folder)]).stdout
    assert "Predicted values to meta 111 (AppendValue): 0 sent, 0 accepted, 0 rejected, 0 pending, 0 unknown\n" in text
    assert "Written back: 339 customers to ../scores.parquet\n" in text
    assert "n1" not in parquet.read_table(folder.parent / "scores.parquet")["customer_id"].to_pylist()


def test_what_the_gate_refuses_goes_nowhere(world: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = world
    run(folder)
    before = (folder.parent / "scores.parquet").stat().st_mtime_ns
    strict = "horizon_days: 90\ncandidates: [mbg_nbd]\ngate: {lowest_ratio: 50, highest_ratio: 60}\n"
    (folder / "model.yaml").write_text(strict)
    outcome = run(folder)
    assert outcome.refusals
    assert (outcome.signals, outcome.written_back) == ([], {})
    assert (folder.parent / "scores.parquet").stat().st_mtime_ns == before
