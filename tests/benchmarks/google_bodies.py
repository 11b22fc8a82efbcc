"""Member bodies for Google: raw protobuf against the SDK's wrappers, and a push against Google's own limit.

The limit: 300 calls a minute of 10,000 members each, i.e. 50,000 members a second at most.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from google.ads.datamanager_v1 import types as dm

from connectors.google import RECIPE, bodies, platform
from connectors.google.client import member_request
from connectors.protocol import AudienceSpec, Batch, Operation

if TYPE_CHECKING:
    from collections.abc import Callable

ROWS, LIMIT = 10_000, 300 * 10_000 / 60


def _rows() -> pa.RecordBatch:
    """People with an e-mail, half with a phone, a third with an address."""
    columns: dict[str, Any] = {name: pa.nulls(ROWS, pa.binary(32)) for name in RECIPE.columns()}
    columns["email"] = pa.array([os.urandom(32) for _ in range(ROWS)], pa.binary(32))
    columns["phone"] = pa.array([os.urandom(32) if row % 2 else None for row in range(ROWS)], pa.binary(32))
    for name in ("given_name", "family_name"):
        columns[name] = pa.array([os.urandom(32) if row % 3 == 0 else None for row in range(ROWS)], pa.binary(32))
    columns["region_code"] = pa.array(["US" if row % 3 == 0 else None for row in range(ROWS)])
    columns["postal_code"] = pa.array(["12345" if row % 3 == 0 else None for row in range(ROWS)])
    return pa.record_batch(columns)


def _raw(rows: pa.RecordBatch) -> Any:
    columns = bodies.read([rows])
    request = member_request("ingest")
    bodies.fill(request.audience_members, columns, range(columns.rows))
    return request


def _wrapped(rows: pa.RecordBatch) -> Any:
    """The peer: the SDK's documented way, one wrapper object per message."""
    columns = bodies.read([rows])
    members = []
    for row in range(columns.rows):
        found = [dm.UserIdentifier(email_address=texts[row]) for texts in columns.emails if texts[row]]
        found += [dm.UserIdentifier(phone_number=texts[row]) for texts in columns.phones if texts[row]]
        if columns.has_address(row):
            given, family, region, postal = (part[row] for part in columns.address)
            parts = {"given_name": given, "family_name": family, "region_code": region, "postal_code": postal}
            found.append(dm.UserIdentifier(address=dm.AddressInfo(**parts)))
        data = dm.CompositeData(user_data=dm.UserData(user_identifiers=found))
        members.append(dm.AudienceMember(composite_data=data))
    return dm.IngestAudienceMembersRequest.pb(dm.IngestAudienceMembersRequest(audience_members=members))


def _seconds(act: Callable[[], Any], times: int = 3) -> float:
    """The best of some runs."""
    best = float("inf")
    for _ in range(times):
        start = time.perf_counter()
        act()
        best = min(best, time.perf_counter() - start)
    return best


def _push(transport: str, rows: pa.RecordBatch) -> float:
    sandbox = platform.sandbox()
    addresses = sandbox.start()
    given = {"data_manager_endpoint": addresses[transport], "ads_endpoint": addresses["ads"], "credentials": "anonymous"}
    settings = platform.settings.model_validate({**given, "accounts": [{"account_id": "1234567890"}]})
    connector = platform.connect(settings, settings.accounts[0])
    handle = connector.find_or_create(AudienceSpec("bench", "Bench"))
    batch = Batch("bench", Operation.ADD, rows.num_rows, lambda: iter([rows]))
    taken = _seconds(lambda: connector.send(handle, batch))
    connector.close()
    sandbox.stop()
    return taken


def main() -> None:
    """Nothing: the ratios are printed."""
    rows = _rows()
    assert _raw(rows) == _wrapped(rows)
    raw, wrapped = _seconds(lambda: _raw(rows)), _seconds(lambda: _wrapped(rows))
    print(f"body of {ROWS:,} members: raw {raw:.3f} s, SDK wrappers {wrapped:.3f} s: {wrapped / raw:.1f} times faster")
    for name, transport in (("gRPC", "ads"), ("REST", "data_manager")):
        rate = ROWS / _push(transport, rows)
        print(
            f"push over {name}, the local server's work included: {rate:,.0f} members/s, {rate / LIMIT:.0%} of Google's limit"
        )


if __name__ == "__main__":
    main()
