"""TikTok's local stand-in over its real wire protocol: strict, with its own clock, and able to fail on demand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from connectors.sandbox import Response, Sandbox
from connectors.tiktok.sandbox import events, lookalikes, reports, sharing, wire, world
from connectors.tiktok.sandbox.audiences import Audiences, from_document, to_document
from connectors.tiktok.sandbox.files import Files, multipart
from connectors.tiktok.sandbox.limits import READ, REPORT, SHARE, WRITE, Access, Limits
from connectors.tiktok.sandbox.segments import Segments
from connectors.tiktok.sandbox.tasks import Tasks, as_csv

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from connectors.sandbox import Request

PREFIX = "/open_api/v1.3"
Handler = tuple[str, int, str]  # method, scope, name of the method that answers

ROUTES: dict[str, Handler] = {
    "/user/info/": ("GET", 0, "user"),
    "/advertiser/info/": ("GET", 0, "advertiser"),
    "/oauth2/advertiser/get/": ("GET", 0, "advertisers"),
    "/dmp/custom_audience/file/upload/": ("POST", WRITE, "upload"),
    "/dmp/custom_audience/create/": ("POST", WRITE, "create"),
    "/dmp/custom_audience/update/": ("POST", WRITE, "update"),
    "/dmp/custom_audience/delete/": ("POST", WRITE, "delete"),
    "/dmp/custom_audience/share/": ("POST", SHARE, "share"),
    "/dmp/custom_audience/share/cancel/": ("POST", SHARE, "unshare"),
    "/dmp/custom_audience/list/": ("GET", READ, "list"),
    "/dmp/custom_audience/get/": ("GET", READ, "get"),
    "/dmp/custom_audience/lookalike/create/": ("POST", WRITE, "lookalike"),
    "/dmp/custom_audience/lookalike/update/": ("POST", WRITE, "refresh"),
    "/segment/audience/": ("POST", WRITE, "segment"),
    "/segment/mapping/": ("POST", WRITE, "mapping"),
    "/event/track/": ("POST", 0, "event"),
    "/pixel/list/": ("GET", 0, "pixel_list"),
    "/report/integrated/get/": ("GET", REPORT, "report"),
    "/report/task/create/": ("POST", REPORT, "task_create"),
    "/report/task/check/": ("GET", REPORT, "task_check"),
    "/report/task/download/": ("GET", REPORT, "task_download"),
    "/report/task/cancel/": ("POST", REPORT, "task_cancel"),
}


class TikTokSandbox(Sandbox):
    """Knobs: `access`, `limits`, `files`, `audiences` (validity_hours, match_rates), `segments.largest`, `tasks`,
    `report_ids` (where reports are cut), `campaigns`, `accounts`, `apps`."""

    name = "tiktok"

    def __init__(self) -> None:
        super().__init__()
        self.access, self.limits = Access(), Limits(lambda: self.clock.now().timestamp())
        self.files, self.tasks = Files(), Tasks()
        self.audiences = Audiences(self.files, self.clock.now)
        self.segments = Segments(self.audiences)
        self.events: list[dict[str, Any]] = []
        self.pixels: set[str] = set()  # empty: any
        self.accounts: dict[str, reports.Account] = {}
        self.apps: dict[str, str] = {}  # app id -> secret
        self.centers: dict[str, str] = {}  # advertiser -> Business Center; those not named are of one
        self.account = reports.Account()
        self.report_ids = 20_000
        self.campaigns: list[dict[str, Any]] = world.campaigns(self.clock.now().date())

    def start(self, ports: Mapping[str, int] | None = None) -> dict[str, str]:
        """`address` and `admin`; without ports both are the same free one."""
        wanted = ports or {}
        address = self.listen(self.handle, wanted.get("address", 0)).address
        admin = wanted.get("admin")
        same = admin is None or admin == wanted.get("address")
        return {"address": address, "admin": address if same else self.listen(self.handle, int(admin or 0)).address}

    def state(self, *, members: bool = True) -> dict[str, Any]:
        """Audiences with members as sent (hex digests by kind), lookalikes, and events (each id once per source and name)."""
        return {**self.audiences.state(members=members), "events": self.events}

    def dump(self) -> dict[str, Any]:
        """Clock, audiences and the last id."""
        held = [to_document(one) for one in self.audiences.held.values()]
        return {
            "offset": self.clock.offset.total_seconds(),
            "audiences": held,
            "last": self.audiences.new_id(),
            "events": self.events,
        }

    def load(self, document: Mapping[str, Any]) -> None:
        """Nothing: the sandbox goes on where it was."""
        self.clock.advance(seconds=float(document["offset"]))
        self.audiences.resume(int(document["last"]), [from_document(one) for one in document["audiences"]])
        self.events = list(document.get("events", []))

    def render_error(self, detail: Mapping[str, Any]) -> Response:
        """An envelope with the `code` and `message` of the fault."""
        return wire.envelope(None, int(detail.get("code", 50000)), str(detail.get("message", "System error.")))

    def handle(self, request: Request) -> Response:
        """The answer to one call."""
        path = request.path.removeprefix(PREFIX)
        route = ROUTES.get(path)
        if not request.path.startswith(PREFIX) or route is None or route[0] != request.method:
            self.record(method=request.method, path=request.path, status=404)
            return wire.not_found()
        with self.lock:
            note: dict[str, Any] = {"method": request.method, "path": path}
            try:
                answer = self._dispatch(request, path, route, note)
                note["code"] = 0
            except wire.RefusalError as refusal:
                answer = wire.envelope(None, refusal.code, refusal.message)
                note["code"] = refusal.code
            self.record(status=200, **note)
            return answer

    def _dispatch(self, request: Request, path: str, route: Handler, note: dict[str, Any]) -> Response:
        token = request.headers.get("Access-Token", "")
        body = self._body(request, path)
        owners = _owners(body)
        if path == "/event/track/":
            self.limits.count_events(token)
        elif path == "/segment/mapping/":
            batch = body.get("batch_data")
            cells = [cell for row in batch if isinstance(row, list) for cell in row] if isinstance(batch, list) else []
            note["identifiers"] = sum(cell != {} for cell in cells)
            self.limits.count_stream(token, note["identifiers"])
        else:
            self.limits.count(token, path, owners)
        self.access.allow(token, route[1], owners)
        answer: Callable[..., Response] = getattr(self, f"_{route[2]}")
        return answer(request, body, note)

    def _body(self, request: Request, path: str) -> dict[str, Any]:
        if path.endswith("/file/upload/"):
            return dict(multipart(request)[0])
        if request.method == "GET":
            return wire.query(request.query)
        if not request.headers.get("Content-Type", "").startswith("application/json"):
            raise wire.RefusalError(40002, "Content-Type must be application/json")
        try:
            body = request.json()
        except ValueError:
            raise wire.RefusalError(40002, "The body is not valid JSON.") from None
        if not isinstance(body, dict):
            raise wire.RefusalError(40002, "The body must be a JSON object.")
        return body

    def _user(self, request: Request, body: dict[str, Any], note: dict[str, Any]) -> Response:
        return wire.envelope({"core_user_id": "6900000000000000001", "display_name": "Sandbox"})

    def _advertiser(self, request: Request, body: dict[str, Any], note: dict[str, Any]) -> Response:
        found = []
        for one in wire.texts(body, "advertiser_ids"):
            account = self.accounts.get(one, self.account)
            known = {"advertiser_id": one, "name": account.name, "currency": account.currency}
            found.append({**known, "display_timezone": account.timezone, "status": account.status})
        return wire.envelope({"list": found})

    def _advertisers(self, request: Request, body: dict[str, Any], note: dict[str, Any]) -> Response:
        if self.apps.get(wire.text(body, "app_id")) != wire.text(body, "secret"):
            raise wire.RefusalError(40101, "App id and secret do not match.")
        granted = (self.access.grants or {}).get(request.headers.get("Access-Token", ""), (None, frozenset()))[0]
        known = granted if granted is not None else self.accounts
        found = [{"advertiser_id": one, "advertiser_name": self.accounts.get(one, self.account).name} for one in sorted(known)]
        return wire.envelope({"list": found})

    def _upload(self, request: Request, body: dict[str, Any], note: dict[str, Any]) -> Response:
        note["operation"] = "upload"
        path, note["rows"] = self.files.upload(request, self.clock.now())
        return wire.envelope({"file_path": path})

    def _create(self, request: Request, body: dict[str, Any], note: dict[str, Any]) -> Response:
        note["operation"] = "create"
        data, note["rows"] = self.audiences.create(body, wire.identifier(body, "advertiser_id"))
        note["audience"] = data["custom_audience_id"]
        return wire.envelope(data)

    def _update(self, request: Request, body: dict[str, Any], note: dict[str, Any]) -> Response:
        note["operation"], note["audience"] = str(body.get("action", "REPLACE")).lower(), body.get("custom_audience_id", "")
        _, note["operation"], note["rows"] = self.audiences.update(body, wire.identifier(body, "advertiser_id"))
        return wire.envelope()

    def _delete(self, request: Request, body: dict[str, Any], note: dict[str, Any]) -> Response:
        note["operation"] = "delete"
        note["audience"] = ",".join(self.audiences.delete(body, wire.identifier(body, "advertiser_id")))
        return wire.envelope()

    def _share(self, request: Request, body: dict[str, Any], note: dict[str, Any]) -> Response:
        note["operation"] = "share"
        note["audience"] = ",".join(sharing.share(self.audiences, body, wire.identifier(body, "advertiser_id"), self.centers))
        return wire.envelope()

    def _unshare(self, request: Request, body: dict[str, Any], note: dict[str, Any]) -> Response:
        note["operation"] = "unshare"
        note["audience"] = sharing.unshare(self.audiences, body, wire.identifier(body, "advertiser_id"))
        return wire.envelope()

    def _list(self, request: Request, body: dict[str, Any], note: dict[str, Any]) -> Response:
        return wire.envelope(self.audiences.list_page(body, wire.identifier(body, "advertiser_id")))

    def _get(self, request: Request, body: dict[str, Any], note: dict[str, Any]) -> Response:
        return wire.envelope(self.audiences.get(body, wire.identifier(body, "advertiser_id")))

    def _lookalike(self, request: Request, body: dict[str, Any], note: dict[str, Any]) -> Response:
        note["operation"] = "lookalike"
        data = lookalikes.create(self.audiences, body, wire.identifier(body, "advertiser_id"))
        note["audience"] = data["custom_audience_id"]
        return wire.envelope(data)

    def _refresh(self, request: Request, body: dict[str, Any], note: dict[str, Any]) -> Response:
        note["operation"] = "refresh"
        note["audience"] = ",".join(lookalikes.refresh(self.audiences, body, wire.identifier(body, "advertiser_id")))
        return wire.envelope()

    def _segment(self, request: Request, body: dict[str, Any], note: dict[str, Any]) -> Response:
        data, note["operation"] = self.segments.audience(body, wire.identifier(body, "advertiser_id"))
        note["audience"] = data["audience_id"]
        return wire.envelope(data)

    def _event(self, request: Request, body: dict[str, Any], note: dict[str, Any]) -> Response:
        note["operation"] = "event"
        taken = events.receive(body, self.pixels, self.clock.now().timestamp())
        note["rows"] = len(taken)
        known = {(one["source"], one["event"], one["event_id"]) for one in self.events}
        for one in taken:
            key = (one["source"], one["event"], one["event_id"])
            self.events += [] if key in known else [one]
            known.add(key)
        return wire.envelope()

    def _pixel_list(self, request: Request, body: dict[str, Any], note: dict[str, Any]) -> Response:
        """All pixels, or the one of a code; without a list of pixels any code is one."""
        code = wire.text(body, "code", required=False)
        known = [code] if code and not self.pixels else sorted(one for one in self.pixels if code in ("", one))
        wire.identifier(body, "advertiser_id")
        found = [
            {"pixel_id": str(7_100_000_000_000_000_000 + n), "pixel_code": one, "pixel_name": "Shop"}
            for n, one in enumerate(known)
        ]
        info = {"page": 1, "page_size": 10, "total_number": len(found), "total_page": 1}
        return wire.envelope({"pixels": found, "page_info": info})

    def _mapping(self, request: Request, body: dict[str, Any], note: dict[str, Any]) -> Response:
        action, audiences, note["rows"], note["identifiers"] = self.segments.mapping(body)
        note["operation"], note["audience"] = "remove" if action == "delete" else "add", ",".join(audiences)
        return wire.envelope()

    def _report(self, request: Request, body: dict[str, Any], note: dict[str, Any]) -> Response:
        wanted = reports.selection(body, wire.identifier(body, "advertiser_id"))
        data, headers = reports.page(self._rows(wanted), wanted, body, self.report_ids)
        return wire.envelope(data, headers=headers)

    def _task_create(self, request: Request, body: dict[str, Any], note: dict[str, Any]) -> Response:
        wanted = reports.selection(body, wire.identifier(body, "advertiser_id"), asynchronous=True)
        return wire.envelope(self.tasks.create(body, wanted, request.headers.get("Access-Token", ""), self.clock.now()))

    def _task_check(self, request: Request, body: dict[str, Any], note: dict[str, Any]) -> Response:
        return wire.envelope(self.tasks.check(body, request.headers.get("Access-Token", ""), self.clock.now()))

    def _task_download(self, request: Request, body: dict[str, Any], note: dict[str, Any]) -> Response:
        task = self.tasks.ready(body, request.headers.get("Access-Token", ""), self.clock.now())
        return as_csv(self._rows(task.wanted), task)

    def _task_cancel(self, request: Request, body: dict[str, Any], note: dict[str, Any]) -> Response:
        self.tasks.cancel(body, request.headers.get("Access-Token", ""), self.clock.now())
        return wire.envelope()

    def _rows(self, wanted: reports.Selection) -> list[dict[str, Any]]:
        return reports.rows(self.campaigns, self.accounts.get(wanted.advertiser, self.account), wanted)


def _owners(body: Mapping[str, Any]) -> list[str]:
    if "advertiser_ids" in body:
        return wire.texts(body, "advertiser_ids")
    return [wire.identifier(body, "advertiser_id")] if "advertiser_id" in body else []
