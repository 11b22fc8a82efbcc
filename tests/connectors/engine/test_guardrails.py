"""Each guardrail by itself: the number at which it trips, and the sentence it says."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors.engine.audience import Guardrails
from connectors.engine.diff import Changes
from connectors.engine.guardrails import Source, trips
from connectors.engine.wanted import Wanted

TODAY = date(2026, 11, 22)
OPEN = Guardrails(None, None, 0, None, ignore_below=0, ignore_removed_below=0)


def wanted(people: int = 1000, *, nobody: int = 0, largest: str | None = None) -> Wanted:
    made = Wanted(Path("nowhere"), b"", (), rows=people, people=people, dropped={"no_identifier": nobody})
    made.largest_value = Decimal(largest) if largest else None
    return made


@pytest.mark.parametrize(
    ("limits", "changes", "said"),
    [
        ({"largest_share_removed": 0.25}, Changes(held=1000, removed=250), ""),
        ({"largest_share_removed": 0.25}, Changes(held=1000, removed=251), "25% of 1,000) would be removed"),
        ({"largest_share_removed": 0.25, "ignore_below": 300}, Changes(held=1000, removed=299), "would be removed"),
        ({"largest_share_removed": 0.2, "ignore_removed_below": 202}, Changes(held=1000, removed=201), ""),
        ({"largest_share_removed": 0.2, "ignore_removed_below": 202}, Changes(held=1000, removed=202), "20% of 1,000)"),
        ({"largest_share_added": 1.0, "ignore_below": 1002}, Changes(held=1000, added=1001), ""),
        ({"largest_share_added": 1.0}, Changes(held=1000, added=1001), "would be added, more than 100%"),
        ({"largest_share_added": 1.0}, Changes(held=0, added=5000), ""),
        ({"minimum_size": 1000}, Changes(added=1), ""),
        ({"minimum_size": 1001}, Changes(added=1), "fewer than the smallest size of 1,001"),
        ({"minimum_size": 1001}, Changes(held=1000), ""),
        ({"stale_after_days": 7}, Changes(added=1), "the source ends 8 days ago"),
        ({"stale_after_days": 8}, Changes(added=1), ""),
        ({"minimum_share_identified": 0.51}, Changes(added=1), "only 50% of the people"),
        ({"minimum_share_identified": 0.5}, Changes(added=1), ""),
        ({"maximum_value": Decimal(99)}, Changes(added=1), "a value of 100.00 is above the limit of 99"),
        ({"maximum_value": Decimal(100)}, Changes(added=1), ""),
    ],
)
def test_a_limit_trips_beyond_its_number(limits: dict[str, Any], changes: Changes, said: str) -> None:
    found = trips(replace(OPEN, **limits), wanted(nobody=1000, largest="100.00"), changes, Source(TODAY, date(2026, 11, 14)))
    assert [said in one for one in found] == [True] if said else found == []


@pytest.mark.parametrize(
    ("share", "held", "most"),
    [
        (0.3, 200, 60),  # the share counts, however few 61 are
        (0.3, 40, 12),
        (0.01, 200, 9),  # a trifle is no broken source
        (0.01, 40, 9),
        (0.01, 30, 7),  # but never more than a quarter
        (0.01, 3, 0),
        (0.3, 10, 3),
        (0.05, 1_000_000, 50_000),
    ],
)
def test_how_many_may_leave_at_once(share: float, held: int, most: int) -> None:
    limits = Guardrails(largest_share_removed=share, largest_share_added=None, minimum_size=0)
    assert trips(limits, wanted(), Changes(held=held, removed=most), Source(TODAY)) == []
    (said,) = trips(limits, wanted(), Changes(held=held, removed=most + 1), Source(TODAY))
    assert f"more than {share:.0%}" in said


def test_the_model_gate_stops_whatever_would_be_sent_and_nothing_else() -> None:
    gate = Source(TODAY, TODAY, ("the model is worse than last year's spend",))
    assert trips(OPEN, wanted(), Changes(added=1), gate) == ["model gate: the model is worse than last year's spend"]
    assert trips(OPEN, wanted(), Changes(held=1000), gate) == []


def test_an_audience_is_never_emptied_even_without_limits() -> None:
    (said,) = trips(OPEN, wanted(0), Changes(held=12, removed=12), Source(TODAY))
    assert "emptied of its 12 members" in said
