"""A small, honest reader of the Google Ads query language: SELECT, FROM, WHERE, ORDER BY, LIMIT over rows as dicts.

Fields are checked against GoogleAdsRow's own description, so a name that the API doesn't have is refused here too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from google.ads.googleads.v26.services.types.google_ads_service import GoogleAdsRow

from connectors.google.sandbox.refusals import AdsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

ROW = GoogleAdsRow.pb(GoogleAdsRow())
_TOKEN = re.compile(r"\s*('(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|!=|>=|<=|[=<>(),]|[\w.:\-]+)\s*")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
OPERATORS = {"=", "!=", ">", ">=", "<", "<=", "IN", "BETWEEN", "LIKE"}


@dataclass(frozen=True)
class Condition:
    """field, operator, values (one, two for BETWEEN, any number for IN)."""

    field: str
    op: str
    values: tuple[str, ...]

    def holds(self, value: Any) -> bool:
        """Whether a row's value meets it; enum values are compared by name, numbers as numbers."""
        if isinstance(value, (list, tuple)):
            return False
        held, wanted = _comparable(value, self.values)
        tests: dict[str, Callable[[], bool]] = {
            "=": lambda: held == wanted[0],
            "!=": lambda: held != wanted[0],
            ">": lambda: held > wanted[0],
            ">=": lambda: held >= wanted[0],
            "<": lambda: held < wanted[0],
            "<=": lambda: held <= wanted[0],
            "IN": lambda: held in wanted,
            "BETWEEN": lambda: wanted[0] <= held <= wanted[1],
            "LIKE": lambda: re.fullmatch(".*".join(map(re.escape, str(wanted[0]).split("%"))), str(held)) is not None,
        }
        return bool(tests[self.op]())


@dataclass
class Query:
    """A query taken apart."""

    fields: list[str] = field(default_factory=list)
    resource: str = ""
    conditions: list[Condition] = field(default_factory=list)
    order: list[tuple[str, bool]] = field(default_factory=list)
    limit: int | None = None

    def days(self) -> tuple[date | None, date | None]:
        """The first and last day that the conditions on segments.date allow."""
        first: date | None = None
        last: date | None = None
        for one in self.conditions:
            if one.field == "segments.date":
                days = [_day(value) for value in one.values]
                if one.op in ("=", "BETWEEN", ">=", ">"):
                    first = days[0]
                if one.op in ("=", "BETWEEN", "<=", "<"):
                    last = days[-1]
        return first, last

    def has(self, prefix: str) -> bool:
        """Whether a field of this family is selected."""
        return any(name.startswith(prefix) for name in self.fields)


def _comparable(value: Any, wanted: tuple[str, ...]) -> tuple[Any, tuple[Any, ...]]:
    if isinstance(value, bool):
        return value, tuple(text.upper() == "TRUE" for text in wanted)
    if isinstance(value, (int, float)):
        return value, tuple(float(text) for text in wanted)
    return str(value), wanted


def _day(text: str) -> date:
    if not _DATE.fullmatch(text):
        raise AdsError("query_error", "INVALID_DATE_FORMAT", f"Dates are 'YYYY-MM-DD', not {text}")
    return date.fromisoformat(text)


class _Words:
    def __init__(self, text: str) -> None:
        self._words: list[str] = []
        place = 0
        while place < len(text):
            found = _TOKEN.match(text, place)
            if not found:
                raise AdsError("query_error", "BAD_SYMBOL", f"Unexpected character at {place}")
            self._words.append(found.group(1))
            place = found.end()
        self._place = 0

    def peek(self) -> str:
        return self._words[self._place] if self._place < len(self._words) else ""

    def take(self, wanted: str = "", code: str = "UNEXPECTED_END_OF_QUERY") -> str:
        word = self.peek()
        if not word or (wanted and word.upper() != wanted):
            raise AdsError("query_error", code, f"Expected {wanted or 'more'}, found {word or 'the end'}")
        self._place += 1
        return word

    def skip(self, *wanted: str) -> bool:
        if self.peek().upper() in wanted:
            self._place += 1
            return True
        return False

    def value(self) -> str:
        word = self.take()
        return re.sub(r"\\(.)", r"\1", word[1:-1]) if word[0] in "'\"" else word


