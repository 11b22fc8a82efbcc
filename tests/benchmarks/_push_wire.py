"""Sandboxes in processes of their own, relays that keep what a push sent, and the bare clients that send it again."""

from __future__ import annotations

import http.client
import multiprocessing
import re
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlencode

import grpc

from connectors.registry import platform as platform_of
from connectors.sandbox import HttpServer, Request, Response

if TYPE_CHECKING:
    from collections.abc import Callable

LARGE = [("grpc.max_receive_message_length", 1 << 28), ("grpc.max_send_message_length", 1 << 28)]
DOORS = {"meta": "address", "google": "ads", "tiktok": "address"}
WRITES = {  # the calls that bring members in
    "meta": ("/users",),
    "google": ("IngestAudienceMembers",),
    "tiktok": ("/custom_audience/file/upload/", "/custom_audience/create/"),
}
SPAWN = multiprocessing.get_context("spawn")


class Body(NamedTuple):
    """One member write: `path` is an HTTP path with its query, or an RPC's name (then `method` is empty).

    `made` is what its answer named and later bodies refer to (TikTok's path of an uploaded file).
    """

    method: str
    path: str
    headers: dict[str, str]
    content: bytes
    made: bytes = b""


def apart(work: Callable[..., Any], *given: Any) -> Any:
    """What `work` gives, done in a new process: nothing that happened here counts in its memory."""
    ours, theirs = SPAWN.Pipe()
    process = SPAWN.Process(target=_tell, args=(theirs, work, given), daemon=True)
    process.start()
    theirs.close()
    try:
        return ours.recv()
    finally:
        process.join()


def _tell(pipe: Any, work: Callable[..., Any], given: tuple[Any, ...]) -> None:
    pipe.send(work(*given))


def serve(name: str, pipe: Any) -> None:
    """Nothing: the sandbox answers until the pipe says stop."""
    sandbox = platform_of(name).sandbox()
    if name == "tiktok":
        sandbox.limits.enabled = False
    pipe.send(sandbox.start())
    pipe.recv()
    pipe.send(sum(one["member_count"] for one in sandbox.state(members=False)["audiences"].values()))
    sandbox.stop()


class Remote:
    """A sandbox in a process of its own."""

    def __init__(self, name: str) -> None:
        self._pipe, theirs = SPAWN.Pipe()
        self._process = SPAWN.Process(target=serve, args=(name, theirs), daemon=True)
        self._process.start()
        theirs.close()
        self.addresses: dict[str, str] = self._pipe.recv()
        if name == "google":
            self.addresses["data_manager"] = self.addresses["ads"]

    def stop(self) -> int:
        """How many members it held."""
        self._pipe.send("stop")
        held = int(self._pipe.recv())
        self._process.join()
        return held


class Relay:
    """Passes everything on to a sandbox and keeps the member writes."""

    def __init__(self, name: str, target: str) -> None:
        self._target, self._matches = target.removeprefix("http://"), WRITES[name]
        self.kept: list[Body] = []
        self._server = HttpServer(self._pass)
        self.address = self._server.address

    def stop(self) -> None:
        """Nothing: the relay is down."""
        self._server.stop()

    def _pass(self, request: Request) -> Response:
        query = f"?{urlencode(request.query, doseq=True)}" if request.query else ""
        headers = {key: value for key, value in request.headers.items() if key.lower() not in ("host", "accept-encoding")}
        connection = http.client.HTTPConnection(self._target)
        connection.request(request.method, request.path + query, request.body, headers)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        if any(one in request.path for one in self._matches):
            self.kept.append(Body(request.method, request.path + query, headers, request.body, made_by(body)))
        kept = {key: value for key, value in answer.getheaders() if key.lower().startswith(("content-type", "x-"))}
        return Response(answer.status, body, kept)


class GrpcRelay:
    """The same for gRPC: bytes in, bytes out."""

    def __init__(self, name: str, target: str) -> None:
        self._channel = grpc.insecure_channel(target.removeprefix("insecure:"), options=LARGE)
        self._matches, self.kept = WRITES[name], list[Body]()
        self._server = grpc.server(ThreadPoolExecutor(4), options=LARGE)
        self._server.add_generic_rpc_handlers([self])
        self.address = f"insecure:127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def service(self, details: Any) -> Any:
        """A handler that forwards the call."""

        def forward(body: bytes, context: Any) -> bytes:
            if any(one in details.method for one in self._matches):
                self.kept.append(Body("", details.method, {}, body))
            answer: bytes = self._channel.unary_unary(details.method)(body)
            return answer

        return grpc.unary_unary_rpc_method_handler(forward)

    def stop(self) -> None:
        """Nothing: the relay is down."""
        self._server.stop(None)
        self._channel.close()


def made_by(answer: bytes) -> bytes:
    """The path of an uploaded file, if the answer names one."""
    found = re.search(rb'"file_path": ?"([0-9a-f]+)"', answer)
    return found.group(1) if found else b""


def bare(address: str, bodies: list[Body]) -> float:
    """Seconds to post all bodies, one after the other, over one kept connection."""
    others: dict[bytes, bytes] = {}
    connection = http.client.HTTPConnection(address.removeprefix("http://"))
    began = time.perf_counter()
    for one in bodies:
        content = one.content
        for theirs, ours in others.items():
            content = content.replace(theirs, ours)
        connection.request(one.method, one.path, content, one.headers)
        answer = connection.getresponse().read()
        if one.made:
            others[one.made] = made_by(answer)
    return time.perf_counter() - began


def bare_grpc(target: str, bodies: list[Body], at_once: int) -> float:
    """Seconds to send all bodies over one channel, `at_once` under way at a time."""
    channel = grpc.insecure_channel(target.removeprefix("insecure:"), options=LARGE)
    began = time.perf_counter()
    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(lambda one: channel.unary_unary(one.path)(one.content), bodies))
    spent = time.perf_counter() - began
    channel.close()
    return spent
