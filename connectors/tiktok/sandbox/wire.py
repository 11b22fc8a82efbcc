"""How TikTok speaks: the envelope, and the checks of fields that every endpoint shares. Ids are always text."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

from connectors.sandbox import Response

if TYPE_CHECKING:
    from collections.abc import Mapping

_requests = itertools.count(1)


class RefusalError(Exception):
    """A refusal with TikTok's own code and text."""

    def __init__(self, code: int, message: str) -> None:
        self.code, self.message = code, message
        super().__init__(message)


def envelope(data: Any = None, code: int = 0, message: str = "OK", headers: Mapping[str, str] | None = None) -> Response:
    """The answer: HTTP 200, whatever happened."""
    number = f"20261122{next(_requests):012d}SANDBOX"
    document = {"code": code, "message": message, "request_id": number, "data": data if code in (0, 20001) and data else {}}
    return Response.of_json(document, headers=headers)


def not_found() -> Response:
    """What a wrong path, a wrong method or a missing slash gets: plain text, no envelope."""
    return Response(404, b"404 page not found", {"Content-Type": "text/plain; charset=utf-8"})


def wrong(field: str, reason: str) -> RefusalError:
    """40002 naming the field."""
    return RefusalError(40002, f"{field}: {reason}")


def text(body: Mapping[str, Any], field: str, *, longest: int = 128, required: bool = True) -> str:
    """A text field of 1 to `longest` characters, or "" when absent and not required."""
    value = body.get(field)
    if value is None and not required:
        return ""
    if not isinstance(value, str):
        raise wrong(field, "Missing data for required field." if value is None else "Not a valid string.")
    if not 1 <= len(value) <= longest:
        raise wrong(field, f"Length must be between 1 and {longest}.")
    return value


def identifier(body: Mapping[str, Any], field: str) -> str:
    """An id: a string of digits; a JSON number is refused, since ids exceed 2^53."""
    value = text(body, field, longest=20)
    if not value.isdigit():
        raise wrong(field, "Not a valid id.")
    return value


def texts(body: Mapping[str, Any], field: str, *, least: int = 1, most: int = 100) -> list[str]:
    """A list of text."""
    value = body.get(field)
    if not isinstance(value, list):
        raise wrong(field, "Missing data for required field." if value is None else "Not a valid list.")
    if not least <= len(value) <= most:
        raise wrong(field, f"Length must be between {least} and {most}.")
    if not all(isinstance(one, str) and one for one in value):
        raise wrong(field, "Not a valid string.")
    return list(value)


def choice(body: Mapping[str, Any], field: str, allowed: tuple[str, ...], default: str | None = None) -> str:
    """One of the allowed words."""
    value = body.get(field, default)
    if value is None:
        raise wrong(field, "Missing data for required field.")
    if value not in allowed:
        raise wrong(field, f"Must be one of: {', '.join(allowed)}.")
    return str(value)


def whole(body: Mapping[str, Any], field: str, default: int, low: int, high: int) -> int:
    """A whole number, as JSON or as query text."""
    value = body.get(field, default)
    try:
        number = int(value)
    except (TypeError, ValueError):
        raise wrong(field, "Not a valid integer.") from None
    if not low <= number <= high:
        raise wrong(field, f"Must be between {low} and {high}.")
    return number


STRUCTURED = frozenset({"advertiser_ids", "custom_audience_ids", "dimensions", "metrics", "filtering", "fields"})


def query(values: Mapping[str, list[str]]) -> dict[str, Any]:
    """The query's fields; arrays and objects are JSON text in one parameter, repeated keys are refused."""
    fields: dict[str, Any] = {}
    for name, given in values.items():
        if len(given) != 1:
            raise wrong(name, "Give one parameter whose value is JSON text.")
        if name not in STRUCTURED:
            fields[name] = given[0]
            continue
        try:
            fields[name] = json.loads(given[0])
        except ValueError:
            raise wrong(name, "Not valid JSON.") from None
        if not isinstance(fields[name], list | dict):
            raise wrong(name, "Not a valid list.")
    return fields


def pages(found: list[Any], body: Mapping[str, Any], *, default: int = 10, largest: int = 100) -> dict[str, Any]:
    """`list` and `page_info` of one page."""
    page = whole(body, "page", 1, 1, 10**9)
    size = whole(body, "page_size", default, 1, largest)
    shown = found[(page - 1) * size : page * size]
    total = -(-len(found) // size)
    return {"list": shown, "page_info": {"page": page, "page_size": size, "total_number": len(found), "total_page": total}}
