"""One slow platform never holds the others: told by the sandboxes' request logs, not by a watch."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from connectors.engine.audience import Account, AudienceRequest
from connectors.engine.identity import IdentityRules
from connectors.engine.members import build_members
from connectors.engine.plan import make_plan
from connectors.engine.push import push
from tests.connectors.engine.world import LOOSE, contacts, scores
from tests.faults.stage import connect, people_of, stage

if TYPE_CHECKING:
    from pathlib import Path

PLATFORMS = ("meta", "google", "tiktok")
FIRST_WRITE = {"meta": "/users", "google": "audienceMembers:ingest", "tiktok": "/file/upload/"}
PATIENCE = 60.0  # seconds after which the slow platform answers all the same: the test has failed then


class SlowFaults:
    """Faults of a platform whose first member write is answered only when the others have all that was meant for them."""

    def __init__(self, match: str, others: threading.Event) -> None:
        self._match, self._others = match, others
        self.waited: list[bool] = []

    def take(self, call: str) -> None:
        """No fault, but late."""
        if self._match in call and not self.waited:
            self.waited.append(self._others.wait(PATIENCE))


def watched(stages: dict[str, Any], slow: str, done: threading.Event) -> None:
    """Nothing: `done` is set once each platform but the slow one has its members."""
    left = {"google": 1, "meta": 1, "tiktok": 1}
    del left[slow]
    for name in list(left):
        sandbox = stages[name].sandbox
        record = sandbox.record

        def noted(name: str = name, record: Any = record, **entry: Any) -> None:
            record(**entry)
            if entry.get("operation") in ("add", "create") and entry.get("rows"):
                left.pop(name, None)
                if not left:
                    done.set()

        sandbox.record = noted
        if name == "google":
            sandbox.data_manager._record = noted


@pytest.mark.parametrize("slow", PLATFORMS)
def test_the_others_are_done_while_one_is_still_thinking(tmp_path: Path, slow: str) -> None:
    done, people = threading.Event(), people_of("tiktok")
    with ExitStack() as stack:
        stages = {name: stack.enter_context(stage(name, tmp_path / name)) for name in PLATFORMS}
        faults = SlowFaults(FIRST_WRITE[slow], done)
        stages[slow].sandbox.faults = faults
        watched(stages, slow, done)
        ledger = stages["meta"].ledger
        members = build_members(scores(people), contacts(people), ledger=ledger, work=tmp_path / "work")
        stack.callback(members.close)
        order = (slow, *(name for name in PLATFORMS if name != slow))  # the slow one comes first
        connectors = [connect(name, stages[name].addresses) for name in order]
        for one in connectors:
            stack.callback(one.close)
        accounts = [Account(one, IdentityRules()) for one in connectors]
        request = AudienceRequest("all", "Customers", guardrails=LOOSE)
        plan = make_plan(ledger, members, [request], accounts, now=stages["meta"].now())
        outcome = push(plan, ledger)
        assert faults.waited == [True]
        assert outcome.exit_code == 0
        assert {one["state"] for one in outcome.audiences} == {"done"}
        assert len(stages["meta"].held()) == len(stages["google"].held()) == len(people)
        assert max(last_write(stages[name]) for name in order[1:]) < last_write(stages[slow])


def last_write(one: Any) -> str:
    """When the platform had answered its last member write, by its own log."""
    return str(max(entry["at"] for entry in one.sandbox.requests if entry.get("rows")))
