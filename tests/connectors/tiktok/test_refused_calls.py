"""The sandbox refuses what TikTok refuses: transport, tokens, rates; and what the stand-in itself offers."""

from __future__ import annotations

import hashlib
import json
import urllib.error
import urllib.request

import pytest

from .conftest import ADVERTISER, Recorded
from .plain import OTHER, Plain


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/user/info"),
        ("POST", "/dmp/custom_audience/create"),
        ("GET", "/dmp/custom_audience/create/"),
        ("POST", "/user/info/"),
        ("GET", "/no/such/"),
    ],
)
def test_a_missing_slash_or_a_wrong_method_is_404_text(method: str, path: str, plain: Plain) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        plain.send(method, path, b"{}" if method == "POST" else None)
    assert caught.value.code == 404
    assert caught.value.headers["Content-Type"].startswith("text/plain")
    assert caught.value.read() == b"404 page not found"


def test_errors_are_http_200_with_empty_data_and_unique_requests(plain: Plain) -> None:
    first, second = (plain.get("/dmp/custom_audience/list/", advertiser_id="x") for _ in range(2))
    assert first["code"] == second["code"] == 40002
    assert first["data"] == {}
    assert first["request_id"] != second["request_id"]
    assert not [name for name in plain.headers if "rate" in name.lower() or "retry" in name.lower()]


@pytest.mark.parametrize(
    ("token", "code"), [("", 40104), ("revoked", 40105), ("stranger", 40105), ("reader", 40001), ("elsewhere", 40001)]
)
def test_tokens_scopes_and_grants(token: str, code: int, plain: Plain, sandbox: Recorded) -> None:
    sandbox.access.grants = {
        "reader": (None, frozenset({30})),
        "elsewhere": (frozenset({OTHER}), frozenset({30, 31, 44})),
        "good": (frozenset({ADVERTISER}), frozenset({30, 31, 44})),
    }
    plain.token = token
    assert plain.upload()["code"] == code
    plain.token = "good"
    assert plain.upload()["code"] == 0


def test_ids_are_text(plain: Plain) -> None:
    assert plain.create(advertiser_id=int(ADVERTISER))["code"] == 40002
    assert plain.update(plain.audience(), custom_audience_id=7300000000000000001)["code"] == 40002


def test_arrays_in_a_query_are_json_text(plain: Plain) -> None:
    repeated = f"/advertiser/info/?advertiser_ids={ADVERTISER}&advertiser_ids={OTHER}"
    assert plain.send("GET", repeated)["code"] == 40002
    assert plain.get("/advertiser/info/", advertiser_ids=f"{ADVERTISER},{OTHER}")["code"] == 40002
    assert plain.get("/advertiser/info/", advertiser_ids=[ADVERTISER])["code"] == 0


@pytest.mark.parametrize(("body", "kind"), [(b"{", "application/json"), (b"[]", "application/json"), (b"a=1", "text/plain")])
def test_bodies_are_json_objects(body: bytes, kind: str, plain: Plain) -> None:
    assert plain.send("POST", "/segment/audience/", body, kind)["code"] == 40002


@pytest.mark.usefixtures("still")
def test_the_eleventh_call_of_a_second_is_throttled(plain: Plain, sandbox: Recorded) -> None:
    sandbox.limits.enabled = True
    codes = [plain.get("/user/info/")["code"] for _ in range(12)]
    assert codes.count(0) == 10
    assert codes[-1] == 40100
    sandbox.clock.advance(seconds=1)
    assert plain.get("/user/info/")["code"] == 0


@pytest.mark.usefixtures("still")
def test_the_limit_per_minute_suspends_for_five(plain: Plain, sandbox: Recorded) -> None:
    sandbox.limits.enabled, sandbox.limits.qpm = True, 10
    for _ in range(10):
        assert plain.get("/user/info/")["code"] == 0
    assert plain.get("/user/info/")["code"] == 40100
    sandbox.clock.advance(seconds=240)
    assert plain.get("/user/info/")["code"] == 40100
    sandbox.clock.advance(seconds=61)
    assert plain.get("/user/info/")["code"] == 0


@pytest.mark.usefixtures("still")
def test_an_advertiser_has_a_limit_of_its_own(plain: Plain, sandbox: Recorded) -> None:
    sandbox.limits.enabled, sandbox.limits.advertiser_qps = True, 3
    codes = [plain.get("/dmp/custom_audience/list/", advertiser_id=ADVERTISER)["code"] for _ in range(4)]
    assert codes == [0, 0, 0, 40133]
    assert plain.get("/dmp/custom_audience/list/", advertiser_id=OTHER)["code"] == 0


