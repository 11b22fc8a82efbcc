"""How the two APIs say no: the Data Manager with google.rpc.Status and ErrorInfo, Google Ads with a GoogleAdsFailure."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2

DOMAIN = "datamanager.googleapis.com"
# gRPC status and HTTP code by reason; every other reason is INVALID_ARGUMENT.
STATUSES = {
    "INTERNAL_ERROR": ("INTERNAL", 500),
    "DEADLINE_EXCEEDED": ("DEADLINE_EXCEEDED", 504),
    "RESOURCE_EXHAUSTED": ("RESOURCE_EXHAUSTED", 429),
    "NOT_FOUND": ("NOT_FOUND", 404),
    "PERMISSION_DENIED": ("PERMISSION_DENIED", 403),
    "NOT_ALLOWLISTED": ("PERMISSION_DENIED", 403),
    "UNAUTHENTICATED": ("UNAUTHENTICATED", 401),
}
_CODES = (
    "CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS PERMISSION_DENIED RESOURCE_EXHAUSTED "
    "FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED INTERNAL UNAVAILABLE DATA_LOSS UNAUTHENTICATED"
)
NUMBERS = {name: number for number, name in enumerate(_CODES.split(), 1)}  # google.rpc.Code


@dataclass(frozen=True)
class Violation:
    """One field at fault."""

    field: str
    reason: str
    description: str = ""


@dataclass
class DataManagerError(Exception):
    """A refusal of the Data Manager; the first violation gives the reason when none is set. `bare`: a status and no details."""

    reason: str
    message: str = "There was a problem with the request."
    violations: list[Violation] = field(default_factory=list)
    metadata: dict[str, str] = field(default_factory=dict)
    request_id: str = ""
    status: str = ""
    http: int = 0
    bare: bool = False

    def __post_init__(self) -> None:
        status, http = STATUSES.get(self.reason, ("INVALID_ARGUMENT", 400))
        self.status, self.http = self.status or status, self.http or http
        self.request_id = self.request_id or uuid.uuid4().hex

    def document(self) -> dict[str, Any]:
        """The REST answer."""
        kind = "type.googleapis.com/google.rpc."
        details: list[dict[str, Any]] = [
            {"@type": f"{kind}ErrorInfo", "reason": self.reason, "domain": DOMAIN, "metadata": self.metadata},
            {"@type": f"{kind}RequestInfo", "requestId": self.request_id},
        ]
        if self.violations:
            listed = [{"field": one.field, "description": one.description, "reason": one.reason} for one in self.violations]
            details.append({"@type": f"{kind}BadRequest", "fieldViolations": listed})
        return {"error": {"code": self.http, "message": self.message, "status": self.status, "details": details}}

    def rpc_status(self) -> Any:
        """The gRPC answer's google.rpc.Status."""
        status = status_pb2.Status(code=NUMBERS[self.status], message=self.message)
        if self.bare:
            return status
        info = error_details_pb2.ErrorInfo(reason=self.reason, domain=DOMAIN, metadata=self.metadata)
        details = [info, error_details_pb2.RequestInfo(request_id=self.request_id)]
        if self.violations:
            bad = error_details_pb2.BadRequest()
            for one in self.violations:
                bad.field_violations.add(field=one.field, description=one.description, reason=one.reason)
            details.append(bad)
        for detail in details:
            packed = any_pb2.Any()
            packed.Pack(detail)
            status.details.append(packed)
        return status


@dataclass
class AdsError(Exception):
    """A refusal of Google Ads: `source` is the field of ErrorCode, `code` its value's name."""

    source: str
    code: str
    message: str = ""
    status: str = "INVALID_ARGUMENT"
    path: tuple[tuple[str, int | None], ...] = ()
    retry_delay: float = 0
    rate_name: str = ""

    def failure(self, request_id: str) -> Any:
        """The GoogleAdsFailure (raw protobuf)."""
        from google.ads.googleads.v26.errors.types.errors import GoogleAdsFailure

        failure = GoogleAdsFailure.pb(GoogleAdsFailure())
        failure.request_id = request_id
        error = failure.errors.add()
        error.message = self.message or self.code
        enum = error.error_code.DESCRIPTOR.fields_by_name[self.source].enum_type
        known = enum.values_by_name.get(str(self.code))
        setattr(error.error_code, self.source, known.number if known else int(self.code))
        for name, index in self.path:
            element = error.location.field_path_elements.add(field_name=name)
            if index is not None:
                element.index = index
        if self.source == "quota_error":
            details = error.details.quota_error_details
            details.rate_scope, details.rate_name = 3, self.rate_name or "Requests per project"
            details.retry_delay.FromMilliseconds(int(self.retry_delay * 1000))
        return failure
