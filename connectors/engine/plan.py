"""Wanted audiences against what the platforms hold: what a push would do, and what stops it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from connectors.engine.audience import Account, AudienceRequest, Place, limits_for, specs, splits
from connectors.engine.deliveries import Delivery, fold_of, open_delivery
from connectors.engine.diff import Changes, Diff, DiffRules
from connectors.engine.guardrails import Source, trips
from connectors.engine.identified import Identified, identify_members
from connectors.engine.leftover import KEEP, RETIRE, Caretaker, Lifecycle, inherit
from connectors.engine.lookalikes import planned_lookalikes
from connectors.engine.room import foresee
from connectors.engine.seen import Seen, seen_before
from connectors.engine.selection import select_members
from connectors.engine.snapshots import recipe_fields
from connectors.engine.tables import open_tables
from connectors.engine.times import age, opens
from connectors.engine.wanted import Wanted, WantedRows
from connectors.protocol import AudienceSpec, Capabilities, Operation

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from connectors.engine.ledger import Ledger
    from connectors.engine.members import Members
    from connectors.errors import SyncError

MANY = 100
"""So many changed members, and more than half of all: removed and added again they would be gone for a while."""
REPLACE_WINDOW = timedelta(minutes=80)
"""A full replace begun longer ago than this is begun again, on platforms that don't settle later (Meta closes after 90 min)."""


@dataclass
class PlannedAudience:
    """One audience on one account. `mode`: nothing, change, replace, resume, recreate or retire.

    `care`: "" for what config asks for, else why it is planned (leftover.KEEP, RETIRE, RIGHTS). `relief`: what may be sent
    though a guardrail stops the rest.
    """

    account: Account
    request: AudienceRequest
    spec: AudienceSpec
    wanted: Wanted
    mode: str = "nothing"
    changes: Changes = field(default_factory=Changes)
    guardrails: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    generation: int = 0
    defers_values: bool = False
    lookalikes: list[dict[str, Any]] = field(default_factory=list)
    care: str = ""
    seen: Seen = field(default_factory=Seen)
    relief: PlannedAudience | None = None

    @property
    def place(self) -> Place:
        """Platform, account, audience."""
        return Place(*self.account.place, self.spec.key)

    @property
    def limits(self) -> Capabilities:
        """What the platform allows for this audience."""
        return limits_for(self.spec, self.account.capabilities)

    def row(self) -> dict[str, Any]:
        """The plan's JSON row: platform, account, audience, add, change, remove (rows), guardrail ("" or why), mode, notes,
        lookalikes (name, countries, size, state: made, waiting, to be made anew)."""
        moved = 0 if self.defers_values else self.changes.values
        return {
            "platform": self.place.platform,
            "account": self.place.account,
            "audience": self.place.audience,
            "name": self.spec.name,
            "wanted": self.wanted.rows,
            "add": self.changes.added,
            "change": self.changes.changed + moved,
            "remove": self.changes.removed,
            "renew": self.changes.renewed,
            "guardrail": "; ".join(self.guardrails),
            "mode": self.mode,
            "care": self.care,
            "notes": list(self.notes),
            "lookalikes": [dict(one) for one in self.lookalikes],
        }


@dataclass
class Plan:
    """What a push would do. Holds the members' work files: close the members only after the push."""

    items: list[PlannedAudience]
    planner: Planner
    dropped: dict[str, int]
    identity: dict[str, Any]
    """Per "platform/account": what became of every identifier."""
    members: Members
    identified: dict[str, Identified]
    """Per recipe and rules (`mark`): the members' identifiers."""
    unreachable: list[dict[str, Any]] = field(default_factory=list)
    """Audiences whose account config no longer has: platform, account, audience, name, members, must_leave, note."""

    def rows(self) -> list[dict[str, Any]]:
        """One JSON row per audience and account, as `clvsync plan --json` shows them."""
        return [item.row() for item in self.items]

    @property
    def blocked(self) -> list[PlannedAudience]:
        """Audiences that a guardrail stops."""
        return [item for item in self.items if item.guardrails]


