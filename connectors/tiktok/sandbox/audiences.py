"""Custom audiences: made from files, edited while usable, listed, read, deleted. TikTok's own delays by the sandbox's clock."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from connectors.tiktok.sandbox.members import Members, shown
from connectors.tiktok.sandbox.wire import RefusalError, choice, identifier, pages, text, texts, whole, wrong

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from connectors.tiktok.sandbox.files import Files

FILE, STREAM, LOOKALIKE = "Customer File Audience", "Partner", "Lookalike Audience"
SMALLEST, MOST_AUDIENCES, MOST_FILES = 1000, 400, 500
CREATE_TYPES = (
    "EMAIL_SHA256 PHONE_SHA256 IDFA_SHA256 IDFA_MD5 GAID_SHA256 GAID_MD5 FIRST_SHA256 FIRST_MD5 MULTIPLE_TYPES".split()
)
TOO_SMALL = "The audience has fewer than 1,000 matched users."
FAILED = "The operation failed: the audience would have fewer than 1,000 matched users."
NOT_EDITABLE = "Audience is not editable, please check audience status"
REPLACING = (
    "The replace operation is rejected: there is an existing unfinished replace operation, or one of the last 24 hours. "
    "Do no more than one replace operation per day."
)


@dataclass
class Held:
    """One audience."""

    id: str
    owner: str
    name: str
    kind: str
    created: datetime
    calculate_type: str = ""
    sub_type: str = "NORMAL"
    retention: int = 0
    members: Members = field(default_factory=Members)
    ready_at: datetime | None = None
    valid: bool = False
    cover: int = 0
    error: str = ""
    outcome: str = ""  # what the running operation will have come to
    edited: datetime | None = None
    replaced: datetime | None = None
    history: list[dict[str, str]] = field(default_factory=list)
    lookalike: dict[str, Any] = field(default_factory=dict)
    shared_with: list[str] = field(default_factory=list)

    @property
    def processing(self) -> bool:
        """Whether an operation is under way."""
        return self.ready_at is not None

    def note(self, action: str, detail: str, now: datetime) -> None:
        """Nothing: the history has a line, and the audience's life begins anew."""
        self.edited = now
        stamp = f"{now:%Y-%m-%d %H:%M:%S}"
        self.history.append({"action": action, "action_detail": detail, "editor": "open_api", "msg": "", "opt_time": stamp})

    def begin(self, action: str, detail: str, now: datetime, hours: float) -> None:
        """Nothing: the audience is being built and not usable."""
        self.ready_at, self.valid, self.cover, self.error, self.outcome = now + timedelta(hours=hours), False, 0, "", ""
        self.note(action, detail, now)

    def advance(self, now: datetime, rates: dict[str, float]) -> None:
        """Nothing: what is due has happened."""
        expires = self.expires()
        if now >= expires:
            self.valid, self.cover, self.error, self.ready_at = False, 0, "The audience is expired.", None
        if self.ready_at is None or now < self.ready_at:
            return
        self.ready_at = None
        size = self.lookalike.get("size") or self.members.matched(rates)
        self.valid = size >= SMALLEST
        self.cover = size if self.valid else 0
        self.error = self.outcome or ("" if self.valid else TOO_SMALL)
        if self.history:
            self.history[-1]["msg"] = self.outcome

    def expires(self) -> datetime:
        """A fixed end when retention was given, else 365 days after the last edit."""
        if self.retention:
            return self.created + timedelta(days=self.retention)
        return (self.edited or self.created) + timedelta(days=365)

    def details(self, now: datetime, type_field: str, viewer: str = "") -> dict[str, Any]:
        """What the list and get calls say of it to an advertiser."""
        known = {
            "audience_id": self.id,
            "name": self.name,
            type_field: self.kind,
            "calculate_type": self.calculate_type,
            "audience_sub_type": self.sub_type,
            "cover_num": self.cover,
            "is_valid": self.valid,
            "is_expiring": self.expires() - now <= timedelta(days=60),
            "is_creator": viewer in ("", self.owner),
            "shared": bool(self.shared_with),
            "owner_id": self.owner,
            "create_time": f"{self.created:%Y-%m-%d %H:%M:%S}",
            "expired_time": f"{self.expires():%Y-%m-%d %H:%M:%S}",
            "msg": "Processing" if self.processing else "",
            "error_msg": self.error,
        }
        spec = {key: value for key, value in self.lookalike.items() if key != "size"}
        return {**known, "lookalike_spec": spec} if spec else known


