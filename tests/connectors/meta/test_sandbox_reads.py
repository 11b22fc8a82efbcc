"""What the sandbox refuses of lookalikes, reads, reports, batches and events, told with a plain HTTP client."""

from __future__ import annotations

import http.client
import json
import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import pytest

from connectors.meta.sandbox import MetaSandbox
from connectors.meta.sandbox.limits import TIERS

if TYPE_CHECKING:
    from collections.abc import Callable

from tests.connectors.meta.plain_http import CUSTOM, EDGE, HASH, Http, fill, mail, upload


@pytest.fixture
def look(http_: Http, plain: str, box: MetaSandbox) -> Callable[..., dict[str, Any]]:
    """A function for a lookalike's body, on a seed of 200."""
    fill(http_, plain, 200)

    def body(name: str = "Look", origin: str = plain, **spec: Any) -> dict[str, Any]:
        return {"name": name, "subtype": "LOOKALIKE", "origin_audience_id": origin, "lookalike_spec": spec}

    return body


@pytest.mark.parametrize(
    ("spec", "code"),
    [
        ({"ratio": 0.01}, (100, None)),
        ({"country": "US"}, (100, None)),
        ({"type": "custom_ratio", "country": "US"}, (100, None)),
        ({"type": "value", "ratio": 0.01, "country": "US"}, (100, None)),
        ({"type": "reach", "ratio": 0.01, "country": "US"}, (100, None)),
        ({"ratio": 0.015, "country": "US"}, (100, None)),
        ({"ratio": 0.21, "country": "US"}, (100, None)),
        ({"ratio": 0, "country": "US"}, (100, None)),
        ({"ratio": "0.01", "country": "US"}, (100, None)),
        ({"ratio": True, "country": "US"}, (100, None)),
        ({"ratio": 0.02, "starting_ratio": 0.02, "country": "US"}, (100, None)),
        ({"ratio": 0.01, "country": "us"}, (2654, 1713089)),
        ({"ratio": 0.01, "country": "USA"}, (2654, 1713089)),
        ({"ratio": 0.01, "target_countries": ["US"]}, (100, None)),
        ({"ratio": 0.01, "location_spec": {"geo_locations": {"cities": []}}}, (100, None)),
        ({"ratio": 0.01, "location_spec": {"geo_locations": {"countries": []}}}, (2654, 1713089)),
    ],
)
def test_lookalikes_refused(
    http_: Http, look: Callable[..., dict[str, Any]], spec: dict[str, Any], code: tuple[int, int | None]
) -> None:
    assert http_.refused("POST", EDGE, look(**spec)) == code


def test_lookalikes_need_a_seed_of_this_account_and_of_a_hundred(
    http_: Http, box: MetaSandbox, plain: str, look: Callable[..., dict[str, Any]]
) -> None:
    spec = {"ratio": 0.01, "country": "US"}
    assert http_.refused("POST", EDGE, look(origin="1", **spec)) == (2654, None)
    assert http_.refused("POST", "/v26.0/act_222/customaudiences", look(**spec)) == (2654, None)
    small = http_("POST", EDGE, {**CUSTOM, "name": "Small"})[1]["id"]
    fill(http_, small, 120, session=6)  # 96 matched
    assert http_.refused("POST", EDGE, look(origin=small, **spec)) == (2654, None)
    assert http_("POST", EDGE, look(**spec))[0] == 200
    assert http_.refused("POST", EDGE, look("Same", **spec)) == (2654, None)
    assert http_.refused("DELETE", f"/v26.0/{plain}") == (2656, None)


def test_lookalikes_populate_in_hours(http_: Http, box: MetaSandbox, look: Callable[..., dict[str, Any]]) -> None:
    made = http_("POST", EDGE, look(type="similarity", country="US"))[1]["id"]
    fields = f"/v26.0/{made}?fields=operation_status,approximate_count_lower_bound,lookalike_spec"
    fresh = http_("GET", fields)[1]
    assert (fresh["operation_status"]["code"], fresh["approximate_count_lower_bound"]) == (441, -1)
    box.clock.advance(hours=7)
    grown = http_("GET", fields)[1]
    assert (grown["operation_status"]["code"], grown["approximate_count_lower_bound"]) == (200, 2_000_000)
    assert grown["lookalike_spec"]["origin"][0]["type"] == "custom_audience"


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/v26.0/4711", (100, 33)),
        ("/v26.0/{id}?fields=members", (100, None)),
        ("/v26.0/{id}/nonsense", (2500, None)),
        ("/v26.0/act_111?fields=balance", (100, None)),
        ("/v26.0/act_111/nonsense", (2500, None)),
        ("/v26.0/act_111/customaudiences?limit=1000", (1, 99)),
        ("/v26.0/act_111/customaudiences?fields=rule", (1, 99)),
        ("/v26.0/act_111/customaudiences?after=???", (100, None)),
        ("/v26.0/act_111/customaudiences?limit=many", (100, None)),
        ("/v26.0/act_111/customaudiences?limit=%FF%FE", (100, None)),
        ("/v26.0/act_111/insights?filtering=[1]", (100, None)),
        ("/v26.0/", (2500, None)),
    ],
)
def test_reads_refused(http_: Http, plain: str, path: str, code: tuple[int, int | None]) -> None:
    assert http_.refused("GET", path.replace("{id}", plain)) == code


