"""A night's plan from contacts on disk to an audience's rows: the first night, one with the same contacts, one with 1% changed.

Each night is a process of its own over one state folder. Peer: a bare pass of hashlib over the same values, read from the same
file and neither normalised nor joined with anything. BENCH_PEOPLE sets the size; CPU seconds, since a plan uses two cores.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

PEOPLE = int(os.environ.get("BENCH_PEOPLE", "1000000"))
HASHED = ("email", "phone", "first_name", "last_name", "city", "postal_code", "country")
NIGHTS = {"first night": 0, "the same contacts": 0, "1% with another e-mail": 100}


def main() -> None:
    """Nothing: ratios are printed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        apart(scores, folder)
        apart(contacts, folder, 0)
        bare = apart(hashed, folder)
        print(f"{PEOPLE:,} people, seven hashed fields; hashlib alone over their values: {bare['all']:.1f} CPU s")
        first: dict[str, Any] = {}
        for night, changed in NIGHTS.items():
            if changed:
                apart(contacts, folder, changed)
            found = apart(plan, folder)
            first = first or found
            parts = ", ".join(f"{part} {seconds:.1f}" for part, seconds in found["parts"].items())
            print(f"{night}: {found['all']:.1f} CPU s = {found['all'] / bare['all']:.1f} x hashlib ({parts})")
            ratio = found["parts"]["identifiers"] / first["parts"]["identifiers"]
            taken = f"identifiers of {found['again']:,} taken over"
            print(f"  {taken}: {ratio:.2f} of the first night's CPU; peak memory {found['peak']:,.0f} MB")


def apart(work: Any, *arguments: Any) -> dict[str, Any]:
    """What `work` gives in a process of its own."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_sent, args=(there, work, arguments))
    process.start()
    there.close()
    found: dict[str, Any] = here.recv()
    process.join()
    return found


def _sent(pipe: Any, work: Any, arguments: tuple[Any, ...]) -> None:
    pipe.send(work(*arguments) or {})


def scores(folder: Path) -> None:
    """Nothing: everybody's scores are in the folder."""
    _made(
        folder / "scores.parquet",
        f"SELECT CAST(i AS VARCHAR) AS customer_id, (i % 1000) / 7.0 AS seed_value, 'USD' AS currency, "
        f"['high', 'middle', 'low'][1 + i % 3] AS tier, 'active' AS lifecycle_stage FROM range({PEOPLE}) t(i)",
    )


def contacts(folder: Path, changed: int) -> None:
    """Nothing: everybody's contacts are in the folder; one in `changed` with another e-mail address (0: nobody)."""

    def one(mark: str, size: int) -> str:
        return f"CAST(hash(i || '{mark}') % {size} AS INTEGER)"

    def word(mark: str, size: int) -> str:
        return f"translate(md5(CAST({one(mark, size)} AS VARCHAR))[1:8], '0123456789', 'ghijklmnop')"

    def digits(mark: str, size: int) -> str:
        return f"lpad(CAST({one(mark, 10**size)} AS VARCHAR), {size}, '0')"

    area = f"(200 + {one('a', 700)})"
    plain = f"'+1' || {area} || '2' || {digits('d', 6)}"
    national = f"'(' || {area} || ') 2' || {digits('b', 2)} || '-' || {digits('c', 4)}"
    columns = {
        "customer_id": "CAST(i AS VARCHAR)",
        "email": f"CASE WHEN {f'i % {changed} = 7' if changed else 'false'} THEN 'new.' ELSE '' END || {word('f', 20_000)} "
        f"|| '.' || i || '@Example' || {one('h', 97)} || '.com'",
        "phone": f"CASE WHEN {one('n', 10)} > 6 THEN NULL WHEN {one('s', 100)} > 5 THEN {plain} ELSE {national} END",
        "first_name": word("f", 20_000),
        "last_name": word("l", 100_000),
        "city": word("y", 10_000),
        "postal_code": f"CAST(10_000 + {one('z', 40_000)} AS VARCHAR)",
        "country": f"['US', 'US', 'US', 'GB', 'DE'][1 + {one('k', 5)}]",
        "consent_ad_user_data": "'granted'",
        "consent_ad_personalization": "'granted'",
    }
    chosen = ", ".join(f"{text} AS {name}" for name, text in columns.items())
    _made(folder / "contacts.parquet", f"SELECT {chosen} FROM range({PEOPLE}) t(i)")


def _made(path: Path, query: str) -> None:
    import duckdb

    with duckdb.connect(config={"memory_limit": "2GB"}) as connection:
        connection.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet)")


def hashed(folder: Path) -> dict[str, Any]:
    """CPU seconds of hashlib over the values."""
    import hashlib

    import pyarrow.parquet as pq

    spent = 0.0
    for batch in pq.ParquetFile(folder / "contacts.parquet").iter_batches(65_536, columns=list(HASHED)):
        values = [text.encode() for column in batch.columns for text in column.drop_null().to_pylist()]
        began = time.process_time()
        for one in values:
            hashlib.sha256(one).digest()
        spent += time.process_time() - began
    return {"all": spent}


def plan(folder: Path) -> dict[str, Any]:
    """CPU seconds by part, how many people's identifiers were taken over, and the peak memory in MB."""
    from connectors import registry, sources
    from connectors.config.sources import TableSource
    from connectors.engine.audience import AudienceRequest
    from connectors.engine.identified import identify_members
    from connectors.engine.identity import IdentityRules
    from connectors.engine.ledger import open_ledger
    from connectors.engine.members import build_members
    from connectors.engine.selection import select_members
    from connectors.engine.wanted import WantedRows
    from connectors.protocol import AudienceSpec

    parts: dict[str, float] = {}

    @contextmanager
    def timed(part: str) -> Iterator[None]:
        began = time.process_time()
        yield
        parts[part] = time.process_time() - began

    ledger, request = open_ledger(folder / "state"), AudienceRequest("all", "Customers")
    with timed("contacts"):
        book = sources.contact_book(TableSource(path="contacts.parquet"), folder, ledger, folder / "book")
    with timed("members"):
        members = build_members(folder / "scores.parquet", book, ledger=ledger, work=folder / "work")
    with timed("selection"):
        selection = select_members(members, [request], ledger)
    with timed("identifiers"):
        recipe = registry.platform("meta").capabilities.recipe
        identified = identify_members(members, recipe, IdentityRules(default_country="US"))
    with timed("rows"):
        spec = AudienceSpec("all", "Customers", value_weighted=True)
        WantedRows(members, selection).make(0, spec, identified, folder / "wanted.pieces")
    members.close()
    ledger.close()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"all": sum(parts.values()), "parts": parts, "again": identified.again, "peak": peak}


if __name__ == "__main__":
    main()
