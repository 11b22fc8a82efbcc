"""A strict local Graph API: customer lists, lookalikes, insights, batches (fact sheet 9).

It keeps members as a set of persons, sizes with a delay on its own clock, and refuses what Meta refuses. What is unconfirmed
about Meta is an attribute here, so that a test can turn it.
"""

from __future__ import annotations

import base64
from datetime import datetime
from typing import TYPE_CHECKING, Any

from connectors.meta.sandbox import insights, limits
from connectors.meta.sandbox.calls import LONGEST_LINE, Call, line_length, read_call
from connectors.meta.sandbox.routes import route
from connectors.meta.sandbox.rows import unpack
from connectors.meta.sandbox.world import Account, Audience, GraphError, Session
from connectors.sandbox import Request, Response, Sandbox

if TYPE_CHECKING:
    from collections.abc import Mapping


PAGE = b"<!DOCTYPE html><title>Error</title><p>Sorry, something went wrong."


class MetaSandbox(Sandbox):
    """The stand-in. Attributes are switches; tests set them before or while it runs."""

    name = "meta"

    def __init__(self) -> None:
        super().__init__()
        self.tokens: dict[str, str] | None = None  # token -> valid, expired; None: any token, or none
        self.app_secret = ""
        self.tier = limits.TIERS["full"]
        self.accounts: dict[str, Account] = {}
        self.audiences: dict[str, Audience] = {}
        self.sessions: dict[tuple[str, int], Session] = {}
        self.runs: dict[str, insights.Run] = {}
        self.long_urls = "drop"  # what meets a request line over 32 kB: "drop", or "page" (414 and HTML)
        self.cumulative = False  # num_received counts the session so far, as documented, not the batch, as seen by others
        self.strict_sessions = True
        self.removal_floor = 100
        self.minimum_matched = 100
        self.match_share = 0.8
        self.settle_hours = 1.0  # until new members show in the size
        self.replace_minutes = 5.0  # of processing after a replace's last batch
        self.replace_limit = 100_000_000
        self.heavy_limit = 500  # a larger page of audiences is "too much data"
        self.report_limit = 100_000  # rows of a report beyond which Meta says "too much data"
        self.run_polls = 2  # looks at a report run before it is done
        self.run_outcomes: list[str] = []  # how the next runs end: Job Completed, Job Failed, Job Skipped
        self.events: list[dict[str, Any]] = []
        self.datasets: dict[str, str] = {}  # id -> name; empty: any may get events
        self.permissions = ["ads_management", "ads_read"]
        self._campaigns: list[dict[str, Any]] | None = None
        self._next_id = 23_850_000_000_000_001

    @property
    def campaigns(self) -> list[dict[str, Any]]:
        """Rows that reports are made of; made up with a fixed seed when none were given."""
        if self._campaigns is None:
            self._campaigns = insights.default_campaigns(self.clock.now().date())
        return self._campaigns

    @campaigns.setter
    def campaigns(self, rows: list[dict[str, Any]]) -> None:
        self._campaigns = rows

    def start(self, ports: Mapping[str, int] | None = None) -> dict[str, str]:
        """`address` for `meta.api_base`, and `admin`; both serve the same, and are one unless two ports are given."""
        wanted = ports or {}
        address = self.listen(self.handle, wanted.get("address", 0)).address
        admin = wanted.get("admin", 0)
        apart = admin and admin != wanted.get("address")
        return {"address": address, "admin": self.listen(self.handle, admin).address if apart else address}

    def handle(self, request: Request) -> Response:
        """The answer to one request."""
        if line_length(request) > LONGEST_LINE:
            self.record(method=request.method, path=request.path, operation="dropped", status=0, code=0)
            return Response(drop=True) if self.long_urls == "drop" else Response(414, PAGE, {"Content-Type": "text/html"})
        try:
            call = read_call(request, self.tokens, self.app_secret)
        except (GraphError, ValueError) as error:
            refusal = error if isinstance(error, GraphError) else GraphError(100, "Invalid encoding of the request")
            self.record(method=request.method, path=request.path, operation="refused", status=400, code=refusal.code)
            return refusal.response()
        return self.answer(call)

    def answer(self, call: Call) -> Response:
        """The answer to one call: also for each part of a batch."""
        log: dict[str, Any] = {"method": call.method, "path": "/" + "/".join((call.version, *call.path))}
        with self.lock:
            now = self.clock.now()
            try:
                document = route(self, call, log)
                code = 0
            except GraphError as error:
                document, code, failure = None, error.code, error
            except (ValueError, TypeError, KeyError, AttributeError) as error:  # a parameter of a shape that no rule names
                failure = GraphError(100, f"Invalid parameter ({type(error).__name__})")
                document, code = None, failure.code
            account = self.accounts.get(str(log.pop("account", "")))
            headers = limits.headers(account, self.tier, now, call.version)
            answer = failure.response(headers) if document is None else Response.of_json(document, 200, headers)
            self.record(**log, status=answer.status, code=code)
        return answer

    def account(self, number: str) -> Account:
        """The ad account, made on first use."""
        return self.accounts.setdefault(number, Account(number))

    def new_audience(self, account: str, name: str, subtype: str) -> Audience:
        """A new, empty audience."""
        made = Audience(str(self._next_id), account, name, subtype, self.clock.now())
        self._next_id += 1
        self.audiences[made.id] = made
        return made

    def matched(self, members: int | None) -> int | None:
        """How many of the members Meta finds."""
        return None if members is None else int(members * self.match_share)

    def render_error(self, detail: Mapping[str, Any]) -> Response:
        """The envelope for a fault: `code`, `subcode`, `message`, `is_transient`, `status`, `headers`, `error_data`."""
        more = {name: value for name, value in detail.items() if name not in ("code", "subcode", "message")}
        message = str(detail.get("message", "Fault on demand"))
        return GraphError(int(detail.get("code", 1)), message, detail.get("subcode"), **more).response()

    def state(self, *, members: bool = True) -> dict[str, Any]:
        """Audiences with members as sent, lookalikes with their spec, events (each name and id once per dataset)."""
        lists = [one for one in self.audiences.values() if one.subtype == "CUSTOM"]
        likes = [one for one in self.audiences.values() if one.subtype == "LOOKALIKE"]
        return {
            "audiences": {one.id: self._told(one, members=members) for one in lists},
            "lookalikes": {
                one.id: {"id": one.id, "name": one.name, "account": one.account, "seed": one.origin, "lookalike_spec": one.spec}
                for one in likes
            },
            "events": self.events,
        }

    def _told(self, one: Audience, *, members: bool) -> dict[str, Any]:
        from connectors.meta.sandbox.audiences import standing

        status, _, lower, upper = standing(self, one, self.clock.now())
        return {
            "id": one.id,
            "name": one.name,
            "account": one.account,
            "value_based": one.value_based,
            "status": status,
            "size": [lower, upper],
            "member_count": len(one.members),
            "members": [unpack(packed) for packed in one.members.values()] if members else [],
        }

    def dump(self) -> dict[str, Any]:
        """Accounts, audiences and members; sessions and runs end with a restart."""
        return {
            "offset": self.clock.offset.total_seconds(),
            "next_id": self._next_id,
            "campaigns": self._campaigns,
            "accounts": [vars(one) for one in self.accounts.values()],
            "audiences": [_dumped(one) for one in self.audiences.values()],
            "events": self.events,
        }

    def load(self, document: Mapping[str, Any]) -> None:
        """Nothing: the sandbox holds what `dump` gave."""
        self.clock.advance(seconds=float(document["offset"]) - self.clock.offset.total_seconds())
        self._next_id, self._campaigns = int(document["next_id"]), document["campaigns"]
        self.accounts = {one["id"]: Account(**one) for one in document["accounts"]}
        self.audiences = {one["id"]: _loaded(one) for one in document["audiences"]}
        self.events = list(document.get("events", []))


def _dumped(one: Audience) -> dict[str, Any]:
    held = {name: value for name, value in vars(one).items() if name not in ("members", "replace", "busy_until")}
    held["created"], held["updated"] = one.created.isoformat(), one.updated.isoformat() if one.updated else None
    held["sizes"] = [(at.isoformat(), size) for at, size in one.sizes]
    pairs = [[base64.b64encode(key).decode(), base64.b64encode(row).decode()] for key, row in one.members.items()]
    return {**held, "members": pairs}


def _loaded(held: Mapping[str, Any]) -> Audience:
    fields = dict(held)
    fields["created"] = datetime.fromisoformat(held["created"])
    fields["updated"] = datetime.fromisoformat(held["updated"]) if held["updated"] else None
    fields["sizes"] = [(datetime.fromisoformat(at), size) for at, size in held["sizes"]]
    fields["members"] = {base64.b64decode(key): base64.b64decode(row) for key, row in held["members"]}
    return Audience(**fields)
