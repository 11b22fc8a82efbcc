"""The file path: one batch = one create or update call over its uploaded files; the outcome is read in the history later."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from connectors.errors import FatalError, NotReadyError, OutcomeUnknownError, RemovalRefusedError, RetriableError
from connectors.protocol import AudienceState, Operation, Receipt
from connectors.tiktok.codes import FILE_EXPIRED
from connectors.tiktok.files import LIMIT, MULTIPLE, SINGLE, TYPES
from connectors.tiktok.uploads import Uploaded, upload_members

if TYPE_CHECKING:
    from collections.abc import Callable

    from connectors.protocol import AudienceHandle, Batch
    from connectors.tiktok.audiences import Audience, Directory

ACTIONS = {Operation.ADD: "APPEND", Operation.REMOVE: "REMOVE", Operation.REPLACE: "REPLACE"}
CREATE = "/dmp/custom_audience/create/"
UPDATE = "/dmp/custom_audience/update/"
# TikTok's vocabulary of history texts isn't documented; its pages speak of too few users, failures and rows that fail to parse.
FLOOR = re.compile(
    r"\b(?:less|fewer|lower|smaller|below|under)\s+(?:than\s+)?1,?000\b|\btoo small\b|\bsize (?:is |of )?0\b", re.I
)
REFUSED = re.compile(r"\b(?:fail(?:s|ed|ure)?|reject(?:ed|ion)?|denied|refused)\b", re.I)
ROWS = r"(?:rows?|lines?|ids?|records?|entries|identifiers?)"
PARTLY = re.compile(rf"\b(?:partial(?:ly)?|partly|some|part of)\b|\b\d[\d,]*\s+(?:\w+\s+)?{ROWS}\b|\b{ROWS}\b[^.]*\b\d", re.I)


class Deliveries:
    """Creates, appends, removes and replaces by file."""

    def __init__(self, directory: Directory, columns: tuple[str, ...], file_type: str, *, limit: int = LIMIT) -> None:
        self.directory, self.columns, self.limit = directory, columns, limit
        self.calculate_type = TYPES[file_type]

    def send(self, handle: AudienceHandle, batch: Batch) -> Receipt:
        """A receipt whose rows are pending; `reference` finds their outcome."""
        made = handle.remote_id or next((one.id for one in self.directory.named(handle.spec.name, "file")), "")
        if not made:
            return self._create(handle, batch)
        audience = self._editable(made)
        kind = audience.calculate_type or self.calculate_type
        if kind != MULTIPLE and kind not in SINGLE:
            raise FatalError(
                f"audience {handle.spec.name!r} was made from {kind} files",
                remedy="rename the audience in audiences.yaml, so that a new one is made",
                platform="tiktok",
            )
        return self._update(audience, batch, kind)

    def settle(self, audience: Audience, operation: Operation, reference: str, rows: int) -> Receipt:
        """Pending, or accepted, or rejected by TikTok's floor; a refused removal raises RemovalRefusedError."""
        status = audience.status(self.directory.now())
        if status.state is AudienceState.PROCESSING:
            return Receipt(accepted=0, pending=rows, reference=reference, remote_id=audience.id, detail=status.detail)
        failure = _failure(audience, reference)
        if failure and operation is not Operation.ADD:
            raise RemovalRefusedError(
                f"{ACTIONS[operation]} was not carried out: {failure}",
                remedy="TikTok keeps an audience at 1,000 or more; replace it, or delete the audience",
                platform="tiktok",
            )
        if failure or status.state in (AudienceState.TOO_SMALL, AudienceState.BLOCKED):
            reason = failure or status.detail or status.state.value
            return Receipt(accepted=0, rejected={reason: rows}, remote_id=audience.id, detail=reason)
        return Receipt(accepted=rows, remote_id=audience.id, detail=_note(audience, reference))

    def _editable(self, audience_id: str) -> Audience:
        audience = self.directory.details(audience_id)
        if audience is None:
            raise FatalError("the audience is gone at TikTok", remedy="the next run makes it anew", platform="tiktok")
        status = audience.status(self.directory.now())
        if status.state is AudienceState.READY:
            return audience
        if status.state is AudienceState.PROCESSING:
            raise NotReadyError("TikTok is still building this audience (up to 48 hours)", platform="tiktok")
        if status.state is AudienceState.BLOCKED:
            raise FatalError(
                f"TikTok blocks the audience: {status.detail}",
                remedy="see what it says in TikTok's Audience Manager; delete it there to have it made anew",
                platform="tiktok",
            )
        # An audience that ended too small takes no operation ever again: only a new one can hold the members, or let them go.
        raise RemovalRefusedError(
            f"the audience cannot be edited: {status.detail or status.state.value}",
            remedy="it is deleted and made anew",
            platform="tiktok",
        )

    def _upload(self, batch: Batch, calculate_type: str) -> Uploaded:
        client, owner = self.directory.client, self.directory.advertiser_id
        return upload_members(client, owner, batch, self.columns, calculate_type, limit=self.limit)

    def _create(self, handle: AudienceHandle, batch: Batch) -> Receipt:
        if batch.operation is Operation.REMOVE:
            return Receipt(accepted=batch.rows, detail="the audience was never made: nobody is in it")
        name = handle.spec.name

        def call(uploaded: Uploaded) -> str:
            body = {**self._body(), "custom_audience_name": name, "calculate_type": self.calculate_type}
            create = {**body, "file_paths": uploaded.file_paths}
            return self.directory.make(
                lambda: str(self.directory.client.post_once(CREATE, create).data["custom_audience_id"]),
                lambda: next((one.id for one in self.directory.named(name, "file")), ""),
            )

        uploaded = self._upload(batch, self.calculate_type)
        if not uploaded.file_paths:
            return Receipt(accepted=0, rejected=_left_out(batch.rows, 0))
        made, uploaded = self._fresh(batch, self.calculate_type, uploaded, call)
        reference = self._reference(made, batch.operation)
        return _pending(batch, uploaded, made, reference)

    def _update(self, audience: Audience, batch: Batch, calculate_type: str) -> Receipt:
        def call(uploaded: Uploaded) -> str:
            body = {**self._body(), "custom_audience_id": audience.id, "file_paths": uploaded.file_paths}
            return self.directory.make(
                lambda: str(
                    self.directory.client.post_once(UPDATE, {**body, "action": ACTIONS[batch.operation]}) and audience.id
                ),
                lambda: self._applied(audience),
            )

        uploaded = self._upload(batch, calculate_type)
        if not uploaded.file_paths and batch.operation is Operation.REPLACE:
            raise RemovalRefusedError("nobody would be left", remedy="delete the audience", platform="tiktok")
        if not uploaded.file_paths:
            return Receipt(accepted=0, rejected=_left_out(batch.rows, 0), remote_id=audience.id)
        _, uploaded = self._fresh(batch, calculate_type, uploaded, call)
        reference = self._reference(audience.id, batch.operation)
        return _pending(batch, uploaded, audience.id, reference)

    def _fresh(self, batch: Batch, kind: str, uploaded: Uploaded, call: Callable[[Uploaded], str]) -> tuple[str, Uploaded]:
        """The result of the call; files that expired in between are uploaded once more."""
        try:
            return call(uploaded), uploaded
        except FatalError as error:
            if error.code != str(FILE_EXPIRED):
                raise
        uploaded = self._upload(batch, kind)
        return call(uploaded), uploaded

    def _applied(self, before: Audience) -> str:
        after = self.directory.details(before.id)
        if after is None:
            raise OutcomeUnknownError("the audience cannot be read after a lost reply", platform="tiktok")
        return after.id if after.newest != before.newest or after.valid != before.valid else ""

    def _reference(self, audience_id: str, operation: Operation) -> str:
        """What was done and TikTok's time of it; what is accepted stays accepted when this reading fails."""
        try:
            audience = self.directory.details(audience_id)
        except RetriableError:
            audience = None
        return f"{operation.value}|{audience.newest if audience else ''}"

    def _body(self) -> dict[str, Any]:
        return {"advertiser_id": self.directory.advertiser_id}


