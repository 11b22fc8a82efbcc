"""People's rights through the whole job: erased from scores to come too, sealed state, audiences that leave config."""

from __future__ import annotations

import base64
import hashlib
import json
import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from connectors import config, job
from connectors.commands.sandbox import sandboxes
from connectors.commands.status import forget_command, status_command
from connectors.commands.sync import plan_command, push_command, run_command
from connectors.demo import starter
from connectors.engine.holdout import held_out
from connectors.errors import ConfigurationError

ERASED = ("customer-11", "customer-23")
AUDIENCES = """
guardrails: {min_size: 0}
audiences:
  - {name: everyone, title: Group 1, platforms: [meta], holdout: 0.1}
  - {name: second, title: Group 2, platforms: [meta]}
"""
FEWER = """
guardrails: {min_size: 0}
audiences:
  - {name: second, title: Group 2, platforms: [meta]}
"""


def orders(more: bool = False) -> str:
    draw, now = random.Random(4), datetime.now(UTC)
    rows = ["customer_id,order_id,ordered_at,amount"]
    for customer in range(260):
        for number in range(draw.randint(1, 6)):
            at = now - timedelta(days=draw.uniform(2, 365))
            rows.append(f"customer-{customer},o{customer}-{number},{at.isoformat()},{draw.uniform(5, 80):.2f}")
    if more:
        rows += [f"{one},late-{one},{(now - timedelta(days=1.5)).isoformat()},20" for one in ("customer-1", *ERASED)]
    return "\n".join(rows)


def contacts() -> str:
    rows = [f"customer-{one},person{one}@example.com,+1212{one:07d},US" for one in range(260)]
    return "\n".join(["customer_id,email,phone,country", *rows])


def quiet(what: str, done: int, total: int) -> None:
    """No progress is shown."""


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, Any]]:
    folder = tmp_path / "config"
    monkeypatch.setenv("STATE_KEY", "a long secret of the shop")
    with sandboxes(("meta",)) as (running, addresses):
        starter.write(folder)
        data = tmp_path / "data"
        data.mkdir()
        (data / "orders.csv").write_text(orders())
        (data / "contacts.csv").write_text(contacts())
        (folder / "audiences.yaml").write_text(AUDIENCES)
        account = '{account_id: "111", currency: USD}'
        (folder / "platforms.yaml").write_text(
            f"meta: {{api_base: '{addresses['meta']['address']}', credentials: anonymous, accounts: [{account}]}}\n"
        )
        (folder / "model.yaml").write_text("horizon_days: 90\ncandidates: [mbg_nbd]\ngate: {enabled: false}\n")
        text = (folder / "sources.yaml").read_text()
        (folder / "sources.yaml").write_text(f"{text}\nencryption_key: env:STATE_KEY\n")
        yield folder, running["meta"]


def run(folder: Path) -> job.Outcome:
    outcome = job.run(config.load(folder), shown=quiet)
    assert outcome.exit_code == 0, [(one["audience"], one["state"], one["detail"]) for one in outcome.audiences]
    return outcome


