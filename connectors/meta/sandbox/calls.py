"""An HTTP request as a Graph call: version, token, proof, parameters from query, form or JSON body, method override."""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote_to_bytes, urlencode

import orjson

from connectors.meta.sandbox.world import GraphError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connectors.sandbox import Request

OLDEST_VERSION: Final = 25
LONGEST_LINE: Final = 32 * 1024


@dataclass
class Call:
    """One Graph call; `path` is split, without the version."""

    method: str
    version: str
    path: tuple[str, ...]
    params: dict[str, Any]
    token: str

    def fields(self) -> list[str]:
        """The names in `fields`, given as text or as a JSON list."""
        wanted = self.params.get("fields", "")
        if isinstance(wanted, str) and wanted.startswith("["):
            wanted = orjson.loads(wanted)
        names = wanted if isinstance(wanted, list) else re.sub(r"\{[^}]*\}", "", wanted).split(",")
        return [str(name).strip() for name in names if str(name).strip()]


def line_length(request: Request) -> int:
    """The length of the request line as it came."""
    return len(request.path) + len(urlencode(request.query, doseq=True)) + len(request.method) + 10


def read_call(request: Request, tokens: Mapping[str, str] | None, app_secret: str) -> Call:
    """The call; raises GraphError for a dead version, a bad token or proof, an unreadable body."""
    version, *path = [part for part in request.path.split("/") if part] or [""]
    match = re.fullmatch(r"v(\d+)\.0", version)
    if not match or int(match.group(1)) < OLDEST_VERSION:
        raise GraphError(2635, "You are calling a deprecated version of the Ads API. Please update to the latest version")
    params: dict[str, Any] = {name: values[-1] for name, values in request.query.items()}
    params.update(read_body(request.body, request.headers.get("Content-Type") or ""))
    bearer = (request.headers.get("Authorization") or "").removeprefix("Bearer ").strip()
    token = str(params.pop("access_token", "") or bearer)
    _check_token(token, tokens)
    proof = params.pop("appsecret_proof", "")
    if app_secret and proof != hmac.new(app_secret.encode(), token.encode(), hashlib.sha256).hexdigest():
        raise GraphError(100, "Invalid appsecret_proof provided in the API argument", type="GraphMethodException")
    method = str(params.pop("method", request.method)).upper() if request.method == "POST" else request.method
    return Call(method, version, tuple(path), params, token)


def _check_token(token: str, tokens: Mapping[str, str] | None) -> None:
    if tokens is None:
        return
    state = tokens.get(token, "invalid")
    if state == "expired":
        raise GraphError(190, "Error validating access token: Session has expired", 463, status=401)
    if state != "valid":
        raise GraphError(190, "Invalid OAuth access token - Cannot parse access token", 467, status=401)


def read_body(body: bytes, kind: str) -> dict[str, Any]:
    """The parameters of a body: JSON object or form."""
    if not body:
        return {}
    if "json" in kind:
        try:
            document = orjson.loads(body)
        except ValueError:
            raise GraphError(100, "Invalid JSON body") from None
        if not isinstance(document, dict):
            raise GraphError(100, "Invalid JSON body")
        return document
    pairs = (piece.partition(b"=") for piece in body.split(b"&"))
    return {_decode(name): _decode(value) for name, _, value in pairs}


_COMMON: Final = tuple((f"%{ord(char):02X}".encode(), char.encode()) for char in '",[]{}: ')


def _decode(raw: bytes) -> str:
    raw = raw.replace(b"+", b" ")
    for code, char in _COMMON:  # none of these makes a new percent sign, so one pass each is exact
        raw = raw.replace(code, char)
    return (unquote_to_bytes(raw) if b"%" in raw else raw).decode()