def _pending(batch: Batch, uploaded: Uploaded, audience_id: str, reference: str) -> Receipt:
    left_out = _left_out(batch.rows, uploaded.rows)
    pending = min(uploaded.rows, batch.rows)
    return Receipt(accepted=0, rejected=left_out, pending=pending, reference=reference, remote_id=audience_id)


def _left_out(rows: int, written: int) -> dict[str, int]:
    return {"no identifier of the file's type": rows - written} if rows > written else {}


def _since(audience: Audience, reference: str) -> list[tuple[str, str, str]]:
    """The history entries that may tell of the operation, newest first: from the one that a reference points to, for TikTok may
    write the outcome into an entry of its own; the newest where the reference knows none."""
    stamp = reference.partition("|")[2].partition("#")[0]
    return [event for event in audience.events if event[0] >= stamp] if stamp else list(audience.events[:1])


def failed(text: str) -> bool:
    """Whether a history text says that an operation had no effect: one of which some rows could not be read has one."""
    if FLOOR.search(text):
        return True
    return bool(REFUSED.search(text)) and not PARTLY.search(text)


def _failure(audience: Audience, reference: str) -> str:
    return next((event[2] for event in _since(audience, reference) if failed(event[2])), "")


def _note(audience: Audience, reference: str) -> str:
    return next((event[2] for event in _since(audience, reference) if event[2]), "")
