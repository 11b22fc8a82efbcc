"""A local Pigeon Ads: lists of digests, lookalikes, results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from connectors.sandbox import Request, Response, Sandbox

if TYPE_CHECKING:
    from collections.abc import Mapping

FLOOR = 50
SEED = 100


def refused(code: int, text: str, **more: Any) -> Response:
    """Pigeon's error answer."""
    return Response.of_json({"ok": False, "code": code, "text": text, **more}, 400)


class PigeonSandbox(Sandbox):
    """The stand-in."""

    name = "pigeon"

    def __init__(self) -> None:
        super().__init__()
        self.lists: dict[str, tuple[str, set[str]]] = {}
        self.lookalikes: dict[str, dict[str, Any]] = {}
        self.campaigns: list[dict[str, Any]] = []

    def start(self, ports: Mapping[str, int] | None = None) -> dict[str, str]:
        """The address for `pigeon.api_base`."""
        address = self.listen(self.handle, (ports or {}).get("address", 0)).address
        return {"address": address, "admin": address}

    def state(self, *, members: bool = True) -> dict[str, Any]:
        """Lists with members, and lookalikes."""
        told = {
            number: {"id": number, "name": name, "members": sorted(held) if members else [], "member_count": len(held)}
            for number, (name, held) in self.lists.items()
        }
        return {"audiences": told, "lookalikes": self.lookalikes}

    def dump(self) -> dict[str, Any]:
        """Lists and lookalikes."""
        return {"lists": {key: [name, sorted(held)] for key, (name, held) in self.lists.items()}, "looks": self.lookalikes}

    def load(self, document: Mapping[str, Any]) -> None:
        """Nothing: the lists are back."""
        self.lists = {key: (name, set(held)) for key, (name, held) in document["lists"].items()}
        self.lookalikes = dict(document["looks"])

    def render_error(self, detail: Mapping[str, Any]) -> Response:
        """Pigeon's error answer for a fault."""
        return refused(int(detail["code"]), str(detail.get("message", "on demand")), wait=detail.get("wait", 1))

    def handle(self, request: Request) -> Response:
        """The answer to one request."""
        with self.lock:
            return self._answered(request, [part for part in request.path.split("/") if part])

    def _answered(self, request: Request, path: list[str]) -> Response:
        if path == ["results"]:
            since, until = (request.query[name][0] for name in ("since", "until"))
            return self._ok("report", rows=[row for row in self.campaigns if since <= row["date"] <= until])
        if path == ["lists"] and request.method == "GET":
            wanted, name = (request.query.get(key, [""])[0] for key in ("id", "name"))
            found = [key for key, (held, _) in self.lists.items() if key == wanted or held == name]
            sizes = [{"id": key, "size": len(self.lists[key][1])} for key in found]
            sizes += [{"id": key, "size": 10_000} for key in self.lookalikes if key == wanted]
            return self._ok("list", lists=sizes)
        if path == ["lists"]:
            number = f"L{len(self.requests)}"
            self.lists[number] = (request.json()["name"], set())
            return self._ok("create", id=number)
        if request.method == "DELETE":
            self.lists.pop(path[1], None)
            self.lookalikes.pop(path[1], None)
            return self._ok("delete")
        if path[1] not in self.lists:
            return refused(404, "no such list")
        return self._members(path[1], request.json()) if path[2] == "members" else self._look(path[1], request.json())

    def _members(self, number: str, body: dict[str, list[str]]) -> Response:
        name, held = self.lists[number]
        ((word, digests),) = body.items()
        good = {one for one in digests if len(one) == 64}
        after = {"add": held | good, "remove": held - good, "replace": good}[word]
        if word == "remove" and len(after) < FLOOR:
            return refused(460, "too few would be left")
        self.lists[number] = (name, after)
        return self._ok(word, bad=sum(len(one) != 64 for one in digests))

    def _look(self, seed: str, body: dict[str, Any]) -> Response:
        if len(self.lists[seed][1]) < SEED:
            return refused(461, "the seed is too small")
        number = f"look-{seed}-{'-'.join(body['countries'])}"
        self.lookalikes[number] = {"id": number, "seed": seed, **body}
        return self._ok("lookalike", id=number)

    def _ok(self, operation: str, **answer: Any) -> Response:
        self.record(operation=operation, status=200, code=0)
        return Response.of_json({"ok": True, **answer})
