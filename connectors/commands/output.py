"""How commands answer: one JSON document or readable text on stdout, progress and notes on stderr."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import click

from connectors import events, logs

config_option = click.option(
    "--config", "folder", type=click.Path(path_type=Path), default=Path("config"), show_default=True, help="The config folder."
)
json_option = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")

_HEADINGS = {
    "undelivered": "not sent",
    "size_lower": "matched from",
    "size_upper": "to",
    "match_rate": "match rate",
    "made_at": "made",
    "refreshed_at": "refreshed",
}

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much is done and how much there is (0: unknown)."""


class Share(float):
    """A share of 1, shown as a percentage."""


def emit(document: Any) -> None:
    """Nothing: the document is on stdout as JSON."""
    click.echo(json.dumps(document, default=_plain, indent=2, ensure_ascii=False))


def say(text: str) -> None:
    """Nothing: a note is on stderr."""
    click.echo(text, err=True)


def show_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Nothing: a table is on stdout; numbers to the right."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text  # plain: in a bare string rich would take [words] for its own markup

    table = Table(title=Text(title), title_justify="left", header_style="bold")
    for position, column in enumerate(columns):
        numeric = all(isinstance(row[position], int | float | Decimal) or row[position] is None for row in rows) and rows
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*[Text(_cell(value)) for value in row])
    Console(width=None if sys.stdout.isatty() else 140, highlight=False).print(table)


@contextmanager
def progress() -> Iterator[Progress]:
    """A progress callback: bars on a terminal, unless the log goes there; the steps of a run are in the log, too."""
    steps = Steps()
    if not sys.stderr.isatty() or logs.on_screen():
        yield steps
        steps.end()
        return
    from connectors.commands.bars import Bars

    with Bars() as bars:

        def update(what: str, done: int, total: int) -> None:
            steps(what, done, total)
            bars(what, done, total)

        yield update
    steps.end()


class Steps:
    """The steps of a run, each told to the log when it is over, with its seconds."""

    def __init__(self) -> None:
        self._step, self._since = "", 0.0

    def __call__(self, what: str, done: int, total: int) -> None:
        """Nothing: a step has begun, and the one before it is over (batches of an audience are no steps)."""
        if not total:
            self.end()
            self._step, self._since = what, time.monotonic()

    def end(self) -> None:
        """Nothing: the last step is over."""
        if self._step:
            events.tell("step", step=self._step, seconds=round(time.monotonic() - self._since, 3))
        self._step = ""


def show_audiences(title: str, documents: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Nothing: a table of audiences is on stdout; without the account where each platform has one alone."""
    places = {(document["platform"], document["account"]) for document in documents}
    alone = len({platform for platform, _ in places}) == len(places)
    shown = [column for column in columns if column != "account" or not alone]
    show_table(title, [_HEADINGS.get(column, column) for column in shown], rows_of(documents, shown))


def rows_of(documents: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> list[list[Any]]:
    """The documents as rows of a table."""
    return [[document.get(column) for column in columns] for document in documents]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, Share):
        return f"{value:.1%}"
    if isinstance(value, float):
        return f"{value:,.3f}" if abs(value) < 100 else f"{value:,.0f}"
    if isinstance(value, list | tuple):
        return ", ".join(str(one) for one in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {one}" for key, one in value.items())
    return str(value)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"no JSON form for {type(value).__name__}")