def test_only_the_id_is_told_unless_asked(http_: Http, plain: str) -> None:
    assert http_("GET", f"/v26.0/{plain}")[1] == {"id": plain}
    assert http_("GET", f"/v26.0/{plain}?fields=name,subtype")[1] == {"name": "Seed", "subtype": "CUSTOM", "id": plain}
    assert http_("POST", f"/v26.0/{plain}", {"name": "New"})[1] == {"success": True}
    assert http_.refused("POST", f"/v26.0/{plain}", {"is_value_based": True}) == (100, None)
    assert http_("DELETE", f"/v26.0/{plain}")[1] == {"success": True}
    assert http_.refused("DELETE", f"/v26.0/{plain}") == (100, 33)


def test_lookalikes_and_their_seeds_can_not_be_edited(http_: Http, plain: str, look: Callable[..., dict[str, Any]]) -> None:
    made = http_("POST", EDGE, look(ratio=0.01, country="US"))[1]["id"]
    assert http_.refused("POST", f"/v26.0/{made}", {"name": "New"}) == (100, 1713228)
    assert http_.refused("POST", f"/v26.0/{plain}", {"name": "New"}) == (2656, None)
    assert http_("GET", f"/v26.0/{plain}?fields=lookalike_audience_ids")[1]["lookalike_audience_ids"] == [made]


@pytest.mark.parametrize(
    "change", [{"retention_days": 181}, {"opt_out_link": "shop"}, {"subtype": "CUSTOM"}, {"lookalike_spec": {}}, {"name": ""}]
)
def test_edits_refused(http_: Http, box: MetaSandbox, plain: str, change: dict[str, Any]) -> None:
    assert http_.refused("POST", f"/v26.0/{plain}", change) == (100, None)
    assert box.audiences[plain].name == "Seed"


def test_lookalikes_have_a_limit_of_their_own(http_: Http, box: MetaSandbox, look: Callable[..., dict[str, Any]]) -> None:
    for number in range(500):
        box.new_audience("111", f"Look {number}", "LOOKALIKE").spec = {"ratio": 0.01, "target_countries": ["FR"]}
    assert http_.refused("POST", EDGE, look("One more", ratio=0.01, country="US")) == (2654, None)
    assert http_("POST", EDGE, {**CUSTOM, "name": "A list"})[0] == 200


def test_a_dataset_is_read_and_refused(http_: Http, box: MetaSandbox) -> None:
    box.datasets = {"777": "Shop"}
    assert http_("GET", "/v26.0/777?fields=id,name")[1] == {"name": "Shop", "id": "777"}
    assert http_.refused("GET", "/v26.0/777?fields=owner") == (100, None)
    assert http_.refused("GET", "/v26.0/778?fields=id,name") == (100, 33)
    assert http_.refused("POST", "/v26.0/778/events", {"data": [{}]}) == (100, 33)


def test_an_hour_of_reports_can_be_used_up(http_: Http, box: MetaSandbox) -> None:
    box.tier = TIERS["limited"]
    account = box.account("111")
    account.hour, account.insights_calls = int(box.clock.now().timestamp() // 3600), 599
    assert http_("GET", report())[0] == 200
    assert http_.refused("GET", report()) == (80000, 2446079)
    told = json.loads(http_.headers["X-Business-Use-Case-Usage"])["111"]
    assert [one["call_count"] for one in told if one["type"] == "ads_insights"] == [100]
    assert json.loads(http_.headers["X-FB-Ads-Insights-Throttle"])["acc_id_util_pct"] == 100
    assert http_("GET", EDGE)[0] == 200  # audiences are counted apart
    box.clock.advance(hours=1)
    assert http_("GET", report())[0] == 200


def report(**params: Any) -> str:
    return "/v26.0/act_111/insights?" + urlencode(
        {name: one if isinstance(one, str) else json.dumps(one) for name, one in params.items()}
    )


def within(field: str, *values: str) -> dict[str, Any]:
    """A filter as Meta writes it."""
    return {"field": field, "operator": "IN", "value": list(values)}


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"level": "creative"}, (100, None)),
        ({"fields": "spend,profit"}, (100, None)),
        ({"time_range": {"since": "2020-01-01", "until": "2026-01-01"}}, (3018, None)),
        ({"time_range": {"since": "2026-02-01", "until": "2026-01-01"}}, (100, None)),
        ({"time_range": {"from": "2026-02-01"}}, (100, None)),
        ({"time_range": "last month"}, (100, None)),
        ({"date_preset": "ever"}, (100, None)),
        ({"time_increment": 91}, (100, None)),
        ({"time_increment": 0}, (100, None)),
        ({"action_attribution_windows": ["3d_click"]}, (100, None)),
        ({"filtering": [{"field": "color", "operator": "IN", "value": []}]}, (100, None)),
        ({"level": "campaign", "filtering": [within("ad.effective_status", "ACTIVE")]}, (100, None)),
        ({"level": "campaign", "filtering": [within("campaign.effective_status", "CAMPAIGN_PAUSED")]}, (100, None)),
        ({"level": "adset", "filtering": [within("adset.effective_status", "ADSET_PAUSED")]}, (100, None)),
        ({"level": "ad", "filtering": [within("ad.effective_status", "GONE")]}, (100, None)),
    ],
)
def test_reports_refused(http_: Http, params: dict[str, Any], code: tuple[int, int | None]) -> None:
    assert http_.refused("GET", report(**params)) == code


