"""The Events API: one bad event refuses the whole call; people only as SHA-256 digests; value and currency go together."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from connectors.tiktok.sandbox.wire import RefusalError, choice, text, wrong

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

MOST = 1_000
OLDEST_SECONDS = 28 * 86_400
DIGEST = re.compile(r"[0-9a-f]{64}")
HASHED = ("email", "phone", "external_id")
KNOWN_AS = ("ttclid", "ttp", "ip", "idfa", "gaid")


def receive(body: Mapping[str, Any], pixels: Collection[str], now: float) -> list[dict[str, Any]]:
    """The events as kept: source, event, event_id, at, value, currency, user, limited."""
    if choice(body, "event_source", ("web", "app", "offline", "crm")) != "web":
        raise RefusalError(40001, "No permission: this source is for allow-listed advertisers.")
    source = text(body, "event_source_id", longest=64)
    if pixels and source not in pixels:
        raise RefusalError(40001, f"No permission to operate pixel {source}.")
    data = body.get("data")
    if not isinstance(data, list) or not 1 <= len(data) <= MOST:
        raise wrong("data", f"Length must be between 1 and {MOST}.")
    return [_read(event, f"data.{place}", source, now) for place, event in enumerate(data)]


def _read(event: Any, place: str, source: str, now: float) -> dict[str, Any]:
    if not isinstance(event, dict):
        raise wrong(place, "Not a valid object.")
    at = event.get("event_time")
    if isinstance(at, bool) or not isinstance(at, int) or not now - OLDEST_SECONDS <= at <= now + 60:
        raise wrong(f"{place}.event_time", "Unix seconds of the last 28 days.")
    page = event.get("page")
    if not isinstance(page, dict) or not str(page.get("url") or "").startswith(("http://", "https://")):
        raise wrong(f"{place}.page.url", "Missing data for required field.")
    properties = event.get("properties")
    if not isinstance(properties, dict):
        raise wrong(f"{place}.properties", "Missing data for required field.")
    value, currency = properties.get("value"), properties.get("currency")
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise wrong(f"{place}.properties.value", "Missing data for required field, or not a number.")
    if not isinstance(currency, str) or not re.fullmatch(r"[A-Z]{3}", currency):
        raise wrong(f"{place}.properties.currency", "Missing data for required field, or not an ISO 4217 code.")
    return {
        "source": source,
        "event": text(event, "event", longest=50),
        "event_id": text(event, "event_id", longest=128),
        "at": at,
        "value": value,
        "currency": currency,
        "user": _user(event.get("user"), place),
        "limited": bool(event.get("limited_data_use", False)),
    }


def _user(user: Any, place: str) -> dict[str, Any]:
    if not isinstance(user, dict):
        raise wrong(f"{place}.user", "Missing data for required field.")
    for name in HASHED:
        given = user.get(name, [])
        for one in given if isinstance(given, list) else [given]:
            if not isinstance(one, str) or not DIGEST.fullmatch(one):
                raise wrong(f"{place}.user.{name}", "Must be hashed with SHA-256.")
    if not any(user.get(name) for name in (*HASHED, *KNOWN_AS)):
        raise wrong(f"{place}.user", "At least one identifier is needed.")
    return user
