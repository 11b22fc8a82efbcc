"""Customer-list audiences: find or make, add, remove, replace, read, delete (fact sheet 2)."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from connectors.errors import ConfigurationError, FatalError, NotReadyError, OutcomeUnknownError, SyncError
from connectors.meta.codes import OPERATION_STATUS, VALUE_TOS
from connectors.meta.members import payload
from connectors.meta.names import flagged_words
from connectors.meta.refusals import PLATFORM, tag_of
from connectors.protocol import AudienceHandle, AudienceState, AudienceStatus, Operation, Receipt

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from connectors.meta.client import GraphClient
    from connectors.meta.settings import MetaAccount
    from connectors.protocol import AudienceSpec, Batch, IdentifierField

PAGE: Final = 100  # Meta advises 20 for accounts with heavy audiences: the client halves it when told so
LISTED: Final = "id,name,subtype,is_value_based"
STATUS: Final = "id,operation_status,delivery_status,approximate_count_lower_bound,approximate_count_upper_bound"
REJECTED: Final = "invalid entry (Meta)"
BUSY: Final = 414
LABELS: Final = {"high": "HIGH_VALUE_CUSTOMERS", "low": "LOW_VALUE_CUSTOMERS"}  # Meta's own labels for a list's customers


def terms_accepted(client: GraphClient, account: MetaAccount) -> dict[str, int]:
    """Which terms the account has signed: `custom_audience_tos`, `value_based_custom_audience_tos` -> 1 or 0."""
    answer = client.get(f"act_{account.account_id}", fields="tos_accepted")
    signed = answer.get("tos_accepted")
    return {str(name): int(value) for name, value in signed.items()} if isinstance(signed, dict) else {}


def refuse_flagged(*texts: str) -> None:
    """Nothing; raises ConfigurationError when a name or description would get the audience blocked (status 471)."""
    if words := flagged_words(*texts):
        raise ConfigurationError(
            f"the audience text {texts[0]!r} holds {', '.join(map(repr, words))}, for which Meta blocks audiences",
            remedy="name audiences neutrally, for example 'Seed A'; nothing about health or money",
            platform=PLATFORM,
        )


def is_missing(error: SyncError) -> bool:
    """Whether Meta says that the audience is not there (or not visible to this token)."""
    return tag_of(error) == "missing"


class Audiences:
    """The customer-list audiences of one ad account."""

    def __init__(self, client: GraphClient, account: MetaAccount, fields: Sequence[IdentifierField], limited: str) -> None:
        self._client, self._account, self._fields, self._limited = client, account, tuple(fields), limited
        self._edge = (f"act_{account.account_id}", "customaudiences")

    def find_or_create(self, spec: AudienceSpec, remote_id: str) -> AudienceHandle:
        """The audience; a lost reply to its creation is cleared up by looking for its name."""
        found = self._read(remote_id) if remote_id else None
        found = found or self._by_name(spec.name)
        if found is None:
            refuse_flagged(spec.name, spec.description)
            if spec.value_weighted:
                self._value_terms()
            return self._handle(spec, self._create(spec))
        if bool(found.get("is_value_based")) != spec.value_weighted:
            kind = "value-based" if found.get("is_value_based") else "not value-based"
            remedy = "Meta fixes this when an audience is made: give it another name or change `value_weighted`"
            raise ConfigurationError(f"the audience {spec.name!r} exists and is {kind}", remedy=remedy, platform=PLATFORM)
        return self._handle(spec, str(found["id"]))

    def status(self, remote_id: str) -> AudienceStatus:
        """State and size bounds; MISSING when Meta doesn't know the id."""
        try:
            answer = self._client.get(remote_id, fields=STATUS)
        except SyncError as error:
            if is_missing(error):
                return AudienceStatus(AudienceState.MISSING, detail="deleted, or not visible to this token")
            raise
        return read_status(answer)

    def send(self, remote_id: str, batch: Batch) -> Receipt:
        """The receipt of one batch; what the retry of a lost reply can't settle is settled by the session's record."""
        if batch.operation is Operation.REPLACE:
            return self._replace(remote_id, batch)
        try:
            return self._upload(remote_id, batch, _session(batch))
        except NotReadyError as error:
            if "1870159" not in error.code and "1870158" not in error.code:
                raise
        # A closed session takes nothing more (a lost last reply, or 90 minutes gone by): membership is a set, so send it apart.
        return self._upload(
            remote_id, batch, {**_session(batch), "session_id": _fresh(batch), "batch_seq": 1, "last_batch_flag": True}
        )

    def remove_everywhere(self, batch: Batch) -> Receipt:
        """The receipt for people removed from every customer list of the account (opt-outs)."""
        text, rows = payload(batch.chunks(), self._fields, values=False)
        account = f"act_{self._account.account_id}"
        answer = self._client.post(
            account, "usersofanyaudience", expect="num_received", resend=True, method="DELETE", payload=text
        )
        return _receipt(answer, rows)

    def delete(self, remote_id: str) -> None:
        """Nothing: the audience is gone, also when it was before."""
        try:
            self._client.delete(remote_id)
        except SyncError as error:
            if not is_missing(error):
                raise

    def listed(self, fields: str = LISTED) -> Iterator[dict[str, Any]]:
        """Every audience of the account."""
        return self._client.pages(*self._edge, limit=PAGE, fields=fields)

    def _read(self, remote_id: str) -> dict[str, Any] | None:
        try:
            return self._client.get(remote_id, fields=LISTED)
        except SyncError as error:
            if is_missing(error):
                return None
            raise

    def _by_name(self, name: str) -> dict[str, Any] | None:
        found = [one for one in self.listed() if one.get("name") == name and one.get("subtype", "CUSTOM") == "CUSTOM"]
        if len(found) > 1:
            ids = ", ".join(str(one["id"]) for one in found)
            raise ConfigurationError(
                f"{len(found)} audiences are named {name!r}: {ids}", remedy="rename all but one", platform=PLATFORM
            )
        return found[0] if found else None

    def _value_terms(self) -> None:
        if terms_accepted(self._client, self._account).get("value_based_custom_audience_tos") != 1:
            link = VALUE_TOS.format(account=self._account.account_id)
            raise FatalError(
                f"the ad account {self._account.account_id} has not accepted the terms for value-based audiences",
                remedy=f"a person with access to it opens {link}, accepts, and runs this again",
                platform=PLATFORM,
            )

    def _create(self, spec: AudienceSpec) -> str:
        fields: dict[str, Any] = {
            "name": spec.name,
            "subtype": "CUSTOM",
            "customer_file_source": self._account.customer_file_source,
        }
        if spec.description:
            fields["description"] = spec.description
        if spec.value_weighted:
            fields["is_value_based"] = True
        if spec.tier in LABELS:
            fields["audience_labels"] = [LABELS[spec.tier]]

        def find() -> str | None:
            made = self._by_name(spec.name)
            return str(made["id"]) if made else None

        return self._client.make(*self._edge, find=find, **fields)

    def _handle(self, spec: AudienceSpec, remote_id: str) -> AudienceHandle:
        return AudienceHandle(PLATFORM, self._account.account_id, spec, remote_id)

    def _upload(
        self, remote_id: str, batch: Batch, session: dict[str, Any], edge: str = "users", *, resend: bool = True
    ) -> Receipt:
        removing = batch.operation is Operation.REMOVE
        chunks = list(batch.chunks())
        values = not removing and any("value" in chunk.schema.names for chunk in chunks)
        text, rows = payload(chunks, self._fields, values=values, limited="off" if removing else self._limited)
        if rows == 0:
            return Receipt(accepted=0, remote_id=remote_id)
        params: dict[str, Any] = {"method": "DELETE"} if removing else {}
        answer = self._client.post(
            remote_id, edge, expect="num_received", resend=resend, **params, payload=text, session=session
        )
        return _receipt(answer, rows, remote_id)

    def _replace(self, remote_id: str, batch: Batch) -> Receipt:
        # The first batch opens the replace and must arrive once; later ones may be sent again (fact sheet 2.7).
        session, first = _session(batch), batch.sequence == 1
        arrived = Receipt(accepted=batch.rows, remote_id=remote_id, detail="reply lost; Meta's session record shows the rows")
        try:
            return self._upload(remote_id, batch, session, "usersreplace", resend=not first)
        except NotReadyError as error:  # the last batch sent again after a lost reply finds its session finished
            if "1870159" not in error.code or not batch.last or self._received(remote_id, session) < batch.total_rows:
                raise
            return arrived
        except OutcomeUnknownError:
            if not first:
                raise
        if self._received(remote_id, session) or self._is_busy(remote_id):
            return arrived
        return self._upload(remote_id, batch, session, "usersreplace", resend=False)

    def _received(self, remote_id: str, session: dict[str, Any]) -> int:
        number = session["session_id"]
        answer = self._client.get(remote_id, "sessions", expect="data", session_id=number)
        return max(
            (int(one.get("num_received") or 1) for one in answer["data"] if str(one.get("session_id")) == str(number)),
            default=0,
        )

    def _is_busy(self, remote_id: str) -> bool:
        status = self._client.get(remote_id, fields="operation_status").get("operation_status") or {}
        return int(status.get("code") or 0) == BUSY


