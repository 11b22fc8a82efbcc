"""Everything that must be in order before a push, looked at one by one; nothing is changed and one fault hides no other."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from connectors import config, scored, sources, translate
from connectors.errors import ConfigurationErrors, SyncError
from connectors.protocol import Check, utc_now
from connectors.settings import reveal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import pyarrow as pa

    from clv_core.transactions import Transactions
    from connectors.config import Settings
    from connectors.engine.audience import Account


def check(folder: Path) -> list[dict[str, Any]]:
    """One finding per subject: subject, ok, detail, remedy (where ok, a remedy is a hint)."""
    found: list[Check] = []
    try:
        settings = config.load(folder)
    except ConfigurationErrors as several:
        return [_mistake(one) for one in several.errors]
    except SyncError as error:
        return [_mistake(error)]
    found.append(Check("config", True, f"{len(settings.audiences.audiences)} audiences, {', '.join(settings.platforms)}"))
    found += [_failed(name, why) for name, why in settings.broken.items()]
    contacts = _tables(settings, found)
    found += _try("encryption at rest", lambda: _key(settings))
    found += _try("notify", lambda: _notify(settings))
    with ExitStack() as open_ones:
        accounts: list[Account] = []
        for name in settings.platforms:
            found += _try(name, lambda name=name: _platform(settings, name, accounts, open_ones))  # type: ignore[misc]
        found += _audiences(settings, accounts, contacts)
    return [_row(one) for one in found]


def _tables(settings: Settings, found: list[Check]) -> pa.Table | None:
    """The contacts, if they can be read; what was found of all tables is added to `found`."""
    from connectors.checks import tables

    checked: list[Transactions] = []
    held: list[pa.Table] = []

    def orders() -> list[Check]:
        checked.append(scored.transactions(settings))
        return tables.orders(settings, checked[0])

    def contacts() -> list[Check]:
        if settings.sources.contacts is None:
            return [Check("contacts", False, "there are none: nobody can be matched", "set contacts in sources.yaml")]
        held.append(sources.contacts(settings.sources.contacts, settings.folder))
        return tables.contacts(held[0], checked[0] if checked else None)

    found += [*_try("orders", orders), *_try("contacts", contacts)]
    for name, look in tables.others(settings).items():
        found += _try(name, look)
    return held[0] if held else None


def _audiences(settings: Settings, accounts: Sequence[Account], contacts: pa.Table | None) -> list[Check]:
    from connectors.archive import Archive
    from connectors.checks import audiences, labels

    def look() -> list[Check]:
        last = Archive.of(settings).last()
        return audiences.look(settings, accounts, last.table("scores") if last else None, contacts)

    return [*_try("audiences", look), *_try("labels", lambda: labels.look(settings))]


def _key(settings: Settings) -> list[Check]:
    key = translate.encryption_key(settings)
    return [Check("encryption at rest", True, "on" if key else "off (set encryption_key in sources.yaml to switch it on)")]


def _notify(settings: Settings) -> list[Check]:
    if settings.notify.webhook is None:
        return []
    reveal(settings.notify.webhook, field="notify.webhook")
    return [Check("notify", True, "the webhook's address is there; nothing was sent to it")]


def _platform(settings: Settings, name: str, accounts: list[Account], open_ones: ExitStack) -> list[Check]:
    """The platform's own findings; its accounts are added to `accounts` and closed with `open_ones`."""
    found: list[Check] = []
    mine = translate.accounts(settings, utc_now, (name,))
    if name in settings.broken:
        return [_failed(name, settings.broken[name])]
    for account in mine:
        open_ones.callback(account.connector.close)
    accounts += mine
    for account in mine:
        found += _try(f"{name} {account.name}", lambda account=account: _account(name, account))  # type: ignore[misc]
    return found or [Check(name, False, "no account", f"add an account under {name} in platforms.yaml")]


def _account(name: str, account: Account) -> list[Check]:
    mine = f"{name} {account.connector.account_id}"
    return [
        Check(f"{name} {account.name}: {one.subject.removeprefix(mine).lstrip(': ')}", one.ok, one.detail, one.remedy)
        for one in account.connector.check()
    ]


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


def _mistake(error: SyncError) -> dict[str, Any]:
    from connectors.logs import redact, redacted

    detail = redacted(error)
    remedy = redact(error.remedy)
    return {"subject": "config", "ok": False, "detail": detail.removesuffix(f" ({remedy})"), "remedy": remedy}


def _row(one: Check) -> dict[str, Any]:
    from connectors.logs import redact

    return {"subject": one.subject, "ok": one.ok, "detail": redact(one.detail), "remedy": redact(one.remedy)}
