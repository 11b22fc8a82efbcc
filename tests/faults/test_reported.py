"""What others recorded of the platforms' errors (`tests/data/error_handling.jsonl`), line by line, each met on a member write.

Where a line disagrees with the platform's own pages (the fact sheets), the pages win; `OTHERWISE` says where and why.
"""

from __future__ import annotations

import json
import re
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.faults.chain import FOREVER, WRITES, Chain, chain
from tests.faults.test_replay import DEMANDS

LINES = [json.loads(line) for line in (Path(__file__).parents[1] / "data" / "error_handling.jsonl").read_text().splitlines()]
CLASSES = {
    "none": "done",
    "aborted": "stop",
    "configuration": "stop",
    "auth": "stop",
    "retryable": "again",
    "throttled": "again",
}
OTHERWISE = {
    "meta 368": (
        "stop",
        "Meta's page: a temporary block for policy reasons; stop for hours and alert, never try again at once",
    ),
    "meta 80003": ("later", "throttled, as the line says; Meta's wait is longer than a run lasts, so the next run goes on"),
    "meta 500 HTML": ("html", "a proxy's or gateway's page says nothing of the write: unknown, and sent again"),
    "meta unlisted": ("stop", "a code that nobody knows is never taken for a passing one, unless Meta says is_transient"),
    "google 400 INVALID_ARGUMENT": ("rows", "one bad row fails the whole request: it is left out, the others go"),
    "google 409 ABORTED": ("again", "gRPC: ABORTED is a concurrency conflict, to be retried by the caller"),
}
GOOGLE_PROXIES = {"rud_garl_dd": "google-jobs", "rud_garl_dm": "google"}


def subject(line: dict[str, Any]) -> str:
    """What the line is about: platform and code, or status."""
    if line["platform"] == "meta":
        found = re.search(r"error code: (\d+)(?: and sub-code: (\d+))?", line.get("message", ""))
        code = str(line.get("error_code") or (f"{found[1]}/{found[2]}" if found and found[2] else found[1] if found else ""))
        if not code:
            code = "500 HTML" if "HTML" in line["message"] else "success"
        return f"meta {code}"
    text = line.get("message", "") + line.get("databaseError", "")
    for name in ("INVALID_SHA256_FORMAT", "CONCURRENT_MODIFICATION"):
        if name in text:
            return f"google {name}"
    status = next((one for one in ("INVALID_ARGUMENT", "UNAVAILABLE", "ABORTED", "UNAUTHENTICATED") if f'"{one}"' in text), "")
    return f"google {line['http_status_reported']} {status}".strip()


def demanded(line: dict[str, Any]) -> str:
    """What the engine has to do: as the line says, unless the platform's pages say otherwise."""
    about = subject(line)
    return OTHERWISE[about][0] if about in OTHERWISE else CLASSES[line["error_type"].split()[0]]


def path_of(line: dict[str, Any]) -> str:
    if line["platform"] == "meta":
        return "meta"
    known = [path for mark, path in GOOGLE_PROXIES.items() if mark in line["source"]]
    return known[0] if known else "google-jobs"


def wire(line: dict[str, Any]) -> dict[str, Any]:
    """The fault that answers as the line says, with its status and words."""
    about, path = subject(line).partition(" ")[2], path_of(line)
    status = line.get("http_status_reported", 400)
    if about == "500 HTML":
        return {"kind": "http", "detail": {"status": 500, "body": "<html><body>Error</body></html>"}}
    if path == "meta":
        code, _, sub = ("987654" if about == "unlisted" else about).partition("/")
        detail = {"code": int(code), "message": line.get("message", "Error"), "status": status}
        return {"kind": "error", "detail": {**detail, **({"subcode": int(sub)} if sub else {})}}
    if path == "google-jobs":
        source = "database_error" if about == "CONCURRENT_MODIFICATION" else "offline_user_data_job_error"
        return {"kind": "error", "detail": {"source": source, "code": about}}
    name = about.partition(" ")[2]
    request = {"@type": "type.googleapis.com/google.rpc.RequestInfo", "requestId": "t-req-id"}
    error = {"code": status, "message": "There was a problem.", "status": name, "details": [request]}
    headers = {"Content-Type": "application/json"}
    return {"kind": "http", "detail": {"status": status, "body": json.dumps({"error": error}), "headers": headers}}


def outcome_of(link: Chain, line: dict[str, Any]) -> str:
    """What the engine did, in the words of `demanded`; "" when it is none of these."""
    before = sum(link.held().values())
    faults, demand = link.here.sandbox.faults, demanded(line)
    if demand != "done":
        told, match = wire(line), WRITES[link.path]
        if demand in ("again", "html", "rows"):
            faults.add(match=match, times=1 if demand == "rows" else 2, **told)
        if demand == "rows":
            told = {"kind": "reset"}
        faults.add(match=match, times=FOREVER, skip=1 if demand in ("again", "html") else 0, **told)
    else:
        faults.add(match=WRITES[link.path], kind="reset", times=FOREVER, skip=1)
    found = link.run()
    faults.clear()
    through = sum(link.held().values()) - before
    state = (found["state"], found["exit_code"])
    if found["rejected"]:
        return "rows" if sum(found["rejected"].values()) == 1 else ""
    if state == ("incomplete", 4) and through == 1:
        return demand if demand in ("done", "html") else "again"
    if state == ("incomplete", 4):
        return "later"
    return "stop" if found["state"] == "failed" and found["exit_code"] in (1, 2) and not through else ""


@pytest.mark.parametrize("path", sorted({path_of(line) for line in LINES}))
def test_each_line_is_answered_as_its_class_demands(tmp_path: Path, path: str) -> None:
    with ExitStack() as stack:
        mine = [line for line in LINES if path_of(line) == path]
        link = chain(path, tmp_path, stack, len(mine) + 2)
        found = {f"{number} {subject(line)}": (demanded(line), outcome_of(link, line)) for number, line in enumerate(mine)}
        assert {about: pair for about, pair in found.items() if pair[0] != pair[1]} == {}
        link.finish()
        refused = sum(demanded(line) == "rows" for line in mine)
        assert sum(link.held().values()) == link.here.known() == len(link.people) - refused


def test_the_lines_and_the_demands_agree_but_where_it_is_said() -> None:
    assert len(LINES) == 45
    used = {subject(line) for line in LINES}
    assert set(OTHERWISE) <= used, "an exception that no line needs"
    for line in LINES:
        code = subject(line).removeprefix("meta ")
        if line["platform"] == "meta" and code in DEMANDS["meta"]:
            wanted = demanded(line)
            assert DEMANDS["meta"][code] == wanted, subject(line)