def test_reports_are_strings_with_overlapping_types_and_silent_dead_windows(http_: Http, box: MetaSandbox) -> None:
    day = box.clock.now().date().isoformat()
    ids = {"campaign_id": "1", "campaign_name": "A", "adset_id": "2", "ad_id": "3", "date": day}
    box.campaigns = [
        {**ids, "spend": "41.37", "impressions": "5210", "clicks": "0", "conversions": "5", "conversion_value": "100"},
        {**ids, "ad_id": "4", "spend": "1", "impressions": "1", "clicks": "0", "conversions": "0", "conversion_value": "0"},
    ]
    wanted = {"fields": "ad_id,spend,impressions,actions,action_values,purchase_roas", "level": "ad"}
    span = {"time_range": {"since": day, "until": day}}
    first, second = http_("GET", report(**wanted, **span, action_attribution_windows=["7d_view", "1d_view"]))[1]["data"]
    assert (first["spend"], first["impressions"], first["date_start"], first["date_stop"]) == ("41.37", "5210", day, day)
    kinds = {one["action_type"]: one for one in first["actions"]}
    assert set(kinds) == {"omni_purchase", "purchase", "offsite_conversion.fb_pixel_purchase"}
    assert kinds["purchase"] == {"action_type": "purchase", "value": "5", "1d_view": "1"}
    assert first["purchase_roas"][0]["value"] == "2.417211"
    assert "actions" not in second
    assert http_("GET", report())[1] == {"data": []}  # the default ends yesterday


def test_report_pages_end_without_next(http_: Http, box: MetaSandbox) -> None:
    page = http_("GET", report(level="ad", time_increment=1, limit="100"))[1]
    count = len(page["data"])
    while "next" in page["paging"]:
        page = http_("GET", report(level="ad", time_increment=1, limit="100", after=page["paging"]["cursors"]["after"]))[1]
        count += len(page["data"])
    assert count == 180  # 30 days of 6 ads


def test_batches(http_: Http, box: MetaSandbox, plain: str) -> None:
    fill(http_, plain, 150)
    payload = quote(json.dumps({"schema": ["EMAIL"], "data": [[mail(1)]]}))
    parts = [
        {"method": "GET", "relative_url": f"{plain}?fields=name"},
        {"method": "GET", "relative_url": "4711"},
        {"method": "DELETE", "relative_url": f"{plain}/users", "body": f"payload={payload}"},
    ]
    status, answers = http_("POST", "/v26.0/", {"batch": parts}, form=True)
    assert (status, [one["code"] for one in answers]) == (200, [200, 400, 400])
    assert json.loads(answers[0]["body"]) == {"name": "Seed", "id": plain}
    assert "payload" in json.loads(answers[2]["body"])["error"]["message"]  # a DELETE's body is lost in a batch
    assert {"name", "value"} == set(answers[0]["headers"][0])
    assert http_.refused("POST", "/v26.0/", {"batch": parts * 17}) == (100, None)


def test_a_full_score_blocks_the_account_for_minutes(http_: Http, box: MetaSandbox) -> None:
    box.tier = TIERS["limited"]
    codes = [http_("GET", "/v26.0/act_111?fields=currency")[0] for _ in range(60)]
    assert codes == [200] * 60
    assert http_.refused("GET", "/v26.0/act_111") == (17, 2446079)
    assert json.loads(http_.headers["X-Ad-Account-Usage"])["reset_time_duration"] > 250
    box.clock.advance(seconds=301)
    assert http_("GET", "/v26.0/act_111")[0] == 200