class Audiences:
    """All audiences of all advertisers."""

    def __init__(self, files: Files, now: Callable[[], datetime]) -> None:
        self.files, self.now = files, now
        self.validity_hours = 24.0  # 0 to 48
        self.match_rates: dict[str, float] = {"EMAIL": 1.0, "PHONE": 1.0, "MAID": 1.0, "IDFA": 1.0, "AAID": 1.0}
        self.held: dict[str, Held] = {}
        self.applied: set[str] = set()  # audiences that ad groups use
        self._last = 7_300_000_000_000_000_000

    def new_id(self) -> str:
        """The next id; longer than a double holds."""
        self._last += 1
        return str(self._last)

    def resume(self, last: int, held: list[Held]) -> None:
        """Nothing: these audiences are held, and ids go on after `last`."""
        self._last, self.held = last, {one.id: one for one in held}

    def own(self, audience_id: str, owner: str) -> Held:
        """An audience of this advertiser, up to date, or 40007."""
        found = self.held.get(audience_id)
        if found is None or found.owner != owner:
            raise RefusalError(40007, f"The audience {audience_id} does not exist.")
        found.advance(self.now(), self.match_rates)
        return found

    def room(self, owner: str) -> None:
        """Nothing, or the refusal of a 401st audience."""
        if sum(one.owner == owner for one in self.held.values()) >= MOST_AUDIENCES:
            raise RefusalError(40002, f"The advertiser has {MOST_AUDIENCES} audiences. Delete one first.")

    def create(self, body: Mapping[str, Any], owner: str) -> tuple[dict[str, str], int]:
        """`custom_audience_id`, and the rows taken."""
        name = text(body, "custom_audience_name")
        kind = choice(body, "calculate_type", tuple(CREATE_TYPES))
        paths = texts(body, "file_paths", most=MOST_FILES)
        sub_type = choice(body, "audience_sub_type", ("NORMAL", "REACH_FREQUENCY"), "NORMAL")
        retention = whole(body, "retention_in_days", 1, 1, 365) if "retention_in_days" in body else 0
        now = self.now()
        rows = self.files.rows_of(paths, owner, kind, now)
        self.room(owner)
        made = Held(self.new_id(), owner, name, FILE, now, kind, sub_type, retention, Members(rows))
        made.begin("CREATE", "file", now, self.validity_hours)
        self.held[made.id] = made
        return {"custom_audience_id": made.id}, len(rows)

    def update(self, body: Mapping[str, Any], owner: str) -> tuple[Held, str, int]:
        """The audience, the action taken and its rows. Without `action` it is REPLACE."""
        audience = self.own(identifier(body, "custom_audience_id"), owner)
        name = text(body, "custom_audience_name", required=False)
        if "audience_sub_type" in body:
            return self._upgrade(audience, body)
        if "file_paths" not in body:
            if audience.kind == FILE and name:
                self.usable(audience)
            elif name:
                raise RefusalError(40002, "Only customer file audiences can be edited.")
            audience.name = name or text(body, "custom_audience_name")
            return audience, "rename", 0
        action = choice(body, "action", ("APPEND", "REMOVE", "REPLACE"), "REPLACE")
        paths = texts(body, "file_paths", most=MOST_FILES)
        now = self.now()
        self._editable(audience, action, now)
        rows = self.files.rows_of(paths, owner, audience.calculate_type, now)
        if name:
            audience.name = name
        self._apply(audience, action, rows, now)
        return audience, action.lower().replace("append", "add"), len(rows)

    def _editable(self, audience: Held, action: str, now: datetime) -> None:
        if audience.kind != FILE:
            raise RefusalError(40002, "Only customer file audiences take files.")
        recent = audience.replaced is not None and now - audience.replaced < timedelta(hours=24)
        if action == "REPLACE" and recent:
            raise RefusalError(40002, REPLACING)
        self.usable(audience)

    def usable(self, audience: Held) -> None:
        """Nothing, or the refusal of an audience that is being built or too small."""
        if audience.processing:
            raise RefusalError(40002, NOT_EDITABLE)
        if not audience.valid:
            raise RefusalError(40002, "The audience ended with size 0 (fewer than 1,000 matches): only deletion is allowed.")

    def _apply(self, audience: Held, action: str, rows: set[bytes], now: datetime) -> None:
        result = Members(rows if action == "REPLACE" else audience.members.rows)
        if action == "APPEND":
            result.add(rows)
        elif action == "REMOVE":
            result.remove_rows(rows)
        else:
            audience.replaced = now
        audience.begin(action, "file", now, self.validity_hours)
        if result.matched(self.match_rates) < SMALLEST:
            audience.outcome = FAILED
        else:
            audience.members = result

    def _upgrade(self, audience: Held, body: Mapping[str, Any]) -> tuple[Held, str, int]:
        if body["audience_sub_type"] != "REACH_FREQUENCY" or audience.kind == LOOKALIKE:
            raise wrong("audience_sub_type", "Only NORMAL to REACH_FREQUENCY, and not for lookalikes.")
        audience.sub_type = "REACH_FREQUENCY"  # every other change of the call is ignored
        return audience, "upgrade", 0

    def list_page(self, body: Mapping[str, Any], owner: str) -> dict[str, Any]:
        """A page of the advertiser's audiences, newest first."""
        wanted = texts(body, "custom_audience_ids") if "custom_audience_ids" in body else None
        seen = [one for one in self.held.values() if owner in (one.owner, *one.shared_with)]
        found = [one for one in seen if wanted is None or one.id in wanted]
        now = self.now()
        for one in found:
            one.advance(now, self.match_rates)
        return pages([one.details(now, "audience_type", owner) for one in reversed(found)], body)

    def get(self, body: Mapping[str, Any], owner: str) -> dict[str, Any]:
        """Details and history of the audiences asked for; those that don't exist are left out."""
        wanted = texts(body, "custom_audience_ids")
        size = whole(body, "history_size", 100, 1, 100)
        now, found = self.now(), []
        for audience_id in wanted:
            one = self.held.get(audience_id)
            if one is None or owner not in (one.owner, *one.shared_with):
                continue
            one.advance(now, self.match_rates)
            history = list(reversed(one.history))[:size]
            found.append({"audience_details": one.details(now, "type", owner), "audience_history": history})
        return {"list": found}

    def unused(self, audience: Held) -> None:
        """Nothing, or the refusal of an audience that an ad group uses."""
        if audience.id in self.applied:
            raise RefusalError(40002, "The audience is applied to ad groups. Disconnect it from them first.")

    def delete(self, body: Mapping[str, Any], owner: str) -> list[str]:
        """The ids that are gone."""
        wanted = texts(body, "custom_audience_ids")
        for audience_id in wanted:
            self.unused(self.own(audience_id, owner))
        for audience_id in wanted:
            del self.held[audience_id]
        return wanted

    def state(self, *, members: bool) -> dict[str, Any]:
        """What the admin route shows: audiences and lookalikes by id."""
        now = self.now()
        found: dict[str, Any] = {"audiences": {}, "lookalikes": {}}
        for one in self.held.values():
            one.advance(now, self.match_rates)
            entry = {**one.details(now, "type"), "id": one.id, "account": one.owner, "member_count": len(one.members)}
            entry["status"] = "processing" if one.processing else "ready" if one.valid else "too_small"
            if one.kind == LOOKALIKE:
                found["lookalikes"][one.id] = {**entry, "seed": one.lookalike["source_audience_id"]}
                continue
            entry["value_based"] = False
            if members:
                entry["members"] = [shown(row) for row in sorted(one.members.rows)]
            found["audiences"][one.id] = entry
        return found


def to_document(one: Held) -> dict[str, Any]:
    """An audience as JSON."""
    plain = {key: getattr(one, key) for key in Held.__dataclass_fields__ if key != "members"}
    dates = {key: value.isoformat() for key, value in plain.items() if isinstance(value, datetime)}
    return {**plain, **dates, "members": [row.hex() for row in sorted(one.members.rows)]}


def from_document(document: Mapping[str, Any]) -> Held:
    """The audience of a JSON document."""
    plain = dict(document)
    for key in ("created", "ready_at", "edited", "replaced"):
        if plain.get(key):
            plain[key] = datetime.fromisoformat(plain[key]).astimezone(UTC)
    plain["members"] = Members(bytes.fromhex(row) for row in plain["members"])
    return Held(**plain)
