"""Members in and out of a list: ingest, remove, replace, and what became of them."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, Any

from connectors.errors import ConfigurationError, FatalError, OutcomeUnknownError
from connectors.google import bodies
from connectors.google.client import answered, member_request, wrap
from connectors.google.delivery import Delivery
from connectors.protocol import Operation, Receipt

if TYPE_CHECKING:
    from collections.abc import Callable

    from connectors.google.client import GoogleClient
    from connectors.protocol import AudienceHandle, Batch

PER_REQUEST = 10_000
PROCESSING, FAILED = 2, 3
PASSING = ("INTERNAL_ERROR", "FAILED")
"""Why processing drops rows that nothing is wrong with: a fault of Google's own, or no reason at all."""
MATCH_RANGES = {1: "not eligible", 2: "under 20%", 3: "20-30%", 4: "31-40%", 5: "41-50%", 6: "51-60%", 7: "61-70%"}
MATCH_RANGES |= {8: "71-80%", 9: "81-90%", 10: "91-100%"}


class Members:
    """Sends and settles batches for one account."""

    def __init__(self, client: GoogleClient, now: Callable[[], datetime]) -> None:
        self._client, self._now = client, now
        self._replacing: dict[tuple[str, int], list[tuple[str, int]]] = {}

    def send(self, handle: AudienceHandle, batch: Batch) -> Receipt:
        """The receipt: all rows Google took are pending until `settle`; rows it refused are named."""
        if not self._client.settings.terms_accepted:
            raise ConfigurationError(
                "Google's Customer Match terms are not accepted",
                remedy="accept them in Google Ads, then set google.terms_accepted: true",
                platform="google",
                code="TERMS_AND_CONDITIONS_NOT_SIGNED",
            )
        columns = bodies.read(batch.chunks())
        delivery = Delivery(refused=dict.fromkeys(columns.empty_rows(), "NO_IDENTIFIERS"))
        rows = [row for row in range(columns.rows) if row not in delivery.refused]
        kind = "remove" if batch.operation is Operation.REMOVE else "ingest"
        delivery.run(rows, PER_REQUEST, lambda part: self._submit(kind, handle.remote_id, columns, part))
        before = self._replacement(handle, batch, delivery)
        return delivery.receipt(write_reference(delivery.requests, before), handle.remote_id)

    def _replacement(self, handle: AudienceHandle, batch: Batch, delivery: Delivery) -> dict[str, Any]:
        """What the last batch of a replacement must do once everything before it has been processed."""
        if batch.operation is not Operation.REPLACE:
            return {}
        place = (handle.remote_id, batch.delivery)
        waiting = self._replacing.setdefault(place, [])
        waiting += delivery.requests
        if not batch.last:
            return {}
        if batch.replace_before is None:
            raise FatalError("a replacement needs the time before which members go", platform="google")
        before = batch.replace_before.isoformat()
        del self._replacing[place]
        if not waiting:  # Google took nobody: an empty list would be worse than the old one
            return {}
        if delivery.requests and self._processing(waiting):
            return {"before": before, "after": [request for request, _ in waiting]}
        self.remove_all(handle, batch.replace_before)
        return {}

    def _processing(self, requests: list[tuple[str, int]]) -> bool:
        return any(one.request_status == PROCESSING for request, _ in requests for one in self._status(request))

    def _submit(self, kind: str, list_id: str, columns: bodies.Columns, rows: list[int]) -> str:
        client = self._client
        request = member_request(kind)
        bodies.address_to(request, client.account.account_id, client.login_account, list_id)
        bodies.fill(request.audience_members, columns, rows, bodies.allow(request, columns, rows))
        method = "ingest_audience_members" if kind == "ingest" else "remove_audience_members"
        timeout = client.settings.timeout_seconds

        def invoke() -> str:
            answer = getattr(client.ingestion, method)(request=wrap(request), retry=None, timeout=timeout)
            return answered(str(answer.request_id), client.settings.data_manager_endpoint)

        return client.call("ingestion write", invoke, write=True, members=True)

    def remove_all(self, handle: AudienceHandle, before: datetime) -> str:
        """The request's id: members last added before this time leave the list."""
        client = self._client
        request = member_request("remove_all")
        bodies.address_to(request, client.account.account_id, client.login_account, handle.remote_id)
        request.remove_as_of_time.FromDatetime(before)
        timeout = client.settings.timeout_seconds

        def invoke() -> str:
            answer = client.ingestion.remove_all_audience_members(request=wrap(request), retry=None, timeout=timeout)
            return answered(str(answer.request_id), client.settings.data_manager_endpoint)

        return client.call("ingestion write", invoke, write=True)

    # outcomes

    def _status(self, request_id: str) -> list[Any]:
        client = self._client

        def invoke() -> list[Any]:
            answer = client.ingestion.retrieve_request_status(
                request={"request_id": request_id}, retry=None, timeout=client.settings.timeout_seconds
            )
            found = list(type(answer).pb(answer).request_status_per_destination)
            return answered(found, client.settings.data_manager_endpoint)

        return client.call("ingestion read", invoke)

    def settle(self, handle: AudienceHandle, reference: str, rows: int) -> Receipt:
        """What became of pending rows; a replacement's old members go once its new ones are in."""
        return self.settle_requests(reference, rows, handle)

    def settle_requests(self, reference: str, rows: int, handle: AudienceHandle | None = None) -> Receipt:
        """What became of the rows of these requests, whatever they held."""
        requests, before, after = read_reference(reference, rows)
        try:
            statuses = [(count, self._status(request)) for request, count in requests]
            waiting = any(self._processing([(request, 0)]) for request in after)
        except OutcomeUnknownError as gone:
            return Receipt(accepted=0, unknown=rows, detail=gone.message)
        if waiting or any(one.request_status == PROCESSING for _, found in statuses for one in found):
            return Receipt(accepted=0, pending=rows, reference=reference)
        rejected: Counter[str] = Counter()
        details = []
        for count, found in statuses:
            for one in found:
                rejected.update(_rejected(one, count))
                details.append(_match(one))
        unknown = sum(rejected.pop(one, 0) for one in PASSING)
        if unknown:
            details.append(f"{unknown:,} rows met a fault inside Google and are sent again")
        accepted = max(0, rows - unknown - sum(rejected.values()))
        if before is not None and handle is not None and (accepted or not rows):
            self.remove_all(handle, before)
        told = ", ".join(sorted(set(details) - {""}))
        return Receipt(accepted=accepted, rejected=dict(rejected), unknown=unknown, detail=told)


