"""Identity on one core beside the Meta SDK's own `format_params` and plain hashlib on ready bytes, all in the same run.

1,000,000 customers, seven Meta fields (e-mail; phone, 6% in national formats; first and last name, city, postal code, country):
once with names and cities of a small world, once with many different ones (200,000 last names, 50,000 first names, 40,000
postal codes, 30,000 cities). Peak memory above the input is measured in chunks, at one and at ten million rows.
Goals: 6 times the SDK, 40% of raw SHA-256, under 300 MB.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

from tests.benchmarks._people import SOURCES, people

if TYPE_CHECKING:
    from collections.abc import Callable

    from connectors.protocol import Recipe

ROWS = 1_000_000
SDK_ROWS = 100_000  # the SDK's time is linear in rows
SCHEMA = ("EMAIL", "PHONE", "FN", "LN", "CT", "ZIP", "COUNTRY")
RULES = ("email_plain", "phone_digits", "name_meta", "name_meta", "city_meta", "postal_meta", "country_lower")


def main() -> None:
    """Nothing: ratios are printed. Each part runs in a process of its own, pinned to one core."""
    threads = dict.fromkeys(("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "OMP_THREAD_LIMIT"), "1")
    for part in ("small", "large", "counted", "1", "10", "digests"):
        command = [sys.executable, "-m", "tests.benchmarks.identity_speed", part]
        done = subprocess.run(command, env=os.environ | threads, stdout=subprocess.PIPE, text=True, check=True)
        print(shown(part, json.loads(done.stdout)), flush=True)


def shown(part: str, found: dict[str, float]) -> str:
    """The part's figures for people."""
    if part == "digests":
        ours, others = found["polars-hash"], {name: rate for name, rate in found.items() if name != "polars-hash"}
        compared = ", ".join(f"{ours / rate:.1f} x {name} ({rate:,.0f})" for name, rate in others.items())
        return f"digests to 32-byte columns, e-mails per CPU second: polars-hash {ours:,.0f} = {compared}"
    if part == "counted":
        more = found["twice"] / found["alone"] - 1
        return (
            f"counting shared identifiers over all chunks first, as the engine need not: CPU {more:+.0%} beside identity alone"
        )
    if part.isdigit():
        return f"identity, {int(found['rows']):,} rows in chunks: {found['megabytes']:.0f} MB above the input (limit 300)"
    lines = [
        f"identity, {part} domains: {found['ours']:,.0f} customers per CPU second",
        f"  {found['ours'] / found['sdk']:.1f} x the Meta SDK's format_params ({found['sdk']:,.0f}; goal 6)",
        f"  {found['ours'] / found['raw']:.0%} of raw SHA-256 on ready bytes ({found['raw']:,.0f}; goal 40%)",
        f"  whole table at once: {found['megabytes']:.0f} MB above the input, output included",
    ]
    return "\n".join(lines)


def recipe() -> Recipe:
    """Meta's seven fields."""
    from connectors.protocol import IdentifierField, Recipe

    fields = [
        IdentifierField(name, source, rule, identifies=name in ("EMAIL", "PHONE"))
        for name, source, rule in zip(SCHEMA, SOURCES, RULES, strict=True)
    ]
    return Recipe("benchmark", tuple(fields), spill=True)


