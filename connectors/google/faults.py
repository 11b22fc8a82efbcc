"""Google's answers of refusal -> our errors. No SDK here: exceptions are read by their shape.

Three shapes arrive: `GoogleAPICallError` (Data Manager, and Google Ads' INTERNAL and RESOURCE_EXHAUSTED), `GoogleAdsException`
(all other Google Ads errors), and transport faults of grpc, requests and google-auth.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from connectors.errors import (
    ConfigurationError,
    FatalError,
    NotReadyError,
    OutcomeUnknownError,
    RetriableError,
    RowsRejectedError,
    SyncError,
    UnreachableError,
)
from connectors.google.codes import DATA_MANAGER, GRPC, Code, lookup, table

if TYPE_CHECKING:
    from collections.abc import Callable

HOUR = 3600.0
_MEMBER = re.compile(r"(?:audience_?members|events)\[(\d+)\]", re.IGNORECASE)
_SECRET = re.compile(
    r"[0-9a-fA-F]{32,}|[A-Za-z0-9+/]{43}=|ya29\.[\w.-]+|[\w.+-]+@[\w-]+\.[\w.]+|(?<![\w.-])\+\d[\d ().-]{7,18}\d(?![\w-])"
)


class LostReplyError(RetriableError):
    """The call may have been applied: no answer came back."""


class RefusedMembersError(SyncError):
    """A request refused for some of its members: `members` maps an index in the request to a reason (empty: not said)."""

    def __init__(self, message: str, *, members: dict[int, str], code: str) -> None:
        self.members = members
        super().__init__(message, platform="google", code=code)


class ExistsError(SyncError):
    """What was to be made exists already."""


class GoneError(FatalError):
    """What was asked for is not there."""


EXISTS = frozenset({"DISPLAY_NAME_ALREADY_USED", "ALREADY_EXISTS", "NAME_ALREADY_USED", "DUPLICATE_LOOKALIKE"})
EXISTS |= {"RESOURCE_ALREADY_EXISTS"}
PLUGIN = "from plugin failed"
SIGN_IN_TROUBLE = frozenset(
    "ConnectionPool|Connection aborted|timed out|Timeout|internal_failure|server_error|temporarily_unavailable".split("|")
)
"""Words in a failed sign-in that speak of the way there, or of Google, and not of the credentials."""
GONE = frozenset({"NOT_FOUND", "RESOURCE_NOT_FOUND", "INVALID_USER_LIST_ID"})


@dataclass
class Refusal:
    """What one answer says, whatever its shape."""

    source: str = GRPC
    code: str = ""
    message: str = ""
    status: str = ""
    violations: list[tuple[str, str]] = field(default_factory=list)  # (field path, reason)
    quota: str = ""
    retry_after: float | None = None
    request_id: str = ""


def clean(text: str) -> str:
    """The text in one line without anything that looks like a digest, a token or an e-mail address."""
    return _SECRET.sub("[removed]", " ".join(text.split()))[:300]


def translate(error: Exception, read_failure: Callable[[Any], Any], address: str) -> SyncError:
    """Our error for an SDK's exception; `read_failure` finds Google Ads' failure message in one, or gives None."""
    failure = read_failure(error)
    if failure is not None and len(failure.errors):
        return _of(_read_ads(failure, error))
    if hasattr(error, "grpc_status_code"):
        return _of_call(error, address)
    name = type(error).__name__
    if name in ("RefreshError", "TransportError", "DefaultCredentialsError", "InvalidOperation", "MutualTLSChannelError"):
        return _sign_in(str(error), passing=name == "TransportError" or bool(getattr(error, "retryable", False)))
    if name == "TooManyRedirects":
        why = f"{address} sends on to another address, which is not followed"
        return ConfigurationError(why, remedy="check data_manager_endpoint and any proxy between", platform="google")
    if name in ("ParseError", "AttributeError", "TypeError"):
        return LostReplyError(f"{address} answered with something that is not a Data Manager message", platform="google")
    return _transport(str(error), address)


def _row(status: str) -> Code:
    return table()[(GRPC, status)]


def _of_call(error: Any, address: str) -> SyncError:
    refusal = _read_call(error)
    bare = refusal.source == GRPC
    if bare and refusal.status == "UNAVAILABLE" and not error.details:
        return _transport(str(error.message), address, http=getattr(error.response, "status_code", None))
    if bare and refusal.status == "DEADLINE_EXCEEDED":
        return LostReplyError("no answer within the time allowed", platform="google", code=refusal.status)
    return _of(refusal)


def _sign_in(text: str, *, passing: bool) -> SyncError:
    """The credentials got no token: refused by Google's sign-in, or (`passing`) it could not be reached or is in trouble."""
    if passing:
        return UnreachableError("Google's sign-in gave no token: it can't be reached, or is in trouble", platform="google")
    said = f"the credentials were refused: {clean(text)}"
    return ConfigurationError(said, remedy=_row("UNAUTHENTICATED").remedy, platform="google").of_account()


def _transport(text: str, address: str, http: int | None = None) -> SyncError:
    if PLUGIN in text:  # over gRPC the credentials' own failure arrives as if the service were not available
        said = text.partition(PLUGIN)[2].partition(": ")[2]
        return _sign_in(said, passing=any(sign in said for sign in SIGN_IN_TROUBLE))
    refused = ("Connection refused", "failed to connect", "Name or service not known", "DNS resolution failed", "CERTIFICATE")
    if http:
        return LostReplyError(f"{address} answered HTTP {http}", platform="google", code=str(http))
    if any(sign in text for sign in refused):
        why = "its certificate is not trusted" if "CERTIFICATE" in text else "is it running, and is the address right?"
        return UnreachableError(f"{address} can't be reached: {why}", platform="google", code="UNAVAILABLE")
    return LostReplyError(f"the connection to {address} broke before the answer came", platform="google", code="UNAVAILABLE")


