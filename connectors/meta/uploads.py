"""Members in and out: `/users`, `/usersreplace`, `/usersofanyaudience`, with sessions (fact sheet 2.4 to 2.8)."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final, Literal

from connectors.errors import NotReadyError, OutcomeUnknownError
from connectors.meta.members import payload
from connectors.meta.receipts import Reckoner
from connectors.protocol import Operation, Receipt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from connectors.meta.client import GraphClient
    from connectors.meta.settings import MetaAccount
    from connectors.protocol import Batch, IdentifierField

BUSY: Final = 414


class Uploads:
    """The uploads of one ad account."""

    def __init__(
        self,
        client: GraphClient,
        account: MetaAccount,
        fields: Sequence[IdentifierField],
        limited: str,
        received: Literal["reconcile", "note"] = "reconcile",
    ) -> None:
        self._client, self._account, self._fields, self._limited = client, account, tuple(fields), limited
        self._reckoner = Reckoner(received)

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
        return self._reckoner.receipt(answer, rows)

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
        if not removing and self._account.customer_consent is not None:
            params["customer_consent"] = self._account.customer_consent
        answer = self._client.post(
            remote_id, edge, expect="num_received", resend=resend, **params, payload=text, session=session
        )
        return self._reckoner.receipt(answer, rows, remote_id, int(session["session_id"]))

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
