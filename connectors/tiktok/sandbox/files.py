"""Uploads: suffix, size, signature and content checked; a path of 16 hex characters, bound to its advertiser and type."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from connectors.tiktok.sandbox.members import pack
from connectors.tiktok.sandbox.wire import RefusalError, wrong

if TYPE_CHECKING:
    from connectors.sandbox import Request

LARGEST = 250_000_000
SINGLE = {
    "EMAIL_SHA256": "E",
    "PHONE_SHA256": "P",
    "IDFA_SHA256": "I",
    "IDFA_MD5": "i",
    "GAID_SHA256": "A",
    "GAID_MD5": "a",
    "FIRST_SHA256": "M",
    "MAID_SHA256": "M",
    "FIRST_MD5": "m",
    "MAID_MD5": "m",
}
ALIASES = {"MAID_SHA256": "FIRST_SHA256", "MAID_MD5": "FIRST_MD5"}  # MAID_* exist on upload only
HEADERS = {"email_sha256": "E", "phone_sha256": "P", "maid_sha256": "M", "maid_md5": "m", "maid": ""}
MOST_OF_A_KIND = 3


@dataclass
class Upload:
    """One accepted file."""

    advertiser: str
    calculate_type: str
    rows: set[bytes]
    at: datetime


class Files:
    """What was uploaded and not yet forgotten."""

    def __init__(self) -> None:
        self.lifetime = timedelta(hours=24)  # TikTok's is not documented; 40910 says that there is one
        self.largest = LARGEST
        self.held: dict[str, Upload] = {}

    def upload(self, request: Request, now: datetime) -> tuple[str, int]:
        """The path and the rows of a multipart upload."""
        fields, name, content = multipart(request)
        for field in ("advertiser_id", "calculate_type", "file_signature"):
            if not fields.get(field):
                raise wrong(field, "Missing data for required field.")
        if content is None:
            raise RefusalError(40905, "file is missing")
        if not name.endswith((".csv", ".txt")):
            raise RefusalError(40908, "file type is unsupported: the name must end with .csv or .txt")
        if not content:
            raise RefusalError(40906, "file is empty")
        if len(content) > self.largest:
            raise RefusalError(40907, "file is too large")
        if hashlib.md5(content, usedforsecurity=False).hexdigest() != fields["file_signature"]:
            raise RefusalError(40900, "file signature does not match")
        kind = fields["calculate_type"]
        rows = parse(content, kind)
        path = hashlib.sha256(f"{len(self.held)} {now}".encode() + content[:1000]).hexdigest()[:16]
        self.held[path] = Upload(fields["advertiser_id"], ALIASES.get(kind, kind), rows, now)
        return path, len(rows)

    def rows_of(self, paths: list[str], advertiser: str, calculate_type: str, now: datetime) -> set[bytes]:
        """The rows of files that this advertiser uploaded with this type."""
        rows: set[bytes] = set()
        for path in paths:
            upload = self.held.get(path)
            if upload is None or len(path) != 16:
                raise RefusalError(40007, "file_paths: the file does not exist")
            if upload.advertiser != advertiser:
                raise RefusalError(40002, "file_paths: the file belongs to another advertiser")
            if now - upload.at > self.lifetime:
                raise RefusalError(40910, "the file is expired")
            if upload.calculate_type != calculate_type:
                raise wrong("calculate_type", "Must be the type that the file was uploaded with.")
            rows |= upload.rows
        return rows


def parse(content: bytes, calculate_type: str) -> set[bytes]:
    """The rows of a file, or 40909 and 40915."""
    lines = content.decode("utf-8", "replace").splitlines()
    if calculate_type == "MULTIPLE_TYPES":
        return _columns(lines)
    if calculate_type not in SINGLE:
        raise RefusalError(40909, f"calculate_type {calculate_type} is unsupported")
    try:
        return {pack([(SINGLE[calculate_type], line.strip())]) for line in lines if line.strip()}
    except ValueError:
        raise RefusalError(40915, f"the file's content is not {calculate_type}") from None


def _columns(lines: list[str]) -> set[bytes]:
    headers = [one.strip().lower() for one in lines[0].split(",")] if lines else []
    if not headers or any(one not in HEADERS for one in headers):
        raise RefusalError(40915, "MULTIPLE_TYPES needs a header of email_SHA256, phone_SHA256, MAID, MAID_SHA256, MAID_MD5")
    if any(headers.count(one) > MOST_OF_A_KIND for one in headers):
        raise RefusalError(40915, f"a header may occur at most {MOST_OF_A_KIND} times")
    if len(lines) == 1:
        raise RefusalError(40906, "file has no rows")
    rows = set()
    for number, line in enumerate(lines[1:], start=2):
        cells = [one.strip() for one in line.split(",")]
        if len(cells) != len(headers):
            raise RefusalError(40915, f"line {number} has {len(cells)} fields, the header {len(headers)}")
        try:
            rows.add(pack(_cell(header, cell) for header, cell in zip(headers, cells, strict=True) if cell))
        except ValueError:
            raise RefusalError(40915, f"line {number} does not fit its headers") from None
    return rows - {b""}


def _cell(header: str, cell: str) -> tuple[str, str]:
    if HEADERS[header]:
        return HEADERS[header], cell
    return "M", hashlib.sha256(cell.lower().encode()).hexdigest()  # MAID: raw, hashed by TikTok


def multipart(request: Request) -> tuple[dict[str, str], str, bytes | None]:
    """Fields, file name and content of a form; 40002 when it is none."""
    found = re.search(r'boundary="?([^";]+)', request.headers.get("Content-Type", ""))
    if not found or not request.headers.get("Content-Type", "").startswith("multipart/form-data"):
        raise RefusalError(40002, "Content-Type must be multipart/form-data")
    fields: dict[str, Any] = {}
    name, content = "", None
    for part in request.body.split(b"--" + found.group(1).encode())[1:-1]:
        head, _, value = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        value = value.removesuffix(b"\r\n")
        label = re.search(rb'[; ]name="([^"]*)"', head)
        filename = re.search(rb'filename="([^"]*)"', head)
        if label and label.group(1) == b"file" and filename:
            name, content = filename.group(1).decode(), value
        elif label:
            fields[label.group(1).decode()] = value.decode()
    return fields, name, content
