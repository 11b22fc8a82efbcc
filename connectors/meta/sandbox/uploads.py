"""Members in and out: `/users`, `/usersreplace`, `/usersofanyaudience`, `/sessions` (fact sheet 2.4 to 2.8)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from connectors.meta.sandbox.rows import Rows, matching, read_rows
from connectors.meta.sandbox.world import (
    EXPIRED,
    FINISHED,
    SESSION_LIFE,
    Account,
    Audience,
    GraphError,
    Replace,
    Session,
    parsed,
)

if TYPE_CHECKING:
    from datetime import datetime

    from connectors.meta.sandbox import MetaSandbox
    from connectors.meta.sandbox.calls import Call

LONGEST_ID: Final = 2**63 - 1


def tick(audience: Audience, now: datetime, minutes: float) -> None:
    """Nothing: a replace whose 90 minutes are over is closed with what has arrived."""
    replace = audience.replace
    if replace is not None and now > replace.opened + SESSION_LIFE:
        _swap(audience, replace, now, minutes)


def users(box: MetaSandbox, audience: Audience, call: Call) -> tuple[dict[str, Any], Rows]:
    """The answer to an add (POST) or removal (DELETE)."""
    removing, now = call.method == "DELETE", box.clock.now()
    _may_change(audience, now)
    _consents(call)
    rows = read_rows(parsed(call.params.get("payload"), "payload"), value_based=audience.value_based, removing=removing)
    session = _session(box, audience, "remove" if removing else "add", call, rows.schema)
    if removing:
        gone = matching(audience.members, rows)
        if gone and len(audience.members) - len(gone) < box.removal_floor:
            raise GraphError(200, "The audience would become too small", 1870047, status=403)
        for key in gone:
            del audience.members[key]
    else:
        audience.members.update(rows.entries)
    audience.changed(now)
    return _answer(box, audience.id, session, rows), rows


def users_replace(box: MetaSandbox, audience: Audience, call: Call) -> tuple[dict[str, Any], Rows]:
    """The answer to one batch of a full replace: the staged set is swapped in by the last batch."""
    now = box.clock.now()
    if audience.subtype != "CUSTOM":
        raise GraphError(2650, "Only customer lists can be replaced")
    if audience.flagged:
        raise GraphError(100, "Members of a flagged audience can't be changed", 1713230)
    number, seq, last = _block(call)
    held = box.sessions.get((audience.account, number))
    if held is not None and held.state(now) and held.edge == "replace" and seq != 1:
        subcode = 1870158 if held.state(now) == EXPIRED else 1870159
        raise GraphError(2650, "The replace session is over", subcode)
    replace = audience.replace
    if replace is None and seq != 1:
        raise GraphError(2650, "The first batch was not received", 1870147)
    if (replace is not None and replace.session_id != number) or (replace is None and _busy(audience, now)):
        raise GraphError(2650, "Failed to update the custom audience: Audience Update In Progress", 1870145, is_transient=False)
    if len(audience.members) >= box.replace_limit:
        raise GraphError(2650, "Audiences of 100 million people or more can't be replaced", 1870144)
    _consents(call)
    rows = read_rows(parsed(call.params.get("payload"), "payload"), value_based=audience.value_based, removing=False)
    if seq == 1:  # also when it is sent again: that starts the replace over
        box.sessions.pop((audience.account, number), None)
        audience.replace = replace = Replace(number, now)
    if replace is None:
        raise GraphError(2650, "The first batch was not received", 1870147)
    session = _session(box, audience, "replace", call, rows.schema)
    replace.staged.update(rows.entries)
    if last:
        _swap(audience, replace, now, box.replace_minutes)
    return _answer(box, audience.id, session, rows), rows


def users_of_any_audience(box: MetaSandbox, owner: Account, call: Call) -> tuple[dict[str, Any], Rows]:
    """The answer to a removal from every customer list of an account; without a business or terms nobody is removed."""
    account = owner.id
    rows = read_rows(parsed(call.params.get("payload"), "payload"), value_based=False, removing=True)
    for audience in box.audiences.values():
        heard = owner.business and owner.tos
        if heard and audience.account == account and audience.subtype == "CUSTOM" and audience.members:
            gone = matching(audience.members, rows)
            for key in gone:
                del audience.members[key]
            if gone:
                audience.changed(box.clock.now())
    session = Session(0, account, "remove", rows.schema, box.clock.now(), received=rows.received)
    return _answer(box, account, session, rows), rows


def sessions(box: MetaSandbox, audience: Audience, call: Call) -> dict[str, Any]:
    """The audience's sessions, everything as text."""
    wanted = str(call.params.get("session_id") or "")
    found = [one for one in box.sessions.values() if one.audience == audience.id and wanted in ("", str(one.id))]
    return {"data": [_told(one) for one in found]}


