"""The contacts of a run: read once, by person if config joins customers, and gone from disk when the run ends."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from connectors import people, sources
from connectors.contact_rows import completed
from connectors.engine.contact_book import book_of

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from clv_core.transactions import Transactions
    from connectors.config import Settings
    from connectors.engine.contact_book import ContactBook
    from connectors.engine.ledger import Ledger


def read(settings: Settings, ledger: Ledger) -> ContactBook:
    """The contacts, one row per customer, on disk until `drop`."""
    return sources.contact_book(settings.sources.contacts, settings.folder, ledger, _folder(settings))


def by_person(
    settings: Settings, checked: Transactions, known: ContactBook, year: int, ledger: Ledger
) -> tuple[Transactions, ContactBook, pa.Table | None]:
    """As `people.merge`. Who is one person can't be seen part by part: while they are joined, the contacts are in memory."""
    if not people.joins(settings):
        return checked, known, None
    checked, table, links = people.merge(settings, checked, completed(known.table()), year)
    return checked, book_of(table, known.folder / "people", ledger), links


def drop(settings: Settings) -> None:
    """Nothing: what was read is gone."""
    shutil.rmtree(_folder(settings), ignore_errors=True)


def _folder(settings: Settings) -> Path:
    return settings.state / f"work-{os.getpid()}-contacts"
