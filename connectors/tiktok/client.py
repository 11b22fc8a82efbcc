"""The only file that imports httpx: one call in, its `data` out, TikTok's errors as ours.

TikTok answers HTTP 200 to nearly everything; `code` decides. HTTP 5xx and anything that is not the JSON envelope come from
a gateway and pass; HTTP 404 is plain text and means a wrong path. Tokens travel in the header `Access-Token` alone.
"""

from __future__ import annotations

import json
import logging
import re
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx

from connectors.errors import FatalError, NotReadyError, OutcomeUnknownError, RetriableError, SyncError, UnreachableError
from connectors.retries import retrying
from connectors.settings import is_loopback
from connectors.tiktok.codes import DEAD_TOKEN, OK, PARTIAL, THROTTLES, lookup
from connectors.tiktok.pace import MINUTE_LOCK, Pacer
from connectors.tiktok.settings import VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

log = logging.getLogger("connectors.tiktok")
# httpx logs every address; that of the grant carries the app's secret, because TikTok wants it in the query
logging.getLogger("httpx").addFilter(lambda record: "secret=" not in record.getMessage())

IN_FLIGHT = 2  # calls under way per advertiser
STREAM_RATE = 5_000.0  # identifiers a second on /segment/mapping/: documented 10,000 QPS, unsaid whether of calls or ids
STREAM_BURST = 2_000.0  # with the rate, well below the limit: calls bunch up on the way
SUSPECT_MINUTE = 3  # throttles in a row after which the limit per minute, not per second, must be the one passed
IDENTIFIER = re.compile(r"\b[0-9a-fA-F]{32,64}\b|[^\s@\"']+@[^\s@\"']+|\+\d{7,15}\b")


@dataclass(frozen=True, slots=True)
class Answer:
    """A good answer: `data`, the code (0, or 20001 for partial success), its message and the headers."""

    data: dict[str, Any]
    code: int = OK
    message: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


