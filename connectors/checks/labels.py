"""Config's labels against the campaigns of the results pulled so far: which rules match none, which campaigns have none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connectors import translate
from connectors.engine.results import campaigns_kept
from connectors.protocol import Check

if TYPE_CHECKING:
    from clv_core.labels import Kind
    from connectors.config import Settings


def look(settings: Settings) -> list[Check]:
    """One finding per kind of label; a rule that matches nothing is a note, no failure: its campaign may come."""
    rules = translate.labels(settings)
    if not rules.rules:
        return []
    campaigns = campaigns_kept(settings.state)
    if not campaigns:
        return [
            Check("labels", True, "no campaign results were pulled yet: the rules are held against them after the first pull")
        ]
    kinds: tuple[Kind, ...] = ("creative", "objective")
    return [one for kind in kinds for one in _kind(settings, kind, campaigns)]


def _kind(settings: Settings, kind: Kind, campaigns: list[tuple[str, frozenset[str]]]) -> list[Check]:
    from clv_core.labels import UNLABELLED

    rules = translate.labels(settings)
    mine = [rule for rule in rules.rules if rule.kind == kind]
    if not mine:
        return []
    idle = [rule.label for rule in mine if not any(rule.matches_name(name) or ids & set(rule.ids) for name, ids in campaigns)]
    bare = [name for name, ids in campaigns if rules.label(kind, name, sorted(ids)) == UNLABELLED]
    detail = f"{len(campaigns) - len(bare)} of {len(campaigns)} campaigns have a label"
    remedies = [f"no campaign matches: {', '.join(idle)}"] if idle else []
    remedies += [f"without a label: {', '.join(bare[:5])}{' ...' if len(bare) > 5 else ''}"] if bare else []
    return [Check(f"labels, {kind}", True, detail, "; ".join(remedies))]