@pytest.mark.usefixtures("still")
def test_report_tasks_are_slow(plain: Plain, sandbox: Recorded) -> None:
    sandbox.limits.enabled = True
    day = sandbox.clock.now().date().isoformat()
    body = {"advertiser_id": ADVERTISER, "report_type": "BASIC", "data_level": "AUCTION_AD", "start_date": day, "end_date": day}
    codes = [plain.post("/report/task/create/", **body, dimensions=["ad_id"])["code"] for _ in range(2)]
    assert codes == [0, 40100]


@pytest.mark.usefixtures("still")
def test_five_hundred_report_tasks_an_hour(plain: Plain, sandbox: Recorded) -> None:
    sandbox.limits.enabled, sandbox.limits.task_qps, sandbox.limits.tasks_an_hour = True, 99, 2
    day = sandbox.clock.now().date().isoformat()
    body = {"advertiser_id": ADVERTISER, "report_type": "BASIC", "data_level": "AUCTION_AD", "start_date": day, "end_date": day}
    codes = [plain.post("/report/task/create/", **body, dimensions=["ad_id"])["code"] for _ in range(3)]
    assert codes == [0, 0, 40100]
    assert plain.post("/report/task/create/", **{**body, "advertiser_id": OTHER}, dimensions=["ad_id"])["code"] == 0


@pytest.mark.usefixtures("still")
def test_a_day_s_calls_are_counted_until_midnight(plain: Plain, sandbox: Recorded) -> None:
    assert sandbox.limits.qpd == 864_000
    sandbox.limits.enabled, sandbox.limits.qpd = True, 3
    assert [plain.get("/user/info/")["code"] for _ in range(4)] == [0, 0, 0, 40100]
    assert "00:00 UTC" in plain.get("/user/info/")["message"]
    sandbox.clock.advance(hours=24)
    assert plain.get("/user/info/")["code"] == 0


@pytest.mark.usefixtures("still")
def test_events_have_a_rate_of_their_own(plain: Plain, sandbox: Recorded) -> None:
    assert (sandbox.limits.event_qps, sandbox.limits.event_qpm) == (1_000, 600_000)
    sandbox.limits.enabled, sandbox.limits.event_qps = True, 12
    codes = [plain.post("/event/track/", event_source="web", event_source_id="P", data=[])["code"] for _ in range(13)]
    assert codes == [40002] * 12 + [40100]


@pytest.mark.usefixtures("still")
def test_streams_count_identifiers(plain: Plain, sandbox: Recorded) -> None:
    sandbox.limits.enabled, sandbox.limits.streaming_qps = True, 10
    audience = plain.segment()
    rows = [[{"id": hashlib.sha256(str(n).encode()).hexdigest(), "audience_ids": [audience]}] for n in range(8)]
    assert plain.mapping(audience, batch_data=rows)["code"] == 0
    assert plain.mapping(audience, batch_data=rows)["code"] == 40100


def test_the_admin_routes(plain: Plain, sandbox: Recorded) -> None:
    audience = plain.audience()
    with urllib.request.urlopen(f"{sandbox.address}/_sandbox/state", timeout=10) as answer:
        state = json.load(answer)
    assert state["audiences"][audience]["members"][0].keys() == {"EMAIL"}
    writes = [(one["operation"], one["audience"], one["rows"]) for one in state["requests"] if one.get("operation") == "create"]
    assert writes == [("create", audience, 1500)]


def test_address_and_admin_may_have_ports_of_their_own() -> None:
    sandbox = Recorded()
    same = sandbox.start()
    assert same["admin"] == same["address"]
    sandbox.stop()
    address, admin = (int(one.rpartition(":")[2]) for one in _two_free())
    apart = sandbox.start({"address": address, "admin": admin})
    assert apart == {"address": f"http://127.0.0.1:{address}", "admin": f"http://127.0.0.1:{admin}"}
    with urllib.request.urlopen(f"{apart['admin']}/_sandbox/state", timeout=10) as answer:
        assert json.load(answer)["audiences"] == {}
    sandbox.stop()


def _two_free() -> list[str]:
    servers = [Recorded(), Recorded()]
    found = [one.start()["address"] for one in servers]
    for one in servers:
        one.stop()
    return found


def test_a_restart_goes_on(plain: Plain, sandbox: Recorded) -> None:
    plain.lookalike(plain.audience())
    before = sandbox.state()
    again = Recorded()
    again.load(json.loads(json.dumps(sandbox.dump())))
    assert again.state() == before
    assert again.audiences.new_id() not in before["audiences"] | before["lookalikes"]


def test_no_token_is_kept(plain: Plain, sandbox: Recorded) -> None:
    plain.token = "a-token-that-nobody-may-see"
    plain.audience()
    assert "a-token-that-nobody-may-see" not in json.dumps([sandbox.requests, sandbox.state(), sandbox.dump()])
