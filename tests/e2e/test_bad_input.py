"""Bad input: one clear message with file, line or row and remedy, the right exit code, nothing half-written."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.conftest import clvsync

ORDERS = "customer_id,order_id,ordered_at,amount\n1,a,2026-01-01,10\n1,b,2026-02-01,12\n2,c,2026-01-15,7\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("customer,when\n1,2026-01-01\n", ["orders.csv", "no column", "amount"]),
        (ORDERS + "3,d,someday,5\n", ["orders.csv", "4", "ordered_at"]),
        (ORDERS + "3,d,2026-01-01,five\n", ["orders.csv", "4", "amount"]),
        ("", ["orders.csv"]),
        ("customer_id,order_id,ordered_at,amount\n", ["orders.csv"]),
    ],
)
def test_bad_orders_are_refused_with_the_place(tmp_path: Path, text: str, words: list[str]) -> None:
    (tmp_path / "orders.csv").write_text(text)
    found = clvsync("score", "--orders", "orders.csv", "--out", "scores.csv", cwd=tmp_path)
    assert found.returncode == 2, found.stderr
    assert found.stderr.count("error:") == 1
    for word in words:
        assert word in found.stderr
    assert "Traceback" not in found.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["orders.csv"]


def test_an_unknown_ending_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text(ORDERS)
    found = clvsync("score", "--orders", "orders.csv", "--out", "scores.xlsx", cwd=tmp_path)
    assert found.returncode == 2
    assert ".parquet or .csv" in found.stderr


def test_an_unknown_platform_is_refused_with_what_is_installed(tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text("email\na@example.com\n")
    found = clvsync("hash", "people.csv", "--platform", "myspace", cwd=tmp_path)
    assert found.returncode == 2
    assert "myspace" in found.stderr
    assert "meta" in found.stderr


@pytest.mark.parametrize("command", ["plan", "push", "run", "check", "status", "pull"])
def test_a_missing_config_folder_says_how_to_make_one(tmp_path: Path, command: str) -> None:
    found = clvsync(command, "--config", "nowhere", cwd=tmp_path)
    assert found.returncode == 2
    assert "clvsync init" in found.stderr + found.stdout
    assert list(tmp_path.iterdir()) == []


def test_missing_credentials_are_named_and_nothing_is_written(tmp_path: Path) -> None:
    assert clvsync("init", "config", cwd=tmp_path).returncode == 0
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "orders.csv").write_text(ORDERS)
    (tmp_path / "data" / "contacts.csv").write_text("customer_id,email\n1,a@example.com\n")
    found = clvsync("check", cwd=tmp_path, env={"COLUMNS": "240"})
    assert found.returncode == 2
    assert "META_ACCESS_TOKEN" in found.stdout
    assert "TIKTOK_ACCESS_TOKEN" in found.stdout
    assert not (tmp_path / "state").exists()


def test_init_never_overwrites(tmp_path: Path) -> None:
    assert clvsync("init", "config", cwd=tmp_path).returncode == 0
    again = clvsync("init", "config", cwd=tmp_path)
    assert again.returncode == 2
    assert "not empty" in again.stderr


def test_wrong_usage_is_exit_2(tmp_path: Path) -> None:
    assert clvsync("score", "--as-of", "yesterday", cwd=tmp_path).returncode == 2
    assert clvsync("no-such-command").returncode == 2
