"""`clvsync check` and `clvsync connectors`: what is in order, what is installed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from connectors.commands.output import config_option, emit, json_option, say, show_table

if TYPE_CHECKING:
    from pathlib import Path


@click.command("check")
@config_option
@json_option
def check_command(folder: Path, as_json: bool) -> int:
    """Check config, sources, audiences, labels, credentials, account permissions and terms; change nothing.

    Example: clvsync check --config config
    """
    from connectors import checkup

    found = checkup.check(folder)
    failed = [one for one in found if not one["ok"]]
    if as_json:
        emit({"ok": not failed, "checks": found})
    else:
        rows = [[_verdict(one), one["subject"], one["detail"], one["remedy"]] for one in found]
        show_table("Checks", ("", "what", "found", "what to do"), rows)
    return 2 if failed else 0


def _verdict(one: dict[str, Any]) -> str:
    """`hint`: in order, and there is something to be had."""
    return "FAILED" if not one["ok"] else "hint" if one["remedy"] else "ok"


@click.command("connectors")
@json_option
def connectors_command(as_json: bool) -> int:
    """List what is installed and what each connector can do; exit 2 when a package doesn't fit.

    Example: clvsync connectors --json
    """
    from connectors import registry
    from connectors.logs import redact

    found, broken = [], []
    for name in registry.names():
        try:
            found.append(describe(name))
        except registry.PackageError as error:
            broken.append({"name": name, "error": redact(error.message), "remedy": redact(error.remedy)})
    if as_json:
        emit({"connectors": found, "broken": broken})
        return 2 if broken else 0
    columns = ("name", "identifiers", "value per member", "rows per batch", "operations", "lookalikes", "results")
    show_table("Connectors", columns, [[one[column.replace(" ", "_")] for column in columns] for one in found])
    for one in broken:
        say(f"error: {one['error']} ({one['remedy']})")
    return 2 if broken else 0


def describe(name: str) -> dict[str, Any]:
    """What one connector can do, from its capabilities."""
    from connectors import registry

    can = registry.platform(name).capabilities
    return {
        "name": name,
        "identifiers": [one.name for one in can.recipe.fields if not one.note],
        "value_per_member": can.value_weighted,
        "rows_per_batch": can.batch_rows,
        "operations": sorted(can.operations),
        "minimum_size": can.minimum_size,
        "removal_floor": can.removal_floor,
        "membership_days": can.membership_days,
        "lookalikes": can.lookalikes,
        "lookalike_minimum": can.lookalike_minimum,
        "results": can.results,
        "recipe_version": can.recipe.version,
    }
