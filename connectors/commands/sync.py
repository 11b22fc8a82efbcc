"""`clvsync plan`, `push`, `pull`, `report` and `run`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from connectors.commands.output import config_option, emit, json_option, progress, say, show_audiences
from connectors.commands.scoring import Day
from connectors.commands.troubles import guardrails, left_out, troubles

if TYPE_CHECKING:
    from datetime import date

    from connectors.job import Outcome

audience_option = click.option("--audience", "audiences", multiple=True, help="Only this audience (may be repeated).")
platform_option = click.option("--platform", "platforms", multiple=True, help="Only this platform (may be repeated).")
force_option = click.option("--force", metavar="REASON", help="Send although a guardrail says no; the reason is recorded.")
PLAN = ("platform", "account", "audience", "wanted", "add", "change", "remove")
SENT = (
    "platform", "account", "audience", "wanted", "accepted", "rejected", "pending", "unknown", "undelivered", "remove", "state",
)  # fmt: skip


@click.command("plan")
@audience_option
@platform_option
@config_option
@json_option
def plan_command(audiences: tuple[str, ...], platforms: tuple[str, ...], folder: Path, as_json: bool) -> int:
    """Show what a push would do and which guardrail would stop it; send nothing.

    Example: clvsync plan --config config
    """
    from connectors import config, job

    with progress() as shown:
        found = job.plan(config.load(folder), shown=shown, audiences=audiences, platforms=platforms)
    if as_json:
        gate = list(found.refusals)
        left = {"left_out": found.left_out, "unreachable": found.unreachable}
        emit({"audiences": found.plan, **left, "gate": gate, "notes": found.notes})
    else:
        show_audiences("Plan", found.plan, PLAN)
        for line in [*left_out(found), *guardrails(found.plan, found.refusals)]:
            click.echo(line)
        _tell_unreachable(found)
        for row in found.plan:
            for note in row["notes"]:
                click.echo(f"{row['platform']} {row['audience']}: {note}")
            for one in row["lookalikes"]:
                refreshed = f", last refreshed {one['refreshed_at'][:10]}" if one["refreshed_at"] else ""
                click.echo(f"{row['platform']} {row['audience']}: lookalike {one['name']!r}: {one['state']}{refreshed}")
    return found.exit_code


@click.command("push")
@audience_option
@platform_option
@click.option("--refresh", is_flag=True, help="Send everything again, replacing what the platforms hold (repairs drift).")
@force_option
@config_option
@json_option
def push_command(
    audiences: tuple[str, ...], platforms: tuple[str, ...], refresh: bool, force: str | None, folder: Path, as_json: bool
) -> int:
    """Send what changed; resumable: run again after any interruption.

    Example: clvsync push --audience value_seed --platform meta
    """
    from connectors import config, job

    with progress() as shown:
        found = job.push(
            config.load(folder), shown=shown, audiences=audiences, platforms=platforms, refresh=refresh, force=force
        )
    return _tell(found, as_json)


@click.command("pull")
@click.option("--since", type=Day(), help="First day (default: as far back as results may still change).")
@click.option("--until", type=Day(), help="Last day (default: the last day that counts).")
@config_option
@json_option
def pull_command(since: date | None, until: date | None, folder: Path, as_json: bool) -> int:
    """Pull campaign results into the state folder; the first pull goes back to the earliest acquisition.

    Example: clvsync pull --since 2026-10-01
    """
    from connectors import config, job

    with progress() as shown:
        found = job.pull(config.load(folder), shown=shown, since=since, until=until)
    if as_json:
        emit(found.pulled)
    else:
        click.echo(", ".join(f"{key}: {value}" for key, value in found.pulled.items()))
    return found.exit_code


@click.command("report")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="Where to (default: report.html in the state folder)."
)
@click.option(
    "--format", "kind", type=click.Choice(["html", "md", "csv", "json"]), help="Default: by the file's ending, else html."
)
@click.option("--table", default="campaigns", show_default=True, help="Which table --format csv writes.")
@click.option("--summary", is_flag=True, help="A few lines for a chat or an e-mail, on stdout.")
@config_option
def report_command(out: Path | None, kind: str | None, table: str, summary: bool, folder: Path) -> int:
    """Write the page that sets CLV beside ROAS, or its tables, from the last run and the results pulled since.

    Example: clvsync report --out report.html
    """
    from connectors import config, job

    kind = kind or {".md": "md", ".csv": "csv", ".json": "json"}.get(out.suffix if out else "", "html")
    with progress() as shown:
        text, path = job.report(config.load(folder), out, "summary" if summary else kind, table, shown=shown)
    click.echo(text if text else f"Wrote {path}")
    return 0


@click.command("run")
@force_option
@config_option
@json_option
def run_command(force: str | None, folder: Path, as_json: bool) -> int:
    """Do the scheduled job: score, gate, plan, push, pull, report.

    Example: clvsync run --config config
    """
    from connectors import config, job, notify

    settings = config.load(folder)
    with notify.watched(settings) as box, progress() as shown:
        box.append(job.run(settings, shown=shown, force=force))
    return _tell(box[0], as_json)


def _tell(found: Outcome, as_json: bool) -> int:
    if as_json:
        emit(_document(found))
        return found.exit_code
    if found.summary:
        click.echo(f"{found.summary['customers']:,} customers scored as of {found.summary['as_of']}, {found.summary['model']}.")
    show_audiences("Audiences", found.audiences, SENT)
    for line in left_out(found):
        click.echo(line)
    for line in [*guardrails(found.audiences, found.refusals), *troubles(found)]:
        say(line)
    for row in found.audiences:
        for note in row["notes"] if row["care"] else ():
            click.echo(f"{row['platform']} {row['audience']}: {note}")
    _tell_unreachable(found)
    for one in found.signals:
        rejected = sum(one["rejected"].values())
        click.echo(
            f"Predicted values to {one['platform']} {one['account']} ({one['event']}): {one['sent']:,} sent, "
            f"{one['accepted']:,} accepted, {rejected:,} rejected, {one['pending']:,} pending, {one['unknown']:,} unknown"
            + (f"; {one['detail']}" if one["detail"] else "")
        )
    if back := found.written_back:
        click.echo(back["detail"] or f"Written back: {back['rows']:,} customers to {back['place']}")
    if found.report:
        click.echo(f"The page: {found.report}")
    if found.exit_code == 3:
        say("stopped by a guardrail or the model gate: those audiences stay as they are, but for people who said no")
    if found.exit_code == 4:
        say("some batches could not be delivered; run again to resume")
    return found.exit_code


def _tell_unreachable(found: Outcome) -> None:
    for note in found.notes:
        say(note)
    for one in found.unreachable:
        say(f"{one['platform']} {one['audience']}: {one['note']}")


def told(audiences: list[dict[str, Any]]) -> list[str]:
    """Beside the numbers: notes on audiences, and what has become of their lookalikes."""
    from connectors.engine.page import words

    lines = []
    for one in audiences:
        where = f"{one['platform']} {one['audience']}"
        lines += [f"{where}: {note}" for note in one["notes"]]
        lines += [f"{where}: lookalike {words.lookalike(like)}" for like in one["lookalikes"]]
    return lines


def _document(found: Outcome) -> dict[str, Any]:
    return {
        "exit_code": found.exit_code,
        "scores": found.summary,
        "plan": found.plan,
        "notes": found.notes,
        "audiences": found.audiences,
        "left_out": found.left_out,
        "unreachable": found.unreachable,
        "signals": found.signals,
        "written_back": found.written_back,
        "gate": list(found.refusals),
        "results": found.pulled,
        "report": found.report,
    }
