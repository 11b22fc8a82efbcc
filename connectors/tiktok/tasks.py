"""Asynchronous reports: create a task, ask until it is done, read its CSV. No cut at 20,000 ids and no paging.

At most one creation a second; a task is readable only with the token that made it; the download is raw CSV, not JSON.
"""

from __future__ import annotations

import csv
import tempfile
from typing import IO, TYPE_CHECKING, Any

from connectors.errors import FatalError, NotReadyError, OutcomeUnknownError
from connectors.retries import retrying
from connectors.tiktok.codes import TASK_NOT_READY
from connectors.tiktok.pace import Pacer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from connectors.tiktok.client import Client

CHECK_EVERY = 5.0  # seconds
CHECKS = 120  # ten minutes; a longer task is read by a later run
CREATIONS_PER_SECOND = 1.0


class Tasks:
    """Report tasks of one advertiser."""

    def __init__(self, client: Client, advertiser_id: str) -> None:
        self.client, self.advertiser_id = client, advertiser_id
        self._pacer = Pacer(CREATIONS_PER_SECOND, 1, sleep=client.sleep, clock=client.clock)

    def rows(self, selection: Mapping[str, Any]) -> Iterator[dict[str, str]]:
        """The report's rows by column name; NotReadyError after ten minutes. A failed task is made once more."""
        for again in (True, False):
            task = self._create(selection)
            try:
                self._wait(task)
                break
            except FatalError as error:
                if not again or error.code:  # a code is a refusal; a task that ended otherwise has none
                    raise
        with tempfile.TemporaryFile("w+", encoding="utf-8") as file:
            retrying(lambda: self._download(task, file), sleep=self.client.sleep)
            file.seek(0)
            yield from csv.DictReader(file)

    def _download(self, task: str, file: IO[str]) -> None:
        """Nothing: the whole report is in the file; a broken download begins again."""
        file.seek(0)
        file.truncate()
        for line in self.client.lines("/report/task/download/", {"advertiser_id": self.advertiser_id, "task_id": task}):
            file.write(line.removeprefix("\ufeff") + "\n")

    def _create(self, selection: Mapping[str, Any]) -> str:
        body = {**selection, "output_format": "CSV_STRING", "enable_report_title_translation": False}
        for _ in range(3):
            self._pacer.take()
            try:
                return str(self.client.post_once("/report/task/create/", body).data["task_id"])
            except OutcomeUnknownError as error:  # a task nobody reads has no effect
                lost = error
        raise lost

    def _wait(self, task: str) -> None:
        query = {"advertiser_id": self.advertiser_id, "task_id": task}
        for _ in range(CHECKS):
            try:
                data = self.client.get("/report/task/check/", query).data
            except NotReadyError as error:
                if error.code != str(TASK_NOT_READY):
                    raise
                data = {}
            status = data.get("status")
            if status == "SUCCESS":
                return
            if status in ("FAILED", "CANCELED"):
                text = self.client.redact(str(data.get("message") or status))
                raise FatalError(f"the report task ended as {status}: {text}", remedy="run pull again", platform="tiktok")
            self.client.sleep(CHECK_EVERY)
        raise NotReadyError("the report task takes longer than ten minutes", platform="tiktok")
