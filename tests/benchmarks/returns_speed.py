"""Returns of a million customers, 2,000 campaigns, three years: seconds, memory and the page against their limits."""

from __future__ import annotations

import resource
import tempfile
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa

from clv_core.attribution import SCHEMA as ACQUISITION
from clv_core.concentration import lorenz, tier_table
from clv_core.labels import from_mapping
from clv_core.returns import Returns, ReturnSettings, returns
from clv_core.spend import empty_days
from connectors.engine.report import ReportData, RunInfo, render

CUSTOMERS, CAMPAIGNS, DAYS = 1_000_000, 2_000, 3 * 365
SECONDS, MEGABYTES, PAGE = 20.0, 2_000.0, 6.0
AS_OF = date(2026, 6, 30)


def tables(rng: np.random.Generator) -> dict[str, pa.Table]:
    """Inputs of that size: 5 M purchase days, a day per campaign and ad pair."""
    ids = np.char.add("c", np.arange(CUSTOMERS).astype("U8"))
    came = rng.integers(0, DAYS, CUSTOMERS)
    more = rng.poisson(4.0 * (DAYS - came) / DAYS)
    who = np.concatenate([np.arange(CUSTOMERS), np.repeat(np.arange(CUSTOMERS), more)])
    age = np.concatenate([np.zeros(CUSTOMERS), rng.random(int(more.sum()))])
    calendar = np.array([AS_OF - timedelta(days=DAYS - 1 - n) for n in range(DAYS)], dtype="datetime64[D]")
    when = (came[who] + age * (DAYS - came[who])).astype(int)
    amounts = np.round(rng.gamma(2.0, 25.0, len(who)), 2)
    days = pa.table({"customer_id": pa.array(ids).take(pa.array(who)), "day": calendar[when], "amount": amounts})
    campaign = rng.integers(0, CAMPAIGNS, CUSTOMERS)
    paid = rng.random(CUSTOMERS) < 0.7
    names = pa.array([f"k{n}" for n in range(CAMPAIGNS)])
    platforms = pa.array([("meta", "google", "tiktok")[n % 3] for n in range(CAMPAIGNS)])
    blank = pa.array([""] * CUSTOMERS)

    def chosen(values: pa.Array) -> pa.Array:
        return pa.compute.if_else(pa.array(paid), values.take(pa.array(campaign)), blank)

    source = pa.compute.if_else(pa.array(paid), pa.scalar("paid"), pa.scalar("unknown"))
    acquisition = pa.table(
        [ids, calendar[came], chosen(platforms), chosen(names), blank, blank, source, source], names=ACQUISITION.names
    ).cast(ACQUISITION)
    clv = rng.gamma(0.6, 60.0, CUSTOMERS)
    scores = pa.table(
        {"customer_id": ids, "clv": clv, "clv_high": clv * 3, "tier": rng.choice(["high", "middle", "low"], CUSTOMERS)}
    )
    return {
        "scores": scores,
        "days": days,
        "acquisition": acquisition,
        "campaign_days": _results(rng, calendar, names, platforms),
    }


def _results(rng: np.random.Generator, calendar: np.ndarray, names: pa.Array, platforms: pa.Array) -> pa.Table:
    place = pa.array(np.repeat(np.arange(CAMPAIGNS), DAYS))
    rows = len(place)

    def money(scale: float) -> pa.Array:
        return pa.array(np.round(rng.gamma(2.0, scale, rows), 2)).cast(pa.decimal128(18, 6))

    said = {
        "platform": platforms.take(place), "account_id": pa.array(["a"] * rows), "date": pa.array(np.tile(calendar, CAMPAIGNS)),
        "campaign_id": names.take(place), "campaign_name": names.take(place), "adset_id": pa.array([""] * rows),
        "ad_id": pa.array([""] * rows), "spend": money(8.0), "impressions": pa.array(np.full(rows, 900)),
        "clicks": pa.array(np.full(rows, 11)), "conversions": money(0.5), "conversion_value": money(16.0),
        "currency": pa.array(["USD"] * rows), "pulled_at": pa.array([datetime(2026, 7, 1, tzinfo=UTC)] * rows),
    }  # fmt: skip
    return pa.table(said).cast(empty_days().schema)


def main() -> None:
    """Prints ratios to the limits (under 1 is within)."""
    made = tables(np.random.default_rng(1))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    start, worked = time.perf_counter(), time.process_time()
    settings, labels = ReturnSettings(threads=2), from_mapping({"odd": ["*1"]})
    found = returns(**made, currency="USD", as_of=AS_OF, labels=labels, settings=settings)
    took, worked = time.perf_counter() - start, time.process_time() - worked
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    limit = f"{took / SECONDS:.2f} of the limit of {SECONDS:.0f} s"
    print(f"returns, 1M customers x 2,000 campaigns: {took:.1f} s ({worked:.1f} core-seconds), {limit}")
    print(f"peak memory, inputs included: {peak:,.0f} MB, {peak / MEGABYTES:.2f} of {MEGABYTES:,.0f} MB")
    print(f"  of which the inputs: {before:,.0f} MB")
    size, seconds = page(found, made["scores"])
    print(f"page: {size:.2f} MB, {size / PAGE:.2f} of {PAGE:.0f} MB, written in {seconds:.1f} s")


def page(found: Returns, scores: pa.Table) -> tuple[float, float]:
    """Megabytes of the page, and the seconds to write it."""
    for name in ("lifetime_value", "value_to_date", "p_alive", "expected_orders", "frequency"):
        scores = scores.append_column(name, scores.column("clv"))
    run = RunInfo("bench", AS_OF, "USD", CUSTOMERS)
    data = ReportData(run, tiers=tier_table(scores), lorenz=lorenz(scores), returns=found.tables())
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        written = render(data, Path(folder) / "report.html")
        return written.stat().st_size / 1e6, time.perf_counter() - start


if __name__ == "__main__":
    main()
