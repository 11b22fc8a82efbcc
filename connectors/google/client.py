"""The Data Manager and Google Ads clients of Google's own SDKs: the only file (with sandbox/) that imports them.

Addresses: `host:port` is gRPC over TLS, `insecure:host:port` plain gRPC, `http://host:port` the Data Manager's REST
transport. The SDKs' retries are switched off and ours used; their logging is held, because at DEBUG it prints identifiers.
"""

from __future__ import annotations

import logging
import threading
import time
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import google.auth
import google.auth.exceptions
import grpc
import requests
from google.ads.datamanager_v1 import types as dm
from google.ads.datamanager_v1.services.ingestion_service import IngestionServiceClient
from google.ads.datamanager_v1.services.ingestion_service.transports import (
    IngestionServiceGrpcTransport,
    IngestionServiceRestTransport,
)
from google.ads.datamanager_v1.services.user_list_service import UserListServiceClient
from google.ads.datamanager_v1.services.user_list_service.transports import (
    UserListServiceGrpcTransport,
    UserListServiceRestTransport,
)
from google.ads.googleads.config import load_from_env, load_from_yaml_file
from google.ads.googleads.errors import GoogleAdsException
from google.ads.googleads.interceptors import ExceptionInterceptor, MetadataInterceptor
from google.api_core.exceptions import GoogleAPICallError
from google.auth.credentials import AnonymousCredentials
from google.oauth2 import credentials as user_credentials
from google.oauth2 import service_account
from google.protobuf.json_format import ParseError

from connectors.errors import ConfigurationError, FatalError, OutcomeUnknownError, SyncError
from connectors.google import credentials, faults
from connectors.google.pace import Pace
from connectors.google.settings import ADS, GoogleAccount, GoogleSettings
from connectors.retries import retrying
from connectors.settings import is_loopback

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

VERSION = "v26"
ADS_CONSENT_GRANTED, CUSTOMER_MATCH_JOB = 2, 4  # enum values of Google Ads, which differ from the Data Manager's
SCOPES = ["https://www.googleapis.com/auth/adwords", "https://www.googleapis.com/auth/datamanager"]
TOKEN_URI = "https://oauth2.googleapis.com/token"
OPTIONS: list[tuple[str, int | str]] = [
    ("grpc.max_metadata_size", 16 * 1024 * 1024),
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
]
CAUGHT = (
    GoogleAPICallError,
    GoogleAdsException,
    grpc.RpcError,
    requests.RequestException,
    google.auth.exceptions.GoogleAuthError,
    ParseError,
    AttributeError,  # what the SDK's REST transport meets in an answer whose `error` is no object
    TypeError,
)
Result = TypeVar("Result")


