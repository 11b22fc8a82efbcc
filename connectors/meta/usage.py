"""How much of Meta's quotas is used, read from the answer's headers, and how long to wait because of it.

All counts are percent; `estimated_time_to_regain_access` is minutes, `reset_time_duration` is seconds (fact sheet section 6).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PAUSE_AT: Final = 75.0
STOP_AT: Final = 95.0
LONGEST_PAUSE: Final = 30.0  # seconds, just below STOP_AT

_PERCENTS: Final = ("call_count", "total_time", "total_cputime", "acc_id_util_pct", "app_id_util_pct")
_HEADERS: Final = ("X-App-Usage", "X-Ad-Account-Usage", "X-Business-Use-Case-Usage", "X-FB-Ads-Insights-Throttle")


@dataclass(frozen=True, slots=True)
class Usage:
    """The fullest quota in percent, and Meta's own wait in seconds (None: it named none)."""

    percent: float = 0.0
    wait: float | None = None

    def pause(self) -> float:
        """Seconds to wait before the next call: none below 75%, up to half a minute at 95%, then Meta's own wait."""
        if self.percent >= STOP_AT:
            return self.wait if self.wait is not None else 60.0
        if self.percent < PAUSE_AT:
            return 0.0
        return LONGEST_PAUSE * (self.percent - PAUSE_AT + 1) / (STOP_AT - PAUSE_AT + 1)


def read_usage(headers: Mapping[str, str]) -> dict[bool, Usage]:
    """Usage for insights calls (True) and for all others (False), which are counted apart."""
    found = list(_entries(headers))
    insights = [entry for entry, kind in found if kind in ("insights", "any")]
    others = [entry for entry, kind in found if kind in ("other", "any")]
    return {True: _worst(insights), False: _worst(others)}


def _entries(headers: Mapping[str, str]) -> Iterator[tuple[dict[str, Any], str]]:
    for name in _HEADERS:
        document = _document(headers.get(name))
        if name == "X-Business-Use-Case-Usage":
            for entries in document.values():
                for entry in entries if isinstance(entries, list) else []:
                    if isinstance(entry, dict):
                        yield entry, "insights" if entry.get("type") == "ads_insights" else "other"
        else:
            yield document, "insights" if name == "X-FB-Ads-Insights-Throttle" else "any"


def _document(text: str | None) -> dict[str, Any]:
    try:
        document = json.loads(text or "{}")
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _worst(entries: list[dict[str, Any]]) -> Usage:
    percents = [float(entry[key]) for entry in entries for key in _PERCENTS if isinstance(entry.get(key), int | float)]
    minutes = [entry.get("estimated_time_to_regain_access") for entry in entries]
    seconds = [entry.get("reset_time_duration") for entry in entries]
    waits = [60.0 * float(one) for one in minutes if isinstance(one, int | float) and one > 0]
    waits += [float(one) for one in seconds if isinstance(one, int | float) and one > 0]
    return Usage(max(percents, default=0.0), max(waits, default=None))
