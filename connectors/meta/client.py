"""Calls to the Graph API: facebook-business carries the bytes, everything else is decided here.

The SDK counts any non-empty text as success, raises AttributeError or JSONDecodeError while building its own errors, puts the
token into URLs and whole payloads into messages (fact sheet 1.1, 1.2). So: its answer is taken from the wire by a hook and
judged by our own rule, the token travels in the Authorization header, and no SDK exception leaves this file.
"""

from __future__ import annotations

import json
import logging
import re
import time
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import requests
from facebook_business.api import FacebookAdsApi
from facebook_business.session import FacebookSession

from connectors import events
from connectors.errors import ConfigurationError, FatalError, OutcomeUnknownError, RetriableError, SyncError, UnreachableError
from connectors.meta.holds import Holds
from connectors.meta.refusals import PLATFORM, clean, refusal, tag_of
from connectors.meta.usage import STOP_AT, Usage, read_usage
from connectors.retries import LONGEST_WAIT, retrying
from connectors.settings import is_loopback

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

log = logging.getLogger("connectors.meta")

JUST_CREATED_SECONDS: Final = 120.0
CREATION_WAITS: Final = (2.0, 10.0)  # seconds, between a creation that failed for a passing reason and the next
PASSING: Final = (408, 425, 429)  # client-side statuses that a proxy gives for a passing reason
AGAIN: Final = "run again: it is looked up by name first"
_PROOF: Final = re.compile(r"appsecret_proof=[0-9a-zA-Z]+")
_SAFE: Final = bytes(range(0x30, 0x3A)) + bytes(range(0x41, 0x5B)) + bytes(range(0x61, 0x7B)) + b"-._~"


def _without_proof(record: logging.LogRecord) -> bool:
    """True; a read's proof, which Meta takes in the URL alone, is gone from what urllib3 logs of it."""
    if isinstance(record.args, tuple):
        record.args = tuple(_PROOF.sub("appsecret_proof=***", one) if isinstance(one, str) else one for one in record.args)
    return True


logging.getLogger("urllib3.connectionpool").addFilter(_without_proof)


class _LostReply(RetriableError):
    """Sent, answered unclearly or not at all; sending it again is harmless."""


