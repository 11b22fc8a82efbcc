"""A strict local stand-in for Google: the Data Manager over REST and gRPC, Google Ads over gRPC, one state behind all.

It refuses what Google refuses (limits, formats, terms, consent, foreign lists, daily figures older than 37 months), answers
a request's outcome only after its clock has moved, and forgets members when their time is over.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from connectors.google.sandbox.refusals import DataManagerError, Violation
from connectors.google.sandbox.store import Store, UserList
from connectors.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from connectors.google.sandbox.ads import Ads
    from connectors.google.sandbox.data_manager import DataManager
    from connectors.google.sandbox.rpc import RpcServer
    from connectors.sandbox import Request, Response


class GoogleSandbox(Sandbox):
    """One process, one HTTP port (REST and admin), one gRPC port for both APIs, optionally one more with TLS."""

    name = "google"

    def __init__(self, *, certificate: Path | None = None) -> None:
        super().__init__()
        from connectors.google.sandbox.ads import Ads
        from connectors.google.sandbox.data_manager import DataManager
        from connectors.google.sandbox.reports import Reports

        self.store = Store(self.clock)
        self.reports = Reports(self.store)
        self.data_manager: DataManager = DataManager(self.store, self.record)
        self.ads: Ads = Ads(self.store, self.reports, self.record)
        self._certificate = certificate
        self._rpc: list[RpcServer] = []

    @property
    def campaigns(self) -> list[dict[str, Any]]:
        """Rows of campaign days that reports answer from; made with a fixed seed when none are given."""
        return self.reports.campaigns

    @campaigns.setter
    def campaigns(self, rows: list[dict[str, Any]]) -> None:
        self.reports.campaigns = [dict(row) for row in rows]

    @property
    def accounts(self) -> dict[str, dict[str, Any]]:
        """Properties by account id: currency, time_zone, manager, parent, name; others have defaults."""
        return self.store.accounts

    def start(self, ports: Mapping[str, int] | None = None) -> dict[str, str]:
        """`data_manager` (REST), `ads` (plain gRPC, both APIs), `admin`; with a certificate path also `tls`."""
        from connectors.google.sandbox.rpc import RpcServer

        wanted = ports or {}
        server = self.listen(self._serve, wanted.get("data_manager", 0))
        admin = server
        if wanted.get("admin") and wanted["admin"] != wanted.get("data_manager", 0):
            admin = self.listen(self._serve, wanted["admin"])
        plain = RpcServer(self, wanted.get("ads", 0))
        self._rpc.append(plain)
        found = {"data_manager": server.address, "ads": f"insecure:127.0.0.1:{plain.port}", "admin": admin.address}
        if self._certificate is not None:
            from connectors.google.sandbox.tls import self_signed

            secure = RpcServer(self, wanted.get("tls", 0), tls=self_signed(self._certificate))
            self._rpc.append(secure)
            found["tls"] = f"localhost:{secure.port}"
        return found

    def stop(self) -> None:
        """Nothing: all servers are down."""
        for one in self._rpc:
            one.stop()
        self._rpc.clear()
        super().stop()

    def _serve(self, request: Request) -> Response:
        from connectors.google.sandbox.rest import serve

        with self.lock:
            return serve(self.data_manager, request)

    def error_of(self, detail: Mapping[str, Any]) -> DataManagerError:
        """The Data Manager refusal that a fault's detail describes: reason, message, fields, quota_limit, status,
        http, and bare for a status without details."""
        reason = str(detail.get("reason") or detail.get("code") or "INTERNAL_ERROR")
        violations = [Violation(str(one), reason) for one in detail.get("fields", ())]
        quota = {"quota_limit": str(detail["quota_limit"])} if "quota_limit" in detail else {}
        message = str(detail.get("message", "There was a problem with the request."))
        given = detail.get("status", "")
        status, http = ("", int(given)) if str(given).isdigit() else (str(given), int(detail.get("http", 0)))
        return DataManagerError(reason, message, violations, quota, "fault", status, http, bool(detail.get("bare")))

    def render_error(self, detail: Mapping[str, Any]) -> Response:
        """The Data Manager's REST answer for an `error` fault."""
        from connectors.google.sandbox.rest import render

        return render(self.error_of(detail))

    def state(self, *, members: bool = True) -> dict[str, Any]:
        """Lists with their members as sent, and lookalikes."""
        audiences: dict[str, Any] = {}
        lookalikes: dict[str, Any] = {}
        for held in self.store.lists.values():
            shown: dict[str, Any] = {"id": str(held.id), "name": held.name, "account": held.account}
            shown |= {"description": held.description, "size": self.store.sizes(held)}
            if held.kind == "lookalike":
                shown |= {"seeds": [str(seed) for seed in held.seeds], "level": held.level, "countries": list(held.countries)}
                lookalikes[str(held.id)] = shown
                continue
            shown |= {"member_count": len(held.members), "value_based": False, "membership_days": held.days}
            shown |= {"status": "OPEN" if held.open else "CLOSED", "customer_types": sorted(held.types)}
            shown["members"] = list(held.shown()) if members else []
            audiences[str(held.id)] = shown
        return {"audiences": audiences, "lookalikes": lookalikes, "value_rules": self.store.rules, "events": self.store.events}

    def dump(self) -> dict[str, Any]:
        """All that `load` needs."""
        requests = [vars(one) for one in self.store.requests.values()]
        return {
            "offset": self.clock.offset.total_seconds(),
            "accounts": self.store.accounts,
            "lists": [held.to_dict() for held in self.store.lists.values()],
            "requests": requests,
            "jobs": {name: {**job, "operations": _packed(job["operations"])} for name, job in self.store.jobs.items()},
            "events": self.store.events,
            "actions": sorted(self.store.actions),
            "rules": self.store.rules,
            "rule_sets": self.store.rule_sets,
            "next": self.store.new_id(),
            "campaigns": self.reports.campaigns,
            "clicks": self.reports.clicks,
        }

    def load(self, document: Mapping[str, Any]) -> None:
        """Nothing: the sandbox holds what `dump` gave."""
        with self.lock:
            self.clock.advance(seconds=float(document["offset"]) - self.clock.offset.total_seconds())
            self.store.restore(json.loads(json.dumps(dict(document))))
            self.store.lists = {int(one["id"]): UserList.from_dict(one) for one in document["lists"]}
            self.reports.campaigns, self.reports.clicks = list(document["campaigns"]), list(document["clicks"])


def _packed(operations: list[tuple[str, bytes]]) -> list[tuple[str, str]]:
    return [(kind, base64.b64encode(member).decode()) for kind, member in operations]
