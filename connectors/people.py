"""Several customer ids, one person: contacts and orders under the person's id, with a record of why; off unless config says so.

Rows that share an exact e-mail or phone (normalised) become one person: their orders are summed before any model sees them,
their identifiers are gathered, and of their consents the least counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from connectors import translate

if TYPE_CHECKING:
    from collections.abc import Collection

    import pyarrow as pa

    from clv_core.transactions import Transactions
    from connectors.archive import Archive, Run
    from connectors.config import Settings

CONSENTS = ("consent_ad_user_data", "consent_ad_personalization", "do_not_sell")


def joins(settings: Settings) -> bool:
    """Whether customers may be joined at all."""
    return settings.identity.same_person_by_email or settings.identity.same_person_by_phone


def merge(
    settings: Settings, checked: Transactions, contacts: pa.Table, year: int
) -> tuple[Transactions, pa.Table, pa.Table | None]:
    """Transactions and contacts by person, and the links (customer_id, person_id, why) of those who were joined."""
    switches = settings.identity
    if not joins(settings):
        return checked, contacts, None
    import pyarrow.compute as pc

    from connectors.engine.resolution import resolve

    rules = translate.identity_rules(settings, year)
    found = resolve(contacts, rules, by_email=switches.same_person_by_email, by_phone=switches.same_person_by_phone)
    persons = found.links.filter(pc.not_equal(found.links["customer_id"], found.links["person_id"]))["person_id"]
    joined = found.links.filter(pc.is_in(found.links["person_id"], persons.combine_chunks()))
    if not joined.num_rows:
        return checked, contacts, joined
    return _orders(checked, joined), _least_consent(found.contacts, contacts, found.links), joined


def everyone(ids: Collection[str], archive: Archive) -> list[str]:
    """These customer ids and all others that earlier runs joined to the same people: who is erased is erased whole."""
    found = set(ids)
    for run in archive.runs():
        found = _joined(found, run)
    return sorted(found)


def joined(ids: Collection[str], archive: Archive) -> list[str]:
    """These customer ids and all that the newest run joined to the same people."""
    newest = archive.last("people")
    return sorted(set(ids) if newest is None else _joined(set(ids), newest))


def _joined(ids: set[str], run: Run) -> set[str]:
    links = run.table("people")
    if links is None:
        return ids
    rows = links.to_pylist()
    persons = {row["person_id"] for row in rows if row["customer_id"] in ids}
    return ids | persons | {row["customer_id"] for row in rows if row["person_id"] in persons}


def _orders(checked: Transactions, links: pa.Table) -> Transactions:
    """The same days under the person's id; two customers' orders of one day are one purchase day."""
    connection = checked.connection
    connection.register("person_links", links)
    columns = [str(row[0]) for row in connection.execute(f"DESCRIBE {checked.relation}").fetchall()]
    sums = {"amount", "exact_amount", "orders", "refunds"}
    kept = ", ".join(
        f"sum({name}) AS {name}" if name in sums else f"min({name}) AS {name}"
        for name in columns
        if name not in ("customer_id", "day")
    )
    connection.execute(f"""
        CREATE OR REPLACE TABLE person_days AS
        SELECT coalesce(l.person_id, t.customer_id) AS customer_id, t.day, {kept}
        FROM {checked.relation} t LEFT JOIN person_links l ON l.customer_id = t.customer_id
        GROUP BY coalesce(l.person_id, t.customer_id), t.day""")
    connection.execute(f"""
        CREATE OR REPLACE TABLE person_lines AS
        SELECT coalesce(l.person_id, t.customer_id) AS customer_id, t.* EXCLUDE (customer_id)
        FROM {checked.lines} t LEFT JOIN person_links l ON l.customer_id = t.customer_id""")
    connection.unregister("person_links")
    [[people]] = connection.execute("SELECT count(DISTINCT customer_id) FROM person_days").fetchall()
    return checked.over("person_days", lines="person_lines", customers=int(people))


def _least_consent(merged: pa.Table, contacts: pa.Table, links: pa.Table) -> pa.Table:
    import duckdb

    from connectors.engine.consent import least

    with duckdb.connect() as connection:
        for name, table in (("merged", merged), ("contacts", contacts), ("links", links)):
            connection.register(name, table)
        chosen = ", ".join(f"{least(one, f'c.{one}')} AS {one}" for one in CONSENTS)
        connection.execute(
            f"CREATE TEMP TABLE consents AS SELECT l.person_id AS customer_id, {chosen} "
            "FROM contacts c JOIN links l USING (customer_id) GROUP BY l.person_id"
        )
        replaced = ", ".join(f"consents.{one} AS {one}" for one in CONSENTS)
        found = connection.sql(
            f"SELECT m.* REPLACE ({replaced}) FROM merged m JOIN consents USING (customer_id) ORDER BY m.customer_id"
        )
        return found.to_arrow_table().cast(contacts.schema)
