"""One gRPC server for both APIs: faults, metadata and refusals as the real services send them."""

from __future__ import annotations

import importlib
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import grpc
from google.ads.datamanager_v1 import types as dm
from google.protobuf import empty_pb2

from connectors.google.sandbox.refusals import AdsError, DataManagerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from connectors.google.sandbox import GoogleSandbox

VERSION = "v26"
FAILURE_KEY = f"google.ads.googleads.{VERSION}.errors.googleadsfailure-bin"
DATA_MANAGER = "google.ads.datamanager.v1"
_MEMBERS = (
    "IngestAudienceMembers",
    "RemoveAudienceMembers",
    "RemoveAllAudienceMembers",
    "IngestEvents",
    "RetrieveRequestStatus",
)
_LISTS = ("CreateUserList", "GetUserList", "ListUserLists", "UpdateUserList", "DeleteUserList")
ADS_METHODS = {
    "UserListService": ("MutateUserLists",),
    "UserListCustomerTypeService": ("MutateUserListCustomerTypes",),
    "ConversionValueRuleService": ("MutateConversionValueRules",),
    "ConversionValueRuleSetService": ("MutateConversionValueRuleSets",),
    "GoogleAdsService": ("Search", "SearchStream"),
    "OfflineUserDataJobService": (
        "CreateOfflineUserDataJob",
        "AddOfflineUserDataJobOperations",
        "RunOfflineUserDataJob",
    ),
    "UserDataService": ("UploadUserData",),
}
_REQUESTS = {"Search": "SearchGoogleAdsRequest", "SearchStream": "SearchGoogleAdsStreamRequest"}


class RpcServer:
    """Listens on loopback, in plain text or (with a key and certificate) TLS."""

    def __init__(self, sandbox: GoogleSandbox, port: int = 0, *, tls: tuple[bytes, bytes] | None = None) -> None:
        options = [("grpc.max_receive_message_length", -1), ("grpc.so_reuseport", 0)]
        self._server = grpc.server(ThreadPoolExecutor(4), options=options)
        self._sandbox = sandbox
        self._server.add_generic_rpc_handlers(tuple(self._handlers()))
        place = f"127.0.0.1:{port}"
        if tls is None:
            self.port = int(self._server.add_insecure_port(place))
        else:
            self.port = int(self._server.add_secure_port(place, grpc.ssl_server_credentials([tls])))
        self._server.start()

    def stop(self) -> None:
        """Nothing: the port is free again."""
        self._server.stop(0).wait(5)

    def _handlers(self) -> Iterator[Any]:
        for service, methods in (("IngestionService", _MEMBERS), ("UserListService", _LISTS)):
            name = f"{DATA_MANAGER}.{service}"
            yield grpc.method_handlers_generic_handler(name, {one: self._data_manager(name, one) for one in methods})
        for service, names in ADS_METHODS.items():
            name = f"google.ads.googleads.{VERSION}.services.{service}"
            yield grpc.method_handlers_generic_handler(name, {one: self._ads(name, one) for one in names})

    def _data_manager(self, service: str, method: str) -> Any:
        kind = getattr(dm, f"{method}Request")
        sandbox = self._sandbox

        def call(request: Any, context: Any) -> Any:
            headers = _headers(context)
            context.send_initial_metadata((("request-id", uuid.uuid4().hex),))

            def answer() -> Any:
                try:
                    with sandbox.lock:
                        return sandbox.data_manager.answer(method, request, headers)
                except DataManagerError as refused:
                    _abort(context, refused)

            def fail(detail: Mapping[str, Any]) -> None:
                _abort(context, sandbox.error_of(detail))

            return _with_fault(sandbox, f"{service}/{method}", answer, fail, context)

        empty = method == "DeleteUserList"
        return grpc.unary_unary_rpc_method_handler(
            call,
            request_deserializer=type(kind.pb(kind())).FromString,
            response_serializer=empty_pb2.Empty.SerializeToString if empty else lambda answer: answer.SerializeToString(),
        )

    def _ads(self, service: str, method: str) -> Any:
        module = importlib.import_module(f"google.ads.googleads.{VERSION}.services.types.{_snake(service.rpartition('.')[2])}")
        kind = getattr(module, _REQUESTS.get(method, f"{method}Request"))
        sandbox = self._sandbox

        def call(request: Any, context: Any) -> Any:
            request_id = uuid.uuid4().hex[:22]
            context.send_initial_metadata((("request-id", request_id),))

            def abort(refused: AdsError) -> None:
                failure = refused.failure(request_id).SerializeToString()
                context.set_trailing_metadata(((FAILURE_KEY, failure), ("request-id", request_id)))
                status = getattr(grpc.StatusCode, str(refused.status), grpc.StatusCode.INVALID_ARGUMENT)
                context.abort(status, refused.message or str(refused.code))

            def answer() -> Any:
                try:
                    with sandbox.lock:
                        return sandbox.ads.answer(method, request, _headers(context))
                except AdsError as refused:
                    abort(refused)

            def fail(detail: Mapping[str, Any]) -> None:
                abort(AdsError(**{"source": "internal_error", "code": "TRANSIENT_ERROR", **detail}))

            return _with_fault(sandbox, f"{service}/{method}", answer, fail, context)

        parse = type(kind.pb(kind())).FromString
        if method == "SearchStream":
            return grpc.unary_stream_rpc_method_handler(
                lambda request, context: iter(call(request, context)), request_deserializer=parse, response_serializer=_bytes
            )
        return grpc.unary_unary_rpc_method_handler(call, request_deserializer=parse, response_serializer=_bytes)


def _abort(context: Any, refused: DataManagerError) -> None:
    """Nothing returns: the call ends with a google.rpc.Status in its trailing metadata, as Google sends it."""
    status = refused.rpc_status().SerializeToString()
    context.set_trailing_metadata((("grpc-status-details-bin", status),))
    context.abort(getattr(grpc.StatusCode, refused.status), refused.message)


def _bytes(answer: Any) -> bytes:
    return bytes(answer.SerializeToString())


def _with_fault(
    sandbox: GoogleSandbox, call: str, answer: Callable[[], Any], fail: Callable[[Mapping[str, Any]], None], context: Any
) -> Any:
    """The answer, unless a fault waits for this call."""
    fault = sandbox.faults.take(call)
    if fault is None:
        return answer()
    sandbox.record(method=call.rpartition("/")[2], path=call, fault=fault.kind)
    if fault.kind == "delay":
        time.sleep(float(fault.detail.get("seconds", 1)))
        return answer()
    if fault.kind == "error":
        fail(fault.detail)
    if fault.kind == "lost_reply":
        answer()
    text = "Received http2 header with status: 502" if fault.kind == "http" else "recvmsg:Connection reset by peer"
    context.abort(grpc.StatusCode.UNAVAILABLE, text)
    return None


def _headers(context: Any) -> dict[str, str]:
    return {str(key): value for key, value in context.invocation_metadata() if isinstance(value, str)}


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")
