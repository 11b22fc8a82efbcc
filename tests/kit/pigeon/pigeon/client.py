"""Calls to Pigeon Ads: JSON over HTTP; its errors become ours here and nowhere else."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

from connectors.errors import FatalError, OutcomeUnknownError, RemovalRefusedError, RetriableError, SyncError
from connectors.retries import retrying

if TYPE_CHECKING:
    from collections.abc import Callable


class Client:
    """One account's access. `sleep` is for tests."""

    def __init__(self, api_base: str, sleep: Callable[[float], None] = time.sleep) -> None:
        self._base, self.sleep = api_base, sleep

    def call(self, method: str, path: str, body: Any = None, *, again: bool = True) -> dict[str, Any]:
        """The answer, always a JSON object with `ok`. `again`: a lost reply may be sent once more."""
        try:
            return retrying(lambda: self._once(method, path, body, again), attempts=4, sleep=self.sleep)
        except RetriableError as error:
            if error.code:  # the platform said no: nothing was applied
                raise
            lost = OutcomeUnknownError(error.message, platform="pigeon")
        raise lost

    def _once(self, method: str, path: str, body: Any, again: bool) -> dict[str, Any]:
        request = urllib.request.Request(self._base + path, json.dumps(body).encode() if body else None, method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            text = error.read()
        except OSError as error:
            raise self._lost(again, type(error).__name__) from None
        try:
            document = json.loads(text)
        except ValueError:
            raise self._lost(again, "no JSON") from None
        if document.get("ok") is True:
            return dict(document)
        raise _refusal(int(document.get("code") or 0), document)

    def _lost(self, again: bool, why: str) -> SyncError:
        message = f"no usable reply ({why})"
        return RetriableError(message, platform="pigeon") if again else OutcomeUnknownError(message, platform="pigeon")


def _refusal(code: int, document: dict[str, Any]) -> SyncError:
    text = str(document.get("text") or "refused")
    if code == 429:
        return RetriableError(text, retry_after=float(document.get("wait", 1)), platform="pigeon", code="429")
    if code == 460:
        return RemovalRefusedError(text, remedy="replace the list", platform="pigeon", code="460")
    return FatalError(text, remedy="see Pigeon's console", platform="pigeon", code=str(code))
