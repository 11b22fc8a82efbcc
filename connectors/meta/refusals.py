"""Meta's error envelope -> one of our errors, by the table of codes; its text without anything private.

Only message, type, code and fbtrace_id are always there, and the HTTP status says nothing: the code decides (fact sheet 7).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from connectors.errors import NotReadyError, RetriableError
from connectors.meta.codes import find

if TYPE_CHECKING:
    from collections.abc import Iterable

    from connectors.errors import SyncError

PLATFORM: Final = "meta"
REPLICATION_WAIT: Final = 10.0  # seconds, until an object just made is asked for again
TOO_MUCH: Final = (100, 1487534)

_PRIVATE: Final = (
    re.compile(r"EAA[0-9A-Za-z]{8,}"),
    re.compile(r"(?i)(?:access_token|appsecret_proof)=[^&\s\"]+"),
    re.compile(r"\b[0-9a-fA-F]{64}\b"),
    re.compile(r"[^\s\"'<>]+@[^\s\"'<>]+\.[^\s\"'<>]+"),
    re.compile(r"(?<!\d)\+?\d(?:[ \-()]?\d){8,14}(?!\d)"),
)


def refusal(error: Any, *, account_id: str, secrets: Iterable[str], wait: float | None, new: bool) -> SyncError:
    """The error for the envelope's `error`.

    `wait` is what the answer's headers say, in seconds; `new` tells that the object was made a moment ago, so that "missing"
    means "not yet there".
    """
    fields = error if isinstance(error, dict) else {"message": str(error)}
    code, subcode = _number(fields.get("code")), _number(fields.get("error_subcode")) or None
    row = find(code or 0, subcode, transient=bool(fields.get("is_transient")))
    said = clean(str(fields.get("message") or ""), secrets)
    if "reduce the amount of data" in said.lower():
        code, subcode = TOO_MUCH
        row = find(code, subcode)
    name = str(code) if subcode is None else f"{code}/{subcode}"
    message = f"{row.meaning}: {said}" if said else row.meaning
    if trace := re.sub(r"[^\w-]", "", str(fields.get("fbtrace_id") or "")):
        message += f" [trace {trace}]"
    if row.tag == "missing" and new:
        return RetriableError(message, retry_after=REPLICATION_WAIT, platform=PLATFORM, code=name)
    if row.raises is RetriableError:
        named = wait if row.tag == "throttle" and wait is not None else row.wait
        return RetriableError(message, retry_after=named, platform=PLATFORM, code=name)
    if row.raises is NotReadyError:
        return NotReadyError(message, platform=PLATFORM, code=name)
    found = row.raises(message, remedy=row.remedy.format(account=account_id), platform=PLATFORM, code=name)
    return found.of_account() if row.tag == "token" else found


def tag_of(error: SyncError) -> str:
    """The tag in our table of the code that an error carries; "" when it carries none."""
    code, _, subcode = error.code.partition("/")
    return find(int(code), int(subcode) if subcode else None).tag if code.lstrip("-").isdigit() else ""


def clean(text: str, secrets: Iterable[str]) -> str:
    """The text without tokens, proofs, digests, e-mail addresses and long numbers that could be phones."""
    for secret in secrets:
        text = text.replace(secret, "<secret>")
    for pattern in _PRIVATE:
        text = pattern.sub("<hidden>", text)
    return text[:500]


def _number(value: Any) -> int | None:
    try:
        return int(value)
    except (TypeError, ValueError):
        return None
