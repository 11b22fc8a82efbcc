"""The scheduled job as a user runs it: sandboxes in one process, `clvsync` in others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import small
from tests.e2e.conftest import Rehearsal, clvsync, raw_identifiers, rehearsal_in
from tests.e2e.small import shop

First = tuple[Rehearsal, dict[str, Any]]  # the job, and what its run said


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory, sandboxes: dict[str, dict[str, str]]) -> First:
    rehearsal = rehearsal_in(tmp_path_factory.mktemp("run") / "config", sandboxes)
    return rehearsal, rehearsal.clvsync("run")


def test_the_job_runs_against_sandboxes_started_apart(first: First) -> None:
    rehearsal, outcome = first
    assert outcome["scores"]["customers"] == 23570
    assert Path(outcome["report"]).stat().st_size > 100_000
    for platform in ("meta", "google", "tiktok"):
        held = {one["name"]: one["member_count"] for one in rehearsal.state(platform, members=False)["audiences"].values()}
        sent = {one["name"]: one["snapshot"] for one in outcome["audiences"] if one["platform"] == platform and one["snapshot"]}
        assert sent, platform
        for name, count in sent.items():
            # The demo's phone numbers are few: platforms know some people by one number and count them once. A person's
            # second address is a row of its own in TikTok's streamed audiences.
            assert 0.995 * count <= held[name] <= count * (1.05 if platform == "tiktok" else 1), (platform, name)


def test_a_second_run_writes_no_member_anywhere(first: First) -> None:
    rehearsal, _ = first
    before = {name: rehearsal.writes(name) for name in rehearsal.addresses}
    assert all(before.values())
    again = rehearsal.clvsync("run")
    assert all(one["add"] + one["change"] + one["remove"] == 0 for one in again["plan"])
    assert {name: rehearsal.writes(name) for name in rehearsal.addresses} == before


def test_no_raw_identifier_is_written_anywhere(first: First) -> None:
    rehearsal, outcome = first
    written = [path for path in (rehearsal.folder / "state").rglob("*") if path.is_file()]
    assert len(written) > 10
    texts = [path.read_bytes() for path in written] + [json.dumps(outcome).encode()]
    texts += [json.dumps(rehearsal.state(name)).encode() for name in rehearsal.addresses]
    for raw in raw_identifiers(rehearsal.folder):
        assert not any(raw.encode() in text for text in texts), raw


def test_state_is_owner_only(first: First) -> None:
    rehearsal, _ = first
    state = rehearsal.folder / "state"
    assert state.stat().st_mode & 0o077 == 0
    for path in state.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


def test_plan_status_report_and_pull_after_a_run(first: First, tmp_path: Path) -> None:
    rehearsal, _ = first
    plan = rehearsal.clvsync("plan")
    assert {"platform", "account", "audience", "add", "change", "remove", "guardrail"} <= set(plan["audiences"][0])
    status = rehearsal.clvsync("status")
    assert {one["platform"] for one in status["audiences"]} == {"meta", "google", "tiktok"}
    assert first[1]["results"]["rows"] > 1000
    assert {one["platform"] for one in rehearsal.clvsync("pull")["accounts"]} == {"meta", "google", "tiktok"}
    for kind in ("html", "md", "csv", "json"):
        out = tmp_path / f"report.{kind}"
        found = clvsync("report", "--config", str(rehearsal.folder), "--out", str(out), "--format", kind)
        assert found.returncode == 0, found.stderr
        assert "Founder story" in out.read_text()


def test_forget_erases_and_the_source_cannot_bring_them_back(first: First) -> None:
    rehearsal, outcome = first
    name = next(one["name"] for one in outcome["audiences"] if one["platform"] == "meta" and one["audience"] == "all_customers")

    def held() -> int:
        return next(
            int(one["member_count"])
            for one in rehearsal.state("meta", members=False)["audiences"].values()
            if one["name"] == name
        )

    before = held()
    found = clvsync("forget", "1", "2", "3", "6", "--config", str(rehearsal.folder), "--json")
    assert found.returncode == 0, found.stderr
    assert before - 4 <= held() < before
    gone = held()
    rehearsal.clvsync("run")
    assert held() == gone


def test_a_source_cut_to_a_tenth_stops_the_run(first: First) -> None:
    rehearsal, _ = first
    contacts = rehearsal.folder / "data" / "contacts.csv"
    whole = contacts.read_text().splitlines(keepends=True)
    before = {name: rehearsal.writes(name) for name in rehearsal.addresses}
    contacts.write_text("".join(whole[: len(whole) // 10]))
    found = clvsync("run", "--config", str(rehearsal.folder), "--json")
    contacts.write_text("".join(whole))
    assert found.returncode == 3, found.stderr
    assert any(one["guardrail"] for one in json.loads(found.stdout)["audiences"])
    assert {name: rehearsal.writes(name) for name in rehearsal.addresses} == before


def test_a_sandbox_that_is_down_is_said_plainly_and_can_be_resumed(
    tmp_path: Path, sandboxes: dict[str, dict[str, str]]
) -> None:
    folder = shop(tmp_path / "config", "")
    (folder / "audiences.yaml").write_text(
        "guardrails: {min_size: 0}\naudiences:\n  - {name: all, title: Customers, use: exclusion, platforms: [tiktok]}\n"
        "  - {name: more, title: Others, use: exclusion, platforms: [tiktok]}\n"
    )

    def push(address: str) -> tuple[int, str, str]:
        account = 'credentials: anonymous, accounts: [{account_id: "7000000000000000001"}]'
        (folder / "platforms.yaml").write_text(f'tiktok: {{api_base: "{address}", {account}}}\n')
        return small.clvsync("push", "--config", str(folder), "--json", out=tmp_path / "push.out")

    code, out, error = push("http://127.0.0.1:9")
    assert code == 4, error
    assert "Traceback" not in error
    assert "tiktok" in out
    assert [one["snapshot"] for one in json.loads(out)["audiences"]] == [0, 0]
    assert all("cannot reach" in one["detail"] for one in json.loads(out)["audiences"])

    code, out, error = push(sandboxes["tiktok"]["address"])
    assert code == 0, error
    assert [one["snapshot"] for one in json.loads(out)["audiences"]] == [small.CUSTOMERS] * 2
