"""Audiences as files: hashed CSVs in the columns of a platform's own upload page, for teams without API access.

Proof of the kit as well: a connector is one folder and one entry-point line. Light to import: DuckDB comes with `connect`.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from connectors.file.formats import FORMATS
from connectors.file.settings import FileSettings
from connectors.protocol import Capabilities, Operation, utc_now

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from connectors.file.settings import FileAccount
    from connectors.protocol import Connector

CAPABILITIES: Final = Capabilities(
    platform="file",
    recipe=FORMATS["meta"].recipe,
    value_weighted=True,
    batch_rows=20_000_000,  # a list is written once per delivery
    operations=frozenset(Operation),
    lookalikes=False,
    results=False,
    after_removal="a platform to which the list was uploaded by hand keeps them until it is uploaded again",
)


class FilePlatform:
    """What the entry point names."""

    name = "file"
    capabilities = CAPABILITIES
    settings: type[FileSettings] = FileSettings

    def connect(
        self,
        settings: Any,
        account: Any,
        *,
        now: Callable[[], datetime] = utc_now,
        sleep: Callable[[float], None] = time.sleep,
    ) -> Connector:
        """A connector for one folder of lists; recipe and value column are those of the account's format."""
        from connectors.file.connector import FileConnector

        chosen: FileSettings = settings
        owner: FileAccount = account
        format_ = FORMATS[owner.format]
        limits = replace(CAPABILITIES, recipe=format_.recipe, value_weighted=bool(format_.value))
        return FileConnector(chosen, owner, limits, now=now)

    def sandbox(self) -> Any:
        """A throw-away folder in the place of the real one."""
        from connectors.file.sandbox import FileSandbox

        return FileSandbox()


platform: Final = FilePlatform()