def _told(session: Session) -> dict[str, str]:
    return {
        "session_id": str(session.id),
        "start_time": str(int(session.opened.timestamp())),
        "end_time": "0",
        "num_received": str(session.received),
        "num_matched": "-1",
        "num_invalid_entries": str(session.invalid),
        "progress": "0",
        "stage": "uploading",  # real sessions can stay so long after their last batch
    }


def _may_change(audience: Audience, now: datetime) -> None:
    if audience.subtype != "CUSTOM":
        raise GraphError(100, "Members of a lookalike can't be changed", 1713228)
    if audience.flagged:
        raise GraphError(100, "Members of a flagged audience can't be changed", 1713230)
    if _busy(audience, now):
        raise GraphError(2650, "Failed to update the custom audience: Audience Update In Progress", 1870145, is_transient=False)


def _busy(audience: Audience, now: datetime) -> bool:
    return audience.replace is not None or (audience.busy_until is not None and now < audience.busy_until)


def _swap(audience: Audience, replace: Replace, now: datetime, minutes: float) -> None:
    audience.members, audience.replace = replace.staged, None
    audience.busy_until = now + timedelta(minutes=minutes)
    audience.changed(now)


def _block(call: Call) -> tuple[int, int, bool]:
    block = parsed(call.params.get("session"), "session")
    if not isinstance(block, dict):
        raise GraphError(100, "Missing parameter(s): session")
    number, seq, last = block.get("session_id"), block.get("batch_seq"), block.get("last_batch_flag")
    number = int(number) if isinstance(number, str) and number.isdigit() else number
    if isinstance(number, bool) or not isinstance(number, int) or not 0 < number <= LONGEST_ID:
        raise GraphError(100, "Invalid parameter: session_id must be a positive 64-bit integer")
    if isinstance(seq, bool) or not isinstance(seq, int) or seq < 1:
        raise GraphError(100, "Invalid parameter: batch_seq starts at 1")
    if not isinstance(last, bool):
        raise GraphError(100, "Invalid parameter: last_batch_flag must be true or false")
    return number, seq, last


def _consents(call: Call) -> None:
    """Nothing: what is said of consent is true or false, wherever it is said."""
    if parsed(call.params.get("customer_consent", True), "customer_consent") not in (True, False):
        raise GraphError(100, "Invalid parameter: customer_consent must be true or false")


def _session(box: MetaSandbox, audience: Audience, edge: str, call: Call, schema: tuple[str, ...]) -> Session | None:
    if call.params.get("session") is None and not box.strict_sessions:
        return None
    number, seq, last = _block(call)
    now, key = box.clock.now(), (audience.account, number)
    session = box.sessions.get(key)
    if session is None:
        if seq != 1:
            raise GraphError(100, "Invalid parameter: a session's first batch_seq is 1")
        session = box.sessions[key] = Session(number, audience.id, edge, schema, now)
    elif (session.audience, session.edge) != (audience.id, edge):
        raise GraphError(100, "Invalid parameter: session_id is used already in this ad account")
    state = session.state(now)
    if state:
        raise GraphError(2650, "The session is over", 1870158 if state == EXPIRED else 1870159)
    if session.schema != schema:
        raise GraphError(100, "Invalid parameter: the schema differs from the session's first batch")
    if edge != "replace" and seq not in (session.last_seq, session.last_seq + 1):  # the last one may be sent again
        raise GraphError(100, f"Invalid parameter: batch_seq {seq} follows {session.last_seq}")
    session.last_seq = max(seq, session.last_seq)
    session.closed = FINISHED if last else ""
    return session


def _answer(box: MetaSandbox, id_: str, session: Session | None, rows: Rows) -> dict[str, Any]:
    invalid = sum(rows.invalid.values())
    if session is not None:
        session.received += rows.received
        session.invalid += invalid
    return {
        "audience_id": id_,
        "session_id": str(session.id if session else 0),
        "num_received": session.received if session and box.cumulative else rows.received,
        "num_invalid_entries": invalid,
        "invalid_entry_samples": rows.samples,
    }
