"""The suppression list: people who must never be in an audience, named by customer id, e-mail or phone, raw or hashed."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from connectors import sources, translate
from connectors.errors import ConfigurationError, Place
from connectors.protocol import IdentifierField, Recipe

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    import pyarrow as pa

    from connectors.config import Settings
    from connectors.config.sources import TableSource
    from connectors.engine.identity import IdentityRules

COLUMNS: dict[str, tuple[str, ...]] = {
    "customer_id": ("customer", "user_id", "id"),
    "email": ("e_mail", "mail", "email_address", "email_sha256", "hashed_email"),
    "phone": ("phone_number", "telephone", "mobile", "phone_sha256", "hashed_phone"),
    "country": ("country_code",),
}
NAMING = ("customer_id", "email", "phone")
# every form in which some platform hashes an address or a number, so that a hashed entry of any of them is found
RECIPE = Recipe(
    version="suppression-1",
    fields=(
        IdentifierField("EMAIL", "email", "email_plain", values=99),
        IdentifierField("GMAIL", "email", "email_google", values=99),
        IdentifierField("PHONE", "phone", "phone_e164", values=99),
        IdentifierField("DIGITS", "phone", "phone_digits", values=99),
    ),
    spill=True,
)


def listed(source: TableSource, folder: Path) -> pa.Table:
    """The list: customer_id, email, phone and country as text, null where it doesn't say. Raises when it names nobody."""
    import pyarrow as pa

    found = sources.table(source, folder, COLUMNS, ())
    if not set(NAMING) & set(found.column_names):
        raise ConfigurationError(
            "the suppression list has no column customer_id, email or phone",
            remedy="name one under `columns` in sources.yaml, as  our_name: your_name",
            place=Place(file=str(source.path or source.database or "")),
        )
    for missing in (name for name in COLUMNS if name not in found.column_names):
        found = found.append_column(missing, pa.nulls(len(found), pa.string()))
    return found


def customers(settings: Settings, contacts: Iterable[pa.RecordBatch], year: int) -> frozenset[str]:
    """The ids of all customers on the list: those named, and those whose contacts hold an address or number that is on it."""
    source = settings.sources.suppression
    if source is None:
        return frozenset()
    return named(listed(source, settings.folder), contacts, translate.identity_rules(settings, year))


def named(entries: pa.Table, contacts: Iterable[pa.RecordBatch], rules: IdentityRules) -> frozenset[str]:
    """The same for a list and contacts that were read."""
    import pyarrow as pa
    import pyarrow.compute as pc

    ids = {one.strip() for one in entries["customer_id"].to_pylist() if one and one.strip()}
    asked = entries.filter(pc.or_(entries["email"].is_valid(), entries["phone"].is_valid()))
    if not asked.num_rows:
        return frozenset(ids)
    numbers = pa.array([str(number) for number in range(asked.num_rows)])
    lists = {name: pa.array([[one] if one else [] for one in asked[name].to_pylist()]) for name in ("email", "phone")}
    table = pa.table({"customer_id": numbers, **lists, "country": asked["country"]})
    digests: set[bytes] = set()
    readable: set[str] = set()
    for batch in _identified(table.combine_chunks().to_batches(65_536), rules):
        for column in RECIPE.columns():
            digests.update(one for one in batch.column(column).to_pylist() if one is not None)
        readable.update(batch.column("customer_id").to_pylist())
    if unread := asked.num_rows - len(readable):
        logging.getLogger("clvsync.suppression").warning(
            "%d entries of the suppression list can't be read as an e-mail address or a phone number and match nobody", unread
        )
    known = pa.array(sorted(digests), pa.binary())
    for batch in _identified(contacts, rules):
        hits: Any = None
        for column in RECIPE.columns():
            here = pc.is_in(batch.column(column).cast(pa.binary()), known)
            hits = here if hits is None else pc.or_(hits, here)
        ids.update(batch.column("customer_id").filter(hits).to_pylist())
    return frozenset(ids)


def _identified(contacts: Iterable[pa.RecordBatch], rules: IdentityRules) -> Iterator[pa.RecordBatch]:
    from connectors.engine.identity import IdentityReport, identify_batches

    return identify_batches(contacts, RECIPE, rules, IdentityReport(), threads=2)
