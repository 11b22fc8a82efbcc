"""The streaming API: partner audiences and the rows mapped to them. No name is unique, no row gets an answer of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from connectors.tiktok.sandbox.audiences import STREAM, Audiences, Held
from connectors.tiktok.sandbox.members import pack
from connectors.tiktok.sandbox.wire import RefusalError, choice, identifier, text, texts, wrong

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMA = {
    "EMAIL_SHA256": "E",
    "PHONE_SHA256": "P",
    "IDFA_SHA256": "I",
    "IDFA_MD5": "i",
    "AAID_SHA256": "A",
    "AAID_MD5": "a",
}


class Segments:
    """Partner audiences."""

    def __init__(self, audiences: Audiences) -> None:
        self.audiences = audiences
        self.largest = 1_000  # rows in one call; TikTok's own limit is not documented

    def audience(self, body: Mapping[str, Any], owner: str) -> tuple[dict[str, str], str]:
        """`audience_id` of the made or deleted audience, and the action."""
        if choice(body, "action", ("create", "delete"), "create") == "delete":
            found = self.audiences.own(identifier(body, "delete_audience_id"), owner)
            if found.kind != STREAM:
                raise RefusalError(40002, "delete_audience_id: only partner audiences.")
            self.audiences.unused(found)
            del self.audiences.held[found.id]
            return {"audience_id": found.id}, "delete"
        name = text(body, "custom_audience_name", longest=1000)
        self.audiences.room(owner)
        now = self.audiences.now()
        made = Held(self.audiences.new_id(), owner, name if len(name) <= 70 else name[:67] + "...", STREAM, now)
        made.begin("CREATE", "segment", now, self.audiences.validity_hours)
        self.audiences.held[made.id] = made
        return {"audience_id": made.id}, "create"

    def mapping(self, body: Mapping[str, Any]) -> tuple[str, list[str], int, int]:
        """The action, the audiences touched, rows and identifiers; all or nothing."""
        owners = texts(body, "advertiser_ids")
        action = choice(body, "action", ("add", "delete"), "add")
        schema = [one.upper() for one in texts(body, "id_schema", most=len(SCHEMA))]
        if any(one not in SCHEMA for one in schema):
            raise wrong("id_schema", f"Must be of: {', '.join(SCHEMA)}.")
        if len(set(schema)) != len(schema):
            raise wrong("id_schema", "No repeats.")
        batch = body.get("batch_data")
        if not isinstance(batch, list) or not batch:
            raise wrong("batch_data", "Missing data for required field.")
        if len(batch) > self.largest:
            raise wrong("batch_data", f"At most {self.largest} rows.")
        wanted: dict[str, list[bytes]] = {}
        identifiers = sum(self._row(row, schema, wanted) for row in batch)
        audiences = [self._partner(audience_id, owners) for audience_id in wanted]
        for audience in audiences:
            if action == "add":
                audience.members.add(wanted[audience.id])
            else:
                audience.members.remove_identifiers(wanted[audience.id])
            audience.edited = self.audiences.now()
            if not audience.processing:
                audience.ready_at = self.audiences.now()
        return action, list(wanted), len(batch), identifiers

    def _row(self, row: Any, schema: list[str], wanted: dict[str, list[bytes]]) -> int:
        if not isinstance(row, list) or len(row) != len(schema):
            raise wrong("batch_data", "Each row must have as many cells as id_schema.")
        cells: dict[str, list[tuple[str, str]]] = {}
        for kind, cell in zip(schema, row, strict=True):
            if cell == {}:
                continue
            if not isinstance(cell, dict) or set(cell) != {"id", "audience_ids"} or not isinstance(cell["id"], str):
                raise wrong("batch_data", "A cell is {} or has id and audience_ids.")
            for audience_id in texts(cell, "audience_ids"):
                cells.setdefault(audience_id, []).append((SCHEMA[kind], cell["id"]))
        for audience_id, parts in cells.items():
            try:
                wanted.setdefault(audience_id, []).append(pack(parts))
            except ValueError:
                raise wrong("batch_data", "An id does not fit its schema.") from None
        return sum(cell != {} for cell in row)

    def _partner(self, audience_id: str, owners: list[str]) -> Held:
        found = self.audiences.held.get(audience_id)
        if found is None or found.owner not in owners:
            raise RefusalError(40001, f"No permission: audience {audience_id} is of none of the advertisers.")
        if found.kind != STREAM:
            raise RefusalError(40002, f"The audience {audience_id} is not a partner audience.")
        found.advance(self.audiences.now(), self.audiences.match_rates)
        return found
