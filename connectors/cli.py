"""The `clvsync` command: what it is given, how it answers, which exit code it ends with.

Exit codes: 0 done; 1 failed; 2 wrong usage or config; 3 stopped by a guardrail or the model gate; 4 some batches could not be
delivered, run again to resume; 5 another run holds the lock.
"""

from __future__ import annotations

import importlib
import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

# command -> module: imported only when the command runs, so that the CLI starts at once
COMMANDS = {
    "demo": "demo",
    "init": "init",
    "check": "check",
    "score": "scoring",
    "backtest": "scoring",
    "hash": "hashing",
    "plan": "sync",
    "push": "sync",
    "pull": "sync",
    "report": "sync",
    "run": "sync",
    "status": "status",
    "forget": "status",
    "sandbox": "sandbox",
    "connectors": "check",
}
SUMMARIES = {
    "demo": "The whole job on bundled orders against local stand-ins of three platforms.",
    "init": "A commented starter config.",
    "check": "Check config, sources, credentials, permissions and terms; change nothing.",
    "score": "Score customers: what each will be worth.",
    "backtest": "Every model and heuristic side by side on the same orders.",
    "hash": "Normalise and hash identifiers as a platform would; show why values are invalid.",
    "plan": "What a push would do.",
    "push": "Send what changed to the platforms; resumable.",
    "pull": "Pull campaign results.",
    "report": "The page (or its tables) that sets CLV beside ROAS.",
    "run": "The scheduled job: score, gate, plan, push, pull, report.",
    "status": "Runs, audiences, sizes, and what is pending at the platforms.",
    "forget": "Erase customers from every audience and from all state.",
    "sandbox": "Serve local stand-ins of the platforms until stopped.",
    "connectors": "What is installed and what each can do.",
}


class Commands(click.Group):
    """A group whose commands are imported on use and whose help needs none of them."""

    def list_commands(self, context: click.Context) -> list[str]:
        """The commands' names, in the order of a first encounter."""
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """The command, imported now."""
        if name not in COMMANDS:
            return None
        module = importlib.import_module(f"connectors.commands.{COMMANDS[name]}")
        command: click.Command = getattr(module, f"{name}_command")
        return command

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Nothing: the commands are listed with their summaries."""
        with formatter.section("Commands"):
            formatter.write_dl(list(SUMMARIES.items()))

    def main(self, args: Sequence[str] | None = None, *rest: Any, **options: Any) -> Any:
        """The exit code of the command, errors said in one clear message each."""
        try:
            return super().main(args, *rest, **{**options, "standalone_mode": False})
        except click.exceptions.Exit as done:
            return done.exit_code
        except click.ClickException as usage:
            usage.show()
            return usage.exit_code
        except (click.Abort, KeyboardInterrupt):
            click.echo("stopped", err=True)
            _leave(1)
            return 1
        except Exception as error:
            return _explain(error)


def _leave(code: int) -> None:
    """Nothing; no return where threads still wait for a platform: what they do is journalled, and nobody waits for them."""
    if any(one.name.startswith(("push", "pull")) for one in threading.enumerate()):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _explain(error: Exception) -> int:
    from connectors.errors import ConfigurationErrors, SyncError
    from connectors.logs import redact, redacted

    if isinstance(error, ConfigurationErrors):
        for one in error.errors:
            click.echo(f"error: {redacted(one)}", err=True)
        return error.exit_code
    if isinstance(error, SyncError):
        click.echo(f"error: {redacted(error)}", err=True)
        return error.exit_code
    if type(error).__module__.startswith("clv_core"):
        click.echo(f"error: {redact(str(error))}", err=True)
        return 2
    if isinstance(error, BrokenPipeError):
        return 1
    import logging
    import traceback

    # the text of an unexpected exception may repeat a row of somebody's data: where it happened is enough
    place = "".join(traceback.format_tb(error.__traceback__))
    logging.getLogger("clvsync").debug("unexpected %s\n%s", type(error).__name__, place)
    said = f": {error.strerror} {error.filename or ''}".rstrip() if isinstance(error, OSError) and error.strerror else ""
    click.echo(f"error: {type(error).__name__}{said} (run with --verbose to see where)", err=True)
    return 1


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--verbose", is_flag=True, help="Log every step to stderr (as --log-level debug).")
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    envvar="CLVSYNC_LOG_FORMAT",
    show_envvar=True,
    help="JSON lines: one event per step of a run, with its numbers.",
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning"]),
    envvar="CLVSYNC_LOG_LEVEL",
    show_envvar=True,
    help="Default: warning; info where the log is JSON.",
)
@click.option(
    "--log-file",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="CLVSYNC_LOG_FILE",
    show_envvar=True,
    help="Append the events to this file, too, as JSON lines.",
)
@click.version_option(package_name="clv-audience-sync")
def commands(verbose: bool, log_format: str, log_level: str | None, log_file: Path | None) -> None:
    """Predict what every customer will be worth and keep audiences on Meta, Google and TikTok in step with it.

    Example: clvsync demo
    """
    from connectors import logs

    level = "debug" if verbose else log_level or ""
    logs.configure(level=level, as_json=log_format == "json", file=log_file)


def main() -> None:
    """Nothing: the process ends with the command's exit code."""
    code = commands()
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
