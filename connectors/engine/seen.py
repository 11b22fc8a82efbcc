"""What the source held at an audience's last push: so that a column, a list or a file that went missing is noticed at once.

A refusal that is no longer in the export would bring people back who said no; an identifier that is no longer in it would leave
rows that hardly match. Both change little in the number of members, so the shares of removed and added members don't show them.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from connectors.engine.identity_report import IdentityReport
    from connectors.protocol import Recipe

REFUSALS = ("do_not_sell", "consent_denied", "suppressed")
FEW = 10
"""Fewer people than this say nothing about a column."""


@dataclass(frozen=True)
class Seen:
    """How many scored customers there were; of these, by reason, who said no; and by identifier, how many values there were."""

    customers: int = 0
    refusals: Mapping[str, int] = field(default_factory=dict)
    identifiers: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, customers: int, dropped: Mapping[str, int], report: IdentityReport, recipe: Recipe) -> Seen:
        """What members and their identifiers tell of the source."""
        names = {one.source for one in recipe.fields if one.identifies} | {one.name for one in recipe.fields if one.identifies}
        found = {name: counts.valid for name, counts in report.fields.items() if name in names}
        return cls(customers, {reason: dropped.get(reason, 0) for reason in REFUSALS}, found)

    def text(self) -> str:
        """The form in which the journal keeps it."""
        return json.dumps(asdict(self), sort_keys=True)

    def lacks(self, before: Seen, limit: float) -> Iterator[tuple[str, str, int, int]]:
        """What fell by more than the share `limit` since `before`: kind ("refusal", "identifier"), name, before, now.

        The number must have fallen, and its share of all customers too: a source that is smaller as a whole trips what judges
        sizes instead, and newcomers who lack something take nothing from the others.
        """
        for kind in ("refusals", "identifiers"):
            now, was = getattr(self, kind), getattr(before, kind)
            for name, count in was.items():
                left = now.get(name, 0)
                kept = (1 - limit) * count
                gone = left < kept and left * before.customers < kept * self.customers
                if count >= FEW and self.customers and gone:
                    yield kind.removesuffix("s"), name, count, left


def seen_before(audience: Mapping[str, Any] | None) -> Seen:
    """What the journal's row of an audience says of its last push; nothing when it was never pushed."""
    text = audience["seen"] if audience else ""
    return Seen(**json.loads(text)) if text else Seen()