def _rejected(status: Any, rows: int) -> Counter[str]:
    """Rows that processing dropped, by reason; the counts are never more than the rows sent."""
    from connectors.google.client import processing_reason

    left, found = rows, Counter[str]()
    for one in status.error_info.error_counts:
        count = min(left, int(one.record_count))
        if count:
            found[processing_reason(one.reason)] += count
        left -= count
    if status.request_status == FAILED and left:
        found["FAILED" if not found else found.most_common(1)[0][0]] += left
    return found


def _match(status: Any) -> str:
    ingestion = status.audience_members_ingestion_status
    for name in ("composite_data_ingestion_status", "user_data_ingestion_status"):
        if ingestion.HasField(name) and (found := getattr(ingestion, name).upload_match_rate_range):
            return f"match rate {MATCH_RANGES.get(found, found)}"
    return ""


def write_reference(requests: list[tuple[str, int]], replace: dict[str, Any]) -> str:
    """The reference that `settle` reads: the bare request id when there is one, else JSON."""
    if len(requests) == 1 and not replace:
        return requests[0][0]
    return json.dumps({"requests": requests, **replace}) if requests or replace else ""


def read_reference(reference: str, rows: int) -> tuple[list[tuple[str, int]], datetime | None, list[str]]:
    """Requests with their row counts; the time of a replacement and what it waits for."""
    if not reference.startswith("{"):
        return [(reference, rows)], None, []
    held = json.loads(reference)
    before = datetime.fromisoformat(held["before"]) if "before" in held else None
    return [(str(request), int(count)) for request, count in held["requests"]], before, list(held.get("after", ()))
