"""Creative style and objective of campaigns, by rules that marketing ops write: ids first, then name patterns."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Kind = Literal["creative", "objective"]
UNLABELLED = "unlabelled"


@dataclass(frozen=True, slots=True)
class LabelRule:
    """A label given to whatever an id names or a word finds in a campaign's name.

    `names` are words that stand anywhere in the name, case ignored, or patterns of the whole name with `*` and `?`; `ids` are
    campaign, ad set or ad ids.
    """

    label: str
    kind: Kind = "creative"
    names: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()

    def matches_name(self, name: str) -> bool:
        """Whether one of the words is in the name, or one of the patterns fits it."""
        return any(_fits(word.casefold(), name.casefold()) for word in self.names)


def _fits(word: str, name: str) -> bool:
    return bool(re.match(fnmatch.translate(word), name)) if set(word) & set("*?") else word in name


@dataclass(frozen=True, slots=True)
class LabelRules:
    """Rules in order of weight: an ad's id beats its ad set's, that beats the campaign's, that beats any name pattern."""

    rules: tuple[LabelRule, ...] = ()

    def label(self, kind: Kind, name: str, ids: Iterable[str]) -> str:
        """The label of one place; `ids` from the narrowest (ad) to the widest (campaign). UNLABELLED when no rule fits."""
        mine = [rule for rule in self.rules if rule.kind == kind]
        for one in ids:
            for rule in mine:
                if one and one in rule.ids:
                    return rule.label
        return next((rule.label for rule in mine if rule.matches_name(name)), UNLABELLED)


def from_mapping(creative: Mapping[str, Iterable[str]], objective: Mapping[str, Iterable[str]] | None = None) -> LabelRules:
    """Rules from `{label: [patterns]}`, the short form of labels.yaml."""
    pairs: list[tuple[Kind, Mapping[str, Iterable[str]]]] = [("creative", creative), ("objective", objective or {})]
    return LabelRules(tuple(LabelRule(label, kind, tuple(names)) for kind, group in pairs for label, names in group.items()))


def label_places(places: pa.Table, rules: LabelRules) -> pa.Table:
    """One row per row of `places` (platform, campaign_id, campaign_name, adset_id, ad_id), with `creative` and `objective`."""
    rows = places.select(["campaign_name", "ad_id", "adset_id", "campaign_id"]).to_pylist()
    kinds: tuple[Kind, ...] = ("creative", "objective")
    for kind in kinds:
        labels = [
            rules.label(kind, row["campaign_name"] or "", (row["ad_id"], row["adset_id"], row["campaign_id"])) for row in rows
        ]
        places = places.append_column(kind, pa.array(labels, pa.string()))
    return places
