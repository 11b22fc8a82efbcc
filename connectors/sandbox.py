"""What the platforms' local stand-ins share: a clock that can be moved, faults on demand, a request log, an HTTP server.

A platform's own rules live in its `sandbox/` folder. Admin calls (same for all): `GET /_sandbox/state`,
`POST /_sandbox/faults`, `POST /_sandbox/clock`.
"""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from email.message import Message
    from pathlib import Path


class Clock:
    """Wall time plus an offset that tests and the demo move."""

    def __init__(self) -> None:
        self.offset = timedelta()

    def now(self) -> datetime:
        """The sandbox's time, in UTC."""
        return datetime.now(UTC) + self.offset

    def advance(self, *, hours: float = 0, seconds: float = 0) -> None:
        """Nothing: the clock moves forward (or back, when negative)."""
        self.offset += timedelta(hours=hours, seconds=seconds)


@dataclass
class Fault:
    """Something to go wrong: for requests whose `METHOD path` or RPC name contains `match`, after `skip`, `times` times.

    kind: `error` (the platform renders `detail`), `http` (status and body of `detail`), `reset` (connection dropped before
    anything is applied), `lost_reply` (applied, then dropped), `delay` (`detail.seconds`).
    """

    match: str = ""
    kind: str = "error"
    times: int = 1
    skip: int = 0
    detail: dict[str, Any] = field(default_factory=dict)


class Faults:
    """The queue of faults; thread-safe."""

    def __init__(self) -> None:
        self._queue: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, **fault: Any) -> None:
        """Nothing: the fault waits for its request."""
        with self._lock:
            self._queue.append(Fault(**fault))

    def clear(self) -> None:
        """Nothing: no fault is left."""
        with self._lock:
            self._queue.clear()

    def take(self, call: str) -> Fault | None:
        """The fault that applies to this call, used up by one."""
        with self._lock:
            for fault in self._queue:
                if fault.match not in call or fault.times <= 0:
                    continue
                if fault.skip > 0:
                    fault.skip -= 1
                    continue
                fault.times -= 1
                return fault
        return None


