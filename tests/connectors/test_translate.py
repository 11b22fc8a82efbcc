"""Audiences of config in the engine's terms: lookalikes by ratio, band and platform, lifetimes of members."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from connectors import translate
from connectors.config.audiences import AudienceSettings, GuardrailSettings, LookalikeSettings
from connectors.engine.audience import AudienceRequest, specs
from connectors.registry import platform

SEED = AudienceSettings(name="seed", title="Seed A", platforms=["meta"], value_weighted=True)


@pytest.mark.parametrize(
    ("block", "wanted"),
    [
        ({}, [("Seed A lookalike US narrow", None, None)]),
        ({"size": "broad"}, [("Seed A lookalike US broad", None, None)]),
        ({"ratios": [0.05, 0.01]}, [("Seed A lookalike US 1%", None, 0.01), ("Seed A lookalike US 5%", None, 0.05)]),
        (
            {"ratios": [0.01, 0.03, 0.1], "bands": True},
            [
                ("Seed A lookalike US 1%", None, 0.01),
                ("Seed A lookalike US 1%-3%", 0.01, 0.03),
                ("Seed A lookalike US 3%-10%", 0.03, 0.1),
            ],
        ),
    ],
)
def test_lookalikes_by_size_ratio_and_band(block: dict[str, Any], wanted: list[tuple[str, float | None, float | None]]) -> None:
    found = translate.lookalikes(SEED, LookalikeSettings(countries=["US"], **block))
    assert [(one.name, one.starting_ratio, one.ratio) for one in found] == wanted
    assert len({one.key for one in found}) == len(found)
    assert all(one.value_based for one in found)


def test_a_lookalike_may_be_for_some_platforms_only() -> None:
    (found,) = translate.lookalikes(SEED, LookalikeSettings(countries=["US"], platforms=["meta"]))
    assert found.platforms == ("meta",)


@pytest.mark.parametrize(
    ("name", "asked", "days"),
    [
        ("meta", None, None),
        ("meta", 90, 90),
        ("meta", 365, 180),
        ("google", None, 540),
        ("google", 90, 90),
        ("tiktok", 90, None),
    ],
)
def test_members_live_as_long_as_asked_and_as_the_platform_allows(name: str, asked: int | None, days: int | None) -> None:
    request = AudienceRequest("seed", "Seed A", membership_days=asked)
    (spec,) = specs(request, platform(name).capabilities, "USD")
    assert spec.membership_days == days


def test_an_audience_that_sets_one_guardrail_keeps_the_others_of_all_audiences() -> None:
    common = GuardrailSettings(max_removed_share=0.1, min_size=500)
    settings: Any = SimpleNamespace(audiences=SimpleNamespace(guardrails=common), sources=SimpleNamespace(max_age_days=14))
    own = SEED.model_copy(update={"guardrails": GuardrailSettings(min_size=2_000)})
    limits = translate.request(own, settings).guardrails
    assert (limits.minimum_size, limits.largest_share_removed, limits.stale_after_days) == (2_000, 0.1, 14)
    assert translate.request(SEED, settings).guardrails.minimum_size == 500
