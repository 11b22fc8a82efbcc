"""Audiences in the ledger that config no longer asks for, and removals that no guardrail may hold up.

Whoever was sent stays at the platform when an audience leaves config. So its snapshot is kept for as long as the audience lives
there: nobody is added, who may no longer be sent is removed, and it is deleted as soon as config lists it as retired.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from connectors.engine.audience import AudienceRequest, Guardrails, Place, specs
from connectors.engine.deliveries import open_delivery
from connectors.engine.snapshots import aligned, attach, recipe_fields
from connectors.engine.status import spec_of
from connectors.engine.tables import name, number, open_tables, stream
from connectors.engine.wanted import Wanted, write_wanted

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

    from connectors.engine.audience import Account
    from connectors.engine.ledger import Ledger
    from connectors.engine.members import Members
    from connectors.engine.plan import PlannedAudience, Planner
    from connectors.protocol import AudienceSpec

KEEP, RETIRE, RIGHTS = "keep", "retire", "rights"
"""Why an audience is planned though nobody is to be added: left config, to be deleted, or stopped by a guardrail."""
HERE = "member_key IN (SELECT member_key FROM present)"
STAYED = "member_key NOT IN (SELECT member_key FROM withdrawn)"
LEFT = (
    "{why}: still on {platform} with {rows:,} members; nobody is added, who may not be sent is removed; list {key} under "
    "`retired` in audiences.yaml to delete it there"
)
LOST = (
    "the account {account} is no longer in platforms.yaml: {members} stay there and can't be reached; put the account "
    "back to remove them, or delete the audience at the platform"
)


@dataclass(frozen=True)
class Lifecycle:
    """What config says of all audiences: `asked` (enabled requests), `paused` and `retired` names, all accounts' places."""

    asked: Sequence[AudienceRequest]
    paused: frozenset[str] = frozenset()
    retired: frozenset[str] = frozenset()
    accounts: frozenset[tuple[str, str]] = frozenset()

    def places(self, account: tuple[str, str], capabilities: Any) -> dict[Place, AudienceSpec]:
        """Every audience that config asks for on an account."""
        wanted = [one for one in self.asked if one.wants(capabilities.platform)]
        return {Place(*account, spec.key): spec for one in wanted for spec in specs(one, capabilities, "")}

    def is_retired(self, key: str) -> bool:
        """Whether an audience (or the request that it is a tier of) is listed as retired."""
        return key in self.retired or key.partition(":")[0] in self.retired

    def why(self, row: dict[str, Any]) -> str:
        """In words why nobody is added to an audience of the ledger."""
        return "switched off in config" if row["key"].partition(":")[0] in self.paused else "no longer in config"

    def told(self, ledger: Ledger, row: dict[str, Any], accounts: Sequence[Account]) -> str:
        """What `status` says of an audience of the ledger that config doesn't ask for; "" for one that it does."""
        place = (row["platform"], row["account"])
        if not lives(ledger, row):
            return ""
        if place not in self.accounts:
            return LOST.format(account=row["account"], members=_members(row))
        mine = [one for one in accounts if one.place == place]
        if any(Place(*place, row["key"]) in self.places(place, one.capabilities) for one in mine):
            return ""
        if self.is_retired(row["key"]):
            return f"{self.why(row)} and listed as retired: the next run deletes it"
        return LEFT.format(why=self.why(row), rows=row["rows"], platform=row["platform"], key=row["key"].partition(":")[0])


def lives(ledger: Ledger, row: dict[str, Any]) -> bool:
    """Whether an audience of the ledger may have members at its platform."""
    return bool(row["remote_id"] or row["snapshot"] or open_delivery(ledger, row))


def inherit(ledger: Ledger, lifecycle: Lifecycle, accounts: Sequence[Account]) -> None:
    """Nothing: an audience with another name in config but the same title goes on with what was sent under the old name."""
    for account in accounts:
        asked = lifecycle.places(account.place, account.capabilities)
        known = {Place(row["platform"], row["account"], row["key"]): row for row in ledger.audiences()}
        free = {place: row for place, row in known.items() if place not in asked and row["remote_id"]}
        for place, spec in asked.items():
            if place in known:
                continue
            old = [one for one, row in free.items() if _same(account, one, spec_of(row), spec) and row["name"] == spec.name]
            if len(old) == 1:
                statement = "UPDATE audiences SET key = ?, left_at = NULL WHERE id = ?"
                ledger.journal.write(statement, (place.audience, free.pop(old[0])["id"]))


def _same(account: Account, place: Place, old: AudienceSpec, new: AudienceSpec) -> bool:
    kept = old.value_weighted == new.value_weighted and old.exclusion == new.exclusion
    return kept and (place.platform, place.account) == account.place