def speed(size: str) -> dict[str, float]:
    """Customers per CPU second: ours, the SDK's, and hashlib's on ready bytes."""
    import hashlib

    import pyarrow as pa
    from facebook_business.adobjects.customaudience import CustomAudience

    from connectors.engine.identity import IdentityRules, identify

    columns = people(ROWS, size)
    contacts = pa.table({"customer_id": [str(n) for n in range(ROWS)], **columns})
    ready = [text.encode() for column in columns.values() for text in column]
    raw = _rate(ROWS, lambda: [hashlib.sha256(one).digest() for one in ready])
    users = [list(row) for row in zip(*(column[:SDK_ROWS] for column in columns.values()), strict=True)]
    sdk = _rate(SDK_ROWS, lambda: CustomAudience.format_params(list(SCHEMA), users, is_raw=True))
    ready.clear()
    users.clear()
    columns.clear()
    identify(contacts.slice(0, 10_000), recipe(), IdentityRules())  # imports and metadata are not what is measured
    _forget_peak()
    before = _resident()
    kept: list[Any] = []
    ours = _rate(ROWS, lambda: kept.append(identify(contacts, recipe(), IdentityRules())))
    return {"ours": ours, "sdk": sdk, "raw": raw, "megabytes": _peak() - before}


def counted() -> dict[str, float]:
    """CPU seconds for chunks of members: identity alone, and with shared identifiers counted before."""
    import pyarrow as pa

    from connectors.engine.identity import IdentityReport, IdentityRules, count_shared, identify_batches

    rows = 262_144
    batches = pa.table({"customer_id": [str(n) for n in range(rows)], **people(rows, "large")}).to_batches(65_536)
    rules, wanted = IdentityRules(), recipe()

    def alone() -> None:
        for _ in identify_batches(batches, wanted, rules, IdentityReport()):
            pass

    def twice() -> None:
        shared = count_shared(batches, wanted, rules)
        for _ in identify_batches(batches, wanted, rules, IdentityReport(), shared=shared):
            pass

    alone()  # imports and metadata are not what is measured
    return {work.__name__: min(rows / _rate(rows, work) for _ in range(3)) for work in (alone, twice)}


def digests() -> dict[str, float]:
    """E-mails per CPU second from a text column to a column of 32 bytes, by the three libraries that were to choose from."""
    import hashlib

    import duckdb
    import polars as pl
    import pyarrow as pa

    from connectors.engine.digests import packed, sha256

    rows = 500_000
    arrow = pa.table({"v": people(rows, "large")["email"]})
    column = pl.Series(arrow["v"].combine_chunks())
    connection = duckdb.connect(config={"threads": 1})
    connection.register("emails", arrow)
    found = {
        "polars-hash": _rate(rows, lambda: packed(sha256(column))),
        "DuckDB": _rate(rows, lambda: connection.sql("SELECT unhex(sha256(v)) AS d FROM emails").to_arrow_table()),
        "hashlib": _rate(rows, lambda: b"".join([hashlib.sha256(one).digest() for one in column.cast(pl.Binary).to_list()])),
    }
    connection.close()
    return found


def memory(millions: int) -> dict[str, float]:
    """Peak memory above the input when chunks are identified one after the other and let go."""
    import pyarrow as pa

    from connectors.engine.identity import IdentityReport, IdentityRules, identify_batches

    chunk = 100_000
    columns = people(chunk, "large")
    batch = pa.table({"customer_id": [str(n) for n in range(chunk)], **columns}).to_batches()[0]
    _forget_peak()
    before, rows = _resident(), 0
    batches = (batch for _ in range(millions * 10))
    for found in identify_batches(batches, recipe(), IdentityRules(), IdentityReport()):
        rows += found.num_rows
    return {"rows": rows, "megabytes": _peak() - before}


def _rate(rows: int, work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return rows / (time.process_time() - started)


def _forget_peak() -> None:
    with open("/proc/self/clear_refs", "w") as switch:
        switch.write("5")


def _resident() -> float:
    with open("/proc/self/statm") as numbers:
        return int(numbers.read().split()[1]) * resource.getpagesize() / 1e6


def _peak() -> float:
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024 / 1e6


if __name__ == "__main__":
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    wanted = sys.argv[1]
    parts: dict[str, Callable[[], dict[str, float]]] = {"digests": digests, "counted": counted}
    found = memory(int(wanted)) if wanted.isdigit() else parts[wanted]() if wanted in parts else speed(wanted)
    print(json.dumps(found))
