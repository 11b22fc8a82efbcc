"""Members, compact: a row is its identifiers, each one letter of kind and the raw digest, sorted and joined.

An audience is a set of rows (sending one twice changes nothing). TikTok resolves identifiers to people, so removing a row
removes every row that shares an identifier with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

NAMES = {"E": "EMAIL", "P": "PHONE", "M": "MAID", "I": "IDFA", "A": "AAID"}
LENGTHS = {ord(kind): 33 for kind in "EPMIA"} | {ord(kind): 17 for kind in "mia"}  # small letters are MD5


def pack(cells: Iterable[tuple[str, str]]) -> bytes:
    """A row from (kind, hex digest); raises ValueError when a digest has the wrong length or letters."""
    parts = []
    for kind, digest in cells:
        part = kind.encode() + bytes.fromhex(digest)
        if len(part) != LENGTHS[part[0]] or len(digest) != 2 * (len(part) - 1):
            raise ValueError("digest of the wrong length")
        parts.append(part)
    return b"".join(sorted(set(parts)))


def unpack(row: bytes) -> Iterator[bytes]:
    """A row's identifiers."""
    at = 0
    while at < len(row):
        end = at + LENGTHS[row[at]]
        yield row[at:end]
        at = end


def shown(row: bytes) -> dict[str, list[str]]:
    """A row as people read it: name of kind -> hex digests."""
    found: dict[str, list[str]] = {}
    for part in unpack(row):
        letter = chr(part[0])
        name = NAMES[letter.upper()] + ("_MD5" if letter.islower() else "")
        found.setdefault(name, []).append(part[1:].hex())
    return found


class Members:
    """The rows of one audience, with an index by identifier built when something is removed."""

    def __init__(self, rows: Iterable[bytes] = ()) -> None:
        self.rows: set[bytes] = set(rows)
        self._index: dict[bytes, set[bytes]] | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def add(self, rows: Iterable[bytes]) -> None:
        """Nothing: the rows are in."""
        for row in rows:
            if row and row not in self.rows:
                self.rows.add(row)
                if self._index is not None:
                    for part in unpack(row):
                        self._index.setdefault(part, set()).add(row)

    def remove_rows(self, rows: Iterable[bytes]) -> None:
        """Nothing: rows that share an identifier with one of these are out."""
        for row in rows:
            for part in unpack(row):
                for held in list(self._indexed().get(part, ())):
                    self._drop(held)

    def remove_identifiers(self, rows: Iterable[bytes]) -> None:
        """Nothing: these identifiers are out; a row lives on by its others."""
        for row in rows:
            gone = set(unpack(row))
            for part in gone:
                for held in list(self._indexed().get(part, ())):
                    self._drop(held)
                    left = b"".join(one for one in unpack(held) if one not in gone)
                    if left:
                        self.add([left])

    def matched(self, rates: dict[str, float]) -> int:
        """How many rows TikTok knows: at least one identifier is below its kind's match rate (fixed by the digest)."""
        if all(rate >= 1 for rate in rates.values()):
            return len(self.rows)
        return sum(any(_known(part, rates) for part in unpack(row)) for row in self.rows)

    def _indexed(self) -> dict[bytes, set[bytes]]:
        if self._index is None:
            self._index = {}
            for row in self.rows:
                for part in unpack(row):
                    self._index.setdefault(part, set()).add(row)
        return self._index

    def _drop(self, row: bytes) -> None:
        self.rows.discard(row)
        for part in unpack(row):
            self._indexed().get(part, set()).discard(row)


def _known(part: bytes, rates: dict[str, float]) -> bool:
    name = NAMES[chr(part[0]).upper()]
    return int.from_bytes(part[1:5], "big") < rates.get(name, 1.0) * 2**32
