"""The Data Manager over REST: paths, JSON (enums as numbers or names, camelCase or snake_case) and its error documents."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from google.ads.datamanager_v1 import types as dm
from google.protobuf import json_format

from connectors.google.sandbox.refusals import DataManagerError
from connectors.sandbox import Response

if TYPE_CHECKING:
    from connectors.google.sandbox.data_manager import DataManager
    from connectors.sandbox import Request

_LISTS = r"(?P<parent>accountTypes/[^/]+/accounts/[^/]+)/userLists"
ROUTES: tuple[tuple[str, str, str, Any, str], ...] = (
    # HTTP method, path, RPC, request type, which field the body is ("*": all)
    ("POST", r"/v1/audienceMembers:ingest", "IngestAudienceMembers", dm.IngestAudienceMembersRequest, "*"),
    ("POST", r"/v1/audienceMembers:remove", "RemoveAudienceMembers", dm.RemoveAudienceMembersRequest, "*"),
    ("POST", r"/v1/audienceMembers:removeAll", "RemoveAllAudienceMembers", dm.RemoveAllAudienceMembersRequest, "*"),
    ("POST", r"/v1/events:ingest", "IngestEvents", dm.IngestEventsRequest, "*"),
    ("GET", r"/v1/requestStatus:retrieve", "RetrieveRequestStatus", dm.RetrieveRequestStatusRequest, ""),
    ("POST", rf"/v1/{_LISTS}", "CreateUserList", dm.CreateUserListRequest, "user_list"),
    ("GET", rf"/v1/{_LISTS}", "ListUserLists", dm.ListUserListsRequest, ""),
    ("GET", rf"/v1/(?P<name>{_LISTS}/[^/]+)", "GetUserList", dm.GetUserListRequest, ""),
    ("PATCH", rf"/v1/(?P<name>{_LISTS}/[^/]+)", "UpdateUserList", dm.UpdateUserListRequest, "user_list"),
    ("DELETE", rf"/v1/(?P<name>{_LISTS}/[^/]+)", "DeleteUserList", dm.DeleteUserListRequest, ""),
)


def serve(manager: DataManager, request: Request) -> Response:
    """The answer to one HTTP request."""
    try:
        for verb, path, method, kind, body in ROUTES:
            found = re.fullmatch(path, request.path)
            if found and verb == request.method:
                message = _message(request, kind, body, found.groupdict(), method)
                answer = manager.answer(method, message, {name.lower(): value for name, value in request.headers.items()})
                return Response.of_json(_document(answer, request))
    except DataManagerError as refused:
        return render(refused)
    return render(DataManagerError("NOT_FOUND", f"Method not found: {request.method} {request.path}"))


def render(refused: DataManagerError) -> Response:
    """A refusal as JSON."""
    return Response.of_json(refused.document(), refused.http)


def _message(request: Request, kind: Any, body: str, place: dict[str, str], method: str) -> Any:
    message = kind.pb(kind())
    query = {name: values[-1] for name, values in request.query.items() if not name.startswith("$")}
    try:
        if body == "*":
            json_format.ParseDict(_json(request), message)
        elif body:
            json_format.ParseDict(_json(request), getattr(message, body))
        json_format.ParseDict(query, message)
    except (json_format.ParseError, ValueError, AttributeError) as error:
        text = re.sub(r"[0-9a-fA-F]{32,}", "...", str(error))
        raise DataManagerError("INVALID_ARGUMENT", f"Invalid JSON payload received: {text[:200]}") from None
    if method == "UpdateUserList":
        message.user_list.name = place["name"]
    for name in ("parent", "name"):
        if name in message.DESCRIPTOR.fields_by_name:
            setattr(message, name, place[name])
    return message


def _json(request: Request) -> dict[str, Any]:
    held = request.json()
    if not isinstance(held, dict):
        raise ValueError("the body must be an object")
    return held


def _document(answer: Any, request: Request) -> dict[str, Any]:
    numbers = any("enum-encoding=int" in value for value in request.query.get("$alt", []) + request.query.get("alt", []))
    found: dict[str, Any] = json_format.MessageToDict(answer, use_integers_for_enums=numbers)
    return found
