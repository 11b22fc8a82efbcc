"""Making a lookalike: the seed's state, the spec's keys and types, the ratio grid, duplicates (fact sheet 3)."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final

from connectors.meta.sandbox.world import Account, Audience, GraphError, parsed
from connectors.neutral import flagged_words

if TYPE_CHECKING:
    from connectors.meta.sandbox import MetaSandbox
    from connectors.meta.sandbox.calls import Call

POPULATE: Final = timedelta(hours=6)
PEOPLE_PER_PERCENT: Final = 2_000_000
MAXIMUM: Final = 500
_KEYS: Final = {"type", "ratio", "starting_ratio", "country", "location_spec", "allow_international_seeds"}
_TYPES: Final = {"similarity": Decimal("0.01"), "reach": Decimal("0.05")}


def create_lookalike(box: MetaSandbox, account: Account, call: Call) -> Audience:
    """The new lookalike; raises GraphError where Meta refuses."""
    origin = box.audiences.get(str(call.params.get("origin_audience_id") or ""))
    if origin is None or origin.account != account.id:
        raise GraphError(2654, "Failed to create custom audience: the source audience does not exist in this ad account")
    spec = parsed(call.params.get("lookalike_spec"), "lookalike_spec")
    if not isinstance(spec, dict) or set(spec) - _KEYS:
        raise GraphError(100, "Invalid parameter: lookalike_spec")
    if origin.flagged:
        raise GraphError(100, "The source audience is flagged", 1713232)
    if (box.matched(len(origin.members)) or 0) < box.minimum_matched:
        raise GraphError(2654, "Failed to create lookalike: the source audience is too small")
    band, countries = _band(spec, origin), _countries(spec)
    for one in box.audiences.values():
        if one.origin == origin.id and _same(one, band, countries):
            raise GraphError(2654, "Failed to create lookalike: duplicate lookalike of this source, country and size")
    if sum(one.subtype == "LOOKALIKE" and one.account == account.id for one in box.audiences.values()) >= MAXIMUM:
        raise GraphError(2654, f"Failed to create lookalike: {MAXIMUM} exist")
    made = box.new_audience(account.id, str(call.params["name"]), "LOOKALIKE")
    made.flagged = ["name"] if flagged_words(made.name) else []
    made.origin = origin.id
    made.spec = {
        **spec,
        "ratio": float(band[1]),
        "origin": [{"id": origin.id, "name": origin.name, "type": "custom_audience"}],
        "target_countries": countries,
    }
    return made


def _same(held: Audience, band: tuple[Decimal, Decimal], countries: list[str]) -> bool:
    start, ratio = Decimal(str(held.spec.get("starting_ratio", 0))), Decimal(str(held.spec["ratio"]))
    return (start, ratio) == band and held.spec["target_countries"] == countries


def _band(spec: dict[str, Any], origin: Audience) -> tuple[Decimal, Decimal]:
    kind = spec.get("type")
    if kind is not None and kind not in (*_TYPES, "custom_ratio"):
        raise GraphError(100, "Invalid parameter: lookalike_spec.type")
    if kind == "custom_ratio" and "ratio" not in spec:
        raise GraphError(100, "Invalid parameter: lookalike_spec.ratio is missing")
    if kind in _TYPES and "ratio" in spec:
        raise GraphError(100, "Invalid parameter: lookalike_spec takes type or ratio")
    if "ratio" not in spec and kind is None:
        raise GraphError(100, "Invalid parameter: lookalike_spec takes type or ratio")
    ratio = _on_grid(spec["ratio"], "ratio") if "ratio" in spec else _TYPES[str(kind)]
    start = _on_grid(spec["starting_ratio"], "starting_ratio") if "starting_ratio" in spec else Decimal(0)
    if start >= ratio:
        raise GraphError(100, "Invalid parameter: lookalike_spec.starting_ratio must be below ratio")
    return start, ratio


def _on_grid(value: Any, name: str) -> Decimal:
    try:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InvalidOperation
        number = Decimal(str(value))
    except InvalidOperation:
        raise GraphError(100, f"Invalid parameter: lookalike_spec.{name} must be a number") from None
    if not Decimal("0.01") <= number <= Decimal("0.20") or number % Decimal("0.01"):
        raise GraphError(100, f"Invalid parameter: lookalike_spec.{name} is 0.01 to 0.20 in steps of 0.01")
    return number


def _countries(spec: dict[str, Any]) -> list[str]:
    if "country" in spec:
        codes = [spec["country"]]
    else:
        place = spec.get("location_spec")
        places = place.get("geo_locations") if isinstance(place, dict) else None
        if not isinstance(places, dict) or set(places) - {"countries", "country_groups"}:
            raise GraphError(100, "Invalid parameter: lookalike_spec needs country or location_spec.geo_locations")
        codes = places.get("countries") or []
    if not codes or not all(isinstance(code, str) and re.fullmatch(r"[A-Z]{2}", code) for code in codes):
        raise GraphError(2654, "Failed to create lookalike: invalid country", 1713089)
    return sorted(codes)
