"""Who is one person: rows that share a customer id and, when switched on, an exact e-mail or phone. Modest, and explained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa

from connectors.engine.contact_columns import Contacts, checked_default
from connectors.engine.normalise import RULES, IdentityRules

if TYPE_CHECKING:
    from collections.abc import Iterator

SEVERAL = ("email", "phone")  # a person may have several of these
KEYS = {"email": "email_plain", "phone": "phone_e164"}


@dataclass(frozen=True)
class Resolved:
    """`contacts`: one row per person under the person's id. `links`: customer_id, person_id, why (one row per customer)."""

    contacts: pa.Table
    links: pa.Table

    def summed(self, values: pa.Table, column: str = "value") -> pa.Table:
        """`values` (customer_id, `column`) added up per person, under the person's id; people without links keep theirs."""
        links = pl.from_arrow(self.links.select(["customer_id", "person_id"]))
        frame = pl.from_arrow(values.select(["customer_id", column]))
        assert isinstance(frame, pl.DataFrame)
        assert isinstance(links, pl.DataFrame)
        joined = frame.join(links, on="customer_id", how="left", maintain_order="left")
        person = pl.coalesce("person_id", "customer_id").alias("customer_id")
        return joined.group_by(person, maintain_order=True).agg(pl.col(column).sum()).to_arrow()


def one_row_each(contacts: pa.Table) -> pa.Table:
    """The contacts with one row per customer: lists gathered in order, the first non-empty text of other columns."""
    ids = pl.Series(contacts["customer_id"].combine_chunks())
    if ids.n_unique() == len(ids):
        return contacts
    frame = pl.from_arrow(contacts)
    assert isinstance(frame, pl.DataFrame)
    return _gathered(frame, contacts.schema)


def resolve(contacts: pa.Table, rules: IdentityRules, *, by_email: bool = False, by_phone: bool = False) -> Resolved:
    """Contacts with one row per person, and the reason of each link.

    A person's id is the smallest customer id of the group (as text). E-mails and phones join people only when their
    normalised forms are equal and at most `rules.shared_limit` customers have them: a shared address joins nobody.
    """
    contacts = one_row_each(contacts)
    rules = checked_default(rules)
    people = {one: one for one in contacts["customer_id"].to_pylist()}
    why: dict[str, str] = {}
    for source, wanted in (("email", by_email), ("phone", by_phone)):
        if wanted and source in contacts.schema.names:
            for group in _sharing(contacts, source, rules):
                _join(group, people, why, f"same {source}")
    links = [(one, _root(one, people)) for one in people]
    table = pa.table(
        {
            "customer_id": pa.array([one for one, _ in links], pa.string()),
            "person_id": pa.array([person for _, person in links], pa.string()),
            "why": pa.array([why.get(one, "own customer id") for one, _ in links], pa.string()),
        }
    )
    if not why:
        return Resolved(contacts, table)
    frame = pl.from_arrow(
        contacts.set_column(contacts.schema.get_field_index("customer_id"), "customer_id", table["person_id"])
    )
    assert isinstance(frame, pl.DataFrame)
    return Resolved(_gathered(frame, contacts.schema), table)


def _gathered(frame: pl.DataFrame, schema: pa.Schema) -> pa.Table:
    several = {field.name for field in schema if pa.types.is_list(field.type) or pa.types.is_large_list(field.type)}
    columns = []
    for name in frame.columns:
        if name == "customer_id":
            continue
        column = pl.col(name)
        if name in SEVERAL:
            flat = column.explode() if name in several else column
            columns.append(flat.drop_nulls().unique(maintain_order=True).alias(name))
        else:
            text = pl.when(column.cast(pl.String).str.strip_chars() != "").then(column)
            columns.append(text.drop_nulls().first().alias(name))
    found = frame.group_by("customer_id", maintain_order=True).agg(columns).select(frame.columns)
    kinds = [(one.name, pa.list_(pa.string()) if one.name in SEVERAL else one.type) for one in schema]
    return found.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(pa.schema(kinds))


def _sharing(contacts: pa.Table, source: str, rules: IdentityRules) -> Iterator[list[str]]:
    """Groups of customers with one equal normalised value."""
    parts = []
    for batch in contacts.to_batches():
        chunk = Contacts.of(batch)
        values = chunk.values(source)
        if values is None:
            continue
        settled = RULES[KEYS[source]](values.text, values.countries, rules)
        ids = pl.Series(batch.column("customer_id").cast(pa.string()))
        owners = ids if values.people is None else ids.gather(pl.Series(values.people))
        key = (
            settled.values
            if settled.digests is None
            else pl.DataFrame({"a": settled.values, "b": settled.digests}).select(pl.coalesce("a", "b")).to_series()
        )
        parts.append(pl.DataFrame({"key": key.hash(seed=0), "given": key.is_not_null(), "id": owners}).filter("given"))
    if not parts:
        return
    groups = pl.concat(parts).unique(["key", "id"], maintain_order=True).group_by("key", maintain_order=True).agg("id")
    most = rules.shared_limit or 1 << 31
    for ids_of_group in groups.filter(pl.col("id").list.len().is_between(2, most))["id"]:
        yield ids_of_group.to_list()


def _join(group: list[str], people: dict[str, str], why: dict[str, str], reason: str) -> None:
    roots = {_root(one, people) for one in group}
    first = min(roots)
    for root in roots - {first}:
        people[root] = first
        why.setdefault(root, reason)
    for one in group:
        if one != first:
            why.setdefault(one, reason)


def _root(one: str, people: dict[str, str]) -> str:
    while people[one] != one:
        people[one] = people[people[one]]
        one = people[one]
    return one
