"""What stops an audience before anything is sent, in words that say which limit and which number."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from connectors.engine.seen import Seen

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from connectors.engine.audience import Guardrails
    from connectors.engine.diff import Changes
    from connectors.engine.wanted import Wanted


@dataclass(frozen=True)
class Source:
    """What is known of the source: its last day, today, the reasons for which the model gate refuses it, and what it holds
    now and held at the audience's last push."""

    today: date
    last_day: date | None = None
    gate: Sequence[str] = ()
    seen: Seen = field(default_factory=Seen)
    before: Seen = field(default_factory=Seen)


def trips(limits: Guardrails, wanted: Wanted, changes: Changes, source: Source) -> list[str]:
    """Every guardrail that the planned change trips, as sentences; empty: go on. Nothing to send trips nothing."""
    if not changes.any:
        return []
    found = [f"model gate: {reason}" for reason in source.gate]
    found += _of_source(limits, source)
    found += _of_columns(limits, changes, source)
    found += _of_size(limits, wanted, changes)
    found += _of_shares(limits, changes)
    if limits.maximum_value is not None and wanted.largest_value is not None and wanted.largest_value > limits.maximum_value:
        found.append(f"a value of {wanted.largest_value} is above the limit of {limits.maximum_value}")
    return found


def _of_source(limits: Guardrails, source: Source) -> list[str]:
    if limits.stale_after_days is None or source.last_day is None:
        return []
    age = (source.today - source.last_day).days
    return [f"the source ends {age} days ago, more than {limits.stale_after_days}"] if age > limits.stale_after_days else []


def _of_columns(limits: Guardrails, changes: Changes, source: Source) -> list[str]:
    """Refusals that are gone stop additions; identifiers that are gone stop every change."""
    if limits.largest_share_gone is None:
        return []
    found = []
    for kind, name, before, now in source.seen.lacks(source.before, limits.largest_share_gone):
        if kind == "refusal" and changes.added:
            said = name.replace("_", " ")
            found.append(
                f"only {now:,} customers are left out as {said}, {before:,} at the last push: if a column or list is missing "
                "from the export, people who said no would be sent"
            )
        elif kind == "identifier":
            found.append(
                f"only {now:,} values of {name} can be used, {before:,} at the last push: is a column missing from the export?"
            )
    return found


def _of_size(limits: Guardrails, wanted: Wanted, changes: Changes) -> list[str]:
    if not wanted.rows and changes.held and not limits.may_empty:
        return [f"the audience would be emptied of its {changes.held:,} members"]
    found = []
    if wanted.people < limits.minimum_size:
        found.append(f"{wanted.people:,} people are fewer than the smallest size of {limits.minimum_size:,}")
    nobody = wanted.dropped.get("no_identifier", 0)
    if limits.minimum_share_identified is not None and wanted.people + nobody:
        share = wanted.people / (wanted.people + nobody)
        if share < limits.minimum_share_identified:
            found.append(
                f"only {share:.0%} of the people have a usable identifier (at least {limits.minimum_share_identified:.0%})"
            )
    return found


def _of_shares(limits: Guardrails, changes: Changes) -> list[str]:
    if not changes.held:
        return []
    found = []
    few = min(limits.ignore_removed_below, int(changes.held * limits.ignored_share) + 1)
    for verb, rows, limit, ignored in (
        ("removed", changes.removed, limits.largest_share_removed, few),
        ("added", changes.added, limits.largest_share_added, limits.ignore_below),
    ):
        share = rows / changes.held
        if limit is not None and rows >= ignored and share > limit:
            found.append(f"{rows:,} members ({share:.0%} of {changes.held:,}) would be {verb}, more than {limit:.0%}")
    return found