class Client:
    """Calls on behalf of one advertiser. `get` and `upload` are retried; `post` once, when asked, and never blindly."""

    def __init__(
        self,
        api_base: str,
        token: str,
        pacer: Pacer,
        *,
        secrets: Iterable[str] = (),
        timeout: float = 60,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._secrets = tuple(one for one in (token, *secrets) if one)
        self._pacer, self.sleep, self.clock = pacer, sleep, clock
        self._stream_pacer = Pacer(STREAM_RATE, STREAM_BURST, sleep=sleep, clock=clock)
        self._slots = threading.BoundedSemaphore(IN_FLIGHT)
        self._throttled = 0
        self._base = api_base + VERSION
        self._http = httpx.Client(
            headers={"Access-Token": token},
            timeout=httpx.Timeout(timeout, connect=min(timeout, 10)),
            trust_env=not is_loopback(api_base),
        )

    def get(self, path: str, params: Mapping[str, Any]) -> Answer:
        """The answer to a read; arrays and objects travel as JSON text. Retried."""
        texts = {name: value if isinstance(value, str) else _compact(value) for name, value in params.items()}
        return retrying(lambda: self._call("GET", path, params=texts), sleep=self.sleep)

    def post(self, path: str, body: Mapping[str, Any]) -> Answer:
        """The answer to a call that may safely be sent twice. Retried."""
        return retrying(lambda: self._call("POST", path, **_json(body)), sleep=self.sleep)

    def post_once(self, path: str, body: Mapping[str, Any]) -> Answer:
        """The answer to a call that must not be repeated blindly: OutcomeUnknownError when it may have been applied."""
        return retrying(lambda: self._call("POST", path, once=True, **_json(body)), sleep=self.sleep)

    def post_stream(self, path: str, body: Mapping[str, Any], identifiers: int) -> Answer:
        """The answer of the streaming API, which has a rate of its own (per identifier, to be safe). Retried."""
        self._stream_pacer.take(identifiers)
        return retrying(lambda: self._call("POST", path, paced=False, **_json(body)), sleep=self.sleep)

    def upload(self, path: str, fields: Mapping[str, str], file: Path) -> Answer:
        """The answer to a multipart upload, streamed from disk. Retried: an upload that nothing uses has no effect."""

        def attempt() -> Answer:
            with file.open("rb") as content:
                return self._call("POST", path, data=dict(fields), files={"file": (file.name, content, "text/csv")})

        return retrying(attempt, sleep=self.sleep)

    def lines(self, path: str, params: Mapping[str, str]) -> Iterator[str]:
        """The lines of a raw (not JSON) download; NotReadyError and the rest when an envelope comes instead."""
        self._pacer.take()
        try:
            with self._http.stream("GET", self._base + path, params=dict(params)) as response:
                if response.status_code != 200 or "json" in response.headers.get("Content-Type", ""):
                    response.read()
                    self._read(response, path, once=False)
                    return
                yield from response.iter_lines()
        except httpx.TransportError as error:
            raise self._lost(error, path, once=False) from None

    def granted(self, app_id: str, secret: str) -> set[str]:
        """The advertisers that granted this app access."""
        data = self.get("/oauth2/advertiser/get/", {"app_id": app_id, "secret": secret}).data
        return {str(one.get("advertiser_id")) for one in data.get("list") or []}

    def close(self) -> None:
        """Nothing: connections are closed."""
        self._http.close()

    def _call(self, method: str, path: str, *, once: bool = False, paced: bool = True, **content: Any) -> Answer:
        if paced:
            self._pacer.take()
        with self._slots:
            try:
                response = self._http.request(method, self._base + path, **content)
            except httpx.TransportError as error:
                raise self._lost(error, path, once=once) from None
        return self._read(response, path, once=once)

    def _lost(self, error: httpx.TransportError, path: str, *, once: bool) -> SyncError:
        what = f"{path}: {type(error).__name__}"
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout):
            return UnreachableError(f"{what}: cannot reach {self._base}; check api_base and the network", platform="tiktok")
        if once:
            return OutcomeUnknownError(f"{what}: sent, but no answer came", platform="tiktok")
        return RetriableError(what, platform="tiktok")

    def _read(self, response: httpx.Response, path: str, *, once: bool) -> Answer:
        status = response.status_code
        envelope = _envelope(response)
        if envelope is None:
            what = f"{path}: HTTP {status} without TikTok's JSON envelope"
            if 300 <= status < 500 and status != 429:  # no redirect is followed
                text = self.redact(response.text)
                raise FatalError(f"{what}: {text}", remedy="check api_base", platform="tiktok", code=str(status))
            if once and status != 429:
                raise OutcomeUnknownError(what, platform="tiktok", code=str(status))
            raise RetriableError(what, platform="tiktok", code=str(status))
        code, text = int(envelope["code"]), str(envelope.get("message", ""))
        log.debug("%s: code %s, request %s", path, code, envelope.get("request_id", ""))
        if code in THROTTLES:
            raise self._throttle(code, text)
        self._throttled = 0
        if code == PARTIAL:
            log.warning("%s: partly done: %s", path, self.redact(text))
        if code in (OK, PARTIAL):
            data = envelope.get("data")
            return Answer(data if isinstance(data, dict) else {}, code, text, response.headers)
        raise self._refusal(code, text, str(envelope.get("request_id", "")), once=once)

    def _throttle(self, code: int, text: str) -> RetriableError:
        self._throttled += 1
        minute = "qpm" in text.lower() or "minute" in text.lower() or self._throttled >= SUSPECT_MINUTE
        if minute:
            self._throttled = 0
            self._pacer.suspend()
        wait = MINUTE_LOCK if minute else float(2 ** (self._throttled - 1))
        return RetriableError(f"throttled: {self.redact(text)}", retry_after=wait, platform="tiktok", code=str(code))

    def _refusal(self, code: int, text: str, request: str, *, once: bool) -> SyncError:
        known = lookup(code, text)
        message = f"{self.redact(text) or known.meaning} [request {request}]"
        if known.error is RetriableError:
            if once and 50000 <= code < 60000:  # a system error may come after the change was made
                return OutcomeUnknownError(message, platform="tiktok", code=str(code))
            return RetriableError(message, platform="tiktok", code=str(code))
        if known.error is NotReadyError:
            return NotReadyError(message, platform="tiktok", code=str(code))
        found = known.error(message, remedy=known.remedy, platform="tiktok", code=str(code))
        return found.of_account() if code in DEAD_TOKEN else found

    def redact(self, text: str) -> str:
        """The text without secrets, e-mails, phones and digests, cut to 300 characters."""
        for secret in self._secrets:
            text = text.replace(secret, "[secret]")
        return IDENTIFIER.sub("[identifier]", text)[:300]


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _json(body: Mapping[str, Any]) -> dict[str, Any]:
    return {"content": _compact(body).encode(), "headers": {"Content-Type": "application/json"}}


def _envelope(response: httpx.Response) -> dict[str, Any] | None:
    try:
        document = response.json()
    except ValueError:
        return None
    return document if isinstance(document, dict) and isinstance(document.get("code"), int) else None
