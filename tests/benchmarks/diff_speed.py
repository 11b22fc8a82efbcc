"""Ten million wanted members against a snapshot of ten million with 1% churn: seconds and peak memory.

Limit: reading both files once. Peer: pandas' outer merge with indicator on the digests (a million rows, scaled up).
"""

from __future__ import annotations

import multiprocessing
import resource
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Any

from connectors.engine.audience import ValueBand
from connectors.engine.deliveries import FIRST, REMOVALS, phase_name
from connectors.engine.diff import ADDING, Diff, DiffRules
from connectors.engine.fold import LATE, Fold, PhaseFile
from connectors.engine.pieces import Pieces
from connectors.engine.snapshots import recipe_fields
from connectors.engine.tables import fetch, open_tables, stream, write_pieces
from connectors.protocol import IdentifierField, Operation, Recipe

ROWS, CHURN, PEER_ROWS = 10_000_000, 100_000, 1_000_000
RECIPE = Recipe("bench", (IdentifierField("EMAIL", "email", "email_plain"), IdentifierField("PHONE", "phone", "phone_e164")))
KEY = b"0" * 32


def rows(start: int, count: int) -> str:
    """SQL: made-up members."""
    return (
        "SELECT CAST(md5('k' || i) AS UUID) AS member_key, CAST(md5('r' || i) AS UUID) AS row_digest, "
        "CAST(i % 1000 AS DECIMAL(18, 2)) AS value, unhex(md5('e' || i) || md5('f' || i)) AS \"EMAIL\", "
        f"unhex(md5('p' || i) || md5('q' || i)) AS \"PHONE\" FROM range({start}, {start + count}) t(i)"
    )


def prepare(folder: Path) -> None:
    """Nothing: the wanted rows and the snapshot are in the folder."""
    connection = open_tables(folder / "make")
    write_pieces(folder / "wanted.pieces", stream(connection, rows(CHURN, ROWS)), KEY)
    connection.execute(
        f"COPY (SELECT *, DATE '2026-11-20' AS sent_on, CAST(0 AS UTINYINT) AS state FROM ({rows(0, ROWS)})) "
        f"TO '{folder / 'base.parquet'}' (COMPRESSION uncompressed)"
    )
    connection.close()


def timed(folder: Path, pipe: Any) -> None:
    """Nothing: the measurements go through the pipe."""
    began, cpu = time.perf_counter(), time.process_time()
    connection = open_tables(folder / "spill")
    columns = recipe_fields(RECIPE)
    diff = Diff(connection, Pieces(folder / "wanted.pieces", KEY), folder / "base.parquet", None, columns)
    changes = diff.compare(DiffRules(ValueBand()))
    compared = time.perf_counter() - began
    diff.prepare(RECIPE, ADDING)
    sent = {
        number: write_pieces(folder / f"phase{number}.pieces", diff.rows(phase_name(number)), None)
        for number in (FIRST, REMOVALS, LATE)
    }
    planned, cpu = time.perf_counter() - began, time.process_time() - cpu
    began = time.perf_counter()
    phases = [
        PhaseFile(number, operation, folder / f"phase{number}.pieces", [_accepted(folder / f"phase{number}.pieces")])
        for number, operation in ((FIRST, Operation.ADD), (REMOVALS, Operation.REMOVE))
    ]
    fold = Fold(folder / "base.parquet", phases, columns, date(2026, 11, 21), None)
    _, after = fold.write(connection, folder, "next", None)
    folded = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    pipe.send((compared, planned, cpu, folded, peak, sent, (changes.added, changes.removed), after))


def _accepted(path: Path) -> dict[str, Any]:
    pieces = Pieces(path)
    return {"state": "accepted", "first_piece": 0, "pieces": pieces.count, "rows": pieces.rows, "refused_rows": "{}"}


def reading(folder: Path) -> float:
    """Seconds to read both files once."""
    began = time.perf_counter()
    for _ in Pieces(folder / "wanted.pieces", KEY):
        pass
    connection = open_tables(folder / "spill")
    fetch(connection, f"SELECT min(row_digest), min(member_key), min(EMAIL), min(PHONE) FROM '{folder / 'base.parquet'}'")
    connection.close()
    return time.perf_counter() - began


def peer(folder: Path) -> float:
    """Seconds that pandas takes for the digests and values of PEER_ROWS rows on each side."""
    query = "SELECT CAST(row_digest AS VARCHAR) AS row_digest, CAST(value AS DOUBLE) AS value"
    base = open_tables(folder / "spill").sql(f"{query} FROM '{folder / 'base.parquet'}' LIMIT {PEER_ROWS}").df()
    began = time.perf_counter()
    merged = base.merge(base, on="row_digest", how="outer", indicator=True)
    merged[(merged["_merge"] != "both") | ((merged["value_x"] - merged["value_y"]).abs() > 1)]
    return time.perf_counter() - began


def main() -> None:
    """Prints the figures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder)
        mine, theirs = multiprocessing.Pipe()
        process = multiprocessing.get_context("spawn").Process(target=timed, args=(folder, theirs))
        process.start()
        compared, planned, cpu, folded, peak, sent, counts, after = mine.recv()
        process.join()
        limit, slow = reading(folder), peer(folder) * ROWS / PEER_ROWS
        print(f"{ROWS:,} wanted x {ROWS:,} held, {CHURN:,} in and {CHURN:,} out: found {counts}, rows to send {sent}")
        print(f"compare {compared:.1f} s; with all to be sent written {planned:.1f} s (goal: 20 s), {cpu:.1f} CPU s")
        print(f"snapshot rolled forward ({after:,} rows) {folded:.1f} s; peak memory {peak:,.0f} MB (goal: under 2,000 MB)")
        print(f"reading both files once {limit:.1f} s: ratio {planned / limit:.1f}")
        print(f"pandas merge of digests alone, scaled up, {slow:.1f} s: {slow / compared:.1f} times the time of compare")
