"""Asynchronous reports: created, checked, downloaded as raw CSV, by the token that created them alone."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from connectors.sandbox import Response
from connectors.tiktok.sandbox.wire import RefusalError, choice, identifier

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connectors.tiktok.sandbox.reports import Selection

LIFE = timedelta(days=30)


@dataclass
class Task:
    """One report being made."""

    owner: str
    token: str
    wanted: Selection
    titles: bool
    at: datetime
    checks: int = 0
    status: str = "QUEUING"


class Tasks:
    """All report tasks."""

    def __init__(self) -> None:
        self.checks_needed = 2  # checks until a task is done: QUEUING, PROCESSING, SUCCESS
        self.fail = ""  # a message makes the next tasks FAILED
        self.held: dict[str, Task] = {}

    def create(self, body: Mapping[str, Any], wanted: Selection, token: str, now: datetime) -> dict[str, str]:
        """`task_id`."""
        choice(body, "output_format", ("CSV_STRING",), "CSV_STRING")
        task_id = str(7_400_000_000_000_000_000 + len(self.held) + 1)
        titles = bool(body.get("enable_report_title_translation", True))
        self.held[task_id] = Task(wanted.advertiser, token, wanted, titles, now)
        return {"task_id": task_id}

    def check(self, body: Mapping[str, Any], token: str, now: datetime) -> dict[str, str]:
        """`status`, one step further at each check."""
        task = self._own(body, token, now)
        task.checks += 1
        if self.fail:
            task.status = "FAILED"
            return {"status": "FAILED", "message": self.fail}
        done = task.checks > self.checks_needed
        task.status = "SUCCESS" if done else "PROCESSING" if task.checks > 1 else "QUEUING"
        return {"status": task.status}

    def cancel(self, body: Mapping[str, Any], token: str, now: datetime) -> None:
        """Nothing: the task is over."""
        self._own(body, token, now).status = "CANCELED"

    def ready(self, body: Mapping[str, Any], token: str, now: datetime) -> Task:
        """A finished task, or 40201."""
        task = self._own(body, token, now)
        if task.status != "SUCCESS":
            raise RefusalError(40201, "The task is not ready.")
        return task

    def _own(self, body: Mapping[str, Any], token: str, now: datetime) -> Task:
        task = self.held.get(identifier(body, "task_id"))
        if task is None or now - task.at > LIFE:
            raise RefusalError(40007, "The task does not exist.")
        if task.token != token:
            raise RefusalError(40001, "No permission: use the access token that created the task.")
        return task


def as_csv(found: list[dict[str, Any]], task: Task) -> Response:
    """The download: CSV bytes, no envelope. Headers are translated unless that was switched off."""
    out = io.StringIO()
    columns = [*task.wanted.dimensions, *task.wanted.metrics]
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([one.replace("_", " ").title() if task.titles else one for one in columns])
    for row in found:
        cells = {**row["metrics"], **row["dimensions"]}
        writer.writerow([cells[one] for one in columns])
    return Response(200, out.getvalue().encode(), {"Content-Type": "text/csv; charset=utf-8"})
