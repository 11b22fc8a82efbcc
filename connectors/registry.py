"""Entry points -> platform, imported on first use (group `clv_audience_sync.connectors`)."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import TYPE_CHECKING, cast

from connectors.errors import ConfigurationError

if TYPE_CHECKING:
    from connectors.protocol import Platform

GROUP = "clv_audience_sync.connectors"


def names() -> tuple[str, ...]:
    """The installed platforms' names, in order."""
    return tuple(sorted({point.name for point in entry_points(group=GROUP)}))


def platform(name: str) -> Platform:
    """The platform of that name; raises ConfigurationError naming what is installed."""
    point = next(iter(entry_points(group=GROUP, name=name)), None)
    if point is None:
        raise ConfigurationError(f"unknown platform {name!r}", remedy=f"installed: {', '.join(names())}")
    return cast("Platform", point.load())
