"""What a connector may do besides `connectors.protocol.Connector`, where its `Capabilities` say so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from connectors.protocol import AudienceCount, AudienceHandle, AudienceSpec, LookalikeSpec


class CountingConnector(Protocol):
    """What a connector has besides where `Capabilities.maximum_audiences` is set."""

    def count_audiences(self) -> AudienceCount:
        """How many the account holds, whoever made them."""
        ...


class RefreshingConnector(Protocol):
    """What a connector has besides where `Capabilities.lookalike_refresh_days` is set."""

    def refresh_lookalike(self, handle: AudienceHandle) -> None:
        """Nothing: the platform builds the lookalike again from its seed of today."""
        ...


class RenamingConnector(Protocol):
    """What a connector has besides where `Capabilities.renames` says so."""

    def rename(self, handle: AudienceHandle) -> None:
        """Nothing: the platform shows the audience under its spec's name and description of today."""
        ...


class ForeseeingConnector(Protocol):
    """What a connector has besides where `Capabilities.foresees` says so."""

    def objection(self, spec: AudienceSpec | LookalikeSpec) -> str:
        """Why the platform would refuse to make this, without asking it; "" when it wouldn't."""
        ...


class SharingConnector(Protocol):
    """What a connector has besides where `Capabilities.shares` says so. `share_with`: accounts that its settings name."""

    share_with: tuple[str, ...]

    def share(self, handle: AudienceHandle, accounts: Sequence[str]) -> None:
        """Nothing: these accounts may use the (ready) audience too."""
        ...

    def unshare(self, handle: AudienceHandle, accounts: Sequence[str]) -> None:
        """Nothing: these accounts may no longer use it."""
        ...
