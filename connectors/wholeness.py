"""What a platform or connector lacks of the protocol: read off the protocol's own classes, so that both can't drift apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from connectors import powers, protocol
from connectors.protocol import PROTOCOL, Capabilities
from connectors.settings import PlatformSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

POWERS: Final[dict[str, type[Any]]] = {
    "predicted_values": protocol.EventConnector,
    "removes_everywhere": protocol.ErasingConnector,
    "maximum_audiences": powers.CountingConnector,
    "lookalike_refresh_days": powers.RefreshingConnector,
    "renames": powers.RenamingConnector,
    "foresees": powers.ForeseeingConnector,
    "shares": powers.SharingConnector,
}
"""Field of `Capabilities` -> what a connector has besides where the field says so."""


def of_platform(found: Any, name: str) -> list[str]:
    """What is wrong with what an entry point names; empty when nothing is."""
    missing = [one for one in ("name", "capabilities", "settings", "connect", "sandbox") if not hasattr(found, one)]
    if missing:
        return [f"it has no {one}" for one in missing]
    spoken = getattr(found, "protocol", PROTOCOL)
    if spoken != PROTOCOL:
        newer = "clv-audience-sync" if isinstance(spoken, int) and spoken > PROTOCOL else "the package"
        return [f"it was written for protocol {spoken}, this version speaks {PROTOCOL} (upgrade {newer})"]
    wrong = [f"{one} can't be called" for one in ("connect", "sandbox") if not callable(getattr(found, one))]
    if found.name != name:
        wrong.append(f"its name is {found.name!r}, its entry point's {name!r}")
    if not isinstance(found.settings, type) or not issubclass(found.settings, PlatformSettings):
        wrong.append("settings is no subclass of connectors.settings.PlatformSettings")
    if not isinstance(found.capabilities, Capabilities):
        wrong.append("capabilities is no connectors.protocol.Capabilities")
    elif found.capabilities.platform != name:
        wrong.append(f"its capabilities are those of {found.capabilities.platform!r}")
    return wrong


def of_connector(found: Any) -> list[str]:
    """What a connector lacks, also of what its capabilities promise; empty when nothing."""
    lacking = [f"it has no {one}" for one in _members(protocol.Connector) if not hasattr(found, one)]
    if lacking:
        return lacking
    can = found.capabilities
    return [
        f"it has no {one}, which its capability {field} promises"
        for field, kind in POWERS.items()
        if getattr(can, field)
        for one in _members(kind)
        if not hasattr(found, one)
    ]


def lacks(wrong: Sequence[str]) -> str:
    """The faults in one line."""
    return "; ".join(wrong)


def _members(kind: type[Any]) -> list[str]:
    held = [name for name, value in vars(kind).items() if callable(value) or isinstance(value, property)]
    return [name for name in (*kind.__annotations__, *held) if not name.startswith("_")]
