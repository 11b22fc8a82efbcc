"""Checks of uploaded rows and their packing: 32 bytes per digest, one person per key.

A person's key is the strongest identifier of the row (EMAIL, then PHONE, MADID, the platform ids, EXTERN_ID, else the whole
row): the same person uploaded twice is held once with the last values, and a removal finds a person by any of these.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from connectors.meta.sandbox.world import GraphError

HASHED: Final = ("EMAIL", "PHONE", "GEN", "DOBY", "DOBM", "DOBD", "LN", "FN", "FI", "CT", "ST", "ZIP", "COUNTRY")
PLAIN: Final = ("MADID", "UID", "APPUID", "PAGEUID", "EXTERN_ID")
VALUE: Final = "LOOKALIKE_VALUE"
OPTIONS: Final = ("DATA_PROCESSING_OPTIONS", "DATA_PROCESSING_OPTIONS_COUNTRY", "DATA_PROCESSING_OPTIONS_STATE")
KEYS: Final = frozenset((*HASHED, *PLAIN, VALUE, *OPTIONS))
MAXIMUM_ROWS: Final = 10_000
EMPTY: Final = hashlib.sha256(b"").hexdigest()
MISMATCH: Final = "Data is missing or does not match schema"

_HEX: Final = re.compile(r"[0-9a-f]{64}").fullmatch
_MADID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}").fullmatch


@dataclass
class Rows:
    """The rows of one request: what is to be stored by person, and what was invalid by reason."""

    schema: tuple[str, ...]
    received: int
    entries: dict[bytes, bytes] = field(default_factory=dict)
    invalid: Counter[str] = field(default_factory=Counter)
    samples: dict[str, str] = field(default_factory=dict)


def read_rows(payload: Any, *, value_based: bool, removing: bool) -> Rows:
    """The rows of a payload; raises GraphError for what Meta refuses whole."""
    schema, data = _shape(payload)
    if not removing:
        if value_based and VALUE not in schema:
            raise GraphError(100, "Value-Based Custom Audience requires LOOKALIKE_VALUE attribute.")
        if not value_based and VALUE in schema:
            raise GraphError(100, "LOOKALIKE_VALUE is not supported: the audience is not value-based")
    rows = Rows(tuple(schema), len(data))
    hashed = [(index, 1 << HASHED.index(key)) for index, key in enumerate(schema) if key in HASHED]
    hashed.sort(key=lambda one: one[1])
    others = [(index, key) for index, key in enumerate(schema) if key not in HASHED]
    for number, row in enumerate(data):
        if not isinstance(row, list) or len(row) != len(schema):
            raise GraphError(100, MISMATCH)
        entry = _entry(row, hashed, others)
        if isinstance(entry, str):
            rows.invalid[entry] += 1
            if len(rows.samples) < 100:
                rows.samples[str(number)] = entry
        else:
            rows.entries[entry[0]] = entry[1]
    return rows


def _shape(payload: Any) -> tuple[list[str], list[Any]]:
    if not isinstance(payload, dict):
        raise GraphError(100, "Missing parameter(s): payload")
    schema, data = payload.get("schema"), payload.get("data")
    if isinstance(schema, str):
        raise GraphError(2650, f"Custom audience is created from MULTI_HASHES, which does not support {schema[:40]}")
    if not isinstance(schema, list) or not schema or not isinstance(data, list) or not data:
        raise GraphError(100, MISMATCH)
    if len(set(map(str, schema))) != len(schema) or not set(map(str, schema)) <= KEYS:
        raise GraphError(100, "Invalid parameter: schema has unknown or repeated keys")
    if not set(schema) & {*HASHED, *PLAIN}:
        raise GraphError(100, "Invalid parameter: schema has no identifier")
    if len(data) > MAXIMUM_ROWS:
        raise GraphError(1, f"Please reduce the amount of data: at most {MAXIMUM_ROWS} rows", 99)
    return schema, data


def _entry(row: list[Any], hashed: list[tuple[int, int]], others: list[tuple[int, str]]) -> tuple[bytes, bytes] | str:
    """Key and packed row, or why the row is invalid."""
    mask, digests = 0, []
    for index, bit in hashed:
        cell = row[index]
        if cell == "":
            continue
        if not isinstance(cell, str) or not _HEX(cell):
            return "Invalid hash"
        if cell == EMPTY:
            return "Hash of an empty value"
        mask |= bit
        digests.append(bytes.fromhex(cell))
    plain: dict[str, Any] = {}
    for index, key in others:
        if reason := _take(plain, key, row[index]):
            return reason
    person = _person(mask, digests, plain)
    if not person:
        return "No identifier"
    tail = orjson.dumps(plain) if plain else b""
    return person, mask.to_bytes(2, "big") + b"".join(digests) + tail


def _take(plain: dict[str, Any], key: str, cell: Any) -> str:
    if key == VALUE:
        if isinstance(cell, bool) or not isinstance(cell, int | float) or not math.isfinite(cell) or cell < 0:
            raise GraphError(100, f"{MISMATCH}: LOOKALIKE_VALUE must be a number of 0 or more")
        plain[key] = cell
    elif key in OPTIONS:
        wrong = cell not in ([], ["LDU"]) if key == OPTIONS[0] else isinstance(cell, bool) or not isinstance(cell, int)
        if wrong:
            raise GraphError(100, f"{MISMATCH}: {key}")
        if cell or key != OPTIONS[0]:
            plain[key] = cell
    elif not isinstance(cell, str):
        raise GraphError(100, f"{MISMATCH}: {key} must be text")
    elif cell:
        if key == "MADID" and not _MADID(cell):
            return "Invalid mobile advertiser id"
        plain[key] = cell
    return ""


def _person(mask: int, digests: list[bytes], plain: dict[str, Any]) -> bytes:
    if mask & 3:
        return (b"E" if mask & 1 else b"P") + digests[0]
    for name in PLAIN:
        if name in plain:
            return name[:1].encode() + hashlib.blake2b(str(plain[name]).encode(), digest_size=16).digest()
    return b"*" + hashlib.blake2b(mask.to_bytes(2, "big") + b"".join(digests), digest_size=16).digest() if mask else b""


def unpack(packed: bytes) -> dict[str, Any]:
    """A packed row as it was sent: key -> hex digest, text or number; empty cells left out."""
    mask, place = int.from_bytes(packed[:2], "big"), 2
    row: dict[str, Any] = {}
    for bit, key in enumerate(HASHED):
        if mask >> bit & 1:
            row[key] = packed[place : place + 32].hex()
            place += 32
    return {**row, **(orjson.loads(packed[place:]) if place < len(packed) else {})}


def matching(members: dict[bytes, bytes], rows: Rows) -> set[bytes]:
    """The keys of the members whom the rows name: by their own key, else by any of their identifiers."""
    found = {key for key in rows.entries if key in members}
    missed = [_marks(packed) for key, packed in rows.entries.items() if key not in members]
    wanted = set().union(*missed) if missed else set()
    if wanted:
        found.update(key for key, packed in members.items() if not wanted.isdisjoint(_marks(packed)))
    return found


def _marks(packed: bytes) -> list[bytes]:
    """The identifiers of a row that name a person alone."""
    mask, marks, place = packed[1] & 3, [], 2
    for bit, letter in ((1, b"E"), (2, b"P")):
        if mask & bit:
            marks.append(letter + packed[place : place + 32])
            place += 32
    tail = 2 + 32 * int.from_bytes(packed[:2], "big").bit_count()
    if tail < len(packed) and any(name.encode() in packed[tail:] for name in PLAIN):
        plain = orjson.loads(packed[tail:])
        marks += [f"{name}{plain[name]}".encode() for name in PLAIN if name in plain]
    return marks