def _of(refusal: Refusal) -> SyncError:
    row = lookup(refusal.source, refusal.code)
    said = clean(refusal.message or row.meaning) + (f" [request {refusal.request_id}]" if refusal.request_id else "")
    if refusal.code in EXISTS:
        return ExistsError(said, remedy=row.remedy, platform="google", code=refusal.code)
    if refusal.code in GONE:
        return GoneError(said, remedy=row.remedy, platform="google", code=refusal.code)
    if row.error is RetriableError:
        return RetriableError(said, retry_after=_wait(refusal), platform="google", code=refusal.code)
    if row.error is RowsRejectedError and refusal.violations and not _members(refusal):
        where = clean(", ".join(path for path, _ in refusal.violations[:3]))
        return FatalError(f"{said} ({where})", remedy="report this as a defect", platform="google", code=refusal.code)
    if row.error is RowsRejectedError:
        return RefusedMembersError(said, members=_members(refusal), code=refusal.code)
    if row.error is NotReadyError:
        return NotReadyError(said, platform="google", code=refusal.code)
    if row.error is OutcomeUnknownError:
        return OutcomeUnknownError(said, remedy=row.remedy, platform="google", code=refusal.code)
    found = row.error(said, remedy=row.remedy, platform="google", code=refusal.code)
    dead = "UNAUTHENTICATED" in (refusal.status, refusal.code) or refusal.source == "authentication_error"
    return found.of_account() if dead else found


def _members(refusal: Refusal) -> dict[int, str]:
    found: dict[int, str] = {}
    for path, reason in refusal.violations:
        if place := _MEMBER.search(path):
            found.setdefault(int(place.group(1)), reason or refusal.code)
    return found


def _wait(refusal: Refusal) -> float | None:
    """Google's own wait; a daily limit frees up within hours, so the run ends and the next one goes on."""
    if refusal.retry_after is not None:
        return refusal.retry_after
    if "PerDay" in refusal.quota:
        return HOUR
    return 20.0 if "PerMinute" in refusal.quota else None


def _read_call(error: Any) -> Refusal:
    """The parts of a GoogleAPICallError; `details` are messages over gRPC and dicts over REST."""
    status = getattr(error.grpc_status_code, "name", "") or _http_status(getattr(error, "code", None))
    refusal = Refusal(code=status, status=status, message=str(error.message))
    for detail in error.details or ():
        kind = detail.get("@type", "") if isinstance(detail, dict) else detail.DESCRIPTOR.full_name
        _read_detail(refusal, kind.rpartition(".")[2], detail)
    return refusal


def _read_detail(refusal: Refusal, kind: str, detail: Any) -> None:
    if kind == "ErrorInfo":
        refusal.source, refusal.code = DATA_MANAGER, _get(detail, "reason") or refusal.code
        refusal.quota = dict(_get(detail, "metadata") or {}).get("quota_limit", "")
        if (DATA_MANAGER, refusal.code) not in table():
            if refusal.status == "UNAUTHENTICATED":  # its reasons are those of all Google APIs, not of this one
                refusal.code = refusal.status
            if (GRPC, refusal.code) in table():
                refusal.source = GRPC
    elif kind == "BadRequest":
        for one in _get(detail, "field_violations") or ():
            refusal.violations.append((str(_get(one, "field")), str(_get(one, "reason") or "")))
    elif kind == "RetryInfo":
        delay = _get(detail, "retry_delay")
        refusal.retry_after = float(str(delay).rstrip("s")) if isinstance(delay, str) else delay.ToTimedelta().total_seconds()
    elif kind == "RequestInfo":
        refusal.request_id = str(_get(detail, "request_id") or "")


def _get(detail: Any, name: str) -> Any:
    if not isinstance(detail, dict):
        return getattr(detail, name)
    head, *rest = name.split("_")
    return detail.get(head + "".join(part.title() for part in rest), detail.get(name))


def _http_status(code: int | None) -> str:
    names = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 409: "ABORTED"}
    names |= {429: "RESOURCE_EXHAUSTED", 501: "UNIMPLEMENTED", 504: "DEADLINE_EXCEEDED", 500: "INTERNAL"}
    return names.get(code or 0, "UNAVAILABLE" if (code or 0) > 500 else "UNKNOWN")


def ads_code(error: Any) -> tuple[str, str]:
    """The field of ErrorCode that is set in a GoogleAdsError, and its value's name."""
    source = error.error_code.WhichOneof("error_code") or "request_error"
    number = getattr(error.error_code, source, 0)
    described = error.error_code.DESCRIPTOR.fields_by_name[source].enum_type.values_by_number.get(number)
    return source, described.name if described else str(number)


def _read_ads(failure: Any, error: Any) -> Refusal:
    """The first error of a GoogleAdsFailure; a quota's retry delay is in its details."""
    first = failure.errors[0]
    source, code = ads_code(first)
    refusal = Refusal(source, code, str(first.message))
    refusal.request_id = getattr(error, "request_id", "") or ""
    if first.details.HasField("quota_error_details"):
        delay = first.details.quota_error_details.retry_delay
        refusal.retry_after = delay.seconds + delay.nanos / 1e9 or None
        refusal.quota = first.details.quota_error_details.rate_name
    if source == "quota_error" and refusal.code in ("RESOURCE_EXHAUSTED", "EXCESSIVE_LONG_TERM_QUERY_RESOURCE_CONSUMPTION"):
        refusal.retry_after = refusal.retry_after or HOUR
    return refusal
