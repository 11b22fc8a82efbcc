"""The file connector's block in platforms.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field

from connectors.settings import AccountSettings, PlatformSettings


class FileAccount(AccountSettings):
    """One set of lists: `account_id` names its folder, `format` the platform whose upload page it is for."""

    account_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
    format: Literal["meta", "google", "tiktok"]
    largest_file_mb: Annotated[float, Field(ge=0)] | None = None
    """A larger list is cut into parts; 0: never. Unset: 250 for TikTok; Meta and Google don't say what their pages take."""


class FileSettings(PlatformSettings):
    """Where the lists are kept: one sub-folder per account, readable by its owner alone."""

    folder: Annotated[str, Field(min_length=1)]
    accounts: list[FileAccount] = []

    def within(self, folder: Path) -> Self:
        """The same settings, `folder` absolute: it is written relative to the config folder."""
        return self.model_copy(update={"folder": str((folder / Path(self.folder).expanduser()).resolve())})
