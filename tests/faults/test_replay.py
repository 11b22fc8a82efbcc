"""Every error code of every platform, answered to a member write over the real client: the engine does what its class demands.

`tests/data/demands.tsv` says what each code demands, and is held equal to the platforms' tables: a new code needs a demand.
- again: waited for, tried again within the run; when it lasts, exit 4 and the next run goes on
- later: the wait is longer than a run lasts: exit 4 at once, without hammering
- stop: the audience stops at the first answer, with a remedy; exit 1 or 2
- busy: the platform works on it: no failure, the next run goes on
- unknown: sent again (membership is a set), exit 4 when no answer comes
- rows: the row at fault is rejected under the code's name, the others go
- escalate: a refused removal; tests/faults/test_refused_removals.py
"""

from __future__ import annotations

import csv
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from connectors.google.codes import table
from connectors.meta.codes import CODES as META
from connectors.tiktok.codes import CODES as TIKTOK
from tests.connectors.engine.world import digest
from tests.faults.chain import Chain, chain

DATA = Path(__file__).parents[1] / "data"
with (DATA / "demands.tsv").open() as handle:
    DEMANDS: dict[str, dict[str, str]] = {}
    for row in csv.DictReader(handle, delimiter="\t"):
        DEMANDS.setdefault(row["platform"], {})[row["code"]] = row["demand"]


def codes_of(path: str, demand: str) -> list[str]:
    """The codes that a write on this path can meet, and that demand this."""
    known = [code for code, wanted in DEMANDS[path.partition("-")[0]].items() if wanted == demand]
    if path == "google-grpc":
        return [code for code in known if code.startswith(("data_manager:", "grpc:"))]
    if path == "google-jobs":
        return [code for code in known if code.partition(":")[0].endswith("_error")]
    return known


def test_rows_that_google_drops_while_processing_are_rejected_under_their_reason(tmp_path: Path) -> None:
    """One request for each reason: each loses its row, which is not sent again until it changes."""
    reasons = {code.number: name for (source, name), code in table().items() if source == "processing"}
    passing = [number for number, name in reasons.items() if DEMANDS["google"][f"processing:{name}"] == "unknown"]
    assert [reasons.pop(number) for number in passing] == ["INTERNAL_ERROR"]
    assert all(DEMANDS["google"][f"processing:{name}"] == "rows" for name in reasons.values())
    with ExitStack() as stack:
        link = chain("google-grpc", tmp_path, stack, len(reasons) + 1)
        held = link.here.sandbox.store.requests
        before = set(held)
        link.run()
        for request, number in zip([one for one in held if one not in before], reasons, strict=False):
            held[request].errors = {number: 1}
        link.here.rest()
        outcome = link.run()
        assert outcome["rejected"] == dict.fromkeys(reasons.values(), 1)
        assert (outcome["accepted"], outcome["pending"], outcome["exit_code"]) == (1, 0, 0)
        assert link.here.known() == 2
        assert link.run()["sent"] == 0


def test_rows_that_meet_a_fault_inside_google_are_sent_again(tmp_path: Path) -> None:
    """Nothing is wrong with them: left out, they would be missing until somebody asks for a refresh."""
    with ExitStack() as stack:
        link = chain("google-grpc", tmp_path, stack, 2)
        held = link.here.sandbox.store.requests
        before = set(held)
        link.run()
        (request,) = [one for one in held if one not in before][:1]
        held[request].errors = {table()["processing", "INTERNAL_ERROR"].number: 1}
        link.here.rest()
        outcome = link.run()
        assert (outcome["rejected"], outcome["sent"]) == ({}, 1)
        link.here.rest()
        assert link.run()["sent"] == 0


PATHS = ("meta", "google-grpc", "google-jobs", "tiktok", "tiktok-file")
KINDS = ("again", "later", "stop", "busy", "unknown", "rows")


