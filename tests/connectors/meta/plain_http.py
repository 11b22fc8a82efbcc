"""Plain HTTP calls to the Meta sandbox, for tests that tell what it refuses."""

from __future__ import annotations

import hashlib
import http.client
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from connectors.meta.sandbox import MetaSandbox

if TYPE_CHECKING:
    pass


HASH = hashlib.sha256(b"mary@example.com").hexdigest()
EMPTY = hashlib.sha256(b"").hexdigest()
EDGE = "/v26.0/act_111/customaudiences"
CUSTOM = {"name": "Seed", "subtype": "CUSTOM", "customer_file_source": "USER_PROVIDED_ONLY"}


class Http:
    """Plain calls to the sandbox."""

    def __init__(self, box: MetaSandbox) -> None:
        self.port = int(box.address.rpartition(":")[2])  # type: ignore[attr-defined]

    def __call__(self, method: str, path: str, body: Any = None, *, form: bool = False, **headers: str) -> tuple[int, Any]:
        """Status and JSON (or text) of an answer; parameters travel as JSON, or as a form."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        raw, kind = None, {}
        if body is not None and form:
            raw = urlencode({name: one if isinstance(one, str) else json.dumps(one) for name, one in body.items()})
            kind = {"Content-Type": "application/x-www-form-urlencoded"}
        elif body is not None:
            raw, kind = json.dumps(body), {"Content-Type": "application/json"}
        connection.request(method, path, raw, {**kind, **headers})
        answer = connection.getresponse()
        text = answer.read().decode()
        self.headers = dict(answer.getheaders())
        connection.close()
        return answer.status, json.loads(text) if text.startswith(("{", "[")) else text

    def refused(self, method: str, path: str, body: Any = None, **more: Any) -> tuple[int, int | None]:
        """Code and subcode of the error that a call gets."""
        status, answer = self(method, path, body, **more)
        assert status >= 400
        assert set(answer["error"]) >= {"message", "type", "code", "fbtrace_id"}
        return answer["error"]["code"], answer["error"].get("error_subcode")


def upload(
    rows: Any, schema: Any = ("EMAIL",), *, seq: int = 1, last: bool = True, session: Any = 5, **more: Any
) -> dict[str, Any]:
    block = {"session_id": session, "batch_seq": seq, "last_batch_flag": last}
    listed = list(schema) if isinstance(schema, tuple) else schema
    return {"payload": {"schema": listed, "data": rows}, "session": block, **more}


def mail(number: int) -> str:
    return hashlib.sha256(f"{number}@example.com".encode()).hexdigest()


def fill(http_: Http, audience: str, count: int, **more: Any) -> None:
    status, answer = http_("POST", f"/v26.0/{audience}/users", upload([[mail(n)] for n in range(count)], **more))
    assert (status, answer["num_received"], answer["num_invalid_entries"]) == (200, count, 0)
