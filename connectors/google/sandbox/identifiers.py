"""The checks of a request's members, as strict as the real thing: every fault is named with its place, one spoils all."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from typing import Any

from connectors.google.sandbox.refusals import DataManagerError, Violation
from connectors.google.sandbox.store import pack

HEX, BASE64 = 1, 2
GRANTED, DENIED = 1, 2
MOST_MEMBERS, MOST_IDENTIFIERS = 10_000, 10
_HEX = re.compile(r"[0-9a-f]{64}")
_ANY_HEX = re.compile(r"(?:[0-9a-fA-F]{2})+")
_REGION = re.compile(r"[A-Z]{2}")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_US = re.compile(r"[0-9]{5}(-?[0-9]{4})?")
CONSENT_NEEDED = frozenset(
    "AT BE BG HR CY CZ DK EE FI FR DE GR HU IE IT LV LT LU MT NL PL PT RO SK SI ES SE IS LI NO GB CH".split()
)
NO_CONSENT, DENIED_CONSENT = 5, 4  # ProcessingErrorReason


@dataclass
class Checked:
    """A request's members: packed, with the reason for which processing will drop one (0: none)."""

    kind: str = "composite_data"
    members: list[tuple[bytes, int]] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    flags: dict[bytes, tuple[int, int]] = field(default_factory=dict)
    """Both consents of members for whom not both were granted (0: nothing said)."""