def test_every_code_of_the_tables_has_a_demand() -> None:
    assert set(DEMANDS["meta"]) == {f"{one.code}/{one.subcode}" if one.subcode else str(one.code) for one in META}
    assert set(DEMANDS["tiktok"]) == {str(code) for code in TIKTOK}
    assert set(DEMANDS["google"]) == {":".join(place) for place in table()}


def told(outcome: dict[str, Any]) -> tuple[str, int]:
    return outcome["state"], outcome["exit_code"]


def meet(link: Chain, code: str, demand: str) -> tuple[dict[str, Any], int]:
    """The outcome of a run that meets the code as its demand needs it, and how many rows got through."""
    before = sum(link.held().values())
    options: dict[str, Any] = {}
    if demand == "again" and link.path != "tiktok-file":  # a file is one write: it gets through or not
        options = {"first": 2, "skip": 1}
    if code.startswith("grpc:"):
        options["bare"] = True
    if demand == "rows":
        options |= {"fields": ["audience_members[0]"], "first": 1, "then": "data_manager:PERMISSION_DENIED"}
    outcome = link.meet(code, **options)
    return outcome, sum(link.held().values()) - before


def mistake(link: Chain, code: str, demand: str, outcome: dict[str, Any], through: int, answers: int) -> str:
    """What the engine did wrong, or nothing."""
    file = link.path == "tiktok-file"
    name = code.partition(":")[2] or code
    waited = any(seconds > 0.4 for seconds in link.waits)  # shorter ones are pacing
    expected: dict[str, bool] = {}
    if demand == "again":
        expected = {"exit 4": told(outcome) == ("incomplete", 4), "waited": file or len(link.waits) >= 4}
        expected |= {"one row through": file or through == 1, "says resume": "run again" in outcome["detail"]}
    elif demand == "later":
        expected = {"exit 4": told(outcome) == ("incomplete", 4), "no wait": not waited, "one call": answers == 1}
    elif demand == "stop":
        remedy = outcome["detail"].endswith(")") and name in outcome["detail"]
        expected = {"failed": outcome["state"] == "failed" and outcome["exit_code"] in (1, 2), "remedy": remedy}
        expected |= {
            "one call": answers == (2 if file and code == "40910" else 1),
            "nothing through": through == 0,
            "undelivered": outcome["undelivered"] > 0,
        }
    elif demand == "busy":
        expected = {"pending": told(outcome) == ("pending", 0), "nothing through": through == 0, "no wait": not waited}
    elif demand == "unknown":
        expected = {"exit 4": told(outcome) == ("incomplete", 4), "unknown": outcome["unknown"] > 0 or through > 0}
    else:
        expected = {"rejected": outcome["rejected"] == {name: 1}, "others": outcome["undelivered"] > 0, "none in": not through}
    return ", ".join(f"not {said}" for said, held in expected.items() if not held)


@pytest.mark.parametrize("path", PATHS)
def test_the_engine_does_what_each_code_demands(tmp_path: Path, path: str) -> None:
    """Runs over one delivery, each with another code; in the end everybody is in once, but for the rows refused."""
    cases = [(code, demand) for demand in KINDS for code in codes_of(path, demand)]
    refusals = len(codes_of(path, "rows"))
    wrong = {}
    with ExitStack() as stack:
        link = chain(path, tmp_path, stack, len(codes_of(path, "again")) + refusals + 2)
        for code, demand in cases:
            calls = len(link.faulty())
            outcome, through = meet(link, code, demand)
            said = mistake(link, code, demand, outcome, through, len(link.faulty()) - calls)
            if said:
                wrong[code] = f"{demand}: {said}; it said: {outcome['detail']}"
        assert wrong == {}
        link.finish()
        wanted = Counter(digest(text).hex() for one in link.people for text in one.emails)
        assert link.held() - wanted == Counter()
        assert sum((wanted - link.held()).values()) == refusals
        assert link.here.known() == len(link.people) - refusals
