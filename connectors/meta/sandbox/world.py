"""What the sandbox holds: accounts, audiences, upload sessions, report runs; and the error it answers with."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import orjson

from connectors.sandbox import Response

SESSION_LIFE: Final = timedelta(minutes=90)
FINISHED: Final = "finished"
EXPIRED: Final = "expired"


class GraphError(Exception):
    """An answer in Meta's error envelope."""

    def __init__(self, code: int, message: str, subcode: int | None = None, **more: Any) -> None:
        self.code, self.text, self.subcode, self.more = code, message, subcode, more
        super().__init__(message)

    def response(self, headers: dict[str, str] | None = None) -> Response:
        """The HTTP answer: 400 for most codes, 500 for 1 and 2."""
        error: dict[str, Any] = {
            "message": f"(#{self.code}) {self.text}",
            "type": self.more.get("type", "OAuthException"),
            "code": self.code,
            "fbtrace_id": "Asandbox0trace",
        }
        if self.subcode is not None:
            error["error_subcode"] = self.subcode
        for name in ("is_transient", "error_data", "error_user_title", "error_user_msg"):
            if name in self.more:
                error[name] = self.more[name]
        status = int(self.more.get("status") or (500 if self.code in (1, 2) else 400))
        authenticate = 'OAuth "Facebook Platform" "invalid_request"'
        extra = {str(name): str(value) for name, value in (self.more.get("headers") or {}).items()}
        return Response.of_json({"error": error}, status, {"WWW-Authenticate": authenticate, **(headers or {}), **extra})


@dataclass
class Account:
    """An ad account and what it has signed."""

    id: str
    currency: str = "USD"
    timezone: str = "UTC"
    tos: bool = True
    value_tos: bool = True
    may_write: bool = True
    business: bool = True  # linked to one
    status: int = 1  # account_status
    insights_calls: int = 0  # in this hour
    score: float = 0.0
    scored_at: float = 0.0
    blocked_until: float = 0.0
    hour: int = 0
    hour_calls: int = 0


@dataclass
class Replace:
    """A `usersreplace` under way."""

    session_id: int
    opened: datetime
    staged: dict[bytes, bytes] = field(default_factory=dict)


@dataclass
class Session:
    """An upload session: one audience, one edge, one schema."""

    id: int
    audience: str
    edge: str
    schema: tuple[str, ...]
    opened: datetime
    last_seq: int = 0
    received: int = 0
    invalid: int = 0
    closed: str = ""

    def state(self, now: datetime) -> str:
        """ "" while open, else why it is closed."""
        return self.closed or (EXPIRED if now > self.opened + SESSION_LIFE else "")


@dataclass
class Audience:
    """A custom audience or a lookalike. `members` maps a person's key to the packed row that was sent last."""

    id: str
    account: str
    name: str
    subtype: str
    created: datetime
    description: str = ""
    value_based: bool = False
    extra: dict[str, Any] = field(default_factory=dict)
    members: dict[bytes, bytes] = field(default_factory=dict)
    sizes: list[tuple[datetime, int]] = field(default_factory=list)
    updated: datetime | None = None
    flagged: list[str] = field(default_factory=list)
    forced_status: int = 0
    replace: Replace | None = None
    busy_until: datetime | None = None
    origin: str = ""
    spec: dict[str, Any] = field(default_factory=dict)

    def changed(self, now: datetime) -> None:
        """Nothing: the members changed now; the visible size follows later."""
        self.updated = now
        self.sizes.append((now, len(self.members)))

    def visible(self, now: datetime, lag: timedelta) -> int | None:
        """Members as the size shows them, or None while nothing has been counted yet."""
        known = [index for index, (at, _) in enumerate(self.sizes) if at + lag <= now]
        if not known:
            return None
        del self.sizes[: known[-1]]
        return self.sizes[0][1]


def parsed(value: Any, name: str) -> Any:
    """A parameter that may have come as JSON text (form, query) or as JSON itself."""
    if not isinstance(value, str):
        return value
    try:
        return orjson.loads(value)
    except ValueError:
        raise GraphError(100, f"Invalid parameter: {name} is not JSON") from None
