"""A word that the engine itself puts on a person (consent that nobody recorded): it travels as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connectors.engine.normalise.rule import Rule, Settled, nothing

if TYPE_CHECKING:
    import polars as pl

    from connectors.engine.normalise.switches import IdentityRules


def settle_mark(values: pl.Series, _countries: pl.Series, _rules: IdentityRules) -> Settled:
    """Every word as it is."""
    return Settled(values, nothing(len(values)))


MARK = Rule("mark", "2026-11", "the engine's own columns (connectors.engine.members)", settle_mark)
