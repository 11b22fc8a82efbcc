"""Member rows (Arrow) -> the Data Manager's request bodies, as raw protobuf messages.

One AudienceMember per person with all the person's identifiers in one CompositeData.UserData, as Google's upgrade guide
asks; digests travel as 64 lower-case hex digits. An address goes only with all four parts: an incomplete one makes Google
refuse the request of 10,000 people.

Consent is declared for those who gave it and for nobody else: on the request when all of its people did, else on their own
members. `consent_unrecorded` marks those who did not give both; rows without that column say nothing of consent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    import pyarrow as pa

UNRECORDED = "consent_unrecorded"
ADDRESS = ("given_name", "family_name", "region_code", "postal_code")
GRANTED, ACCEPTED, HEX, GOOGLE_ADS = 1, 1, 1, 1
Texts = list[str | None]


@dataclass(frozen=True)
class Columns:
    """A batch's identifiers as text, column by column; `address` has the four parts."""

    rows: int
    emails: tuple[Texts, ...]
    phones: tuple[Texts, ...]
    address: tuple[Texts, ...]
    unrecorded: Texts | None = None
    """Not null where consent was not recorded; None: it is not known of anybody."""

    def granted(self, rows: Sequence[int]) -> list[int]:
        """Those of these rows whose people granted both consents."""
        if self.unrecorded is None:
            return []
        marks = self.unrecorded
        return [row for row in rows if marks[row] is None]

    def empty_rows(self) -> list[int]:
        """Rows that hold nothing that finds a person."""
        single = (*self.emails, *self.phones)
        return [row for row in range(self.rows) if not any(texts[row] for texts in single) and not self.has_address(row)]

    def has_address(self, row: int) -> bool:
        """Whether all four parts of the address are there."""
        return bool(self.address) and all(part[row] for part in self.address)


def read(chunks: Iterable[pa.RecordBatch]) -> Columns:
    """The identifier columns of a batch (`email`, `email#2` ...) and consent marks, digests as hex."""
    texts: dict[str, Texts] = {}
    rows = 0
    for chunk in chunks:
        for name, column in zip(chunk.schema.names, chunk.columns, strict=True):
            values = [one.hex() if isinstance(one, bytes) else one for one in column.to_pylist()]
            held = texts.setdefault(name, [_absent(name)] * rows)
            held.extend(values)
        rows += chunk.num_rows
        for name, held in texts.items():
            held.extend([_absent(name)] * (rows - len(held)))
    address = tuple(texts[name] for name in ADDRESS) if all(name in texts for name in ADDRESS) else ()
    return Columns(rows, _family(texts, "email"), _family(texts, "phone"), address, texts.get(UNRECORDED))


def _absent(name: str) -> str | None:
    """What stands for the rows of a chunk without this column: no identifier, no consent."""
    return "unknown" if name == UNRECORDED else None


def _family(texts: dict[str, Texts], name: str) -> tuple[Texts, ...]:
    return tuple(held for column, held in texts.items() if column.partition("#")[0] == name)


def fill(members: Any, columns: Columns, rows: Sequence[int], alone: Collection[int] = ()) -> None:
    """Nothing: `members` (a repeated AudienceMember) holds these rows, in this order; `alone` as `allow` gave it."""
    add = members.add
    for row in rows:
        member = add()
        fill_user(member.composite_data.user_data.user_identifiers, columns, row)
        if row in alone:
            grant(member.consent)


def fill_user(identifiers: Any, columns: Columns, row: int) -> None:
    """Nothing: `identifiers` (a repeated UserIdentifier) holds one person's."""
    for texts in columns.emails:
        if text := texts[row]:
            identifiers.add().email_address = text
    for texts in columns.phones:
        if text := texts[row]:
            identifiers.add().phone_number = text
    if columns.has_address(row):
        address = identifiers.add().address
        address.given_name, address.family_name, address.region_code, address.postal_code = (
            part[row] for part in columns.address
        )


def address_to(request: Any, account_id: str, login_account: str | None, list_id: str) -> None:
    """Nothing: the request goes to this list of this account."""
    destination = request.destinations.add()
    destination.operating_account.account_type = GOOGLE_ADS
    destination.operating_account.account_id = account_id
    destination.product_destination_id = list_id
    if login_account:
        destination.login_account.account_type = GOOGLE_ADS
        destination.login_account.account_id = login_account


def allow(request: Any, columns: Columns, rows: Sequence[int]) -> frozenset[int]:
    """Rows whose consent must stand on their own members or events: none when all granted it, for then the request says so.

    What is sent in carries consent (and members the terms); a removal only the encoding.
    """
    request.encoding = HEX
    if "terms_of_service" in request.DESCRIPTOR.fields_by_name:
        request.terms_of_service.customer_match_terms_of_service_status = ACCEPTED
    if "consent" not in request.DESCRIPTOR.fields_by_name:
        return frozenset()
    granted = columns.granted(rows)
    if len(granted) < len(rows):
        return frozenset(granted)
    grant(request.consent)
    return frozenset()


def grant(consent: Any) -> None:
    """Nothing: both consents are granted."""
    consent.ad_user_data = consent.ad_personalization = GRANTED
