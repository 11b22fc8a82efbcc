"""What a push did: one dict per audience, and the exit code of the whole."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from connectors.errors import ConfigurationError, NotReadyError, OutcomeUnknownError, RetriableError, SyncError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from connectors.engine.ledger import Ledger
    from connectors.engine.plan import PlannedAudience
    from connectors.protocol import AudienceStatus

_SEVERITY = (1, 2, 3, 4, 0)


@dataclass
class PushOutcome:
    """`audiences`: one dict each. `exit_code`: 0 done, 1 failed, 2 configuration, 3 guardrail, 4 run again to resume."""

    audiences: list[dict[str, Any]] = field(default_factory=list)
    exit_code: int = 0

    @property
    def changed(self) -> int:
        """Members added, changed or removed by this push."""
        return sum(int(one["sent"]) for one in self.audiences)


STEPS = ("wanted", "add", "change", "remove", "renew")
"""What a plan counts of an audience."""


def totals(outcomes: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """The sums over these audiences of what was sent and what came of it."""
    sums = {name: sum(int(one[name]) for one in outcomes) for name in ("sent", "accepted", "pending", "unknown", "undelivered")}
    return sums | {"rejected": sum(sum(one["rejected"].values()) for one in outcomes)}


def worst(codes: list[int]) -> int:
    """The exit code that a run with these ends with: what a person must mend comes before what the next run mends."""
    return next((code for code in _SEVERITY if code in codes), 0)


def blank(item: PlannedAudience) -> dict[str, Any]:
    """An outcome before anything happened: the plan's numbers, nothing sent."""
    row = item.row()
    return {
        **{
            key: row[key]
            for key in ("platform", "account", "audience", "name", "wanted", "add", "change", "remove", "renew", "guardrail")
        },
        "forced": False,
        "mode": row["mode"],
        "care": row["care"],
        "notes": row["notes"],
        "sent": 0,
        "accepted": 0,
        "rejected": {},
        "pending": 0,
        "unknown": 0,
        "undelivered": 0,
        "dropped": dict(item.wanted.dropped),
        "held_out": item.wanted.held_out,
        "snapshot": 0,
        "size_lower": None,
        "size_upper": None,
        "state": "unchanged" if item.mode == "nothing" else "planned",
        "detail": "",
        "lookalikes": [],
        "exit_code": 0,
    }


def fail(outcome: dict[str, Any], error: BaseException) -> None:
    """Nothing: the outcome says what stopped the audience, and counts for the exit code as the error's class demands."""
    if isinstance(error, NotReadyError):
        outcome["state"], outcome["detail"] = "pending", str(error)
        return
    if isinstance(error, (RetriableError, OutcomeUnknownError)):
        outcome["state"], outcome["detail"], outcome["exit_code"] = "incomplete", str(error), 4
        return
    outcome["state"] = "failed"
    outcome["exit_code"] = 2 if isinstance(error, ConfigurationError) else 1
    # the text of an unexpected exception may hold anything; its type is enough to find it in the log
    outcome["detail"] = str(error) if isinstance(error, SyncError) else f"unexpected {type(error).__name__}"


def count(ledger: Ledger, outcome: dict[str, Any], audience_id: int, run: int) -> None:
    """Nothing: the outcome has what this run sent and was answered (also on rows sent before), and all that is open."""
    rows = ledger.journal.rows(
        "SELECT batches.*, deliveries.state AS delivery_state FROM batches "
        "JOIN deliveries ON deliveries.id = batches.delivery WHERE deliveries.audience = ?",
        (audience_id,),
    )
    rejected: Counter[str] = Counter()
    for row in rows:
        if row["delivery_state"] == "open" and row["state"] in ("unknown", "failed", "sent", "planned"):
            outcome["unknown" if row["state"] in ("unknown", "sent") else "undelivered"] += row["rows"]
        if row["state"] == "pending":
            outcome["pending"] += row["pending"]
        if row["sent_run"] == run and row["state"] in ("accepted", "pending", "refused", "unknown"):
            outcome["sent"] += row["rows"]
        if row["answered_run"] == run:
            outcome["accepted"] += row["accepted"]
            rejected.update(json.loads(row["rejected"]))
    outcome["rejected"] = dict(rejected)


def show_status(outcome: dict[str, Any], status: AudienceStatus | None) -> None:
    """Nothing: the outcome has the platform's size bounds and, where nothing else is to be said, its state."""
    if status is None:
        return
    outcome["size_lower"], outcome["size_upper"] = status.lower, status.upper
    outcome["match_rate"] = status.match_rate
    outcome["platform_state"] = status.state.value
    if status.detail and not outcome["detail"]:
        outcome["detail"] = status.detail
