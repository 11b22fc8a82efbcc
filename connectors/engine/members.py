"""Scores and contacts -> the people who may be in an audience at all, with everyone else counted by reason."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from connectors.engine import consent
from connectors.engine.files import private_folder
from connectors.engine.normalise.country import alpha2
from connectors.engine.pieces import Pieces, PieceWriter
from connectors.engine.tables import fetch, name, number, open_tables, quote, stream
from connectors.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    import duckdb

    from connectors.engine.ledger import Ledger

NEEDED = ("customer_id", "seed_value", "currency", "tier", "lifecycle_stage")
TEXTS = (
    "first_name last_name gender birth_date birth_year birth_month birth_day city region postal_code country mobile_ad_id "
    "external_id consent_ad_user_data consent_ad_personalization do_not_sell"
).split()
LISTS = ("email", "phone")
PART_ROWS = 2_000_000
WITHDRAWN = ("consent_denied", "do_not_sell", "suppressed", "forgotten")
"""Reasons by which somebody said no; the others (no contact, no consent given) may also be a source that is incomplete."""


@dataclass
class Members:
    """Everyone who may be sent. The rows lie in a piece file sealed with a key that only this process has."""

    work: Path
    path: Path
    key: bytes
    customers: int = 0
    people: int = 0
    currency: str = ""
    dropped: dict[str, int] = field(default_factory=dict)
    """Why scored customers are left out: no_contact, suppressed, forgotten, do_not_sell, consent_denied,
    consent_unreadable, consent_missing."""

    withdrawn: list[pa.Array] = field(default_factory=list)
    """Member keys (16 bytes each, some twice) of all who said no (WITHDRAWN), known to the scores or not."""

    def pieces(self) -> Pieces:
        """The rows: member_key, limited_data_use, consent_unrecorded, then all columns of scores and contacts."""
        return Pieces(self.path, self.key)

    def close(self) -> None:
        """Nothing: the work files are gone."""
        for path in sorted(self.work.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink(missing_ok=True)
        self.work.rmdir()


def build_members(
    scores: pa.Table | Path,
    contacts: pa.Table | Path,
    *,
    ledger: Ledger,
    work: Path,
    suppressed: Collection[str] = (),
    also_strict: Collection[str] = (),
) -> Members:
    """The people who may be sent, kept in the folder `work` (made, owner-only, removed by `close`).

    `scores`: the scores table; `contacts`: one row per customer, `email` and `phone` as lists, the rest text. `suppressed`:
    customer ids never to be sent. `also_strict`: ISO alpha-2 codes of further countries where both consents are needed.
    Customers erased by `forget` are left out. Raises ConfigurationError for missing columns, repeated
    customers and mixed currencies.
    """
    members = Members(private_folder(work), work / "members.pieces", os.urandom(32))
    connection = open_tables(work)
    try:
        columns = _prepare(connection, scores, contacts)
        members.currency = _currency(connection)
        regions = consent.STRICT_REGIONS | {code.upper() for code in also_strict}
        parts = 1 + max(number(connection, f"SELECT count(*) FROM {view}") for view in ("scores", "contacts")) // PART_ROWS
        queries = [_query(columns, regions, part, parts) for part in range(parts)]
        _write(members, ledger, (stream(connection, one) for one in queries), suppressed)
    finally:
        connection.close()
    return members


def _prepare(connection: duckdb.DuckDBPyConnection, scores: pa.Table | Path, contacts: pa.Table | Path) -> list[str]:
    for view, source in (("scores", scores), ("contacts", contacts)):
        if isinstance(source, Path):
            connection.execute(f"CREATE VIEW {view} AS SELECT * FROM read_parquet({quote(str(source))})")
        else:
            connection.register(view, source)
        again = number(connection, f"SELECT count(*) - count(DISTINCT customer_id) FROM {view}")
        if again:
            raise ConfigurationError(f"{again:,} rows of {view} repeat a customer_id", remedy="give one row per customer")
    held = _columns(connection, "scores")
    if missing := [one for one in NEEDED if one not in held]:
        raise ConfigurationError(f"the scores have no column {', '.join(missing)}", remedy="make them with: clvsync score")
    given = [one for one in _columns(connection, "contacts") if one not in held]
    lands = fetch(connection, "SELECT DISTINCT country FROM contacts") if "country" in given else []
    texts = [land for (land,) in lands]
    table = pa.table(
        {
            "spelling": pa.array(texts, pa.string()),
            "code": pa.array([alpha2(one) if one else None for one in texts], pa.string()),
        }
    )
    connection.register("spellings", table)
    return given


def _columns(connection: duckdb.DuckDBPyConnection, view: str) -> list[str]:
    return [str(row[0]) for row in fetch(connection, f"DESCRIBE {view}")]


def _currency(connection: duckdb.DuckDBPyConnection) -> str:
    found = [str(one) for (one,) in fetch(connection, "SELECT DISTINCT currency FROM scores WHERE currency IS NOT NULL")]
    if len(found) > 1:
        raise ConfigurationError(
            f"the scores mix the currencies {', '.join(sorted(found))}", remedy="convert orders by dated rates"
        )
    return found[0] if found else ""


def _query(given: list[str], regions: frozenset[str], part: int, parts: int) -> str:
    """The customers of one part, by their id: so that no join holds more than a part's contacts, and none goes to disk."""
    held = [f"c.{name(one)}" for one in given]
    held += [f"NULL::VARCHAR AS {name(one)}" for one in TEXTS if one not in given]
    held += [f"NULL::VARCHAR[] AS {name(one)}" for one in LISTS if one not in given]
    country = "p.code AS consent_country" if "country" in given else "NULL::VARCHAR AS consent_country"
    spelled = "LEFT JOIN spellings p ON p.spelling = c.country" if "country" in given else ""
    mine = f"WHERE hash(CAST(customer_id AS VARCHAR)) % {parts} = {part}" if parts > 1 else ""
    return (
        f"WITH joined AS (SELECT s.*, {', '.join(held)}, {country}, c.customer_id IS NULL AS no_contact "
        f"FROM (SELECT * FROM scores {mine}) s LEFT JOIN (SELECT * FROM contacts {mine}) c "
        f"ON c.customer_id = s.customer_id {spelled}) "
        f"SELECT *, CASE WHEN no_contact THEN 'no_contact' ELSE {consent.reason(regions=regions)} END AS drop_reason, "
        f"{consent.limited_data_use()} AS limited_data_use, {consent.unrecorded()} AS consent_unrecorded FROM joined"
    )


