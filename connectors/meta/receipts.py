"""An upload's answer as a receipt, reconciled batch by batch: invalid entries by reason, rows that Meta does not account for.

`num_received` is documented as the total of the session so far; others saw it count the batch (fact sheet 2.4, 12). Both are
understood: only a number that is too small under either reading makes rows unknown.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, Literal

from connectors.protocol import Receipt

if TYPE_CHECKING:
    from collections.abc import Mapping

UNTOLD: Final = "invalid entry"
_LETTERS: Final = re.compile(r"[A-Za-z][A-Za-z0-9 ,.'()/-]{2,80}")
# Samples may hold what was uploaded, so only a text that speaks of the upload is repeated; a name never does.
_SPEAKS: Final = re.compile(
    r"\b(invalid|hash\w*|sha-?256|format\w*|missing|empty|schema|length|malformed|identifier\w*|normali[sz]\w*|mismatch\w*|"
    r"duplicate\w*|unsupported|not)\b",
    re.IGNORECASE,
)


class Reckoner:
    """Makes receipts of one account's uploads; remembers what each session was told last."""

    def __init__(self, received: Literal["reconcile", "note"]) -> None:
        self._received, self._told = received, dict[int, int]()

    def receipt(self, answer: Mapping[str, Any], rows: int, remote_id: str = "", session: int = 0) -> Receipt:
        """Accepted, rejected by reason and unknown, which add up to `rows`."""
        invalid = min(rows, max(0, _number(answer.get("num_invalid_entries"), 0)))
        missing, detail = self._missing(answer, rows, invalid, session), ""
        if missing:
            detail = f"Meta counts {rows - missing:,} of {rows:,} rows as received"
        if self._received == "note":
            missing = 0
        rejected = reasons(answer.get("invalid_entry_samples"), invalid) if invalid else {}
        return Receipt(rows - invalid - missing, rejected, unknown=missing, remote_id=remote_id, detail=detail)

    def _missing(self, answer: Mapping[str, Any], rows: int, invalid: int, session: int) -> int:
        told = _number(answer.get("num_received"), rows)
        before, self._told[session] = self._told.get(session, 0), told
        of_this_batch = told if told <= rows or not session else told - before
        missing = max(0, rows - of_this_batch)
        return 0 if missing <= invalid else missing  # invalid entries may or may not be among those received


def reasons(samples: Any, invalid: int) -> dict[str, int]:
    """Invalid entries by reason; beyond the samples (at most 100) no reason is known. The samples themselves go no further."""
    texts = list(samples.values()) if isinstance(samples, dict) else list(samples) if isinstance(samples, list) else []
    found = Counter(text if _LETTERS.fullmatch(text) and _SPEAKS.search(text) else UNTOLD for text in map(str, texts))
    left = invalid
    counted: dict[str, int] = {}
    for reason, count in sorted(found.items()):
        counted[f"{reason} (Meta)"] = min(count, left)
        left -= min(count, left)
    if left:
        counted[f"{UNTOLD} (Meta)"] = counted.get(f"{UNTOLD} (Meta)", 0) + left
    return {reason: count for reason, count in counted.items() if count}


def _number(value: Any, otherwise: int) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        return otherwise
