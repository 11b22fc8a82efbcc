"""`clvsync demo`: the whole job on bundled orders, twice, against the sandboxes."""

from __future__ import annotations

import shutil
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from connectors.commands.output import emit, json_option, progress, show_table

if TYPE_CHECKING:
    from connectors.sandbox import Sandbox

MARK = "data/note.txt"  # by this file a folder is known as an earlier demo's
LATER = timedelta(hours=48)  # when the platforms have worked through what the first run sent


@click.command("demo")
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), default=Path("out/demo"), show_default=True, help="Where to."
)
@json_option
def demo_command(out: Path, as_json: bool) -> int:
    """Run the whole job on the bundled CDNOW orders against local stand-ins of the three platforms, twice.

    Example: clvsync demo --out demo
    """
    from connectors.commands.sandbox import sandboxes
    from connectors.demo import world
    from connectors.protocol import utc_now

    _make_room(out)
    with progress() as shown, sandboxes(("meta", "google", "tiktok")) as (running, addresses):
        shown("making the demo's world", 0, 0)
        made = world.build(utc_now().date())
        world.write(out, made)
        world.write_config(out, world.replacements(addresses))
        for name, sandbox in running.items():
            sandbox.campaigns = made.campaigns[name]  # type: ignore[attr-defined]
        found = _two_runs(out, running, shown)
    if as_json:
        emit(found)
    else:
        _tell(found)
    return int(found["exit_code"])


def _make_room(out: Path) -> None:
    from connectors.errors import ConfigurationError

    if out.exists() and any(out.iterdir()):
        if not (out / MARK).is_file():
            raise ConfigurationError(f"{out} is not empty and no earlier demo", remedy="name another folder with --out")
        shutil.rmtree(out)


def _two_runs(out: Path, running: dict[str, Sandbox], shown: Any) -> dict[str, Any]:
    from connectors import config, job
    from connectors.protocol import utc_now

    settings = config.load(out)
    note = (out / MARK).read_text()
    shown("first run", 0, 0)
    first = job.run(settings, now=utc_now, shown=shown, simulated=note)
    for sandbox in running.values():
        sandbox.clock.advance(hours=LATER.total_seconds() / 3600)
    seen = {name: len(sandbox.requests) for name, sandbox in running.items()}

    def later() -> datetime:
        return utc_now() + LATER

    shown("second run, 48 hours later", 0, 0)
    second = job.run(settings, now=later, shown=shown, simulated=note)
    writes = {name: member_writes(sandbox, seen[name]) for name, sandbox in running.items()}
    return {
        "customers": first.summary["customers"],
        "model": first.summary["model"],
        "tiers": first.summary["tiers"],
        "accepted": accepted(second.audiences),
        "audiences": second.audiences,
        "second_run": {
            "member_changes": sum(one["add"] + one["change"] + one["remove"] for one in second.audiences),
            "member_writes": writes,
        },
        "words": second.words,
        "report": str(second.report),
        "exit_code": max(first.exit_code, second.exit_code),
    }


def member_writes(sandbox: Sandbox, since: int = 0) -> int:
    """How many calls that write members are in the sandbox's request log from line `since` on."""
    return sum(entry.get("operation") in ("add", "remove", "replace") for entry in sandbox.requests[since:])


def accepted(audiences: list[dict[str, Any]]) -> dict[str, dict[str, int]]:
    """Members that stand accepted, by platform and audience."""
    found: dict[str, dict[str, int]] = {}
    for one in audiences:
        found.setdefault(one["platform"], {})[one["audience"]] = one["snapshot"] - one["pending"]
    return found


def _tell(found: dict[str, Any]) -> None:
    columns = ("tier", "customers", "share_of_customers", "clv", "share_of_clv")
    rows = [[one[column] for column in columns] for one in found["tiers"]]
    show_table(f"{found['customers']:,} customers scored (model {found['model']})", columns, rows)
    shown = ("platform", "audience", "wanted", "snapshot", "pending", "unknown", "state")
    rows = [
        [*(one[column] for column in shown), ", ".join(like["state"] for like in one["lookalikes"])]
        for one in found["audiences"]
    ]
    headings = ("platform", "audience", "wanted", "accepted", "pending", "unknown", "state", "lookalikes")
    show_table("Audiences, 48 hours after the first push", headings, rows)
    click.echo(found["words"])
    click.echo(f"Second run, unchanged input: {found['second_run']['member_changes']} member changes.")
    click.echo(f"The page: {found['report']}")
