"""Entry points -> platform, imported on first use (group `clv_audience_sync.connectors`).

Packages of others are judged before they are used: one that can't be imported, was written for another protocol, lacks a
method or takes a name that another package has costs only its own platform, and the error says which package it is.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import TYPE_CHECKING, cast

from connectors.errors import ConfigurationError
from connectors.wholeness import lacks, of_connector, of_platform

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from importlib.metadata import EntryPoint
    from typing import Any

    from connectors.protocol import Connector, Platform

GROUP = "clv_audience_sync.connectors"


class PackageError(ConfigurationError):
    """An installed package can't serve its platform: nothing in config is wrong, and the other platforms go on."""


def names() -> tuple[str, ...]:
    """The installed platforms' names, in order."""
    return tuple(sorted({point.name for point in entry_points(group=GROUP)}))


def platform(name: str) -> Platform:
    """The platform of that name; raises ConfigurationError naming what is installed, PackageError for a package at fault."""
    points = {point.value: point for point in entry_points(group=GROUP, name=name)}
    if not points:
        raise ConfigurationError(f"unknown platform {name!r}", remedy=f"installed: {', '.join(names())}")
    if len(points) > 1:
        packages = sorted(package(one) for one in points.values())
        raise PackageError(
            f"{len(points)} packages bring a connector named {name!r}: {', '.join(packages)}",
            remedy=f"keep one: pip uninstall {_bare(packages[-1])}",
        )
    (point,) = points.values()
    found = _loaded(point)
    if wrong := of_platform(found, name):
        raise PackageError(
            f"the connector {name!r} of {package(point)} doesn't fit: {lacks(wrong)}",
            remedy=f"install another version of {_bare(package(point))}, or tell its author (docs/adding-a-platform.md)",
        )
    return cast("Platform", found)


def connect(name: str, settings: Any, account: Any, *, now: Callable[[], datetime]) -> Connector:
    """A connector for one account, with every method that its capabilities promise; raises ConfigurationError."""
    connector = platform(name).connect(settings, account, now=now)
    if wrong := of_connector(connector):
        where = ", ".join(sorted(package(one) for one in entry_points(group=GROUP, name=name)))
        raise PackageError(
            f"the connector {name!r} of {where} doesn't fit: {lacks(wrong)}",
            remedy=f"install another version of {_bare(where)}, or tell its author (docs/adding-a-platform.md)",
        )
    return connector


def package(point: EntryPoint) -> str:
    """The distribution of an entry point and its version, such as `clv-pigeon 1.0`."""
    held = point.dist
    return f"{held.name} {held.version}" if held is not None else f"an unnamed package ({point.value})"


def _bare(package_: str) -> str:
    return package_.partition(" ")[0]


def _loaded(point: EntryPoint) -> object:
    """What the entry point names; its own errors at import, whatever they are, become ours."""
    try:
        return point.load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # an import may even call sys.exit
        text = " ".join(str(error).split())[:200]
        raise PackageError(
            f"the connector {point.name!r} of {package(point)} can't be loaded: {type(error).__name__}: {text}",
            remedy=f"install what it needs or another version, or: pip uninstall {_bare(package(point))}",
        ) from error
