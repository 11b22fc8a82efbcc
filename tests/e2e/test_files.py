"""`score`, `backtest` and `hash` on files outside the project, in an empty folder, without config."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow.parquet as parquet
import pytest

from tests.e2e.conftest import clvsync

CDNOW = Path(__file__).parents[2] / "connectors" / "demo" / "cdnow.parquet"
SCORES = (
    "customer_id frequency recency T monetary_value p_alive expected_orders expected_value clv clv_low clv_high value_to_date "
    "lifetime_value seed_value currency percentile tier lifecycle_stage model as_of"
).split()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copyfile(CDNOW, tmp_path / "orders.parquet")
    return tmp_path


def test_score_writes_the_scores_table(folder: Path) -> None:
    found = clvsync("score", "--orders", "orders.parquet", "--out", "scores.parquet", "--json", cwd=folder)
    assert found.returncode == 0, found.stderr
    table = parquet.read_table(folder / "scores.parquet")
    assert table.column_names == SCORES
    assert table.num_rows == json.loads(found.stdout)["customers"] == 23570


def test_backtest_sets_models_and_heuristics_side_by_side(folder: Path) -> None:
    found = clvsync(
        "backtest", "--orders", "orders.parquet", "--split", "1997-09-30", "--horizon-days", "273", "--json", cwd=folder
    )
    assert found.returncode == 0, found.stderr
    rows = {row["model"]: row for row in json.loads(found.stdout)["models"]}
    assert {"bg_nbd", "mbg_nbd", "pareto_nbd"} < set(rows)
    assert sum(row["chosen"] for row in rows.values()) == 1
    assert rows["bg_nbd"]["log_likelihood"] == pytest.approx(-95368.4439, abs=1e-3)
    figures = {
        "model",
        "spearman",
        "gini",
        "top10_capture",
        "top20_capture",
        "decile_wape",
        "bias",
        "mae",
        "log_likelihood",
        "chosen",
    }
    assert figures <= set(rows["bg_nbd"])


def test_hash_keeps_file_order_and_exit_0_with_bad_values(tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text("email,phone,country\nmary@example.com,+15559876543,US\nnonsense,HELP,\n")
    found = clvsync("hash", "people.csv", "--platform", "meta", cwd=tmp_path)
    assert found.returncode == 0
    first, second = (json.loads(line) for line in found.stdout.splitlines())
    assert first["row"] == 1
    assert first["fields"]["email"] == [{"sha256": "f1904cf1a9d73a55fa5de0ac823c4403ded71afd4c3248d00bdcd0866552bb79"}]
    assert first["fields"]["phone"] == [{"sha256": "1ef970831d7963307784fa8688e8fce101a15685d62aa765fed23f3a2c576a4e"}]
    assert "invalid" in second["fields"]["email"][0]
    assert "invalid" in second["fields"]["phone"][0]
    assert "mary" not in found.stderr + found.stdout


def test_a_fall_back_is_named_as_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text("customer_id,date,spend\n1,2026-01-01,10\n")
    found = clvsync("score", "--orders", "orders.csv", "--out", "scores.csv", "--json", cwd=tmp_path)
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout)["model"] == "steady_rate"
    assert "steady_rate" in (tmp_path / "scores.csv").read_text()
