"""Config's tables: what is in them, whether they belong together, and whether what goes back can be written."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from connectors import claims, scored, sources, suppression, writeback
from connectors.columns import CONSENTS, SEVERAL
from connectors.engine.consent import BLANK, DENIED, GRANTED
from connectors.protocol import Check

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa

    from clv_core.transactions import Transactions
    from connectors.config import Settings

SHOWN = ("email", "phone", "mobile_ad_id", "first_name", "postal_code", "country", "consent_ad_user_data", "click_id")
SOURCES_KNOWN = ("source_platform", "source_campaign_id", "utm_source", "click_id")


def orders(settings: Settings, checked: Transactions) -> list[Check]:
    """How many, of when, and whether the newest is too old."""
    detail = f"{checked.orders:,} orders of {checked.customers:,} customers, {checked.first_day} to {checked.last_day}"
    day = scored.day_of(settings, checked)
    notes = "; ".join([*(str(one) for one in checked.findings), *scored.uncounted(checked, day)])
    age = (day - scored.newest(checked)).days
    if age > settings.sources.max_age_days:
        remedy = f"the newest order is {age} days old (max_age_days: {settings.sources.max_age_days}): refresh the source"
        return [Check("orders", False, detail, remedy)]
    return [Check("orders", True, f"{detail}; {notes}" if notes else detail)]


def contacts(held: pa.Table, checked: Transactions | None) -> list[Check]:
    """How many, which columns hold something for how many, and whether they are the customers of the orders."""
    rows = max(1, held.num_rows)
    parts = [f"{name} {filled / rows:.0%}" for name in SHOWN if (filled := _filled(held, name))]
    detail = f"{held.num_rows:,} people" + (f"; filled: {', '.join(parts)}" if parts else "; none has any identifier")
    detail += f"; {left_out:,} rows without customer_id were left out" if (left_out := sources.nameless(held)) else ""
    found = [Check("contacts", bool(held.num_rows and parts), detail, "" if parts else "map your columns in sources.yaml")]
    found += _unreadable(held)
    if checked is not None and held.num_rows:
        found.append(_known(held, checked))
    if held.num_rows and not any(_filled(held, name) for name in SOURCES_KNOWN):
        remedy = "give contacts source_campaign_id, click ids or utm_source and utm_campaign, or platform_orders"
        found.append(Check("sources of customers", True, "nothing tells where customers came from", remedy))
    return found


def _unreadable(held: pa.Table) -> list[Check]:
    """Consent in words that nobody can read, which count as refusals: those people are sent nowhere."""
    import pyarrow as pa
    import pyarrow.compute as pc

    known, found = pa.array([*GRANTED, *DENIED, *BLANK]), []
    for name in CONSENTS[:2]:
        words = pc.utf8_lower(pc.utf8_trim_whitespace(held[name].drop_null()))
        strange = words.filter(pc.invert(pc.is_in(words, known)))
        if len(strange):
            detail = f"{len(strange):,} values can't be read and count as refusals"
            found.append(Check(name, True, detail, "write granted or denied, or leave it empty"))
    return found


def _filled(held: pa.Table, name: str) -> int:
    import pyarrow.compute as pc

    column = held[name]
    return (
        int(pc.sum(pc.greater(pc.list_value_length(column), 0)).as_py() or 0)
        if name in SEVERAL
        else (held.num_rows - column.null_count)
    )


def _known(held: pa.Table, checked: Transactions) -> Check:
    cursor = checked.connection.cursor()
    cursor.register("given", held.select(["customer_id"]))
    query = f"SELECT count(DISTINCT customer_id) FROM {checked.relation} WHERE customer_id IN (SELECT customer_id FROM given)"
    [[both]] = cursor.execute(query).fetchall()
    share = both / max(1, checked.customers)
    detail = f"{both:,} of {checked.customers:,} customers with orders have a contact ({share:.0%})"
    remedy = (
        "" if both else "customer_id must be the same in orders and contacts: look for prefixes, leading zeros or another id"
    )
    return Check("orders and contacts", bool(both), detail, remedy)


def others(settings: Settings) -> dict[str, Callable[[], list[Check]]]:
    """One look per further table that config names."""
    source, folder = settings.sources, settings.folder
    looks: dict[str, Callable[[], Any]] = {
        "engagement": lambda: sources.engagement(source.engagement, folder).num_rows if source.engagement else 0,
        "suppression": lambda: len(suppression.listed(source.suppression, folder)) if source.suppression else 0,
        "rates": lambda: sources.rates(source.rates, folder).num_rows if source.rates else 0,
    }
    found: dict[str, Callable[[], list[Check]]] = {
        name: lambda name=name, look=look: [_counted(name, look())]  # type: ignore[misc]
        for name, look in looks.items()
        if getattr(source, name) is not None
    }
    if source.platform_orders is not None:
        found["platform_orders"] = lambda: _claims(settings)
    if source.write_back is not None:
        found["write_back"] = lambda: _write_back(settings)
    return found


def _counted(name: str, rows: int) -> Check:
    return Check(
        name, True, f"{rows:,} rows", "" if rows else "the table is empty: take it out of sources.yaml, or export it again"
    )


def _claims(settings: Settings) -> list[Check]:
    held = claims.read(settings)
    assert held is not None, "only looked at where config names the table"
    people = len(set(held.table["customer_id"].to_pylist()))
    detail = f"{held.reported:,} orders reported, {people:,} customers whose first order is among them"
    return [Check("platform_orders", not held.warnings, detail, "; ".join(held.warnings))]


def _write_back(settings: Settings) -> list[Check]:
    wanted = settings.sources.write_back
    assert wanted is not None, "only looked at where config asks for it"
    place = wanted.path or wanted.database or ""
    if not place.startswith(("env:", "file:")):
        path = settings.path(place)
        there = path if path.exists() else path.parent
        if not os.access(there, os.W_OK):
            return [Check("write_back", False, f"{there} can't be written", "let this user write there, or name another place")]
    known = writeback.columns(settings, wanted)
    return [
        Check("write_back", True, "the last run's table is there" if known else "nothing is there yet, and it can be written")
    ]