class Caretaker:
    """Plans what config doesn't ask for. `members`: everybody who may be sent today, and who said no."""

    def __init__(self, planner: Planner, members: Members) -> None:
        self._planner, self._ledger, self._members = planner, planner.ledger, members
        self._connection: duckdb.DuckDBPyConnection | None = None

    def close(self) -> None:
        """Nothing: the tables are gone."""
        if self._connection is not None:
            self._connection.close()

    def leftovers(
        self, lifecycle: Lifecycle, accounts: Sequence[Account]
    ) -> tuple[list[PlannedAudience], list[dict[str, Any]]]:
        """Items for what is left on these accounts, and a line for each audience of an account that config no longer has."""
        by_place = {one.place: one for one in accounts}
        asked = {place for one in accounts for place in lifecycle.places(one.place, one.capabilities)}
        items, lost = [], []
        for row in self._ledger.audiences():
            place = Place(row["platform"], row["account"], row["key"])
            if place in asked or not lives(self._ledger, row):
                continue
            account = by_place.get((place.platform, place.account))
            if account is not None:
                items.append(self._item(account, row, lifecycle))
            elif (place.platform, place.account) not in lifecycle.accounts:
                lost.append(self._lost(row))
        return items, lost

    def relief(self, item: PlannedAudience) -> PlannedAudience | None:
        """For an audience that a guardrail stops: only the removal of those who said no; None when it holds none of them."""
        row = self._ledger.audience(item.place)
        if row is None or not row["remote_id"] or not self._members.withdrawn:
            return None
        wanted = self._held(item.account, row, STAYED, f"relief-{row['id']}")
        found = self._planner.plan(item.account, _request(row, RIGHTS), item.spec, wanted, care=RIGHTS)
        if not found.changes.removed or found.guardrails:
            return None
        item.notes.append(f"{found.changes.removed:,} members who said no are removed all the same")
        return found

    def _item(self, account: Account, row: dict[str, Any], lifecycle: Lifecycle) -> PlannedAudience:
        spec, why = spec_of(row), lifecycle.why(row)
        if lifecycle.is_retired(row["key"]):
            wanted = self._held(account, row, "false", f"left-{row['id']}")
            item = self._planner.plan(account, _request(row, RETIRE), spec, wanted, care=RETIRE)
            item.notes.append(f"{why} and listed as retired: it is deleted with its {row['rows']:,} members")
            return item
        wanted = self._held(account, row, HERE, f"left-{row['id']}")
        item = self._planner.plan(account, _request(row, KEEP), spec, wanted, care=KEEP)
        if item.guardrails:
            item.relief = self.relief(item)
        key = row["key"].partition(":")[0]
        item.notes.append(LEFT.format(why=why, rows=row["rows"], platform=row["platform"], key=key))
        return item

    def _lost(self, row: dict[str, Any]) -> dict[str, Any]:
        """The line of an audience whose account is gone from config; `must_leave`: members who have said no since."""
        connection = self._tables()
        attach(connection, "base", self._ledger.snapshot_path(row), self._ledger.key)
        leaving = number(connection, "SELECT count(*) FROM base WHERE member_key IN (SELECT member_key FROM withdrawn)")
        text = LOST.format(account=row["account"], members=_members(row))
        return {key: row[key] for key in ("platform", "account", "name")} | {
            "audience": row["key"],
            "members": row["rows"],
            "must_leave": leaving,
            "note": text + (f"; {leaving:,} of them must leave" if leaving else ""),
        }

    def _held(self, account: Account, row: dict[str, Any], condition: str, stem: str) -> Wanted:
        columns = recipe_fields(account.capabilities.recipe)
        connection = self._tables()
        base, key = self._planner.base(row, open_delivery(self._ledger, row), columns, connection)
        return held_rows(connection, self._planner, (base, key), columns, condition, stem)

    def _tables(self) -> duckdb.DuckDBPyConnection:
        """A connection with the tables `present` (who may be sent) and `withdrawn` (who said no)."""
        if self._connection is None:
            self._connection = open_tables(self._members.work)
            reader = self._members.pieces().reader()
            self._connection.register("everybody", reader)
            self._connection.execute("CREATE TABLE present AS SELECT member_key FROM everybody")
            self._connection.unregister("everybody")
            keys = [pa.ExtensionArray.from_storage(pa.uuid(), one) for one in self._members.withdrawn]
            told = pa.table({"member_key": pa.chunked_array(keys, pa.uuid())})
            self._connection.register("told", told)
            self._connection.execute("CREATE TABLE withdrawn AS SELECT DISTINCT member_key FROM told")
            self._connection.unregister("told")
        return self._connection


def held_rows(
    connection: duckdb.DuckDBPyConnection,
    planner: Planner,
    base: tuple[Any, bytes | None],
    columns: Sequence[pa.Field],
    condition: str,
    stem: str,
) -> Wanted:
    """The rows of a snapshot (its path and key) that meet a condition, as wanted rows: who is left out will be removed."""
    attach(connection, "base", *base)
    held = ", ".join(["member_key", "row_digest", "value", *(name(one.name) for one in columns)])
    source = aligned(connection, "base", columns)
    attach(connection, "base", *base)
    wanted = Wanted(planner.work / f"{stem}.pieces", planner.work_key, tuple(one.name for one in columns))
    write_wanted(wanted, stream(connection, f"SELECT {held} FROM ({source}) WHERE {condition}"))
    return wanted


def _members(row: dict[str, Any]) -> str:
    return f"{row['rows']:,} members" if row["snapshot"] else "members of whom nothing is kept any more"


def _request(row: dict[str, Any], care: str) -> AudienceRequest:
    """A request that adds nobody: a source that was cut is still stopped by its share of removals."""
    limits = replace(
        Guardrails(), largest_share_added=None, minimum_size=0, minimum_share_identified=None, may_empty=care == RIGHTS
    )
    if care == RIGHTS:  # a few dozen who said no are people, not a broken export
        limits = replace(limits, ignore_removed_below=limits.ignore_below, ignored_share=1.0)
    return AudienceRequest(row["key"], row["name"], guardrails=limits)
