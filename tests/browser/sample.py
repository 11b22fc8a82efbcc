"""A full report on a simulated world, with names that try to break out of the page."""

from __future__ import annotations

from datetime import timedelta
from functools import cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from clv_core.concentration import lorenz, tier_table
from clv_core.history import SNAPSHOT, over_time
from clv_core.labels import from_mapping
from clv_core.returns import Returns, ReturnSettings, returns
from connectors.engine.report import ReportData, RunInfo, headline
from tests.clv_core.world import AS_OF, STYLES, World, simulate

HOSTILE = "<script>window.hacked = 1</script>"
BREAKOUT = "</script><img src=x onerror=\"window.hacked = 2\"> & 'quotes' </table>"
FORMULA = '=HYPERLINK("http://example.com","pay")'


@cache
def world() -> World:
    """The simulated world; three of its eight campaigns have hostile names."""
    made = simulate(customers=1500)
    names = {"k0": HOSTILE, "k1": BREAKOUT, "k2": FORMULA}
    ids, given = (made.campaign_days.column(name).to_pylist() for name in ("campaign_id", "campaign_name"))
    column = pa.array([names.get(one, name) for one, name in zip(ids, given, strict=True)])
    place = made.campaign_days.column_names.index("campaign_name")
    return World(
        made.days, made.acquisition, made.campaign_days.set_column(place, "campaign_name", column), made.scores, made.future
    )


@cache
def bought() -> Returns:
    """What the world's money bought."""
    made, labels = world(), from_mapping({style: [style] for style in STYLES}, {"prospecting": ["campaign"]})
    found: dict[str, Any] = {"currency": "USD", "as_of": AS_OF, "labels": labels, "settings": ReturnSettings(threads=1)}
    return returns(made.scores, made.days, made.acquisition, made.campaign_days, **found)


CONTRADICTED = pa.table({
    "source": ["paid"], "platform": ["meta"], "basis": ["click_id+utm"], "said": ["order_id: google"], "customers": [17],
    "realised_value": [812.5],
})  # fmt: skip
LIFT = pa.table({
    "audience": ["winback"], "treated": [900], "held_out": [100], "days": [60], "treated_each": [21.5], "held_out_each": [17.0],
    "lift_each": [4.5], "lift_low": [1.2], "lift_high": [7.8], "lift_total": [4050.0], "sentence": ["It adds something."],
})  # fmt: skip


def over_the_runs() -> dict[str, pa.Table]:
    """An earlier run, and how it did."""
    early = {"run_id": "r0", "as_of": AS_OF - timedelta(days=90), "horizon_days": 365, "grouping": "totals", "key": "all"}
    values = {"customers": 1200, "predicted_clv": 120_000.0, "predicted_low": 90_000.0, "predicted_high": 160_000.0}
    past = pa.Table.from_pylist([early | values], schema=SNAPSHOT)
    return over_time(bought(), "r1", [past], world().days, world().acquisition)


def audience(platform: str, **more: Any) -> dict[str, Any]:
    """An audience's outcome, as the engine reports it."""
    return {
        "platform": platform, "account": "acct1", "audience": "value_seed", "name": "Customers A", "wanted": 1400, "add": 12,
        "change": 0, "remove": 3, "accepted": 1300, "rejected": {"bad_hash": 2}, "pending": 40, "unknown": 7, "snapshot": 1350,
        "dropped": {"no consent": 51, "no identifier": 9}, "held_out": 70, "notes": [], "size_lower": 1000, "size_upper": 1300,
        "state": "ready", "detail": "", "guardrail": "",
        "lookalikes": [{"name": "Customers A 1%", "countries": ["US", "CA"], "size": "narrow", "state": "processing"}], **more,
    }  # fmt: skip


def signal(platform: str, **more: Any) -> dict[str, Any]:
    """What became of an account's predicted values, as the engine reports it."""
    return {
        "platform": platform, "account": "acct1", "target": "777001", "event": "conversion", "currency": "USD",
        "customers": 240, "sent_before": 190, "dropped": {"too_old": 4}, "sent": 46, "accepted": 31, "rejected": {},
        "pending": 12, "unknown": 0,
        "settled": 9, "state": "done", "detail": "", **more,
    }  # fmt: skip


def report(**more: Any) -> ReportData:
    """The report of the world, with every part; `more` replaces parts."""
    scores = world().scores
    spent = pc.multiply(scores.column("clv"), 1.5)
    for name, column in (
        ("lifetime_value", pc.add(scores.column("clv"), spent)),
        ("value_to_date", spent),
        ("expected_orders", spent),
    ):
        scores = scores.append_column(name, column)
    deciles = {"decile": list(range(1, 11)), "customers": [150.0] * 10, "predicted": [float(5000 >> n) for n in range(10)],
               "actual": [float(4700 >> n) for n in range(10)]}  # fmt: skip
    run = RunInfo(
        "2026-07-01T06:00", AS_OF, "USD", 1500, "blend", simulated="Everything here is simulated.", notes=("Shifted.",)
    )
    parts: dict[str, Any] = {
        "tiers": tier_table(scores),
        "lorenz": lorenz(scores),
        "deciles": pa.table(deciles),
        "models": [
            {"model": "blend", "gini": 0.72, "spearman": 0.45, "top10_capture": 0.52, "top20_capture": 0.69, "bias": 0.98,
             "decile_wape": 0.1, "chosen": True},
            {"model": "past_spend", "gini": 0.68, "chosen": False},
        ],
        "audiences": [audience("meta"), audience("google", name=HOSTILE, guardrail="removes 40% of members")],
        "signals": [signal("meta"), signal("google", rejected={"NO_IDENTIFIERS": 3}, detail=BREAKOUT, state="partly")],
        "match": {"meta/1": {"people": 1333, "rows": 1310, "fields": {
            "email": {"valid": 1300, "invalid": {"no at sign": 3}, "empty": 30, "shared": 4},
            "birth_year": {"valid": 0, "invalid": {}, "empty": 1333}}}},
        "left_out": {"consent_missing": 90},
        "returns": bought().tables() | {"contradictions": CONTRADICTED} | over_the_runs() | {"lift": LIFT},
        "warnings": ["12 orders have no customer"],
    }  # fmt: skip
    data = ReportData(run, **(parts | more))
    if "previous" in more:
        return data
    now = headline(data)
    before = {**now, "run_id": "r0", "as_of": "2026-06-29", "customers": 1480, "predicted_clv": 0.9 * now["predicted_clv"]}
    return ReportData(run, **(parts | {"previous": before, "history": [before, now]} | more))