def _write(members: Members, ledger: Ledger, readers: Iterator[pa.RecordBatchReader], suppressed: Collection[str]) -> None:
    never = pa.array(sorted(suppressed), pa.string())
    erased = pa.array([bytes.fromhex(one) for one in ledger.tombstones()], pa.binary(16))
    members.withdrawn = [one for one in (erased, ledger.member_keys(never).storage) if len(one)]
    counts: Counter[str] = Counter()
    first = next(readers)
    kept = [one for one in first.schema.names if one not in ("drop_reason", "no_contact")]
    fields = [pa.field("member_key", pa.uuid()), *(first.schema.field(one) for one in kept)]
    with PieceWriter(members.path, pa.schema(fields), members.key) as writer:
        for batch in chain(first, chain.from_iterable(readers)):
            keys = ledger.member_keys(batch.column("customer_id"))
            why = _reasons(batch, keys, never, erased)
            counts.update({row["values"]: row["counts"] for row in pc.value_counts(why).to_pylist()})
            refused = pc.is_in(why, pa.array(WITHDRAWN))
            if pc.any(refused).as_py():
                members.withdrawn.append(keys.storage.filter(refused))
            mask = pc.equal(why, "")
            whole = pa.RecordBatch.from_arrays([keys, *(batch.column(one) for one in kept)], schema=writer.schema)
            writer.write(whole.filter(mask))
            members.customers += batch.num_rows
    members.people = counts.pop("", 0)
    members.dropped = dict(sorted(counts.items()))


def _reasons(batch: pa.RecordBatch, keys: Any, never: pa.Array, erased: pa.Array) -> pa.Array:
    why = batch.column("drop_reason").cast(pa.string())
    why = pc.if_else(pc.is_in(batch.column("customer_id"), never), pa.scalar("suppressed"), why)
    return pc.if_else(pc.is_in(keys.storage, erased), pa.scalar("forgotten"), why)
