"""Upload jobs of Google Ads, for accounts that are told to be allowed: their states, order and limits."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from google.ads.googleads.v26.services import types as services
from google.longrunning import operations_pb2
from google.protobuf import any_pb2
from google.rpc import status_pb2

from connectors.google.sandbox.identifiers import CONSENT_NEEDED
from connectors.google.sandbox.refusals import AdsError
from connectors.google.sandbox.store import pack

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from connectors.google.sandbox.store import Store, UserList

CUSTOMER_MATCH_USER_LIST, GRANTED, DENIED = 4, 2, 3
PER_REQUEST, PER_OPERATION, PER_UPLOAD = 100_000, 20, 100
SOURCE = "offline_user_data_job_error"
_HEX = re.compile(r"[0-9a-f]{64}")
_LIST = re.compile(r"customers/([0-9]{10})/userLists/([0-9]+)")
_JOB = re.compile(r"customers/([0-9]{10})/offlineUserDataJobs/([0-9]+)")


def account_of(request: Any) -> str:
    """The account that a job's request is about."""
    if "customer_id" in request.DESCRIPTOR.fields_by_name:
        return str(request.customer_id)
    found = _JOB.fullmatch(request.resource_name)
    if not found:
        raise AdsError("request_error", "RESOURCE_NAME_MALFORMED")
    return found.group(1)


class Jobs:
    """Jobs by resource name: {account, list, state, granted, operations, at}."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def create(self, account: str, request: Any) -> Any:
        """A job that waits for its operations."""
        about = request.job.customer_match_user_list_metadata
        if request.job.type_ != CUSTOMER_MATCH_USER_LIST:
            raise AdsError("not_allowlisted_error", "CUSTOMER_NOT_ALLOWLISTED_FOR_THIS_FEATURE", status="PERMISSION_DENIED")
        held = self._list(account, about.user_list)
        flags = (about.consent.ad_user_data, about.consent.ad_personalization)
        if DENIED in flags:
            raise AdsError(SOURCE, "CUSTOMER_NOT_ACCEPTED_CUSTOMER_DATA_TERMS")
        name = f"customers/{account}/offlineUserDataJobs/{self._store.new_id()}"
        self._store.jobs[name] = {
            "account": account,
            "list": held.id,
            "granted": flags == (GRANTED, GRANTED),
            "consent": list(flags),
            "state": "PENDING",
            "operations": [],
            "at": 0.0,
        }
        response = services.CreateOfflineUserDataJobResponse.pb(services.CreateOfflineUserDataJobResponse())
        response.resource_name = name
        return response

    def _list(self, account: str, name: str) -> UserList:
        found = _LIST.fullmatch(name)
        held = self._store.lists.get(int(found.group(2))) if found else None
        if held is None or held.account != account:
            raise AdsError(SOURCE, "INVALID_USER_LIST_ID")
        if held.kind != "ingested":
            raise AdsError(SOURCE, "INVALID_USER_LIST_TYPE")
        return held

    def _job(self, name: str) -> dict[str, Any]:
        held = self._store.jobs.get(name)
        if held is None:
            raise AdsError("mutate_error", "RESOURCE_NOT_FOUND", status="NOT_FOUND")
        return held

    def add(self, account: str, request: Any) -> Any:
        """People joined to the job's work; with partial failure only those at fault are refused."""
        job = self._job(request.resource_name)
        if job["state"] != "PENDING":
            raise AdsError(SOURCE, "JOB_ALREADY_STARTED")
        kinds = {one.WhichOneof("operation") for one in request.operations} | {kind for kind, _ in job["operations"]}
        if {"create", "remove"} <= kinds:
            raise AdsError(SOURCE, "CONFLICTING_OPERATION")
        work, faults = self._read(job, request.operations, PER_REQUEST)
        for place, (kind, _) in enumerate(work):
            if kind == "remove_all" and (place or job["operations"]):
                raise AdsError(SOURCE, "INVALID_OPERATION_ORDER")
        if faults and not request.enable_partial_failure:
            raise faults[0]
        job["operations"] += work
        response = services.AddOfflineUserDataJobOperationsResponse.pb(services.AddOfflineUserDataJobOperationsResponse())
        if faults:
            response.partial_failure_error.CopyFrom(_status(faults))
        return response

    def _read(self, job: dict[str, Any], operations: Any, most: int) -> tuple[list[tuple[str, bytes]], list[AdsError]]:
        work: list[tuple[str, bytes]] = []
        faults: list[AdsError] = []
        total = 0
        for index, operation in enumerate(operations):
            kind = str(operation.WhichOneof("operation"))
            if kind == "remove_all":
                work.append((kind, b""))
                continue
            given = getattr(operation, kind).user_identifiers
            total += len(given)
            try:
                member, regions = _member(given, index, kind)
            except AdsError as fault:
                faults.append(fault)
                continue
            silent = kind == "create" and not job["granted"] and regions & CONSENT_NEEDED
            if not silent:  # Google drops Europeans without consent and says nothing
                work.append((kind, member))
        if total > most:
            raise AdsError(SOURCE, "TOO_MANY_USER_IDENTIFIERS")
        return work, faults

    def run(self, account: str, request: Any) -> Any:
        """The job starts; an operation to wait for comes back, as from the real service."""
        job = self._job(request.resource_name)
        if job["state"] != "PENDING":
            raise AdsError(SOURCE, "JOB_ALREADY_STARTED")
        job["state"], job["at"] = "RUNNING", self._store.now()
        self._apply(self._store.lists[job["list"]], job["operations"], job["consent"])
        job["operations"] = []
        return operations_pb2.Operation(name=f"{request.resource_name}/operations/1")

    def _apply(self, held: UserList, operations: list[tuple[str, bytes]], consent: Sequence[int]) -> None:
        now = self._store.now()
        flags = tuple(int(flag == GRANTED) for flag in consent)  # as the Data Manager numbers them
        for kind, member in operations:
            if kind == "remove_all":
                held.members.clear()
            elif kind == "create":
                held.take((member,), now, {} if all(flags) else {member: flags})
        held.drop(member for kind, member in operations if kind == "remove")

    def upload(self, account: str, request: Any) -> Any:
        """A small upload at once: at most 100 identifiers, no history."""
        about = request.customer_match_user_list_metadata
        held = self._list(account, about.user_list)
        consent = (about.consent.ad_user_data, about.consent.ad_personalization)
        try:
            work, faults = self._read({"granted": consent == (GRANTED, GRANTED)}, request.operations, PER_UPLOAD)
        except AdsError:
            raise AdsError("user_data_error", "TOO_MANY_USER_IDENTIFIERS") from None
        if faults:
            raise faults[0]
        self._apply(held, work, consent)
        response = services.UploadUserDataResponse.pb(services.UploadUserDataResponse())
        response.received_operations_count = len(request.operations)
        return response

    def rows(self, account: str) -> Iterator[dict[str, Any]]:
        """GAQL rows; a running job is done after the store's processing time."""
        for name, job in self._store.jobs.items():
            if job["account"] != account:
                continue
            done = job["state"] == "RUNNING" and self._store.now() >= job["at"] + self._store.processing_minutes * 60
            yield {
                "offline_user_data_job.resource_name": name,
                "offline_user_data_job.id": int(name.rpartition("/")[2]),
                "offline_user_data_job.status": "SUCCESS" if done else job["state"],
                "offline_user_data_job.type": "CUSTOMER_MATCH_USER_LIST",
                "offline_user_data_job.failure_reason": "UNSPECIFIED",
                "offline_user_data_job.operation_metadata.match_rate_range": "MATCH_RANGE_71_TO_80" if done else "UNSPECIFIED",
            }


