"""Everything that must be in order before a push, looked at one by one; nothing is changed and one fault hides no other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from connectors import config, scored, sources, translate
from connectors.errors import ConfigurationErrors, SyncError
from connectors.protocol import Check, utc_now

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from connectors.config import Settings


def check(folder: Path) -> list[dict[str, Any]]:
    """One finding per subject: subject, ok, detail, remedy."""
    found: list[Check] = []
    try:
        settings = config.load(folder)
    except ConfigurationErrors as several:
        return [_row(_failed("config", one)) for one in several.errors]
    except SyncError as error:
        return [_row(_failed("config", error))]
    found.append(Check("config", True, f"{len(settings.audiences.audiences)} audiences, {', '.join(settings.platforms)}"))
    found += _sources(settings)
    found += _try("encryption key", lambda: _key(settings))
    for name in settings.platforms:
        found += _try(name, lambda name=name: _platform(settings, name))  # type: ignore[misc]
    return [_row(one) for one in found]


def _sources(settings: Settings) -> list[Check]:
    source = settings.sources
    found = _try("orders", lambda: _orders(settings))
    readers: dict[str, Callable[[], Any]] = {
        "contacts": lambda: sources.contacts(source.contacts, settings.folder).num_rows if source.contacts else None,
        "engagement": lambda: sources.engagement(source.engagement, settings.folder).num_rows if source.engagement else None,
        "suppression": lambda: len(sources.suppression(source.suppression, settings.folder)) if source.suppression else None,
        "rates": lambda: sources.rates(source.rates, settings.folder).num_rows if source.rates else None,
    }
    for name, read in readers.items():
        if getattr(source, name) is not None:
            found += _try(name, lambda name=name, read=read: [Check(name, True, f"{read():,} rows")])  # type: ignore[misc]
    return found


def _orders(settings: Settings) -> list[Check]:
    checked = scored.transactions(settings)
    detail = f"{checked.orders:,} orders of {checked.customers:,} customers, {checked.first_day} to {checked.last_day}"
    notes = "; ".join(str(one) for one in checked.findings)
    age = (scored.day_of(settings, checked) - checked.last_day).days
    if age > settings.sources.max_age_days:
        remedy = f"the newest order is {age} days old (max_age_days: {settings.sources.max_age_days}): refresh the source"
        return [Check("orders", False, detail, remedy)]
    return [Check("orders", True, f"{detail}; {notes}" if notes else detail)]


def _key(settings: Settings) -> list[Check]:
    key = translate.encryption_key(settings)
    return [Check("encryption at rest", True, "on" if key else "off (set encryption_key in sources.yaml to switch it on)")]


def _platform(settings: Settings, name: str) -> list[Check]:
    found: list[Check] = []
    accounts = translate.accounts(settings, utc_now, (name,))
    for account in accounts:
        try:
            found += [
                Check(f"{name} {account.name}: {one.subject}", one.ok, one.detail, one.remedy)
                for one in account.connector.check()
            ]
        finally:
            account.connector.close()
    return found or [Check(name, False, "no account", f"add an account under {name} in platforms.yaml")]


def _try(subject: str, look: Callable[[], Sequence[Check]]) -> list[Check]:
    try:
        return list(look())
    except SyncError as error:
        return [_failed(subject, error)]
    except ValueError as error:  # the core's own errors, written for people
        return [Check(subject, False, str(error), str(getattr(error, "remedy", "")))]


def _failed(subject: str, error: SyncError) -> Check:
    place = str(error.place or "")
    return Check(subject, False, f"{place}: {error.message}" if place else error.message, error.remedy)


def _row(one: Check) -> dict[str, Any]:
    from connectors.logs import redact

    return {"subject": one.subject, "ok": one.ok, "detail": redact(one.detail), "remedy": redact(one.remedy)}
