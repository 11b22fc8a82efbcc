"""`clvsync status` and `clvsync forget`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from connectors.commands.output import config_option, emit, json_option, progress, show_audiences, show_table

if TYPE_CHECKING:
    from pathlib import Path


_COLUMNS = (
    "platform", "account", "audience", "members", "pending", "undelivered", "state", "size_lower", "size_upper", "match_rate"
)  # fmt: skip


@click.command("status")
@click.option("--offline", is_flag=True, help="Only what the ledger knows; ask no platform.")
@config_option
@json_option
def status_command(offline: bool, folder: Path, as_json: bool) -> int:
    """Show runs, audiences, remote sizes, match rates, and what is pending at the platforms.

    Example: clvsync status --json
    """
    from connectors import config, job

    with progress() as shown:
        found = job.status(config.load(folder), shown=shown, offline=offline)
    if as_json:
        emit(found)
        return 0
    runs = [
        [one["id"], one["kind"], _moment(one["started_at"]), _moment(one["finished_at"]), one["exit_code"]]
        for one in found["runs"][-5:]
    ]
    show_table("Runs", ("id", "kind", "began", "ended", "exit code"), runs)
    show_audiences("Audiences", found["audiences"], _COLUMNS)
    for row in found["audiences"]:
        for said in filter(None, (row["left"], row["drift"])):
            click.echo(f"{row['platform']} {row['audience']}: {said}")
    for told in dict.fromkeys(one["detail"] for one in found["audiences"] if one["state"] == "unknown" and one["detail"]):
        click.echo(told)  # why an account didn't answer, once
    for one in found["erasing"]:
        where = one["audience"] or "every list"
        click.echo(f"{one['platform']} {where}: {one['customers']} erased customers still to be removed: clvsync run goes on")
    lookalikes = ("platform", "account", "audience", "name", "state", "size_lower", "size_upper", "made_at", "refreshed_at")
    if found["lookalikes"]:
        rows = [one | {at: _moment(one[at]) for at in ("made_at", "refreshed_at")} for one in found["lookalikes"]]
        show_audiences("Lookalikes", rows, lookalikes)
    return 0


def _moment(stamp: str | None) -> str:
    """`2026-11-22 11:21 UTC`, of an ISO stamp in UTC; empty without one."""
    return f"{stamp[:10]} {stamp[11:16]} UTC" if stamp else ""


@click.command("forget")
@click.argument("ids", nargs=-1, required=True)
@config_option
@json_option
def forget_command(ids: tuple[str, ...], folder: Path, as_json: bool) -> int:
    """Erase customers: from every audience and from all state; the source can't bring them back.

    Example: clvsync forget 10017 10018
    """
    from connectors import config, job

    with progress() as shown:
        found = job.forget(config.load(folder), ids, shown=shown)
    if as_json:
        emit(found)
    else:
        for line in found["notes"]:
            click.echo(line)
    return int(found["exit_code"])
