"""Which campaign a click id belongs to, from the platforms that keep a report of clicks; remembered, because they forget soon.

Google answers one day a query and 90 days back (click_view), so the days already read are kept in the state folder. Only asked
for when some contact has a click id.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from connectors import tables
from connectors.errors import SyncError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    import pyarrow as pa

    from connectors.engine.audience import Account

COLUMNS = ("click_id", "platform", "account_id", "day", "campaign_id", "adset_id", "ad_id", "through")
FILE = "clicks"
DAYS_BACK = 90
DAYS_AGAIN = 3  # the last days of a report are still filling


def pull(state: Path, contacts: pa.Table, accounts: Sequence[Account], until: date, key: bytes | None = None) -> dict[str, Any]:
    """`known`: how many clicks are known now; `detail`: why a platform did not tell. Reads the days that are missing.

    A click report that fails stops nothing: those customers stay "unknown" until a later run.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    known = read(state, key)
    if "click_id" not in contacts.column_names or contacts["click_id"].null_count == contacts.num_rows:
        return {"known": 0 if known is None else known.num_rows, "detail": ""}
    parts, refused = [] if known is None else [known], []
    for account in accounts:
        if not hasattr(account.connector, "clicks"):
            continue
        platform, number = account.place
        since = until - timedelta(days=DAYS_BACK - 1)
        if known is not None:
            mine = known.filter(pc.and_(pc.equal(known["platform"], platform), pc.equal(known["through"], number)))
            newest = pc.max(mine["day"]).as_py()
            since = max(since, date.fromisoformat(newest) - timedelta(days=DAYS_AGAIN)) if newest else since
        try:
            parts.append(table(platform, number, account.connector.clicks(since, until)))
        except SyncError as error:
            refused.append(f"{platform} {number}: {error}")
    if not parts:
        return {"known": 0, "detail": "; ".join(refused)}
    whole = pa.concat_tables(parts)
    once = whole.group_by("click_id", use_threads=False).aggregate([(name, "last") for name in COLUMNS[1:]])
    renamed = once.rename_columns([name.removesuffix("_last") for name in once.column_names]).select(list(COLUMNS))
    tables.keep(renamed, state / FILE, key)
    return {"known": renamed.num_rows, "detail": "; ".join(refused)}


def forget(state: Path, click_ids: Collection[str], key: bytes | None = None) -> int:
    """How many of these clicks were taken out of what is remembered (`click_ids`: as contacts hold them, `gclid=...` too)."""
    import pyarrow as pa
    import pyarrow.compute as pc

    known = read(state, key)
    if known is None:
        return 0
    bare = {token.rpartition("=")[2] for text in click_ids for token in text.split()}
    left = known.filter(pc.invert(pc.is_in(known["click_id"], pa.array(sorted(bare), pa.string()))))
    if left.num_rows < known.num_rows:
        tables.keep(left, state / FILE, key)
    return int(known.num_rows - left.num_rows)


def expire(state: Path, before: date, key: bytes | None = None) -> None:
    """Nothing: clicks of days before `before` are no longer remembered."""
    import pyarrow.compute as pc

    known = read(state, key)
    if known is not None:
        left = known.filter(pc.greater_equal(known["day"], before.isoformat()))
        if left.num_rows < known.num_rows:
            tables.keep(left, state / FILE, key)


def read(state: Path, key: bytes | None = None) -> pa.Table | None:
    """COLUMNS, one row per click id; None when no clicks were ever read. `through`: the account that was asked."""
    found = tables.kept(state / FILE, key)
    if found is None:
        return None
    return found if "through" in found.column_names else found.append_column("through", found["account_id"])


def table(platform: str, through: str, clicks: Any) -> pa.Table:
    """COLUMNS of the clicks that an account told of; a manager account tells those of its clients."""
    import pyarrow as pa

    rows = [
        (one.gclid, platform, one.account_id, one.day.isoformat(), one.campaign_id, one.ad_group_id, "", through)
        for one in clicks
    ]
    columns = list(zip(*rows, strict=True)) or [()] * len(COLUMNS)
    return pa.table({name: pa.array(column, pa.string()) for name, column in zip(COLUMNS, columns, strict=True)})
