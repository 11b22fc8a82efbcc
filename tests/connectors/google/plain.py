"""Plain HTTP and gRPC clients: what the sandbox is asked without the connector."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import grpc
import requests
from google.ads.googleads.v26.errors.types.errors import GoogleAdsFailure
from google.ads.googleads.v26.services import types as services
from google.longrunning import operations_pb2
from google.protobuf import json_format

from tests.connectors.google.conftest import ACCOUNT

if TYPE_CHECKING:
    from tests.connectors.google.conftest import World

PARENT = f"accountTypes/GOOGLE_ADS/accounts/{ACCOUNT}"
FAILURE_KEY = "google.ads.googleads.v26.errors.googleadsfailure-bin"


def hexed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def member(*identifiers: dict[str, Any]) -> dict[str, Any]:
    return {"compositeData": {"userData": {"userIdentifiers": list(identifiers) or [{"emailAddress": hexed("a")}]}}}


def address(**parts: Any) -> dict[str, Any]:
    full = {"givenName": hexed("g"), "familyName": hexed("f"), "regionCode": "US", "postalCode": "12345"}
    return {"address": {name: value for name, value in {**full, **parts}.items() if value is not None}}


class Plain:
    """A plain HTTP client for the REST transport."""

    def __init__(self, world: World) -> None:
        self.world, self.base = world, world.addresses["data_manager"]
        self.list_id: str = self.create(displayName="Base")["id"]

    def call(self, verb: str, path: str, body: Any = None, **options: Any) -> tuple[int, dict[str, Any]]:
        answer = requests.request(verb, f"{self.base}/v1/{path}", json=body, timeout=10, **options)
        return answer.status_code, answer.json()

    def create(self, **fields: Any) -> dict[str, Any]:
        return self.call("POST", f"{PARENT}/userLists", self.user_list(**fields))[1]

    @staticmethod
    def user_list(**fields: Any) -> dict[str, Any]:
        plain = {"displayName": "X", "ingestedUserListInfo": {"uploadKeyTypes": ["CONTACT_ID"]}}
        return {name: value for name, value in {**plain, **fields}.items() if value is not None}

    def destination(self, **fields: Any) -> dict[str, Any]:
        account = {"accountType": "GOOGLE_ADS", "accountId": ACCOUNT}
        return {"operatingAccount": account, "productDestinationId": self.list_id, **fields}

    def body(self, **fields: Any) -> dict[str, Any]:
        consent = {"adUserData": "CONSENT_GRANTED", "adPersonalization": "CONSENT_GRANTED"}
        full: dict[str, Any] = {
            "destinations": [self.destination()],
            "audienceMembers": [member()],
            "encoding": "HEX",
            "consent": consent,
            "termsOfService": {"customerMatchTermsOfServiceStatus": "ACCEPTED"},
        }
        return {name: value for name, value in {**full, **fields}.items() if value is not None}

    def ingest(self, **fields: Any) -> tuple[int, dict[str, Any]]:
        return self.call("POST", "audienceMembers:ingest", self.body(**fields))

    def remove(self, **fields: Any) -> tuple[int, dict[str, Any]]:
        return self.call("POST", "audienceMembers:remove", self.body(consent=None, termsOfService=None, **fields))

    def count(self) -> int:
        return int(self.world.sandbox.state()["audiences"][self.list_id]["member_count"])


def refusal(answer: tuple[int, dict[str, Any]]) -> tuple[int, str, list[str]]:
    """HTTP status, ErrorInfo's reason, and the fields of the violations."""
    status, document = answer
    details = {one["@type"].rpartition(".")[2]: one for one in document["error"]["details"]}
    assert details["ErrorInfo"]["domain"] == "datamanager.googleapis.com"
    assert details["RequestInfo"]["requestId"]
    fields = [one["field"] for one in details.get("BadRequest", {}).get("fieldViolations", [])]
    return status, details["ErrorInfo"]["reason"], fields


def ads(world: World, service: str, method: str, body: dict[str, Any], metadata: Any = ()) -> Any:
    """The answer as a dict, or the code of the failure in the trailing metadata."""
    stem = {"Search": "SearchGoogleAds", "SearchStream": "SearchGoogleAdsStream"}.get(method, method)
    kind = getattr(services, f"{stem}Request")
    request = json_format.ParseDict(body, kind.pb(kind()))
    with grpc.insecure_channel(world.addresses["ads"].removeprefix("insecure:")) as channel:
        path = f"/google.ads.googleads.v26.services.{service}/{method}"
        call = channel.unary_stream if method == "SearchStream" else channel.unary_unary
        invoke = call(path, request_serializer=lambda one: one.SerializeToString(), response_deserializer=lambda raw: raw)
        answer: Any = getattr(services, f"{stem}Response", None)
        try:
            if method == "SearchStream":
                parts = [answer.pb(answer.deserialize(raw)) for raw in invoke(request, metadata=metadata, timeout=10)]
                return [json_format.MessageToDict(row) for part in parts for row in part.results]
            raw, held = invoke.with_call(request, metadata=metadata, timeout=10)
            assert dict(held.initial_metadata())["request-id"]
            if answer is None:  # a long-running operation
                return json_format.MessageToDict(operations_pb2.Operation.FromString(raw))
            return json_format.MessageToDict(answer.pb(answer.deserialize(raw)))
        except grpc.RpcError as error:
            trailing = dict(error.trailing_metadata())
            assert trailing["request-id"]
            failure = json_format.MessageToDict(GoogleAdsFailure.pb(GoogleAdsFailure.deserialize(trailing[FAILURE_KEY])))
            return next(iter(failure["errors"][0]["errorCode"].values()))
