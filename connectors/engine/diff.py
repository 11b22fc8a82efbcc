"""Wanted rows against the snapshot: what to add, change, remove and renew. One full join on 16-byte row digests."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import pyarrow as pa

from connectors.engine.snapshots import MAYBE, REFUSED, aligned, attach
from connectors.engine.tables import fetch, name, number, quote, stream

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date
    from pathlib import Path

    import duckdb

    from connectors.engine.audience import ValueBand
    from connectors.engine.pieces import Pieces
    from connectors.protocol import Recipe

ADDING = ("add", "again", "value", "renew")


@dataclass(frozen=True)
class DiffRules:
    """What counts as a change. `renew_on`: rows last sent on or before this day are sent again; `retry`: refused ones too.

    Rows last sent after `today` were stamped by a clock that was wrong: they are sent again as well, where rows are renewed.
    """

    band: ValueBand
    renew_on: date | None = None
    today: date | None = None
    retry: bool = False


@dataclass(frozen=True)
class Changes:
    """Rows by what happens to them. `changed` people have other identifiers now (one row out, one in); `values` moved."""

    held: int = 0
    added: int = 0
    removed: int = 0
    changed: int = 0
    values: int = 0
    renewed: int = 0
    refused: int = 0

    @property
    def any(self) -> bool:
        """Whether there is anything to send."""
        return bool(self.added or self.removed or self.changed or self.values or self.renewed)


class Diff:
    """One audience's diff. `wanted` and `base` are read as streams; the actions are few and stay in `connection`."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        wanted: Pieces,
        base: Path | None,
        key: bytes | None,
        columns: Sequence[pa.Field],
    ) -> None:
        self._connection, self._wanted, self._base, self._key, self._columns = connection, wanted, base, key, columns

    def compare(self, rules: DiffRules) -> Changes:
        """The counts; the actions are then in the table `actions` (row_digest, member_key, kind).

        Without a snapshot there is nothing to compare: everybody is new, and no table is made.
        """
        if self._base is None:
            return Changes(added=self._wanted.rows)
        connection = self._connection
        connection.register("wanted", self._wanted.reader())
        attach(connection, "base", self._base, self._key)
        renew = f"s.sent_on <= DATE {quote(rules.renew_on.isoformat())}" if rules.renew_on else "false"
        if rules.renew_on and rules.today:
            renew += f" OR s.sent_on > DATE {quote((rules.today + timedelta(days=1)).isoformat())}"
        moved = (
            f"abs(w.value - s.value) > greatest({float(rules.band.amount)}, "
            f"{float(rules.band.share)} * CAST(s.value AS DOUBLE)) "
            "OR (w.value IS NULL) <> (s.value IS NULL)"
        )
        refused = "again" if rules.retry else "refused"
        connection.execute(
            "CREATE OR REPLACE TEMP TABLE actions AS SELECT * FROM ("
            "SELECT row_digest, coalesce(w.member_key, s.member_key) AS member_key, "
            "CASE WHEN w.member_key IS NULL THEN 'remove' WHEN s.member_key IS NULL THEN 'add' "
            f"WHEN s.state = {REFUSED} THEN '{refused}' WHEN s.state = {MAYBE} THEN 'again' "
            f"WHEN {moved} THEN 'value' WHEN {renew} THEN 'renew' END AS kind "
            "FROM wanted w FULL JOIN base s USING (row_digest)) WHERE kind IS NOT NULL"
        )
        connection.unregister("wanted")
        return self._counts()

    def _counts(self) -> Changes:
        counts: dict[str, int] = dict(fetch(self._connection, "SELECT kind, count(*) FROM actions GROUP BY kind"))
        paired = number(
            self._connection,
            "SELECT coalesce(sum(least(ins, outs)), 0)::BIGINT FROM (SELECT count(*) FILTER (kind = 'add') AS ins, "
            "count(*) FILTER (kind = 'remove') AS outs FROM actions GROUP BY member_key)",
        )
        attach(self._connection, "base", self._base, self._key)
        return Changes(
            held=number(self._connection, f"SELECT count(*) FROM base WHERE state <> {REFUSED}"),
            added=counts.get("add", 0) + counts.get("again", 0) - paired,
            removed=counts.get("remove", 0) - paired,
            changed=paired,
            values=counts.get("value", 0),
            renewed=counts.get("renew", 0),
            refused=counts.get("refused", 0),
        )

    def prepare(self, recipe: Recipe, kinds: Sequence[str]) -> None:
        """Nothing: the rows to send are in the table `sending` (late: to be added after the removals), removals in `leaving`.

        A row that stays but shares an identifier with one that leaves is added again after the removals: platforms match
        people, not rows, and would take it along.
        """
        if self._base is None:
            return
        connection = self._connection
        attach(connection, "base", self._base, self._key)
        connection.execute(
            f"CREATE OR REPLACE TEMP TABLE leaving AS SELECT * FROM ({aligned(connection, 'base', self._columns)}) "
            "WHERE row_digest IN (SELECT row_digest FROM actions WHERE kind = 'remove')"
        )
        chosen = ", ".join(quote(one) for one in kinds)
        keys = identifying(recipe)
        shared = "false"
        if number(connection, "SELECT count(*) FROM leaving"):
            union = " UNION ALL ".join(f"SELECT {one} AS id FROM leaving WHERE {one} IS NOT NULL" for one in keys)
            connection.execute(f"CREATE OR REPLACE TEMP TABLE gone AS SELECT DISTINCT id FROM ({union})")
            shared = " OR ".join(f"coalesce({one} IN (SELECT id FROM gone), false)" for one in keys)
        connection.register("wanted", self._wanted.reader())
        held = ", ".join(name(one.name) for one in self._columns)
        connection.execute(
            "CREATE OR REPLACE TEMP TABLE sending AS SELECT * FROM "
            f"(SELECT member_key, row_digest, value, {held}, {shared} AS late, "
            f"row_digest IN (SELECT row_digest FROM actions WHERE kind IN ({chosen})) AS fresh, "
            "row_digest IN (SELECT row_digest FROM actions WHERE kind = 'refused') AS refused FROM wanted) "
            "WHERE fresh OR (late AND NOT refused)"
        )
        connection.unregister("wanted")

    def rows(self, phase: str) -> pa.RecordBatchReader:
        """The rows of a phase: "first" (adds), "leaving" (removals), "late" (adds after them) or "all" (a full replace)."""
        held = ", ".join(name(one.name) for one in self._columns)
        if self._base is None:
            whole = self._wanted.reader()
            return whole if phase in ("all", "first") else pa.RecordBatchReader.from_batches(whole.schema, [])
        if phase == "all":
            self._connection.register("wanted", self._wanted.reader())
            refused = "SELECT row_digest FROM actions WHERE kind = 'refused'"
            return stream(
                self._connection,
                f"SELECT member_key, row_digest, value, {held} FROM wanted WHERE row_digest NOT IN ({refused})",
            )
        source = {"first": "sending WHERE NOT late", "late": "sending WHERE late", "leaving": "leaving"}[phase]
        return stream(self._connection, f"SELECT member_key, row_digest, value, {held} FROM {source}")


def identifying(recipe: Recipe) -> list[str]:
    """SQL (BLOB, null where absent) of everything that finds a person: single identifiers, or parts that go together."""
    expressions: dict[str, None] = {}
    for one in recipe.fields:
        if not one.identifies:
            continue
        if one.requires:
            parts = sorted((one.name, *one.requires))
            whole = " || '|' || ".join(f"CAST({name(part)} AS VARCHAR)" for part in parts)
            expressions[f"encode({whole})"] = None
            continue
        columns = (one.name,) if recipe.spill else one.columns()
        for column in columns:
            expressions[name(column) if one.hashed else f"encode({name(column)})"] = None
    return list(expressions)