class _Bearer(requests.auth.AuthBase):
    """The token as a header: no URL, so no access log, holds it; and no .netrc entry replaces it."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class _Session(requests.Session):
    """A session whose forms are encoded by column-speed replacement: the standard way takes 0.3 s for 10,000 members.

    It follows no redirect: members and proofs go to the address in config and nowhere else.
    """

    def request(self, method: str | bytes, url: str | bytes, *args: Any, **options: Any) -> requests.Response:
        """The response; a form given as a dict is encoded here."""
        options["allow_redirects"] = False
        data = options.get("data")
        if isinstance(data, dict) and data:
            options["data"] = b"&".join(quote(str(name)) + b"=" + quote(str(value)) for name, value in data.items())
            form = {"Content-Type": "application/x-www-form-urlencoded"}
            options["headers"] = {**(options.get("headers") or {}), **form}
        return super().request(method, url, *args, **options)


def quote(text: str) -> bytes:
    """Percent-encoded UTF-8."""
    raw = text.encode()
    unsafe = sorted(set(raw.translate(None, _SAFE)), key=lambda byte: byte != 0x25)
    for byte in unsafe:  # the percent sign first
        raw = raw.replace(bytes((byte,)), b"%%%02X" % byte)
    return raw


class GraphClient:
    """One token's access to the Graph API. Not for sharing between threads."""

    def __init__(
        self,
        *,
        api_base: str,
        api_version: str,
        access_token: str = "",
        app_secret: str = "",
        account_id: str = "",
        timeout: float = 120,
        ca_bundle: str = "",
        attempts: int = 6,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        session = FacebookSession(app_secret=app_secret or None, access_token=access_token, timeout=(10, timeout))
        verify = ca_bundle or session.requests.verify
        session.GRAPH = api_base
        session.requests = _Session()
        session.requests.verify = verify
        session.requests.trust_env = not is_loopback(api_base)  # a proxy of the environment can't reach this machine
        if access_token:
            session.requests.auth = _Bearer(access_token)
        session.requests.hooks["response"].append(self._keep)
        self._proof = {"appsecret_proof": session.appsecret_proof} if app_secret and access_token else {}
        self._http, self._api = session.requests, FacebookAdsApi(session, api_version=api_version)
        self._secrets = tuple(one for one in (access_token, app_secret, *self._proof.values()) if one)
        self._answer: requests.Response | None = None
        self._account_id, self._host = account_id, urlsplit(api_base).netloc
        self._attempts, self._sleep, self._holds = attempts, sleep, Holds(clock)
        self.version_warning = ""  # what Meta says of an API version that has expired
        self._usage: dict[bool, Usage] = {}
        self._created: dict[str, float] = {}

    def get(self, *path: str, expect: str = "id", **params: Any) -> dict[str, Any]:
        """The JSON object at a path; `expect` is a key that it must have."""
        return self._call("GET", path, params, expect, resend=True)

    def post(self, *path: str, expect: str, resend: bool, **params: Any) -> dict[str, Any]:
        """The answer to a write. `resend`: twice is harmless, so a lost reply is tried again; else OutcomeUnknownError."""
        answer = self._call("POST", path, params, expect, resend=resend)
        if "id" in answer:
            self._created[str(answer["id"])] = time.monotonic()
        return answer

    def make(self, *path: str, find: Callable[[], str | None], **fields: Any) -> str:
        """The id of a new object. After an unclear or failed answer `find` looks whether it is there, so none is made twice."""
        waits = list(CREATION_WAITS)
        while True:
            try:
                return str(self.post(*path, expect="id", resend=False, **fields)["id"])
            except OutcomeUnknownError as error:
                made = find()
                if made is not None:
                    return made
                if not waits or not error.code:  # no code: no word came back at all, and lists may lag behind
                    raise
                self._sleep(waits.pop(0))

    def delete(self, *path: str) -> dict[str, Any]:
        """The answer to an object's deletion (members go through `post` with method=DELETE in the body, never a URL)."""
        answer = self._call("DELETE", path, {}, "success", resend=True)
        self._created.pop(path[0], None)
        return answer

    def pages(self, *path: str, limit: int, smallest: int = 10, **params: Any) -> Iterator[dict[str, Any]]:
        """The objects of an edge, page by page; down to `smallest` a page is halved when Meta calls the answer too large."""
        after: dict[str, str] = {}
        while True:
            try:
                page = self._call("GET", path, {**params, **after, "limit": limit}, "data", resend=True)
            except FatalError as error:
                if limit <= smallest or tag_of(error) != "split":
                    raise
                limit //= 2
                continue
            yield from page["data"]
            paging = page.get("paging") or {}
            cursor = str((paging.get("cursors") or {}).get("after") or "")
            if not paging.get("next") or not cursor or cursor == after.get("after"):
                return
            after = {"after": cursor}

    def close(self) -> None:
        """Nothing: the connection pool is closed."""
        self._http.close()

    def _keep(self, response: requests.Response, **_: Any) -> None:
        self._answer = response

    def _call(
        self, method: str, path: tuple[str, ...], params: Mapping[str, Any], expect: str, *, resend: bool
    ) -> dict[str, Any]:
        def once() -> dict[str, Any]:
            self._pace(path)
            return self._once(method, path, params, expect, resend=resend)

        try:
            return retrying(once, attempts=self._attempts, sleep=self._sleep)
        except _LostReply as error:
            if method == "GET":
                raise
            lost = OutcomeUnknownError(error.message, remedy="run again: it is looked up or sent again", platform=PLATFORM)
        raise lost

    def _pace(self, path: tuple[str, ...]) -> None:
        insights = path[-1] == "insights"
        self._holds.respect(insights=insights)
        usage = self._usage.get(insights, Usage())
        pause = usage.pause()
        if usage.percent >= STOP_AT and pause > LONGEST_WAIT:
            self._usage[insights] = Usage()  # the next run asks again
            raise RetriableError(f"{usage.percent:.0f}% of the quota is used", retry_after=pause, platform=PLATFORM)
        if pause:
            events.pause(PLATFORM, pause, self._sleep)

    def _once(
        self, method: str, path: tuple[str, ...], params: Mapping[str, Any], expect: str, *, resend: bool
    ) -> dict[str, Any]:
        failure = self._transmit(method, path, {**params, **self._proof})
        if failure is not None:
            raise self._unclear(failure.message, resend=resend) if isinstance(failure, _LostReply) else failure
        answer = self._answer
        if answer is None:
            raise FatalError("no answer was seen", platform=PLATFORM)
        self._usage.update(read_usage(answer.headers))
        self._heed_version(answer.headers.get("X-Ad-Api-Version-Warning", ""))
        document = _object(answer)
        if document is not None and "error" in document:
            raise self._refused(document["error"], path, answer, resend=resend)
        if document is None or not answer.ok:
            raise self._not_json(answer, resend=resend)
        if expect not in document or document[expect] is False:
            raise self._unclear(f"the answer has no usable `{expect}`", resend=resend)
        return document

    def _transmit(self, method: str, path: tuple[str, ...], params: Mapping[str, Any]) -> SyncError | None:
        """None when an answer is in `self._answer`; else the error, free of the URL (raised outside of any handler)."""
        self._answer = None
        try:
            self._api.call(method, path, params=dict(params))
        except requests.exceptions.SSLError:
            return ConfigurationError(f"no trusted connection to {self._host}", remedy="check api_base or set ca_bundle")
        except requests.exceptions.RequestException as error:
            if self._answer is None:
                name = type(error).__name__
                if _never_sent(error):
                    return UnreachableError(f"no connection to {self._host} ({name})", platform=PLATFORM)
                return _LostReply(f"no reply from {self._host} ({name})", platform=PLATFORM)
        except Exception as error:  # the SDK's own failures while it judges an answer
            if self._answer is None:
                return FatalError(f"the SDK failed ({type(error).__name__})", platform=PLATFORM)
        return None

    def _unclear(self, message: str, *, resend: bool) -> SyncError:
        if resend:
            return _LostReply(message, platform=PLATFORM)
        return OutcomeUnknownError(message, remedy=AGAIN, platform=PLATFORM)

    def _not_json(self, answer: requests.Response, *, resend: bool) -> SyncError:
        message = f"the answer of {self._host} is no JSON object (HTTP {answer.status_code})"
        if 300 <= answer.status_code < 500 and answer.status_code not in PASSING:
            return FatalError(message, remedy="check meta.api_base and any proxy between", platform=PLATFORM)
        return self._unclear(message, resend=resend)

    def _refused(self, error: Any, path: tuple[str, ...], answer: requests.Response, *, resend: bool) -> SyncError:
        wait = read_usage(answer.headers)[path[-1] == "insights"].wait
        found = refusal(error, account_id=self._account_id, secrets=self._secrets, wait=wait, new=self._is_new(path[0]))
        tag = tag_of(found)
        if tag in ("throttle", "block"):
            self._usage.clear()  # the wait that Meta names is the pause
            self._holds.note(found, insights=path[-1] == "insights")
        if tag == "transient" and not resend and isinstance(found, RetriableError):
            return OutcomeUnknownError(found.message, remedy=AGAIN, platform=PLATFORM, code=found.code)
        return found

    def _heed_version(self, warning: str) -> None:
        if warning and not self.version_warning:
            self.version_warning = clean(warning, self._secrets)
            log.warning("Meta answers with another API version: %s; raise meta.api_version", self.version_warning)

    def _is_new(self, name: str) -> bool:
        return time.monotonic() - self._created.get(name, -1e9) < JUST_CREATED_SECONDS


def _object(answer: requests.Response) -> dict[str, Any] | None:
    try:
        document = json.loads(answer.content)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def _never_sent(error: requests.exceptions.RequestException) -> bool:
    if isinstance(error, requests.exceptions.ConnectTimeout | requests.exceptions.ProxyError):
        return True
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    return type(reason).__name__ in ("NewConnectionError", "ConnectTimeoutError", "NameResolutionError")
