"""What a person at a terminal sees while a command works: the step it is at, and a bar for each audience under way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from rich.progress import TaskID


class Bars:
    """A line for the step and bars below it, on stderr; all of it is gone when the block ends.

    Called from several threads with what is done: a step has no total; a bar that is full vanishes.
    """

    def __init__(self) -> None:
        console = Console(stderr=True)
        self._steps = Progress(SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=console)
        self._bars = Progress(TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn(), console=console)
        self._live = Live(Group(self._steps, self._bars), console=console, transient=True, refresh_per_second=5)
        self._step: TaskID | None = None
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._live.start(refresh=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def __call__(self, what: str, done: int, total: int) -> None:
        """Nothing: the terminal shows it."""
        if not total:
            if self._step is not None:
                self._steps.remove_task(self._step)
            self._step = self._steps.add_task(what, total=None)
            return
        task = self._tasks.get(what)
        if task is None:
            task = self._tasks[what] = self._bars.add_task(what, total=total)
        self._bars.update(task, completed=done, total=total)
        self._live.refresh()  # a bar that fills at once is seen all the same
        if done >= total:
            self._bars.remove_task(self._tasks.pop(what))
