"""Scores and contacts -> the people who may be in an audience at all, with everyone else counted by reason."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from connectors.engine import consent
from connectors.engine.contact_book import KEY, ContactBook, book_of
from connectors.engine.files import private_folder
from connectors.engine.identity import CHUNK_ROWS
from connectors.engine.known import KnownFolder, known_folder
from connectors.engine.normalise.country import alpha2
from connectors.engine.parts import one_batch
from connectors.engine.pieces import Pieces, PieceWriter
from connectors.engine.score_parts import ScoreParts
from connectors.engine.tables import name, open_tables
from connectors.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from pathlib import Path

    import duckdb

    from connectors.engine.ledger import Ledger

NEEDED = ("customer_id", "seed_value", "currency", "tier", "lifecycle_stage")
TEXTS = (
    "first_name last_name gender birth_date birth_year birth_month birth_day city region postal_code country mobile_ad_id "
    "external_id consent_ad_user_data consent_ad_personalization do_not_sell"
).split()
LISTS = ("email", "phone")
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

    spans: list[tuple[int, int]] = field(default_factory=list)
    """Per piece the parts (see `parts`) that its people are of."""

    known: KnownFolder | None = None
    """Where identifiers are kept from night to night."""

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
    contacts: pa.Table | Path | ContactBook,
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
    members.known = known_folder(ledger)
    scored = ScoreParts(scores, work, members.key)
    if missing := [one for one in NEEDED if one not in scored.schema.names]:
        raise ConfigurationError(f"the scores have no column {', '.join(missing)}", remedy="make them with: clvsync score")
    book = contacts if isinstance(contacts, ContactBook) else book_of(contacts, work / "contacts", ledger)
    regions = consent.STRICT_REGIONS | {code.upper() for code in also_strict}
    connection = open_tables(work)
    try:
        found = (_joined(connection, scored, book, place, regions) for place in range(len(book.spans)))
        _write(members, ledger, found, book.spans, suppressed)
        members.currency = scored.currency()
    finally:
        connection.close()
    return members


def _joined(
    connection: duckdb.DuckDBPyConnection, scored: ScoreParts, book: ContactBook, place: int, regions: frozenset[str]
) -> pa.Table:
    """The scored customers of one of the book's pieces, with their contacts and why they are left out."""
    here, known = scored.read(*book.spans[place]), book.read(place)
    lands = pc.unique(known.column("country")).to_pylist() if "country" in known.schema.names else []
    codes = [alpha2(one) if one else None for one in lands]
    tables = {
        "scores": here,
        "contacts": known,
        "spellings": pa.table({"spelling": pa.array(lands, pa.string()), "code": pa.array(codes, pa.string())}),
    }
    for view, table in tables.items():
        connection.register(view, table)
    given = [one for one in known.schema.names if one not in here.schema.names]
    return connection.sql(_query(given, regions)).to_arrow_table()


def _query(given: list[str], regions: frozenset[str]) -> str:
    held = [f"c.{name(one)}" for one in given]
    held += [f"NULL::VARCHAR AS {name(one)}" for one in TEXTS if one not in given]
    held += [f"NULL::VARCHAR[] AS {name(one)}" for one in LISTS if one not in given]
    country = "p.code AS consent_country" if "country" in given else "NULL::VARCHAR AS consent_country"
    spelled = "LEFT JOIN spellings p ON p.spelling = c.country" if "country" in given else ""
    return (
        f"WITH joined AS (SELECT s.*, {', '.join(held)}, {country}, c.customer_id IS NULL AS no_contact "
        f"FROM scores s LEFT JOIN contacts c ON c.customer_id = s.customer_id {spelled}) "
        f"SELECT *, CASE WHEN no_contact THEN 'no_contact' ELSE {consent.reason(regions=regions)} END AS drop_reason, "
        f"{consent.limited_data_use()} AS limited_data_use, {consent.unrecorded()} AS consent_unrecorded FROM joined"
    )


def _write(
    members: Members,
    ledger: Ledger,
    found: Iterable[pa.Table],
    spans: Sequence[tuple[int, int]],
    suppressed: Collection[str],
) -> None:
    never = pa.array(sorted(suppressed), pa.string())
    erased = pa.array([bytes.fromhex(one) for one in ledger.tombstones()], pa.binary(16))
    members.withdrawn = [one for one in (erased, ledger.member_keys(never).storage) if len(one)]
    counts: Counter[str] = Counter()
    writer: PieceWriter | None = None
    for table, span in zip(found, spans, strict=True):
        batch = one_batch(table)
        keys = _keys(batch, ledger)
        why = _reasons(batch, keys, never, erased)
        counts.update({row["values"]: row["counts"] for row in pc.value_counts(why).to_pylist()})
        refused = pc.is_in(why, pa.array(WITHDRAWN))
        if pc.any(refused).as_py():
            members.withdrawn.append(keys.storage.filter(refused))
        kept = batch.drop_columns(["drop_reason", "no_contact", KEY]).add_column(0, pa.field(KEY, pa.uuid()), keys)
        writer = writer or PieceWriter(members.path, kept.schema, members.key, lasting=False)
        people = kept.filter(pc.equal(why, ""))
        for start in range(0, max(1, people.num_rows), CHUNK_ROWS):
            writer.write(people.slice(start, CHUNK_ROWS))
            members.spans.append(span)
        members.customers += batch.num_rows
    assert writer is not None, "a book has a piece, if an empty one"
    writer.__exit__(None)
    members.people = counts.pop("", 0)
    members.dropped = dict(sorted(counts.items()))


def _keys(batch: pa.RecordBatch, ledger: Ledger) -> pa.Array:
    """Everybody's member key: that of the contacts, made here for customers without any."""
    held = batch.column(KEY)
    storage = (held.storage if isinstance(held, pa.ExtensionArray) else held).cast(pa.binary(16))
    lacking = pc.is_null(storage)
    if pc.any(lacking).as_py():
        made = ledger.member_keys(batch.column("customer_id").filter(lacking)).storage
        storage = pc.replace_with_mask(storage, lacking, made)
    return pa.ExtensionArray.from_storage(pa.uuid(), storage)


def _reasons(batch: pa.RecordBatch, keys: Any, never: pa.Array, erased: pa.Array) -> pa.Array:
    why = batch.column("drop_reason").cast(pa.string())
    why = pc.if_else(pc.is_in(batch.column("customer_id"), never), pa.scalar("suppressed"), why)
    return pc.if_else(pc.is_in(keys.storage, erased), pa.scalar("forgotten"), why)
