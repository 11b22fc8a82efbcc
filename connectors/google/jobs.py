"""Members through Google Ads' upload jobs: for accounts that Google still allows (`members_api: ads_jobs`).

One job per batch, as adding and removing may not be mixed. Two where only some of its people granted consent, which is said of
a job as a whole: the others go in one that says nothing of it, as Google's guide asks. All people at fault are named at once
(partial failure). A job that succeeded proves nothing about single people, so what it took counts as accepted and the list's
size is what tells.
Replacing isn't offered: a job's remove-all comes first, so a replacement of several batches would empty the list in between.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from connectors.errors import ConfigurationError, FatalError
from connectors.google import bodies
from connectors.google.client import ADS_CONSENT_GRANTED, CUSTOMER_MATCH_JOB, job_operations, partial_failures
from connectors.google.members import read_reference, write_reference
from connectors.protocol import Operation, Receipt

if TYPE_CHECKING:
    from connectors.google.client import GoogleClient
    from connectors.protocol import AudienceHandle, Batch

IDENTIFIERS_PER_CALL = 10_000  # Google's advice; it refuses more than 100,000
SERVICE = "OfflineUserDataJobService"
PENDING, RUNNING, SUCCESS, FAILED = 2, 3, 4, 5


class Jobs:
    """Sends and settles batches for one account, with the same methods as `members.Members`."""

    def __init__(self, client: GoogleClient) -> None:
        self._client = client

    def send(self, handle: AudienceHandle, batch: Batch) -> Receipt:
        """The receipt: people at fault are named, the others are pending until the job is done."""
        if not self._client.settings.terms_accepted:
            raise ConfigurationError(
                "Google's Customer Match terms are not accepted",
                remedy="accept them in Google Ads, then set google.terms_accepted: true",
                platform="google",
            )
        if batch.operation is Operation.REPLACE:
            raise FatalError("upload jobs can't replace a list's members", remedy="use members_api: data_manager")
        columns = bodies.read(batch.chunks())
        refused = dict.fromkeys(columns.empty_rows(), "NO_IDENTIFIERS")
        rows = [row for row in range(columns.rows) if row not in refused]
        if not rows:
            return Receipt(accepted=0, rejected=dict(Counter(refused.values())), rejected_rows=refused)
        jobs: list[tuple[str, int]] = []
        for group, granted in _groups(columns, rows, removes=batch.operation is Operation.REMOVE):
            job = self._create(handle, granted=granted)
            for part in _parts(columns, group):
                refused.update(self._add(job, columns, part, removes=batch.operation is Operation.REMOVE))
            if taken := sum(row not in refused for row in group):
                jobs.append((job, taken))
        for job, _ in jobs:
            self._run(job)
        reasons, taken = dict(Counter(refused.values())), columns.rows - len(refused)
        return Receipt(0, reasons, refused, pending=taken, reference=write_reference(jobs, {}), remote_id=handle.remote_id)

    def _create(self, handle: AudienceHandle, *, granted: bool) -> str:
        account = self._client.account.account_id
        about: dict[str, Any] = {"user_list": f"customers/{account}/userLists/{handle.remote_id}"}
        if granted:
            about["consent"] = {"ad_user_data": ADS_CONSENT_GRANTED, "ad_personalization": ADS_CONSENT_GRANTED}
        job = {"type_": CUSTOMER_MATCH_JOB, "customer_match_user_list_metadata": about}
        made = self._client.ads_call(SERVICE, "create_offline_user_data_job", {"customer_id": account, "job": job})
        return str(made.resource_name)

    def _add(self, job: str, columns: bodies.Columns, rows: list[int], *, removes: bool) -> dict[int, str]:
        """The rows at fault, by reason; sending the same people twice into a job changes nothing."""
        request = job_operations(job)
        for row in rows:
            operation = request.operations.add()
            _fill((operation.remove if removes else operation.create).user_identifiers, columns, row)
        answer = self._client.ads_call(SERVICE, "add_offline_user_data_job_operations", request)
        return {rows[index]: code for index, code in partial_failures(answer).items() if index < len(rows)}

    def _run(self, job: str) -> None:
        """Nothing: the job is on its way (also when an answer was lost and it runs already)."""
        try:
            self._client.ads_call(SERVICE, "run_offline_user_data_job", {"resource_name": job})
        except FatalError as refused:
            if refused.code != "JOB_ALREADY_STARTED":
                raise

    def settle(self, handle: AudienceHandle, reference: str, rows: int) -> Receipt:
        """What became of a batch's jobs, once all of them are done."""
        jobs = [(self._job(name), count) for name, count in read_reference(reference, rows)[0]]
        if any(job is not None and job.status in (PENDING, RUNNING) for job, _ in jobs):
            return Receipt(accepted=0, pending=rows, reference=reference)
        accepted = sum(count for job, count in jobs if job is not None and job.status == SUCCESS)
        unknown = sum(count for job, count in jobs if job is None)
        failed = rows - accepted - unknown
        details = ["Google does not know the job any more"] if unknown else []
        details += [
            f"the job failed (reason {job.failure_reason})" for job, _ in jobs if job is not None and job.status != SUCCESS
        ]
        rejected = {"JOB_FAILED": failed} if failed else {}
        return Receipt(accepted, rejected, unknown=unknown, detail=", ".join(details))

    def _job(self, name: str) -> Any:
        """The job, or None if Google doesn't know it; asked for by query, since waiting on the operation hangs."""
        found = self._client.query(
            "SELECT offline_user_data_job.resource_name, offline_user_data_job.status, "
            "offline_user_data_job.failure_reason, offline_user_data_job.operation_metadata.match_rate_range "
            f"FROM offline_user_data_job WHERE offline_user_data_job.resource_name = '{name}'"
        )
        return found[0].offline_user_data_job if found else None


def _groups(columns: bodies.Columns, rows: list[int], *, removes: bool) -> list[tuple[list[int], bool]]:
    """The rows by whether their job says that they granted consent; who leaves needs none."""
    if removes:
        return [(rows, False)]
    granted = columns.granted(rows)
    known = frozenset(granted)
    parts = [(granted, True), ([row for row in rows if row not in known], False)]
    return [(part, said) for part, said in parts if part]


def _parts(columns: bodies.Columns, rows: list[int]) -> list[list[int]]:
    """The rows in parts of at most 10,000 identifiers."""
    parts: list[list[int]] = [[]]
    count = 0
    single = (*columns.emails, *columns.phones)
    for row in rows:
        held = sum(1 for texts in single if texts[row]) + columns.has_address(row)
        if count + held > IDENTIFIERS_PER_CALL:
            parts.append([])
            count = 0
        parts[-1].append(row)
        count += held
    return parts


def _fill(identifiers: Any, columns: bodies.Columns, row: int) -> None:
    for texts in columns.emails:
        if texts[row]:
            identifiers.add().hashed_email = texts[row]
    for texts in columns.phones:
        if texts[row]:
            identifiers.add().hashed_phone_number = texts[row]
    if columns.has_address(row):
        address = identifiers.add().address_info
        address.hashed_first_name, address.hashed_last_name, address.country_code, address.postal_code = (
            part[row] for part in columns.address
        )