def read_status(answer: dict[str, Any]) -> AudienceStatus:
    """Meta's operation and delivery status as ours; -1 bounds become None."""
    operation, delivery = answer.get("operation_status") or {}, answer.get("delivery_status") or {}
    code, usable = int(operation.get("code") or 200), int(delivery.get("code") or 200)
    state, text = OPERATION_STATUS.get(code, (AudienceState.BLOCKED, str(operation.get("description") or "unknown status")))
    if state is AudienceState.READY and usable >= 400:
        state, text = AudienceState.BLOCKED, str(delivery.get("description") or "not usable")
    elif state is AudienceState.READY and usable == 300:
        state, text = AudienceState.TOO_SMALL, "too small or inactive"
    lower, upper = (_bound(answer.get(f"approximate_count_{side}_bound")) for side in ("lower", "upper"))
    return AudienceStatus(state, lower, upper, detail=f"{text} (status {code}, delivery {usable})")


def _bound(value: Any) -> int | None:
    number = int(value) if value is not None else -1
    return number if number >= 0 else None


def _session(batch: Batch) -> dict[str, Any]:
    return {
        "session_id": batch.delivery or _fresh(batch),
        "batch_seq": batch.sequence,
        "last_batch_flag": batch.last,
        "estimated_num_total": batch.total_rows or batch.rows,
    }


def _fresh(batch: Batch) -> int:
    """A positive 63-bit session number of this batch's own, the same when it is sent again."""
    return int.from_bytes(hashlib.sha256(f"{batch.delivery}:{batch.id}".encode()).digest()[:8]) >> 1 | 1


def _receipt(answer: dict[str, Any], rows: int, remote_id: str = "") -> Receipt:
    invalid = min(rows, max(0, int(answer.get("num_invalid_entries") or 0)))
    detail = _sample_reasons(answer.get("invalid_entry_samples")) if invalid else ""
    return Receipt(accepted=rows - invalid, rejected={REJECTED: invalid} if invalid else {}, remote_id=remote_id, detail=detail)


def _sample_reasons(samples: Any) -> str:
    """Counts by reason; the samples themselves may hold personal data and go no further."""
    texts = list(samples.values()) if isinstance(samples, dict) else list(samples) if isinstance(samples, list) else []
    reasons = Counter(text if re.fullmatch(r"[A-Za-z][A-Za-z ,.'()-]{1,60}", text) else "other" for text in map(str, texts))
    return (
        "invalid samples: " + ", ".join(f"{count} x {reason}" for reason, count in sorted(reasons.items())) if reasons else ""
    )