def _quiet(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING


def hold_loggers() -> None:
    """Nothing: the SDKs' loggers stay at WARNING, whatever is asked for: below it they print whole requests."""
    for name in [*logging.root.manager.loggerDict, "google.ads.googleads.client"]:
        if name.startswith(("google.ads", "google.auth", "google.api_core")):
            logger = logging.getLogger(name)
            logger.setLevel(logging.WARNING)
            if _quiet not in logger.filters:
                logger.addFilter(_quiet)


class GoogleClient:
    """Both APIs for one account. Building one opens no connection and reads no credential."""

    def __init__(
        self,
        settings: GoogleSettings,
        account: GoogleAccount,
        *,
        sleep: Callable[[float], None] = time.sleep,
        attempts: int = 6,
    ) -> None:
        self.settings, self.account = settings, account
        self._sleep, self._attempts = sleep, attempts
        self._pace = Pace(sleep=sleep)
        self._lock = threading.Lock()
        self._channels: list[Any] = []
        self._services: dict[str, Any] = {}

    # credentials and channels

    @cached_property
    def source(self) -> credentials.Source:
        """Where the credentials come from."""
        found = credentials.find(self.settings, load_from_yaml_file, load_from_env)
        hold_loggers()
        return found

    @cached_property
    def _credentials(self) -> Any:
        source = self.source
        if source.kind == "anonymous":
            return AnonymousCredentials()  # type: ignore[no-untyped-call]
        if source.kind == "installed_app":
            return user_credentials.Credentials(None, token_uri=TOKEN_URI, **source.keys)  # type: ignore[no-untyped-call]
        try:
            if source.kind == "default":
                return google.auth.default(scopes=SCOPES)[0]
            build: Callable[..., Any] = service_account.Credentials.from_service_account_info
            return build(dict(source.keys), scopes=SCOPES, subject=source.subject)
        except (google.auth.exceptions.GoogleAuthError, ValueError):
            raise ConfigurationError(
                "Google's credentials can't be read", remedy="check google.credentials", platform="google"
            ) from None

    @property
    def login_account(self) -> str | None:
        """The manager account through which the credentials reach the account."""
        return self.account.login_account_id or self.source.login_customer_id

    @cached_property
    def ads_address(self) -> str:
        """Where Google Ads is: the setting, else the `endpoint` of google-ads.yaml, else Google."""
        given = self.settings.ads_endpoint
        return (self.source.endpoint or ADS) if given == ADS else given

    def _channel(self, address: str, transport: Any) -> Any:
        options = list(OPTIONS)
        if is_loopback(address):
            options.append(("grpc.enable_http_proxy", 0))
        elif self.source.http_proxy:
            options.append(("grpc.http_proxy", self.source.http_proxy))
        if address.startswith("insecure:"):
            channel = grpc.insecure_channel(address.removeprefix("insecure:"), options=options)
        else:
            channel = transport.create_channel(address, credentials=self._credentials, scopes=SCOPES, options=options)
        self._channels.append(channel)
        _keep_engine()
        return channel

    @cached_property
    def _data_manager_channel(self) -> Any:
        return self._channel(self.settings.data_manager_endpoint, IngestionServiceGrpcTransport)

    @cached_property
    def _ads_channel(self) -> Any:
        module = self._ads_module("GoogleAdsService")
        source = self.source
        return grpc.intercept_channel(
            self._channel(self.ads_address, module.GoogleAdsServiceClient.get_transport_class("grpc")),
            MetadataInterceptor(source.developer_token, self.login_account, source.linked_customer_id),
            ExceptionInterceptor(VERSION, use_proto_plus=False),
        )

    def _service(self, name: str, build: Callable[[], Any]) -> Any:
        with self._lock:
            if name not in self._services:
                self._services[name] = build()
                hold_loggers()
            return self._services[name]

    def _rest(self, transport: Any) -> Any:
        made = transport(host=self.settings.data_manager_endpoint, credentials=self._credentials)
        made._session.max_redirects = 0  # members go to the address in config and nowhere else
        if is_loopback(self.settings.data_manager_endpoint):
            made._session.trust_env = False  # no proxy between this machine and itself
        return made

    def _data_manager(self, client: Any, over_grpc: Any, over_rest: Any) -> Any:
        if self.settings.data_manager_endpoint.startswith(("http://", "https://")):
            return client(transport=self._rest(over_rest))
        return client(transport=over_grpc(channel=self._data_manager_channel))

    @property
    def ingestion(self) -> Any:
        """The Data Manager's IngestionService client."""
        parts = (IngestionServiceClient, IngestionServiceGrpcTransport, IngestionServiceRestTransport)
        return self._service("ingestion", lambda: self._data_manager(*parts))

    @property
    def user_lists(self) -> Any:
        """The Data Manager's UserListService client."""
        parts = (UserListServiceClient, UserListServiceGrpcTransport, UserListServiceRestTransport)
        return self._service("user_lists", lambda: self._data_manager(*parts))

    @staticmethod
    def _ads_module(name: str) -> ModuleType:
        from importlib import import_module

        snake = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")
        return import_module(f"google.ads.googleads.{VERSION}.services.services.{snake}")

    def ads(self, name: str) -> Any:
        """A Google Ads service client, e.g. `GoogleAdsService`."""

        def build() -> Any:
            client = getattr(self._ads_module(name), f"{name}Client")
            return client(transport=client.get_transport_class("grpc")(channel=self._ads_channel))

        return self._service(name, build)

    # calls

    def call(
        self, quota: str, invoke: Callable[[], Result], *, write: bool = False, members: bool = False, address: str = ""
    ) -> Result:
        """What `invoke` gives, with our pacing, retries and errors.

        A write whose answer never came is an unknown outcome. `members`: RefusedMembersError may leave; elsewhere it is fatal.
        """
        where = address or self.settings.data_manager_endpoint

        def once() -> Result:
            if quota:
                self._pace.wait(quota)
            try:
                return invoke()
            except CAUGHT as error:
                failure = self._told(faults.translate(error, _failure_of, where))
            raise failure  # outside the handler: Google's own exception, with the whole answer in it, goes no further

        try:
            return retrying(once, attempts=self._attempts, sleep=self._sleep)
        except faults.LostReplyError as lost:
            if not write:
                raise
            raise OutcomeUnknownError(lost.message, remedy="run again to resume", platform="google", code=lost.code) from None
        except faults.RefusedMembersError as refused:
            if members:
                raise
            raise FatalError(refused.message, remedy="report this as a defect", platform="google", code=refused.code) from None

    def _told(self, failure: SyncError) -> SyncError:
        """The error, its text without what only these credentials know: a server may repeat the token that it was given."""
        held = self.__dict__.get("_credentials")
        names = ("client_secret", "refresh_token", "private_key")
        secrets = [getattr(held, "token", None), *(self.source.keys.get(name) for name in names)] if held is not None else []
        for secret in filter(None, secrets):
            failure.message = failure.message.replace(str(secret), "[removed]")
        failure.args = (failure.message,)
        return failure

    def query(self, gaql: str, customer_id: str = "") -> list[Any]:
        """All rows of a GAQL query (raw protobuf), read in one stream; a broken stream is read again from its start."""
        request = {"customer_id": customer_id or self.account.account_id, "query": gaql}

        def invoke() -> list[Any]:
            stream = self.ads("GoogleAdsService").search_stream(request=request, timeout=self.settings.timeout_seconds)
            return [row for part in stream for row in part.results]  # raw: the interceptor unwraps

        return self.call("", invoke, address=self.ads_address)

    def ads_call(self, service: str, method: str, request: Any) -> Any:
        """The answer (raw protobuf) of a Google Ads write, given as a dict or a raw message of the SDK's own kind."""

        def invoke() -> Any:
            return getattr(self.ads(service), method)(request=request, timeout=self.settings.timeout_seconds)

        return self.call("", invoke, write=True, address=self.ads_address)

    def mutate(self, service: str, method: str, operations: list[dict[str, Any]]) -> list[str]:
        """The resource names that a Google Ads mutate gives, in order."""
        request = {"customer_id": self.account.account_id, "operations": operations}
        answer = self.ads_call(service, method, request)
        return answered([str(result.resource_name) for result in answer.results], self.ads_address)

    def close(self) -> None:
        """Nothing: connections are closed."""
        with self._lock:
            for service in self._services.values():
                if hasattr(service.transport, "_session"):
                    service.transport._session.close()
            for channel in self._channels:
                channel.close()
            self._services.clear()
            self._channels.clear()
        for name in ("_data_manager_channel", "_ads_channel"):
            self.__dict__.pop(name, None)


@cache
def _keep_engine() -> Any:
    """A channel that is never used or closed, so that no other one is the last to hold gRPC's event engine.

    The last one's `close` waits for the engine's threads while it holds Python's lock, for which the credentials' clean-up on
    such a thread waits: about one close in a hundred hung for ever (github.com/grpc/grpc/pull/42247).
    """
    return grpc.insecure_channel("localhost:9")


def _failure_of(error: Any) -> Any:
    """Google Ads' failure message (raw protobuf) in an exception, else None."""
    found = getattr(error, "failure", None)
    if found is not None:
        return found if hasattr(found, "DESCRIPTOR") else type(found).pb(found)
    response = getattr(error, "response", None) or (error if isinstance(error, grpc.RpcError) else None)
    trailing = getattr(response, "trailing_metadata", None)
    for key, value in (trailing() if callable(trailing) else None) or ():
        if key.endswith(".errors.googleadsfailure-bin"):
            from google.ads.googleads.v26.errors.types.errors import GoogleAdsFailure

            return GoogleAdsFailure.pb(GoogleAdsFailure.deserialize(value))
    return None


def member_request(kind: str) -> Any:
    """An empty raw protobuf request: `ingest`, `remove`, `remove_all` or `events` (wrappers take five times as long)."""
    made: Any = {
        "ingest": dm.IngestAudienceMembersRequest,
        "remove": dm.RemoveAudienceMembersRequest,
        "remove_all": dm.RemoveAllAudienceMembersRequest,
        "events": dm.IngestEventsRequest,
    }[kind]
    return made.pb(made())


def wrap(request: Any) -> Any:
    """The SDK's wrapper around a raw request, without a copy."""
    return getattr(dm, request.DESCRIPTOR.name).wrap(request)


def pages(answer: Any) -> Iterator[Any]:
    """The raw protobuf items of an SDK pager."""
    for item in answer:
        yield item._pb


def job_operations(job: str) -> Any:
    """An empty request (the SDK's wrapper; fill its `operations`) that adds people to an upload job."""
    from google.ads.googleads.v26.services.types.offline_user_data_job_service import AddOfflineUserDataJobOperationsRequest

    raw = AddOfflineUserDataJobOperationsRequest.pb(AddOfflineUserDataJobOperationsRequest())
    raw.resource_name, raw.enable_partial_failure = job, True
    return raw


def partial_failures(answer: Any) -> dict[int, str]:
    """Operations that Google refused while it took the others: index -> code."""
    from google.ads.googleads.v26.errors.types.errors import GoogleAdsFailure

    found: dict[int, str] = {}
    for packed in answer.partial_failure_error.details:
        failure = GoogleAdsFailure.pb(GoogleAdsFailure())
        if packed.Unpack(failure):
            for error in failure.errors:
                index = error.location.field_path_elements[0].index
                found.setdefault(index, faults.ads_code(error)[1])
    return found


def answered(value: Result, address: str) -> Result:
    """The value, which an answer must hold: a proxy's JSON is read as an empty message, and that is no success."""
    if not value:
        raise faults.LostReplyError(f"{address} gave an empty answer", platform="google", code="EMPTY_ANSWER")
    return value


def processing_reason(number: int) -> str:
    """The name of a reason for which processing dropped rows, as in the table of codes."""
    try:
        name = str(dm.ProcessingErrorReason(number).name)
    except ValueError:
        return f"REASON_{number}"
    return name.removeprefix("PROCESSING_ERROR_REASON_").removeprefix("PROCESSING_ERROR_")