def parse(text: str) -> Query:
    """The query; raises AdsError with the code of QueryError that fits."""
    words, found = _Words(text), Query()
    words.take("SELECT", "EXPECTED_SELECT")
    while True:
        found.fields.append(words.take())
        if not words.skip(","):
            break
    words.take("FROM", "EXPECTED_FROM")
    found.resource = words.take()
    if words.skip("WHERE"):
        found.conditions.append(_condition(words))
        while words.skip("AND"):
            found.conditions.append(_condition(words))
    if words.skip("ORDER"):
        words.take("BY", "EXPECTED_BY")
        while True:
            name = words.take()
            found.order.append((name, words.peek().upper() == "DESC"))
            words.skip("ASC", "DESC")
            if not words.skip(","):
                break
    if words.skip("LIMIT"):
        limit = words.take()
        if not limit.isdigit() or int(limit) < 1:
            raise AdsError("query_error", "BAD_LIMIT_VALUE")
        found.limit = int(limit)
    if words.peek():
        raise AdsError("query_error", "UNEXPECTED_INPUT", f"Unexpected {words.peek()}")
    _check(found)
    return found


def _condition(words: _Words) -> Condition:
    name, op = words.take(), words.take().upper()
    if op not in OPERATORS:
        raise AdsError("query_error", "BAD_OPERATOR", f"{op} is not an operator here")
    if op == "IN":
        words.take("(", "EXPECTED_LIST")
        values = [words.value()]
        while words.skip(","):
            values.append(words.value())
        words.take(")", "EXPECTED_LIST")
        return Condition(name, op, tuple(values))
    first = words.value()
    if op != "BETWEEN":
        return Condition(name, op, (first,))
    words.take("AND", "EXPECTED_VALUE_WITH_BETWEEN_OPERATOR")
    return Condition(name, op, (first, words.value()))


def _check(query: Query) -> None:
    for name in [*query.fields, *(one.field for one in query.conditions), *(name for name, _ in query.order)]:
        path(name)
    if query.resource not in ROW.DESCRIPTOR.fields_by_name:
        raise AdsError("query_error", "BAD_RESOURCE_TYPE_IN_FROM_CLAUSE", f"No resource {query.resource}")
    for one in query.conditions:
        segment = one.field.startswith("segments.") and one.field != "segments.date"
        if segment and one.field not in query.fields:
            raise AdsError("query_error", "EXPECTED_REFERENCED_FIELD_IN_SELECT_CLAUSE", one.field)
    if "segments.date" in query.fields and None in query.days():
        raise AdsError("query_error", "EXPECTED_FILTERS_ON_DATE_RANGE", "A finite range of segments.date is needed")


@lru_cache(maxsize=1000)
def path(name: str) -> tuple[str, ...]:
    """The protobuf fields that a GAQL name stands for (`user_list.type` -> `user_list`, `type_`)."""
    described, found = ROW.DESCRIPTOR, []
    for part in name.split("."):
        fields = described.fields_by_name if described is not None else {}
        real = part if part in fields else f"{part}_"
        if real not in fields:
            raise AdsError("query_error", "UNRECOGNIZED_FIELD", f"Unrecognized field in the query: '{name}'.")
        found.append(real)
        described = fields[real].message_type
    if described is not None:
        raise AdsError("query_error", "UNRECOGNIZED_FIELD", f"'{name}' is not a field but a message.")
    return tuple(found)


def select(query: Query, rows: Iterable[dict[str, Any]]) -> list[Any]:
    """GoogleAdsRow messages (raw protobuf) with the selected fields of the rows that meet the conditions."""
    kept = [row for row in rows if all(one.holds(row.get(one.field, "")) for one in query.conditions)]
    for name, descending in reversed(query.order):
        kept.sort(key=lambda row: row.get(name, ""), reverse=descending)
    return [_message(query.fields, row) for row in kept[: query.limit]]


def _message(fields: list[str], row: dict[str, Any]) -> Any:
    message = type(ROW)()
    for name in fields:
        if name not in row:
            continue
        *parents, last = path(name)
        place: Any = message
        for part in parents:
            place = getattr(place, part)
        described = place.DESCRIPTOR.fields_by_name[last]
        value = row[name]
        if described.is_repeated:
            getattr(place, last).extend(value)
        else:
            setattr(place, last, described.enum_type.values_by_name[value].number if described.enum_type else value)
    return message