def test_an_hour_of_audience_calls_can_be_used_up(http_: Http, box: MetaSandbox) -> None:
    account, now = box.account("111"), box.clock.now()
    account.hour, account.hour_calls = int(now.timestamp() // 3600), box.tier.audience_calls
    assert http_.refused("GET", EDGE) == (80003, 2446079)
    usage = json.loads(http_.headers["X-Business-Use-Case-Usage"])["111"][0]
    assert usage["call_count"] >= 100
    assert 0 < usage["estimated_time_to_regain_access"] <= 60


EVENT = {"event_name": "AppendValue", "action_source": "website", "event_id": "av-1", "user_data": {"external_id": HASH}}
ORIGINAL = {"event_name": "Purchase", "order_id": "9001", "event_id": "p-9001"}


@pytest.mark.parametrize(
    ("change", "accepted"),
    [
        ({}, True),
        ({"age": 8 * 86_400}, False),
        ({"age": -3_600}, False),
        ({"age": 8 * 86_400, "action_source": "physical_store"}, True),
        ({"custom_data": {"predicted_ltv": 0, "currency": "USD"}}, False),
        ({"custom_data": {"predicted_ltv": 412.7}}, False),
        ({"custom_data": {}}, False),
        ({"original_event_data": {"event_name": "Purchase"}}, False),
        ({"user_data": None}, True),
    ],
)
def test_events(http_: Http, box: MetaSandbox, change: dict[str, Any], accepted: bool) -> None:
    at = int(box.clock.now().timestamp()) - change.pop("age", 60)
    custom = {"predicted_ltv": 412.7, "currency": "USD"}
    event = {**EVENT, "event_time": at, "custom_data": custom, "original_event_data": ORIGINAL, **change}
    good = {**event, "custom_data": custom, "original_event_data": ORIGINAL, "event_id": "av-0"}
    good["event_time"] = int(box.clock.now().timestamp())
    status, answer = http_("POST", "/v26.0/777/events", {"data": [good, event]})
    assert (status == 200) is accepted
    assert len(box.events) == (2 if accepted else 0)  # one bad event refuses all
    assert not accepted or answer["events_received"] == 2


def test_an_event_sent_twice_counts_once_for_its_dataset(http_: Http, box: MetaSandbox) -> None:
    custom, at = {"predicted_ltv": 412.7, "currency": "USD"}, int(box.clock.now().timestamp())
    event = {**EVENT, "event_time": at, "custom_data": custom, "original_event_data": ORIGINAL}
    for dataset in ("777", "777", "778"):
        assert http_("POST", f"/v26.0/{dataset}/events", {"data": [event]})[1]["events_received"] == 1
    assert [one["dataset"] for one in box.events] == ["777", "778"]


def test_state_survives_a_restart(http_: Http, box: MetaSandbox, valued: str) -> None:
    body = upload([[HASH, "c1", 5.5]], ("EMAIL", "EXTERN_ID", "LOOKALIKE_VALUE"))
    http_("POST", f"/v26.0/{valued}/users", body)
    box.clock.advance(hours=30)
    again = MetaSandbox()
    again.load(json.loads(json.dumps(box.dump())))
    assert again.state() == box.state()
    assert again.new_audience("111", "Next", "CUSTOM").id not in box.audiences
    assert abs((again.clock.now() - box.clock.now()).total_seconds()) < 5


def test_an_unreadable_body_is_refused(http_: Http) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for body, kind in (
        (b"name=%FF%FE", form),
        (b"{", {"Content-Type": "application/json"}),
        (b"[]", {"Content-Type": "application/json"}),
    ):
        connection = http.client.HTTPConnection("127.0.0.1", http_.port, timeout=10)
        connection.request("POST", EDGE, body, kind)
        answer = connection.getresponse()
        assert (answer.status, json.loads(answer.read())["error"]["code"]) == (400, 100)
        connection.close()


def test_admin_calls_can_have_a_port_of_their_own() -> None:
    sandbox = MetaSandbox()
    with socket.socket() as first, socket.socket() as second:
        for one in (first, second):
            one.bind(("127.0.0.1", 0))
        ports = {"address": first.getsockname()[1], "admin": second.getsockname()[1]}
    told = sandbox.start(ports)
    sandbox.stop()
    assert told == {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}


def test_the_admin_calls(http_: Http, box: MetaSandbox, plain: str) -> None:
    http_("POST", "/_sandbox/faults", {"match": "GET", "kind": "error", "detail": {"code": 2, "message": "later"}})
    assert http_.refused("GET", f"/v26.0/{plain}") == (2, None)
    before = box.clock.now()
    http_("POST", "/_sandbox/clock", {"hours": 48})
    assert (box.clock.now() - before).days == 2
    state = http_("GET", "/_sandbox/state")[1]
    assert list(state["audiences"]) == [plain]
    assert [entry["operation"] for entry in state["requests"] if "operation" in entry] == ["create"]