@dataclass
class Planner:
    """Plans one audience at a time; also anew, after the ledger has learned something during a push."""

    ledger: Ledger
    work: Path
    work_key: bytes
    now: datetime
    source: Source
    refresh: bool = False
    seen: dict[tuple[str, str], Seen] = field(default_factory=dict)
    away: dict[tuple[str, str], SyncError] = field(default_factory=dict)
    """Accounts that answered nobody when the plan was made: the push doesn't ask them again."""

    def plan(
        self,
        account: Account,
        request: AudienceRequest,
        spec: AudienceSpec,
        wanted: Wanted,
        *,
        refresh: bool | None = None,
        care: str = "",
    ) -> PlannedAudience:
        """The plan of one audience; reads the ledger and the work files, changes nothing."""
        item = PlannedAudience(account, request, spec, wanted, care=care, seen=self.seen.get(account.place, Seen()))
        again = self.refresh and not care if refresh is None else refresh
        audience = self.ledger.audience(item.place)
        item.generation = audience["generation"] if audience else 0
        item.lookalikes = planned_lookalikes(self.ledger, item, audience)
        delivery = open_delivery(self.ledger, audience)
        if delivery is not None and audience is not None and not again and self.resumable(delivery, wanted, item.limits):
            return self._resumed(item, delivery)
        columns = recipe_fields(account.capabilities.recipe)
        connection = open_tables(self.work, memory="700MB")
        try:
            base, key = self.base(audience, delivery, columns, connection)
            diff = Diff(connection, wanted.pieces(), base, key, columns)
            item.changes = diff.compare(self.rules(item, retry=again))
        finally:
            connection.close()
        if care == RETIRE:
            item.mode = "retire"
            return item
        self._decide(item, audience or {}, again)
        # what only lets people leave doesn't depend on orders and model
        source = Source(self.now.date()) if care else replace(self.source, seen=item.seen, before=seen_before(audience))
        item.guardrails = trips(request.guardrails, wanted, item.changes, source)
        return item

    def rules(self, item: PlannedAudience, *, retry: bool) -> DiffRules:
        """What counts as a change for this audience today; where nobody is to be added, nobody is sent again either."""
        request, spec = item.request, item.spec
        renew: date | None = None
        if spec.membership_days and not item.care:
            renew = self.now.date() - timedelta(days=max(1, spec.membership_days - min(30, max(1, spec.membership_days // 4))))
        return DiffRules(request.value_band, renew, self.now.date(), retry)

    def resumable(self, delivery: Delivery, wanted: Wanted, limits: Capabilities) -> bool:
        """Whether an open delivery leads to exactly these rows and can simply go on."""
        if delivery.target != wanted.target:
            return False
        if delivery.kind == "replace" and delivery.started_at and not limits.settles:
            passed = age(delivery.started_at, self.now)
            return passed is not None and passed < REPLACE_WINDOW
        return True

    def _resumed(self, item: PlannedAudience, delivery: Delivery) -> PlannedAudience:
        left = delivery.remaining()
        item.mode = "resume"
        item.changes = Changes(added=left.get("add", 0) + left.get("replace", 0), removed=left.get("remove", 0))
        item.notes.append("goes on with the delivery that an earlier run began")
        return item

    def base(
        self, audience: dict[str, Any] | None, delivery: Delivery | None, columns: Any, connection: Any
    ) -> tuple[Path | None, bytes | None]:
        """The file (and its key) of what the platform holds, an open delivery folded in."""
        if audience is None or delivery is None:
            return self.ledger.snapshot_path(audience), self.ledger.key
        fold = fold_of(self.ledger, audience, delivery, columns, self.now.date())
        path, _ = fold.write(connection, self.work, f"folded-{audience['id']}", self.work_key)
        return path, self.work_key

    def _decide(self, item: PlannedAudience, audience: dict[str, Any], refresh: bool) -> None:
        changes, limits = item.changes, item.limits
        self._explain_tiers(item)
        escalated = audience.get("escalated", "")
        can_replace = Operation.REPLACE in limits.operations and item.wanted.rows > 0
        if escalated == "delete" or (escalated == "replace" and not can_replace):
            item.mode = "retire" if item.care == KEEP else "recreate"
            item.notes.append("the platform refused a removal: the audience is deleted and made anew")
            return
        if not audience.get("remote_id") and limits.edit_interval_hours and item.wanted.rows < limits.minimum_size:
            item.changes = Changes()
            item.notes.append(
                f"{item.wanted.rows:,} members: made once there are {limits.minimum_size:,}, as the platform needs to use it"
            )
            return
        open_now, later = self._replace_open(audience, limits.replace_interval_hours)
        wants_replace = self._wants_replace(item, audience, refresh, escalated)
        if wants_replace and can_replace and open_now:
            item.mode = "replace"
            item.notes.append(wants_replace)
            return
        if wants_replace and can_replace:
            item.notes.append(f"{wants_replace}; not before {later}")
        item.defers_values = self._by_replace(item)
        left = (
            changes.added + changes.removed + changes.changed + changes.renewed + (0 if item.defers_values else changes.values)
        )
        item.mode = "change" if left else "nothing"
        if item.defers_values and changes.values:
            item.notes.append(f"{changes.values:,} values changed: they travel with the next full replace")
        if changes.refused:
            item.notes.append(f"{changes.refused:,} rows that the platform refused are not sent again until they change")

    def _explain_tiers(self, item: PlannedAudience) -> None:
        if item.request.value_weighted and splits(item.request, item.account.capabilities) and not item.spec.value_weighted:
            item.notes.append(
                f"no value per member travels to {item.place.platform}: one audience per tier, this is tier {item.spec.tier}"
            )

    def _by_replace(self, item: PlannedAudience) -> bool:
        how = item.request.value_update or item.limits.value_updates
        return item.spec.value_weighted and how == "replace" and Operation.REPLACE in item.limits.operations

    def _replace_open(self, audience: dict[str, Any], hours: float) -> tuple[bool, str]:
        later = opens(audience.get("last_replace_at"), hours, self.now)
        return later is None, later.isoformat(timespec="minutes") if later else ""

    def _wants_replace(self, item: PlannedAudience, audience: dict[str, Any], refresh: bool, escalated: str) -> str:
        changes, limits = item.changes, item.limits
        if not audience.get("remote_id"):
            return ""
        if refresh:
            return "a full refresh was asked for"
        if escalated == "replace":
            return "the platform refused a removal: the whole audience is sent again as a replace"
        both = (changes.added or changes.changed or changes.renewed) and (changes.removed or changes.changed)
        if both and limits.edit_interval_hours:
            return f"one edit in {limits.edit_interval_hours:g} h is allowed: additions and removals go together, as a replace"
        if changes.changed >= MANY and 2 * changes.changed > changes.held:
            return f"{changes.changed:,} of {changes.held:,} members have other identifiers now: a replace leaves no gap"
        if changes.values and self._by_replace(item):
            since = audience.get("last_replace_at") or audience.get("created_at")
            if opens(since, 24 * item.request.value_band.replace_every_days, self.now) is None:
                return f"{changes.values:,} values changed: the periodic full replace carries them"
        return ""


def make_plan(
    ledger: Ledger,
    members: Members,
    requests: Sequence[AudienceRequest],
    accounts: Sequence[Account],
    *,
    now: datetime,
    source_day: date | None = None,
    gate: Sequence[str] = (),
    refresh: bool = False,
    lifecycle: Lifecycle | None = None,
) -> Plan:
    """What a push would do for every request on every account that it names; sends nothing.

    `source_day`: the last day of the source (guardrail stale source). `gate`: reasons for which the model gate refuses the
    scores; every audience with something to send is then stopped. `refresh`: full replace instead of the difference.
    `lifecycle`: with it, what the ledger holds beyond the requests is cared for too.
    Raises ConfigurationError for a condition that can't be evaluated, FatalError for a damaged state folder.
    """
    planner = Planner(ledger, members.work, members.key, now, Source(now.date(), source_day, tuple(gate)), refresh)
    selection = select_members(members, requests, ledger)
    made: dict[str, Identified] = {}
    items: list[PlannedAudience] = []
    rows, caretaker = WantedRows(members, selection), Caretaker(planner, members)
    unreachable: list[dict[str, Any]] = []
    if lifecycle is not None:
        inherit(ledger, lifecycle, accounts)
    try:
        for account in accounts:
            mark = account.mark
            for number, request in enumerate(requests):
                if not request.wants(account.capabilities.platform):
                    continue
                if mark not in made:
                    made[mark] = identify_members(members, account.capabilities.recipe, account.rules)
                found = (made[mark].report, account.capabilities.recipe)
                planner.seen[account.place] = Seen.of(members.customers, members.dropped, *found)
                for spec in specs(request, account.capabilities, members.currency):
                    path = members.work / f"wanted-{len(items)}.pieces"
                    wanted = rows.make(number, spec, made[mark], path)
                    items.append(planner.plan(account, request, spec, wanted))
            if (error := foresee(ledger, account, [item for item in items if item.account is account])) is not None:
                planner.away[account.place] = error
        for item in items:
            item.relief = caretaker.relief(item) if item.guardrails else None
        if lifecycle is not None:
            left, unreachable = caretaker.leftovers(lifecycle, accounts)
            items += left
    finally:
        rows.close()
        caretaker.close()
    reports = {"/".join(one.place): made[one.mark] for one in accounts if one.mark in made}
    told = {place: found.report.to_dict() for place, found in reports.items()}
    return Plan(items, planner, members.dropped, told, members, made, unreachable)
