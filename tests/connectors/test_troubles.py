"""What stopped a run is said with its remedy, once per account."""

from __future__ import annotations

from typing import Any

from connectors.commands.troubles import guardrails, left_out, troubles
from connectors.job import Outcome

EXPIRED = "meta 190/463: access token expired (make a new system-user token)"


def line(audience: str, **more: Any) -> dict[str, Any]:
    usual = {
        "platform": "meta",
        "account": "1",
        "state": "done",
        "detail": "",
        "exit_code": 0,
        "guardrail": "",
        "lookalikes": [],
    }
    return {**usual, "audience": audience, **more}


def test_an_expired_token_is_said_once_with_its_remedy() -> None:
    said = [EXPIRED.replace(" (make", f" [request {number}] (make") for number in (1, 2)]
    broken = [line(name, state="failed", detail=why, exit_code=1) for name, why in zip(("seed", "winback"), said, strict=True)]
    assert troubles(Outcome(1, audiences=[*broken, line("upsell")])) == [f"meta 1: seed, winback failed: {EXPIRED}"]


def test_what_is_pending_and_what_failed_elsewhere_is_said_too() -> None:
    found = Outcome(
        1,
        audiences=[
            line("seed", state="pending", detail="the audience is being built (the next run goes on from here)"),
            line("all", guardrail="90% would be removed", exit_code=3, detail="normal"),
            line("top", detail="normal (status 200)", lookalikes=[{"name": "L", "state": "failed", "detail": "too small"}]),
        ],
        pulled={"accounts": [{"platform": "tiktok", "account": "7", "detail": "no permission"}]},
    )
    assert troubles(found) == [
        "meta 1: seed pending: the audience is being built (the next run goes on from here)",
        "tiktok 7: results could not be pulled: no permission",
        "meta 1: L: too small",
    ]


def test_a_guardrail_is_said_once_with_all_that_it_stops() -> None:
    gate = "predicted 0.6 of the realised total; the gate allows 0.7 to 1.4"
    lines = [line("seed", guardrail=f"model gate: {gate}"), line("winback", guardrail=f"model gate: {gate}"), line("all")]
    assert guardrails(lines, [gate]) == [f"stopped: meta seed, meta winback: model gate: {gate}"]
    assert guardrails([line("all")], [gate]) == [f"model gate: {gate}"], "told also when nothing was to be sent"
    assert guardrails([line("all", guardrail="too small", forced=True)]) == ["sent all the same: meta all: too small"]


def test_it_is_said_who_may_not_be_sent_and_why() -> None:
    found = Outcome(left_out={"consent_missing": 855, "do_not_sell": 422, "consent_denied": 2829})
    assert left_out(found) == ["In no audience: 4,106 (consent denied 2,829, consent missing 855, do not sell 422)."]
    assert left_out(Outcome(left_out={"do_not_sell": 0})) == []
