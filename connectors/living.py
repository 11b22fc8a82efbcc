"""Orders and contacts without the customers who were erased: whatever the source still says, nothing is made of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clv_core.transactions import Transactions
    from connectors.engine.contact_book import ContactBook
    from connectors.engine.ledger import Ledger


def living(ledger: Ledger, checked: Transactions, contacts: ContactBook) -> tuple[Transactions, ContactBook]:
    """Both without the rows of customers who have a tombstone. Their ids are told by the keyed hash alone."""
    import pyarrow as pa
    import pyarrow.compute as pc

    erased = pa.array([bytes.fromhex(one) for one in ledger.tombstones()], pa.binary(16))
    if not len(erased):
        return checked, contacts
    contacts = contacts.without(erased)
    query = f"SELECT DISTINCT customer_id FROM {checked.relation}"
    ids = pa.array([str(one) for (one,) in checked.connection.execute(query).fetchall()], pa.string())
    gone = ids.filter(pc.is_in(ledger.member_keys(ids).storage, erased))
    if not len(gone):
        return checked, contacts
    checked.connection.register("erased_ids", pa.table({"customer_id": gone}))
    days, lines = "living_days", "living_lines" if checked.lines != checked.relation else "living_days"
    for name, given in {days: checked.relation, lines: checked.lines}.items():
        checked.connection.execute(
            f"CREATE OR REPLACE TABLE {name} AS SELECT * FROM {given} "
            "WHERE customer_id NOT IN (SELECT customer_id FROM erased_ids)"
        )
    checked.connection.unregister("erased_ids")
    return checked.over(days, lines=lines, customers=checked.customers - len(gone)), contacts