class Reader:
    """Reads one request's members and gathers every violation."""

    def __init__(self, encoding: int, consent: Any = None) -> None:
        self._encoding, self._consent = encoding, consent
        self.violations: list[Violation] = []
        self.checked = Checked()

    def read(self, members: Any) -> Checked:
        """The checked members; raises DataManagerError with all violations."""
        if not len(members):
            self._fault("audience_members", "REQUIRED_FIELD_MISSING")
        if len(members) > MOST_MEMBERS:
            self._fault("audience_members", "TOO_MANY_AUDIENCE_MEMBERS")
        kinds = {member.WhichOneof("data") for member in members} - {None}
        if len(kinds) > 1:
            self._fault("audience_members", "MULTIPLE_DATA_TYPES_NOT_ALLOWED")
        if not self.violations:
            self.checked.kind = next(iter(kinds), "composite_data")
            for index, member in enumerate(members):
                self._member(index, member)
        if self.violations:
            raise DataManagerError(self.violations[0].reason, violations=self.violations)
        return self.checked

    def _fault(self, place: str, reason: str, description: str = "") -> None:
        self.violations.append(Violation(place, reason, description or reason.replace("_", " ").capitalize()))

    def _member(self, index: int, member: Any) -> None:
        kind = member.WhichOneof("data")
        place = f"audience_members[{index}]"
        if kind in ("composite_data", "user_data"):
            data = member.composite_data.user_data if kind == "composite_data" else member.user_data
            inside = f"{place}.{kind}.user_data" if kind == "composite_data" else f"{place}.{kind}"
            self.checked.members.append(self.person(member, data, inside))
        elif kind == "mobile_data":
            self.checked.members.append((pack(self._mobile(member.mobile_data, place)), 0))
        else:
            self._fault(place, "INVALID_AUDIENCE_MEMBER" if kind else "REQUIRED_FIELD_MISSING")

    def person(self, member: Any, data: Any, place: str) -> tuple[bytes, int]:
        """One person's identifiers, packed, and the reason for which processing drops them (0: none)."""
        found, regions = self._user_data(data, place)
        packed, flags = pack(found), self.flags(member)
        if flags != (GRANTED, GRANTED):
            self.checked.flags[packed] = flags
        return packed, self._dropped(flags, regions)

    def _mobile(self, data: Any, place: str) -> list[bytes]:
        if not 0 < len(data.mobile_ids) <= MOST_IDENTIFIERS:
            self._fault(f"{place}.mobile_data", "TOO_MANY_USER_IDENTIFIERS" if data.mobile_ids else "REQUIRED_FIELD_MISSING")
        for one in data.mobile_ids:
            if not _UUID.fullmatch(one):
                self._fault(f"{place}.mobile_data.mobile_ids", "INVALID_MOBILE_ID_FORMAT")
        return [b"m" + bytes([len(one)]) + one.encode() for one in data.mobile_ids]

    def _user_data(self, data: Any, place: str) -> tuple[list[bytes], set[str]]:
        given = data.user_identifiers
        packed: list[bytes] = []
        regions: set[str] = set()
        if not 0 < len(given) <= MOST_IDENTIFIERS:
            self._fault(f"{place}.user_identifiers", "TOO_MANY_USER_IDENTIFIERS" if given else "REQUIRED_FIELD_MISSING")
            return packed, regions
        for index, one in enumerate(given):
            here = f"{place}.user_identifiers[{index}]"
            kind = one.WhichOneof("identifier")
            if kind == "email_address":
                packed.append(b"e" + self._digest(one.email_address, f"{here}.email_address"))
            elif kind == "phone_number":
                packed.append(b"p" + self._digest(one.phone_number, f"{here}.phone_number"))
            elif kind == "address":
                packed.append(self._address(one.address, f"{here}.address"))
                regions.add(one.address.region_code)
            else:
                self._fault(here, "REQUIRED_FIELD_MISSING")
            name = {"email_address": "EMAIL", "phone_number": "PHONE_NUMBER"}.get(kind or "", "ADDRESS")
            self.checked.counts[name] = self.checked.counts.get(name, 0) + 1
        return packed, regions

    def _digest(self, text: str, place: str) -> bytes:
        """The 32 bytes; hex must be 64 lower-case digits, base64 must decode to 32 bytes."""
        if self._encoding == HEX:
            if _HEX.fullmatch(text):
                return bytes.fromhex(text)
            self._fault(place, "INVALID_SHA256_FORMAT" if _ANY_HEX.fullmatch(text) else "INVALID_HEX_ENCODING")
            return bytes(32)
        try:
            digest = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            self._fault(place, "INVALID_BASE64_ENCODING")
            return bytes(32)
        if len(digest) != 32:
            self._fault(place, "INVALID_SHA256_FORMAT")
        return digest[:32].ljust(32, b"\0")

    def _address(self, address: Any, place: str) -> bytes:
        for part in ("given_name", "family_name", "region_code", "postal_code"):
            if not getattr(address, part):
                self._fault(f"{place}.{part}", "REQUIRED_FIELD_MISSING")
                return b""
        given = self._digest(address.given_name, f"{place}.given_name")
        family = self._digest(address.family_name, f"{place}.family_name")
        region, postal = address.region_code, address.postal_code
        if not _REGION.fullmatch(region):
            self._fault(f"{place}.region_code", "INVALID_REGION_CODE")
        if postal != postal.strip() or len(postal) > 16 or (region == "US" and not _US.fullmatch(postal)):
            self._fault(f"{place}.postal_code", "INVALID_POSTAL_CODE")
        encoded = postal.encode()[:255]
        return bytes(b"a" + given + family + region.encode()[:2].ljust(2) + bytes([len(encoded)]) + encoded)

    def flags(self, member: Any) -> tuple[int, int]:
        """Both consents as they hold for the member (or event): its own win over the request's. Who leaves needs none."""
        if self._consent is None:
            return GRANTED, GRANTED
        consent = member.consent if member.HasField("consent") else self._consent
        return consent.ad_user_data, consent.ad_personalization

    def _dropped(self, flags: tuple[int, int], regions: set[str]) -> int:
        """The reason for which processing drops the member."""
        if DENIED in flags:
            return DENIED_CONSENT
        return NO_CONSENT if regions & CONSENT_NEEDED and flags != (GRANTED, GRANTED) else 0