def _member(given: Any, index: int, kind: str) -> tuple[bytes, set[str]]:
    """One packed member and the countries of its addresses; raises the fault with the operation's place."""
    place: tuple[tuple[str, int | None], ...] = (("operations", index), (kind, None))
    if not given:
        raise AdsError(SOURCE, "MISSING_USER_IDENTIFIER", path=place)
    if len(given) > PER_OPERATION:
        raise AdsError(SOURCE, "TOO_MANY_USER_IDENTIFIERS", path=place)
    packed, regions = [], set()
    for number, one in enumerate(given):
        here = (*place, ("user_identifiers", number))
        name = one.WhichOneof("identifier")
        if name in ("hashed_email", "hashed_phone_number"):
            packed.append(name[7:8].encode() + _digest(getattr(one, name), (*here, (name, None))))
        elif name == "address_info":
            packed.append(_address(one.address_info, here))
            regions.add(one.address_info.country_code)
        else:
            raise AdsError(SOURCE, "INCOMPATIBLE_UPLOAD_KEY_TYPE", path=here)
    return pack(packed), regions


def _digest(text: str, place: Any) -> bytes:
    if not _HEX.fullmatch(text):
        raise AdsError(SOURCE, "INVALID_SHA256_FORMAT", path=place)
    return bytes.fromhex(text)


def _address(address: Any, place: Any) -> bytes:
    if not all((address.hashed_first_name, address.hashed_last_name, address.country_code, address.postal_code)):
        raise AdsError(SOURCE, "MISSING_USER_IDENTIFIER", path=place)
    if not re.fullmatch(r"[A-Z]{2}", address.country_code):
        raise AdsError(SOURCE, "INVALID_COUNTRY_CODE", path=place)
    given, family = _digest(address.hashed_first_name, place), _digest(address.hashed_last_name, place)
    postal = address.postal_code.encode()[:255]
    return bytes(b"a" + given + family + address.country_code.encode() + bytes([len(postal)]) + postal)


def _status(faults: list[AdsError]) -> Any:
    """google.rpc.Status with one GoogleAdsFailure that names every operation at fault."""
    failure = faults[0].failure("partial")
    for fault in faults[1:]:
        failure.errors.extend(fault.failure("partial").errors)
    packed = any_pb2.Any()
    packed.Pack(failure)
    return status_pb2.Status(code=3, message="Multiple errors in the operations.", details=[packed])
