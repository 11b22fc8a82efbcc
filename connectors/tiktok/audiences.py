"""Audiences as TikTok lists them: found by id or exact name, made, read, deleted. Names are not unique at TikTok."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from connectors.errors import FatalError, OutcomeUnknownError
from connectors.protocol import AudienceState, AudienceStatus
from connectors.tiktok.codes import EXPLAINED, MISSING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from connectors.tiktok.client import Client

FILE, STREAM, LOOKALIKE = "Customer File Audience", "Partner", "Lookalike Audience"
PATHS = {FILE: "file", STREAM: "stream", LOOKALIKE: "lookalike"}
LONGEST_BUILD = timedelta(hours=48)  # "at most 48 h" (docs?id=1739940570793985)
RECONCILE_PAUSE = 2.0  # seconds before looking for what a lost reply may have made
PAGE = 100
SHARED_AT_ONCE = 10


@dataclass(frozen=True, slots=True)
class Audience:
    """One audience as TikTok describes it. `events` are its history, newest first: (time, action, message)."""

    id: str
    name: str
    path: str
    calculate_type: str = ""
    valid: bool = False
    size: int = 0
    error: str = ""
    message: str = ""
    created: datetime | None = None
    expires: datetime | None = None
    expiring: bool = False
    own: bool = True
    lookalike: dict[str, Any] = field(default_factory=dict)
    events: tuple[tuple[str, str, str], ...] = ()

    @property
    def newest(self) -> str:
        """The time of the last operation, as TikTok writes it, with how many operations there were."""
        return f"{self.events[0][0]}#{len(self.events)}" if self.events else ""

    def expired(self, now: datetime) -> bool:
        """Whether the audience is past its life: size 0, and only deletion is allowed."""
        return self.expires is not None and self.expires <= now and not self.valid

    def status(self, now: datetime) -> AudienceStatus:
        """The state in the engine's words."""
        if self.expired(now):
            return AudienceStatus(AudienceState.MISSING, detail="expired: only deletion is allowed, a new one is made")
        if self.valid:
            note = f"expires {self.expires:%Y-%m-%d}" if self.expiring and self.expires else self.message
            last = _time(self.events[0][0]) if self.events else None
            return AudienceStatus(AudienceState.READY, self.size, self.size, detail=note, updated=last)
        if self.error:
            state = AudienceState.TOO_SMALL if _about_size(self.error) else AudienceState.BLOCKED
            return AudienceStatus(state, self.size, self.size, detail=self.error)
        since = max(filter(None, (self.created, *(_time(event[0]) for event in self.events[:1]))), default=None)
        if since is not None and now - since > LONGEST_BUILD and self.size == 0:
            return AudienceStatus(AudienceState.TOO_SMALL, 0, 0, detail="not usable 48 hours after the last change")
        return AudienceStatus(AudienceState.PROCESSING, detail=self.message)


def _about_size(text: str) -> bool:
    return any(word in text.lower() for word in ("1000", "1,000", "small", "size"))


