"""`clvsync sandbox`: local stand-ins of the platforms."""

from __future__ import annotations

import json
import signal
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from connectors.commands.output import json_option, say

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from connectors.sandbox import Sandbox

PORTS: dict[str, dict[str, int]] = {
    "meta": {"address": 8801, "admin": 8802},
    "google": {"data_manager": 8803, "ads": 8804, "admin": 8803},
    "tiktok": {"address": 8805, "admin": 8806},
}


@contextmanager
def sandboxes(
    platforms: Sequence[str], *, ports: Mapping[str, Mapping[str, int]] | None = None, state: Path | None = None
) -> Iterator[tuple[dict[str, Sandbox], dict[str, dict[str, str]]]]:
    """The started sandboxes and their addresses, by platform; stopped (and saved to `state`) at the end."""
    from connectors import registry

    running: dict[str, Sandbox] = {}
    addresses: dict[str, dict[str, str]] = {}
    try:
        for name in platforms:
            sandbox = registry.platform(name).sandbox()
            saved = state / f"{name}.json" if state else None
            if saved and saved.exists():
                _load(sandbox, saved)
            running[name], addresses[name] = sandbox, sandbox.start((ports or {}).get(name))
        yield running, addresses
    finally:
        for name, sandbox in running.items():
            if state:
                state.mkdir(parents=True, exist_ok=True)
                sandbox.save(state / f"{name}.json")
            sandbox.stop()


def _load(sandbox: Sandbox, saved: Path) -> None:
    from connectors.errors import ConfigurationError

    try:
        sandbox.load(json.loads(saved.read_text()))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        remedy = "delete it to begin anew, or give another folder to --state"
        raise ConfigurationError(f"{saved} is not what a sandbox has kept", remedy=remedy) from error


@click.command("sandbox")
@click.option("--platform", "only", multiple=True, help="Only this platform (may be repeated); also one of your own.")
@click.option("--state", type=click.Path(file_okay=False, path_type=Path), help="Keep what the sandboxes hold in this folder.")
@click.option(
    "--campaigns",
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    help="Campaign rows to report (JSON by platform; default: the demo's).",
)
@click.option("--free-ports", is_flag=True, help="Any free ports instead of 8801 to 8806 (which only the three have).")
@json_option
def sandbox_command(only: tuple[str, ...], state: Path | None, campaigns: Path | None, free_ports: bool, as_json: bool) -> int:
    """Serve local stand-ins of the platforms, as strict as the real ones, until stopped (Ctrl-C).

    Each admin address answers GET /_sandbox/state (?members=0: without members), POST /_sandbox/faults, for example
    {"match": "/users", "kind": "lost_reply", "times": 2} (kinds: error, http, reset, lost_reply, delay; {"clear": true} takes
    them back), and POST /_sandbox/clock, for example {"hours": 48}.

    Example: clvsync sandbox --state /tmp/rehearsal
    """
    rows = _campaigns(campaigns)
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    try:
        with sandboxes(only or tuple(PORTS), ports=None if free_ports else PORTS, state=state) as (running, addresses):
            for name, sandbox in running.items():
                if name in rows:
                    sandbox.campaigns = rows[name]  # type: ignore[attr-defined]
            _tell(addresses, as_json)
            stopped.wait()
    except OSError as error:
        say(f"error: a port is taken: {error.strerror or error} (another sandbox may be running; or use --free-ports)")
        return 1
    return 0


def _campaigns(file: Path | None) -> dict[str, Any]:
    if file is not None:
        return _rows(file)
    from connectors.demo import world
    from connectors.protocol import utc_now

    return world.build(utc_now().date()).campaigns


def _rows(file: Path) -> dict[str, Any]:
    from connectors.errors import ConfigurationError

    try:
        rows = json.loads(file.read_text())
    except ValueError:
        rows = None
    if not isinstance(rows, dict) or not all(isinstance(one, list) for one in rows.values()):
        remedy = 'write {"meta": [{"campaign_id": ..., "date": ..., "spend": ...}, ...], ...}'
        raise ConfigurationError(f"{file} holds no campaign rows by platform", remedy=remedy)
    return rows


def _tell(addresses: dict[str, dict[str, str]], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(addresses))
    else:
        for name, places in addresses.items():
            click.echo(f"{name:8}" + "  ".join(f"{kind} {address}" for kind, address in places.items()))
        click.echo("Serving until stopped (Ctrl-C).")
    sys.stdout.flush()
