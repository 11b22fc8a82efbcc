"""The small part of AIP-160 that Google documents for listing user lists: AND, comparisons, has, IN()."""

from __future__ import annotations

import operator
import re
from typing import Any

from connectors.google.sandbox.refusals import DataManagerError, Violation

_STRING = r'"(?:[^"\\]|\\.)*"'
_CONDITION = re.compile(rf"\s*(?P<field>[A-Za-z_.]+)\s*(?P<op>!=|>=|<=|=|>|<|:)\s*(?P<value>{_STRING}|[\w-]+)\s*")
_IN = re.compile(rf"\s*IN\(\s*(?P<field>[A-Za-z_.]+)\s*,(?P<values>(?:[^\"()]|{_STRING})*)\)\s*")
_AND = re.compile(r"AND\s+")
FIELDS = {"id", "display_name", "description", "membership_status", "integration_code", "access_reason"}
FIELDS |= {"ingested_user_list_info.upload_key_types"}
_COMPARE = {"=": operator.eq, "!=": operator.ne, ">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}


def matches(text: str, view: Any) -> bool:
    """Whether a list (raw protobuf) meets every condition; raises INVALID_FILTER."""
    place = 0
    verdict = True
    while place < len(text):
        if found := _IN.match(text, place):
            values = re.findall(rf"{_STRING}|[\w-]+", found.group("values"))
            verdict &= any(_test(view, found.group("field"), "=", value) for value in values)
        elif found := _CONDITION.match(text, place):
            verdict &= _test(view, *found.group("field", "op", "value"))
        else:
            raise _invalid()
        place = found.end()
        if place < len(text):
            joint = _AND.match(text, place)
            if not joint:
                raise _invalid()
            place = joint.end()
    return verdict


def _test(view: Any, field: str, op: str, value: str) -> bool:
    name = re.sub(r"([A-Z])", lambda letter: f"_{letter.group(1).lower()}", field)
    if name not in FIELDS:
        raise _invalid()
    wanted = re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value
    held: Any = view
    for part in name.split("."):
        described = held.DESCRIPTOR.fields_by_name[part]
        held = getattr(held, part)
    if described.is_repeated:
        return any(wanted in (str(one), described.enum_type.values_by_number[one].name) for one in held)
    if described.enum_type is not None:
        return bool(_COMPARE["=" if op == ":" else op](described.enum_type.values_by_number[held].name, wanted))
    if isinstance(held, int):
        if not wanted.isdigit():
            raise _invalid()
        return bool(_COMPARE["=" if op == ":" else op](held, int(wanted)))
    return wanted in held if op == ":" else bool(_COMPARE[op](held, wanted))


def _invalid() -> DataManagerError:
    return DataManagerError("INVALID_FILTER", violations=[Violation("filter", "INVALID_FILTER")])