def _time(text: Any) -> datetime | None:
    try:
        return datetime.strptime(str(text), "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        return None


def _audience(details: dict[str, Any], history: Sequence[dict[str, Any]], redact: Callable[[str], str]) -> Audience:
    spec = details.get("lookalike_spec") or {}
    if isinstance(spec, list):  # an object in some of TikTok's pages, a list of objects in others
        spec = spec[0] if spec else {}
    events = [(str(e.get("opt_time", "")), str(e.get("action", "")), redact(str(e.get("msg") or ""))) for e in history]
    return Audience(
        id=str(details.get("audience_id", "")),
        name=str(details.get("name", "")),
        path=PATHS.get(str(details.get("audience_type") or details.get("type") or ""), ""),
        calculate_type=str(details.get("calculate_type") or ""),
        valid=bool(details.get("is_valid")),
        size=int(details.get("cover_num") or 0),
        error=redact(str(details.get("error_msg") or "")),
        message=redact(str(details.get("msg") or "")),
        created=_time(details.get("create_time")),
        expires=_time(details.get("expired_time")),
        expiring=bool(details.get("is_expiring")),
        own=bool(details.get("is_creator", True)),
        lookalike=dict(spec),
        events=tuple(sorted(events, key=lambda event: event[0], reverse=True)),
    )


class Directory:
    """The audiences of one advertiser."""

    def __init__(self, client: Client, advertiser_id: str, now: Callable[[], datetime]) -> None:
        self.client, self.advertiser_id, self.now = client, advertiser_id, now

    def details(self, audience_id: str) -> Audience | None:
        """One audience with its history, or None when TikTok no longer knows it."""
        query = {"advertiser_id": self.advertiser_id, "custom_audience_ids": [audience_id], "history_size": 100}
        try:
            answer = self.client.get("/dmp/custom_audience/get/", query)
        except FatalError as error:
            if error.code != str(MISSING):
                raise
            return None
        for found in answer.data.get("list") or []:
            details = found.get("audience_details") or {}
            if str(details.get("audience_id")) == audience_id:
                return _audience(details, found.get("audience_history") or [], self.client.redact)
        return None

    def listed(self) -> Iterator[Audience]:
        """Every audience, without history."""
        page, pages = 1, 1
        while page <= pages:
            query = {"advertiser_id": self.advertiser_id, "page": page, "page_size": PAGE}
            data = self.client.get("/dmp/custom_audience/list/", query).data
            for details in data.get("list") or []:
                yield _audience(details, (), self.client.redact)
            pages = int((data.get("page_info") or {}).get("total_page") or 1)
            page += 1

    def named(self, name: str, *paths: str) -> list[Audience]:
        """Own, unexpired audiences of exactly this name on one of these paths, oldest first."""
        return [one for one in self.live(*paths) if one.name == name]

    def expired(self, name: str, *paths: str) -> list[Audience]:
        """Own audiences of exactly this name whose life is over: TikTok allows nothing but their deletion."""
        now = self.now()
        return [one for one in self.listed() if one.name == name and one.own and one.path in paths and one.expired(now)]

    def live(self, *paths: str) -> list[Audience]:
        """Own, unexpired audiences on one of these paths, oldest first."""
        now = self.now()
        found = [one for one in self.listed() if one.own and one.path in paths and not one.expired(now)]
        return sorted(found, key=lambda one: (one.created or now, one.id))

    def count(self) -> int:
        """How many audiences the advertiser holds, lookalikes and other people's included."""
        query = {"advertiser_id": self.advertiser_id, "page": 1, "page_size": 1}
        data = self.client.get("/dmp/custom_audience/list/", query).data
        return int((data.get("page_info") or {}).get("total_number") or 0)

    def rename(self, audience_id: str, path: str, name: str) -> None:
        """Nothing: TikTok shows the name. Raises NotReadyError while the audience can't be edited."""
        if path == "stream":
            raise FatalError(
                "no call of TikTok renames a streaming audience",
                remedy="leave it, or rename the audience in config (its `name`, not only its title) to have a new one made",
                platform="tiktok",
            )
        body = {"advertiser_id": self.advertiser_id, "custom_audience_id": audience_id, "custom_audience_name": name}
        self.client.post("/dmp/custom_audience/update/", body)

    def share(self, audience_id: str, accounts: Sequence[str]) -> None:
        """Nothing: the accounts, ten in a call, may use the audience."""
        for first in range(0, len(accounts), SHARED_AT_ONCE):
            body = {"advertiser_id": self.advertiser_id, "custom_audience_ids": [audience_id]}
            part = list(accounts[first : first + SHARED_AT_ONCE])
            self.client.post("/dmp/custom_audience/share/", {**body, "shared_advertiser_ids": part})

    def unshare(self, audience_id: str, accounts: Sequence[str]) -> None:
        """Nothing: the accounts, one in a call, may no longer use the audience."""
        for account in accounts:
            body = {"advertiser_id": self.advertiser_id, "custom_audience_id": audience_id}
            self.client.post("/dmp/custom_audience/share/cancel/", {**body, "shared_advertiser_id": account})

    def make(self, create: Callable[[], str], find: Callable[[], str]) -> str:
        """The id from `create`, called again only when its reply was lost and `find` sees no trace of it."""
        for _ in range(3):
            try:
                return create()
            except OutcomeUnknownError as error:
                lost = error
                self.client.sleep(RECONCILE_PAUSE)
                found = find()
                if found:
                    return found
        raise lost

    def delete(self, audience_id: str, path: str) -> None:
        """Nothing: the audience is gone, also when it was gone before. TikTok keeps one that ad groups use."""
        body: dict[str, Any] = {"advertiser_id": self.advertiser_id}
        try:
            if path == "stream":
                self.client.post("/segment/audience/", {**body, "action": "delete", "delete_audience_id": audience_id})
            else:
                self.client.post("/dmp/custom_audience/delete/", {**body, "custom_audience_ids": [audience_id]})
        except FatalError as error:
            if error.code == str(EXPLAINED):
                raise FatalError(
                    error.message,
                    remedy="disconnect the audience from its ad groups in TikTok Ads Manager, then run again",
                    platform="tiktok",
                    code=error.code,
                ) from None
            if error.code != str(MISSING):
                raise
