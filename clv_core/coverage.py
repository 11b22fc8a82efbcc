"""Where customers came from, how we know, what speaks against it, and what is not known."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date

    import duckdb
    import pyarrow as pa


def coverage_of(connection: duckdb.DuckDBPyConnection) -> pa.Table:
    """`source, basis, customers, share, realised_value, predicted_clv`: where customers came from and how we know.

    `with_campaign`: of a known campaign; `ambiguous`: of a campaign id that several accounts use; `contradicted`: another
    basis says otherwise.
    """
    return connection.sql("""
        select source, basis, count(*) customers, count(*) / sum(count(*)) over () share, sum(realised) realised_value,
               coalesce(sum(clv), 0) predicted_clv, count(*) filter (where campaign_id <> '') with_campaign,
               count(*) filter (where ambiguous) ambiguous, count(*) filter (where conflict <> '') contradicted
        from customer group by all order by customers desc, source, basis""").to_arrow_table()


def contradictions_of(connection: duckdb.DuckDBPyConnection) -> pa.Table:
    """`source, platform, basis, said, customers, realised_value`: what was believed, and what other bases say against it."""
    return connection.sql("""
        select source, platform, basis, conflict said, count(*) customers, sum(realised) realised_value
        from customer where conflict <> '' group by all order by customers desc, source, platform, basis, said
        """).to_arrow_table()


def warnings_of(connection: duckdb.DuckDBPyConnection, as_of: date) -> tuple[str, ...]:
    """What a reader must know of the customers' sources before believing a campaign's figures."""
    [[customers, unscored, unknown, early, ambiguous]] = connection.execute("""
        select count(*), count(*) filter (where not scored), count(*) filter (where source = 'unknown'),
               count(*) filter (where source = 'paid' and acquired_on < (select min(date) from spend_facts)),
               count(*) filter (where ambiguous)
        from customer""").fetchall()
    found = []
    if unscored:
        found.append(f"{unscored:,} of {customers:,} customers with orders have no score and count with no future value")
    if customers and unknown / customers > 0.1:
        found.append(f"the source of {unknown / customers:.0%} of customers is unknown; their value is credited to no campaign")
    if early:
        found.append(
            f"{early:,} customers came from ads before the first day of results: their cost is missing, so returns look better"
        )
    if ambiguous:
        found.append(
            f"{ambiguous:,} customers came from campaign ids that several ad accounts use: they are credited to none of them; "
            "add source_account_id to the contacts"
        )
    return tuple(found)
