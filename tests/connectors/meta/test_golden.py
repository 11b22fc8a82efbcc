"""Request bodies on the wire against golden files that were written by hand from the fact sheet's shapes."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from connectors.meta.sandbox.calls import read_body
from connectors.protocol import AudienceSpec, Batch, LookalikeSpec, Operation, ValueBatch
from tests.connectors.meta.conftest import PLAIN, digest

if TYPE_CHECKING:
    from collections.abc import Callable

    from connectors.meta.connector import MetaConnector
    from connectors.meta.sandbox import MetaSandbox
    from connectors.sandbox import Request, Response

GOLDEN = Path(__file__).parents[2] / "golden" / "meta"
SEED = AudienceSpec("seed", "Seed A 2026-11", "Synced list", value_weighted=True, currency="USD", tier="high")
# Digests of the fact sheet, section 2.2.
FULL = {
    "EXTERN_ID": "c-1001",
    "EMAIL": "f1904cf1a9d73a55fa5de0ac823c4403ded71afd4c3248d00bdcd0866552bb79",
    "PHONE": "1ef970831d7963307784fa8688e8fce101a15685d62aa765fed23f3a2c576a4e",
    "GEN": "62c66a7a5dd70c3146618063c344e531e6d4b59e379808443ce962b3abd63c5a",
    "DOBY": "a7be8e1fe282a37cd666e0632b17d933fa13f21addf4798fc0455bc166e2488c",
    "DOBM": "19b100ab7725c612f3d80ff203ca53cea5cadaafae3bf0f88f0fb4089fe08815",
    "LN": "2752b88686847fa5c86f47b94ce652b7b3f22a91c37617d451a4db9afa431450",
    "FN": "81f8f6dde88365f3928796ec7aa53f72820b06db8664f5fe76a7eb13e24546a2",
    "CT": "350c754ba4d38897693aa077ef43072a859d23f613443133fecbbd90a3512ca5",
    "ST": "1b06e2003f8420d6fa42badd8f77ec0f706b976b7a48b13c567dc5a559681683",
    "ZIP": "e443169117a184f91186b401133b20be670c7c0896f9886075e5d9b81e9d076b",
    "COUNTRY": "79adb2a2fce5c6ba215fe5f27f532d4e7edbac4b6a5e09e1ef3a08084a904621",
    "MADID": "38400000-8cf0-11bd-b23e-10b96e40000d",
}
AT = 1_795_300_000  # the fact sheet's example
THIN = {"EXTERN_ID": "c-1002", "COUNTRY": FULL["COUNTRY"]}


class Wire:
    """The requests as the sandbox heard them."""

    def __init__(self, box: MetaSandbox) -> None:
        self.heard: list[Request] = []
        inner = box.handle

        def listen(request: Request) -> Response:
            self.heard.append(request)
            return inner(request)

        self.server = box.listen(listen)

    def last(self, method: str, ending: str) -> dict[str, Any]:
        """Method, path and parameters of the last such call."""
        request = [one for one in self.heard if one.method == method and one.path.endswith(ending)][-1]
        given = {name: values[-1] for name, values in request.query.items()}
        body = read_body(request.body, request.headers.get("Content-Type") or "")
        assert method == "GET" or not given, "nothing of a write is in the URL"
        return {"method": request.method, "path": request.path, "body": {**given, **body}}


def loose(value: Any, wanted: Any) -> Any:
    """A form's text as the golden file's kind of value."""
    if isinstance(wanted, list) and isinstance(value, str) and not value.startswith("["):
        return value.split(",")
    return json.loads(value) if isinstance(value, str) and not isinstance(wanted, str) else value


def check(name: str, call: dict[str, Any], audience: str = "") -> None:
    """Nothing; the call is the golden one, key by key."""
    text = (GOLDEN / f"{name}.json").read_text().replace("{audience}", audience)
    golden = json.loads(text)
    assert (call["method"], call["path"]) == (golden["method"], golden["path"])
    assert set(call["body"]) == set(golden["body"])
    for key, wanted in golden["body"].items():
        assert loose(call["body"][key], wanted) == wanted, key


@pytest.fixture
def wire(box: MetaSandbox) -> Wire:
    return Wire(box)


@pytest.fixture
def meta(connect: Callable[..., MetaConnector], wire: Wire) -> MetaConnector:
    return connect(api_base=wire.server.address, external_id=True)


def two(connector: MetaConnector, operation: Operation, delivery: int, *, last: bool = True, total: int = 2) -> Batch:
    def cells(field: Any) -> list[Any]:
        texts = [row.get(field.name) for row in (FULL, THIN)]
        return [bytes.fromhex(text) if text and field.hashed else text for text in texts]

    fields = connector.capabilities.recipe.fields
    columns = {one.name: pa.array(cells(one), pa.binary(32) if one.hashed else pa.string()) for one in fields}
    if operation is not Operation.REMOVE:
        columns["value"] = pa.array([Decimal("412.70"), Decimal("0.00")], pa.decimal128(18, 2))
    rows = pa.record_batch(columns)
    return Batch("two", operation, 2, lambda: iter([rows]), delivery, 1, last, total)


def test_creations(meta: MetaConnector, wire: Wire) -> None:
    meta.find_or_create(SEED)
    check("create_value_based", wire.last("POST", "/customaudiences"))
    meta.find_or_create(PLAIN)
    check("create_plain", wire.last("POST", "/customaudiences"))


def test_members(meta: MetaConnector, box: MetaSandbox, wire: Wire) -> None:
    box.removal_floor = 0
    seed = meta.find_or_create(SEED)
    assert meta.send(seed, two(meta, Operation.ADD, 7034511209)).accepted == 2
    check("add_users", wire.last("POST", "/users"), seed.remote_id)
    meta.send(seed, two(meta, Operation.REMOVE, 7034511210))
    check("remove_users", wire.last("POST", "/users"), seed.remote_id)
    meta.send(seed, two(meta, Operation.REPLACE, 812, last=False, total=20_000))
    check("replace_users", wire.last("POST", "/usersreplace"), seed.remote_id)
    meta.remove_everywhere(two(meta, Operation.REMOVE, 5))
    check("remove_everywhere", wire.last("POST", "/usersofanyaudience"))


def test_lookalikes(meta: MetaConnector, box: MetaSandbox, wire: Wire) -> None:
    seed = meta.find_or_create(SEED)
    box.audiences[seed.remote_id].members = {bytes([n]): b"\0\0" for n in range(200)}
    box.audiences[seed.remote_id].changed(box.clock.now())
    box.clock.advance(hours=2)
    meta.find_or_create_lookalike(seed, LookalikeSpec("a", "LAL 1% US", ("US",), value_based=True))
    check("lookalike_value_based", wire.last("POST", "/customaudiences"), seed.remote_id)
    band = LookalikeSpec("b", "LAL 1-5% DACH", ("DE", "AT", "CH"), ratio=0.05, starting_ratio=0.01)
    meta.find_or_create_lookalike(seed, band)
    check("lookalike_band_countries", wire.last("POST", "/customaudiences"), seed.remote_id)


def test_reports(connect: Callable[..., MetaConnector], box: MetaSandbox, wire: Wire) -> None:
    for kind, method in (("sync", "GET"), ("async", "POST")):
        meta = connect(api_base=wire.server.address, reports=kind)
        list(meta.campaign_days(date(2026, 10, 25), date(2026, 11, 21)))
        check(f"insights_{kind}", wire.last(method, "/act_111/insights"))


def test_names_and_lifetimes(connect: Callable[..., MetaConnector], meta: MetaConnector, wire: Wire) -> None:
    seed = meta.find_or_create(SEED)
    meta.rename(replace(seed, spec=replace(SEED, name="Seed B 2026-11")))
    check("update_name", wire.last("POST", f"/{seed.remote_id}"), seed.remote_id)
    account = {"opt_out_link": "https://shop.example/leave", "customer_file_source": "BOTH_USER_AND_PARTNER_PROVIDED"}
    connect(api_base=wire.server.address, account=account).find_or_create(replace(PLAIN, membership_days=90))
    check("create_expiring", wire.last("POST", "/customaudiences"))


def test_predicted_values(connect: Callable[..., MetaConnector], box: MetaSandbox, wire: Wire) -> None:
    box.clock.advance(seconds=AT + 3_600 - box.clock.now().timestamp())
    meta = connect(api_base=wire.server.address, account={"predicted_value": {"dataset_id": "900100"}})
    hashed = {
        "external_id": [digest("user_123"), digest("jane")],
        "EMAIL": [bytes.fromhex(FULL["EMAIL"])] * 2,
        "EMAIL#2": [None, digest("jane")],
        "PHONE": [bytes.fromhex(FULL["PHONE"]), None],
        "COUNTRY": [bytes.fromhex(FULL["COUNTRY"]), None],
    }
    moments = [datetime.fromtimestamp(AT + seconds, UTC) for seconds in (0, 60)]
    rows = pa.record_batch(
        {
            **{name: pa.array(cells, pa.binary(32)) for name, cells in hashed.items()},
            "event_id": ["av-9001", "av-9002"],
            "at": pa.array(moments, pa.timestamp("us", "UTC")),
            "value": pa.array([Decimal("412.70"), Decimal("98.50")], pa.decimal128(18, 2)),
            "currency": ["USD", "USD"],
            "limited": [False, True],
            "order_id": ["9001", "9002"],
        }
    )
    assert meta.send_values(ValueBatch("b", 2, lambda: iter([rows]))).accepted == 2
    check("append_value", wire.last("POST", "/events"))


def test_no_golden_file_is_left_over() -> None:
    used = set(Path(__file__).read_text().split('"'))
    names = {path.stem for path in GOLDEN.glob("*.json")}
    assert {name for name in names if name not in used and not name.startswith("insights_")} == set()