def told(command: click.Command, folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(command, [*arguments, "--config", str(folder)], standalone_mode=False)


def traces(folder: Path, sandbox: Any) -> list[str]:
    """Files of the state folder, or the sandbox, in which anything of the erased or an id of a customer can be found."""
    needles = [one.encode() for one in ERASED]
    for one in ERASED:
        number = int(one.removeprefix("customer-"))
        for text in (f"person{number}@example.com", f"1212{number:07d}", f"+1212{number:07d}"):
            hashed = hashlib.sha256(text.encode())
            needles += [text.encode(), hashed.digest(), hashed.hexdigest().encode(), base64.b64encode(hashed.digest())]
    held = {path.name: path.read_bytes() for path in (folder.parent / "state").rglob("*") if path.is_file()}
    held["sandbox"] = json.dumps(sandbox.state()["audiences"]).encode()
    return sorted(name for name, content in held.items() for needle in needles if needle in content)


def tables(folder: Path) -> list[Any]:
    """All tables of all runs, opened with the key."""
    from connectors.archive import Archive

    archive = Archive.of(config.load(folder))
    return [table for one in archive.runs() for path in one.folder.glob("*.sealed") if (table := one.table(path.stem))]


def test_the_erased_are_in_no_table_of_any_run_also_when_the_source_still_has_them(world: tuple[Path, Any]) -> None:
    folder, meta = world
    run(folder)
    state = folder.parent / "state"
    assert not list(state.rglob("*.parquet")), "with a key, every table of customers is sealed"
    assert any(
        one in table["customer_id"].to_pylist()
        for one in ERASED
        for table in tables(folder)
        if "customer_id" in table.column_names
    )
    with closing(sqlite3.connect(state / "journal.sqlite")) as journal:
        [[salt]] = journal.execute("SELECT salt FROM holdouts WHERE audience = 'everyone'").fetchall()
    answer = told(forget_command, folder, *ERASED, "--json")
    found = json.loads(answer.stdout)
    assert (answer.return_value, found["exit_code"], found["left"]) == (0, 0, 0)
    reached = {"second"} if all(held_out(ERASED, salt, 0.1)) else {"everyone", "second"}
    assert {one["audience"] for one in found["audiences"]} == reached
    assert any("backups of the state folder" in note for note in found["notes"])
    assert any("the page of the last run was removed" in note for note in found["notes"])
    assert traces(folder, meta) == []
    (folder.parent / "data" / "orders.csv").write_text(orders(more=True))
    outcome = run(folder)
    assert outcome.summary["customers"] == 258
    assert traces(folder, meta) == []
    ids = {
        one
        for table in tables(folder)
        for name in table.column_names
        if name == "customer_id"
        for one in table[name].to_pylist()
    }
    assert len(ids) == 258
    assert not ids & set(ERASED)


def test_config_files_say_what_leaves_and_what_is_deleted(world: tuple[Path, Any]) -> None:
    folder, meta = world
    run(folder)
    (folder / "audiences.yaml").write_text(FEWER)
    assert "meta everyone: no longer in config: still on meta with" in told(plan_command, folder).stdout
    assert "list everyone under `retired` in audiences.yaml" in told(status_command, folder).stdout
    one_only = told(push_command, folder, "--audience", "second", "--json")
    assert [one["audience"] for one in json.loads(one_only.stdout)["audiences"]] == ["second"]
    (folder / "audiences.yaml").write_text(f"{FEWER}retired: [everyone]\n")
    outcome = run(folder)
    assert [(one["audience"], one["state"]) for one in outcome.audiences] == [("second", "unchanged"), ("everyone", "gone")]
    assert {one["name"] for one in meta.state()["audiences"].values()} == {"Group 2"}


def test_status_says_what_is_not_sent_and_once_why_an_account_does_not_answer(world: tuple[Path, Any]) -> None:
    folder, meta = world
    run(folder)
    meta.faults.add(match="", kind="error", times=99, detail={"code": 190, "message": "Error validating access token"})
    shown = told(status_command, folder).stdout
    assert "not sent" in shown
    assert shown.count("meta 190: access token invalid") == 1, shown


def test_a_wrong_key_is_said_before_anything_is_sent(world: tuple[Path, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    folder, meta = world
    run(folder)
    before = len(meta.requests)
    monkeypatch.setenv("STATE_KEY", "another secret")
    for command in (run_command, status_command, plan_command):
        failed = told(command, folder).exception
        assert isinstance(failed, ConfigurationError)
        assert "encrypted with another key" in str(failed)
    monkeypatch.delenv("STATE_KEY")
    assert isinstance(told(run_command, folder).exception, ConfigurationError)
    assert len(meta.requests) == before
    monkeypatch.setenv("STATE_KEY", "another secret")
    monkeypatch.setenv("OLD_KEY", "a long secret of the shop")
    text = (folder / "sources.yaml").read_text()
    (folder / "sources.yaml").write_text(f"{text}\nold_encryption_key: env:OLD_KEY\n")
    assert all(one["state"] == "unchanged" for one in run(folder).audiences)
    (folder / "sources.yaml").write_text(text)
    assert all(one["state"] == "unchanged" for one in run(folder).audiences)
