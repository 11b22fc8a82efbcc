"""Lookalikes: all six fields required, of a usable seed, immutable; sizes NARROW < BALANCED < BROAD."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from connectors.tiktok.sandbox.audiences import LOOKALIKE, SMALLEST, Audiences, Held
from connectors.tiktok.sandbox.wire import RefusalError, choice, identifier, text, texts, wrong

if TYPE_CHECKING:
    from collections.abc import Mapping

SIZES = {"NARROW": 10, "BALANCED": 20, "BROAD": 30}
PEOPLE = 40_000  # of a lookalike, per seed-size step and country


def create(audiences: Audiences, body: Mapping[str, Any], owner: str) -> dict[str, str]:
    """`custom_audience_id` of a new lookalike."""
    name = text(body, "custom_audience_name")
    spec = body.get("lookalike_spec")
    if not isinstance(spec, dict):
        raise wrong("lookalike_spec", "Missing data for required field.")
    unknown = set(spec) - {"source_audience_id", "include_source", "mobile_os", "placements", "location_ids", "audience_size"}
    if unknown:
        raise wrong("lookalike_spec", f"Unknown field: {', '.join(sorted(unknown))}.")
    seed = audiences.own(identifier(spec, "source_audience_id"), owner)
    if not isinstance(spec.get("include_source"), bool):
        raise wrong("include_source", "Not a valid boolean.")
    choice(spec, "mobile_os", ("ALL", "ANDROID", "IOS"))
    if not set(texts(spec, "placements")) <= {"TikTok", "Pangle"}:
        raise wrong("placements", "Must be of: TikTok, Pangle.")
    if not all(one.isdigit() for one in texts(spec, "location_ids", most=1000)):
        raise wrong("location_ids", "Not a valid id.")
    size = choice(spec, "audience_size", tuple(SIZES))
    if seed.kind == LOOKALIKE:
        raise wrong("source_audience_id", "The source is itself a lookalike.")
    if not seed.valid or seed.cover < SMALLEST:
        raise RefusalError(40002, "The source audience is not valid, please check audience status")
    audiences.room(owner)
    now = audiences.now()
    made = Held(audiences.new_id(), owner, name, LOOKALIKE, now)
    made.lookalike = {**spec, "size": PEOPLE * SIZES[size] * len(spec["location_ids"])}
    made.begin("CREATE", "lookalike", now, audiences.validity_hours)
    audiences.held[made.id] = made
    return {"custom_audience_id": made.id}


def refresh(audiences: Audiences, body: Mapping[str, Any], owner: str) -> list[str]:
    """The lookalikes that are being refreshed; nothing else of them can change."""
    wanted = texts(body, "custom_audience_ids")
    if set(body) - {"advertiser_id", "custom_audience_ids"}:
        raise RefusalError(40002, "A lookalike's specification cannot change.")
    for audience_id in wanted:
        found = audiences.own(audience_id, owner)
        if found.kind != LOOKALIKE:
            raise wrong("custom_audience_ids", "Only lookalikes can be refreshed.")
        found.note("REFRESH", "lookalike", audiences.now())  # it stays usable meanwhile
    return wanted
