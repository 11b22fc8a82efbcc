"""What went wrong, sorted by what the engine must do about it.

```
SyncError
├── ConfigurationError      the user changes config or credentials; exit 2
├── FatalError              this account or audience stops; nothing is retried; exit 1
│   └── SeedInUseError      the audience can't be deleted while these lookalikes are built on it
├── RetriableError          wait `retry_after` seconds (or back off) and try again; exhausted: exit 4
│   ├── UnreachableError    no connection at all: the account is asked once a run
│   └── StoppedError        somebody pressed Ctrl-C: the next run goes on
├── NotReadyError           the platform is still working; carried to a later run, never waited for
├── RowsRejectedError       named rows are bad; send the others without them
├── OutcomeUnknownError     the reply never came; reconcile or send again, never assume
└── RemovalRefusedError     members stay on the platform; escalate (replace, then delete the audience)
```
Messages tell the user what to change and never carry a token, a raw identifier or a digest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Place:
    """Where a mistake is: file, line and column (1-based), and the field's dotted name."""

    file: str = ""
    line: int = 0
    column: int = 0
    field: str = ""

    def __str__(self) -> str:
        """`file:line:column: field`, leaving out what is unknown."""
        spot = ":".join(str(part) for part in (self.file, self.line, self.column) if part)
        return ": ".join(part for part in (spot, self.field) if part)


class SyncError(Exception):
    """The base of all: `remedy` says what to do; `platform` and `code` say who refused.

    `account_wide`: every other call of the account would meet it too (no connection, a dead token): it is asked once a run.
    """

    exit_code = 1
    account_wide = False

    def __init__(
        self, message: str, *, remedy: str = "", platform: str = "", code: str = "", place: Place | None = None
    ) -> None:
        self.message, self.remedy, self.platform, self.code, self.place = message, remedy, platform, code, place
        super().__init__(message)

    def of_account(self) -> Self:
        """This error, marked as one that every call of the account would meet."""
        self.account_wide = True
        return self

    def __str__(self) -> str:
        """One line: place, platform and code, message, remedy."""
        origin = f"{self.platform} {self.code}".strip()
        head = ": ".join(part for part in (str(self.place or ""), origin, self.message) if part)
        return f"{head} ({self.remedy})" if self.remedy else head


class ConfigurationError(SyncError):
    """Config, a source or a credential must change before anything can run."""

    exit_code = 2


class ConfigurationErrors(ConfigurationError):
    """Every mistake found in one reading, together."""

    def __init__(self, errors: list[ConfigurationError]) -> None:
        self.errors = errors
        super().__init__("\n".join(str(error) for error in errors))


class FatalError(SyncError):
    """The platform refused for a reason that only a person can mend (permission, terms, token, policy)."""


class SeedInUseError(FatalError):
    """An audience that can't be deleted: `lookalikes` (ids; empty: the platform doesn't name them) are built on it."""

    def __init__(
        self, message: str, *, lookalikes: tuple[str, ...], remedy: str = "", platform: str = "", code: str = ""
    ) -> None:
        self.lookalikes = lookalikes
        super().__init__(message, remedy=remedy, platform=platform, code=code)


class RetriableError(SyncError):
    """A passing fault or a throttle; `retry_after` is the platform's own wait in seconds, if it gave one."""

    exit_code = 4

    def __init__(self, message: str, *, retry_after: float | None = None, platform: str = "", code: str = "") -> None:
        self.retry_after = retry_after
        super().__init__(message, remedy="run again to resume", platform=platform, code=code)


class UnreachableError(RetriableError):
    """No connection to the platform, also after the client's own attempts: its other calls would fare the same."""

    account_wide = True


class StoppedError(RetriableError):
    """Somebody stopped the run (Ctrl-C): what was under way has ended, the rest is the next run's."""


class NotReadyError(SyncError):
    """The platform is busy with this audience for minutes to days; a later run goes on from here."""

    exit_code = 0

    def __init__(self, message: str, *, retry_after: float | None = None, platform: str = "", code: str = "") -> None:
        self.retry_after = retry_after
        super().__init__(message, remedy="the next run goes on from here", platform=platform, code=code)


class RowsRejectedError(SyncError):
    """Rows of a batch that the platform will never take: row number in the batch -> reason."""

    def __init__(self, message: str, *, rows: Mapping[int, str], platform: str = "", code: str = "") -> None:
        self.rows = dict(rows)
        super().__init__(message, platform=platform, code=code)


class OutcomeUnknownError(SyncError):
    """Sent, but no answer came back: it may or may not have been applied."""

    exit_code = 4

    def __init__(self, message: str, *, remedy: str = "run again to resume", platform: str = "", code: str = "") -> None:
        super().__init__(message, remedy=remedy, platform=platform, code=code)


class RemovalRefusedError(SyncError):
    """The platform keeps the members (usually: too few would be left)."""


class GuardrailError(SyncError):
    """A guardrail or the model gate stopped the run before anything was sent."""

    exit_code = 3


class LockedError(SyncError):
    """Another run holds the lock."""

    exit_code = 5