@dataclass
class Request:
    """One HTTP request, body read."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: Message
    body: bytes

    def json(self) -> Any:
        """The body as JSON (raises ValueError)."""
        return json.loads(self.body or b"{}")

    def form(self) -> dict[str, list[str]]:
        """The body as a URL-encoded form."""
        return parse_qs(self.body.decode(), keep_blank_values=True)


@dataclass
class Response:
    """One HTTP answer. `drop` closes the connection without a word."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    drop: bool = False

    @classmethod
    def of_json(cls, document: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
        """A JSON answer."""
        kind = {"Content-Type": "application/json; charset=UTF-8"}
        return cls(status, json.dumps(document).encode(), {**kind, **(headers or {})})


class HttpServer:
    """A threaded HTTP/1.1 server on loopback that passes each request to `handle`."""

    def __init__(self, handle: Callable[[Request], Response], port: int = 0) -> None:
        handler = type("Handler", (_Handler,), {"respond": staticmethod(handle)})
        self._server = ThreadingHTTPServer(("127.0.0.1", port), handler)
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        self.address = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Nothing: the port is free again."""
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # without it every small answer costs 44 ms (delayed acknowledgement)
    respond: Callable[[Request], Response]

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        request = Request(self.command, parts.path, parse_qs(parts.query, keep_blank_values=True), self.headers, body)
        answer = type(self).respond(request)
        if answer.drop:
            self.close_connection = True
            self.connection.close()
            return
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)
        self.wfile.flush()

    do_GET = do_POST = do_DELETE = do_PATCH = do_PUT = _serve

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: requests go to the sandbox's own log, which holds no token."""

    def handle(self) -> None:
        """Nothing: a client that goes away is no error."""
        try:
            super().handle()
        except (ConnectionError, ValueError, OSError):
            self.close_connection = True


class Sandbox:
    """The base of a platform's stand-in: subclasses fill `state`, `dump`, `load`, `start` and their own routes."""

    name = ""
    log_limit = 200_000

    def __init__(self) -> None:
        self.clock = Clock()
        self.faults = Faults()
        self.requests: list[dict[str, Any]] = []
        self.lock = threading.RLock()
        self._servers: list[HttpServer] = []

    def start(self, ports: Mapping[str, int] | None = None) -> dict[str, str]:
        """Addresses by name (`address`, `admin`, ...), in the form config takes; port 0 or none: any free port."""
        raise TypeError("a platform's sandbox says which servers it starts")

    def state(self, *, members: bool = True) -> dict[str, Any]:
        """Audiences, members as sent with values, lookalikes."""
        raise TypeError("a platform's sandbox says what it holds")

    def dump(self) -> dict[str, Any]:
        """What `load` needs to go on after a restart."""
        raise TypeError("a platform's sandbox says what it keeps")

    def load(self, document: Mapping[str, Any]) -> None:
        """Nothing: the sandbox holds what `dump` gave."""
        raise TypeError("a platform's sandbox says what it keeps")

    def listen(self, handle: Callable[[Request], Response], port: int = 0) -> HttpServer:
        """A started server whose requests meet admin routes, then faults, then `handle`."""
        server = HttpServer(lambda request: self._answer(request, handle), port)
        self._servers.append(server)
        return server

    def record(self, **entry: Any) -> None:
        """Nothing: one line joins the request log (method, path, operation, audience, rows, status, code)."""
        with self.lock:
            if len(self.requests) < self.log_limit:
                self.requests.append({"at": self.clock.now().isoformat(), **entry})

    def render_error(self, detail: Mapping[str, Any]) -> Response:
        """The platform's own error answer for an `error` fault."""
        raise TypeError("a platform's sandbox says how its errors look")

    def save(self, path: Path) -> None:
        """Nothing: the state is on disk, whole or not at all."""
        spare = path.with_suffix(".tmp")
        with self.lock:
            spare.write_text(json.dumps(self.dump()))
        spare.replace(path)

    def stop(self) -> None:
        """Nothing: all servers are down."""
        for server in self._servers:
            server.stop()
        self._servers.clear()

    def _answer(self, request: Request, handle: Callable[[Request], Response]) -> Response:
        if request.path.startswith("/_sandbox/"):
            return self._admin(request)
        fault = self.faults.take(f"{request.method} {request.path}")
        if fault is None:
            return handle(request)
        self.record(method=request.method, path=request.path, fault=fault.kind)
        if fault.kind == "reset":
            return Response(drop=True)
        if fault.kind == "http":
            headers = {"Content-Type": "text/html", **fault.detail.get("headers", {})}
            return Response(int(fault.detail.get("status", 502)), str(fault.detail.get("body", "")).encode(), headers)
        if fault.kind == "error":
            return self.render_error(fault.detail)
        if fault.kind == "delay":
            time.sleep(float(fault.detail.get("seconds", 1)))
            return handle(request)
        handle(request)
        return Response(drop=True)

    def _admin(self, request: Request) -> Response:
        if request.path == "/_sandbox/state":
            with self.lock:
                members = request.query.get("members", ["1"])[0] != "0"
                held = {"now": self.clock.now().isoformat(), **self.state(members=members), "requests": self.requests}
                return Response.of_json(held)
        try:
            body = request.json() if request.body else {}
            if request.path == "/_sandbox/faults":
                return Response.of_json({"ok": True, "added": self._take_faults(body)})
            if request.path == "/_sandbox/clock":
                self.clock.advance(seconds=_seconds(body))
                return Response.of_json({"now": self.clock.now().isoformat()})
        except (ValueError, TypeError) as error:  # JSON that is none, too
            return Response.of_json({"error": str(error)}, 400)
        return Response.of_json({"error": "no such admin call"}, 404)

    def _take_faults(self, body: Any) -> int:
        """How many faults wait now for their requests: one, a list of them, or {"faults": [...]}, after {"clear": true}."""
        if isinstance(body, dict) and "faults" not in body:
            given = [{name: value for name, value in body.items() if name != "clear"}]
            given = given if given[0] else []
        else:
            given = body["faults"] if isinstance(body, dict) else body
        for one in given:
            if not isinstance(one, dict) or set(one) - FAULT_KEYS or one.get("kind", "error") not in KINDS:
                raise ValueError(f"a fault has {', '.join(sorted(FAULT_KEYS))}; its kind is one of {', '.join(KINDS)}")
        if isinstance(body, dict) and body.get("clear"):
            self.faults.clear()
        for one in given:
            self.faults.add(**one)
        return len(given)


KINDS = ("error", "http", "reset", "lost_reply", "delay")
FAULT_KEYS = frozenset(("match", "kind", "times", "skip", "detail"))
PARTS = {"days": 86_400.0, "hours": 3_600.0, "minutes": 60.0, "seconds": 1.0}


def _seconds(body: Any) -> float:
    """How far the clock moves; raises ValueError for what isn't understood."""
    if not isinstance(body, dict) or not body or set(body) - set(PARTS):
        raise ValueError(f"the clock moves by {', '.join(PARTS)}")
    return sum(float(value) * PARTS[name] for name, value in body.items())
