"""Identifiers kept from night to night: who has the same contacts as last night is not normalised and hashed again.

Kept of a person are a keyed digest of all that the identifiers are made of, and the identifiers as the platform takes them:
digests, and what it takes unhashed but finds nobody by alone (country, postal code). A person stays only if there is nothing
to say of them in the report beside valid and empty. The files are sealed, and rewritten by every plan; one that can't be read
is made anew, for all in it comes from the source.
"""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from connectors.engine import normalise
from connectors.engine.content import WIDTH
from connectors.engine.files import private_folder
from connectors.engine.pieces import Pieces, PieceWriter
from connectors.errors import FatalError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from connectors.engine.identity import IdentityRules
    from connectors.engine.ledger import Ledger
    from connectors.protocol import Recipe

_log = logging.getLogger("clvsync.identity")
SPANS = b"spans"
CONTENT = pa.field("content", pa.binary(WIDTH))
LIBRARIES = ("clv-audience-sync", "polars", "polars-hash", "pyarrow", "duckdb", "phonenumberslite", "email-validator")
OF_IDENTITY = (
    "contact_columns content digests distinct identified judged known laying member_columns row_digests shared".split()
)


@dataclass(frozen=True)
class KnownFolder:
    """Where they are kept. `seal` seals the files, `digest_key` makes the digests of contacts; both are the state folder's."""

    folder: Path
    seal: bytes
    digest_key: bytes

    def path(self, recipe: Recipe, rules: IdentityRules) -> Path:
        """The file of a recipe and rules, as this very program follows them."""
        switches = replace(rules, opt_in=frozenset())  # a set has another order in every process
        text = f"{recipe!r} {switches!r} {sorted(rules.opt_in)} {_program()}"
        return private_folder(self.folder) / f"{hashlib.blake2b(text.encode(), digest_size=12).hexdigest()}.pieces"

    def last(self, path: Path, schema: pa.Schema) -> Known:
        """What the last plan kept in this file."""
        return Known(path, self.seal, schema)

    def files(self) -> list[Path]:
        """All files, those of a killed run too."""
        return sorted(one for one in self.folder.iterdir() if one.is_file()) if self.folder.is_dir() else []

    def forget(self, gone: pa.Array) -> int:
        """How many rows of these members (keys, binary of 16 bytes) were taken out; a file that can't be read is gone."""
        taken = 0
        for path in self.files():
            try:
                taken += self._without(path, gone)
            except FatalError:
                path.unlink()
        return taken

    def _without(self, path: Path, gone: pa.Array) -> int:
        pieces = Pieces(path, self.seal)
        held = 0
        with PieceWriter(path, pieces.schema, self.seal) as writer:
            for piece in pieces:
                left = piece.filter(pc.invert(pc.is_in(piece.column("member_key").storage, gone)))
                held += piece.num_rows - left.num_rows
                writer.write(left)
        return held

    def drop(self, before: float | None = None) -> None:
        """Nothing: the files are gone, or those that no plan has written since this time."""
        for path in self.files():
            if before is None or path.stat().st_mtime < before:
                path.unlink(missing_ok=True)


def known_folder(ledger: Ledger) -> KnownFolder:
    """That of a state folder."""
    return KnownFolder(ledger.identities, ledger.seal_for("identities"), ledger.key_for("identities"))


class Known:
    """Last night's rows of one recipe and rules; empty when there are none."""

    def __init__(self, path: Path, seal: bytes, schema: pa.Schema) -> None:
        self._pieces: Pieces | None = None
        self._spans: Sequence[tuple[int, int]] = ()
        if not path.is_file():
            return
        try:
            found = Pieces(path, seal)
            if found.schema.equals(schema):
                self._spans = [tuple(one) for one in json.loads((found.schema.metadata or {})[SPANS])]
                self._pieces = found
        except (FatalError, KeyError, ValueError, TypeError):
            self._damaged()

    def _damaged(self) -> None:
        self._pieces = None
        _log.warning("identifiers kept from an earlier run can't be read: they are made anew from the contacts")

    def find(self, first: int, end: int, contents: NDArray[np.uint8]) -> tuple[pa.Table | None, NDArray[np.int64]]:
        """The rows of the parts from `first` to before `end`, and for each content digest its row there, -1 for none."""
        nowhere = np.full(len(contents), -1, np.int64)
        try:
            if self._pieces is None:
                return None, nowhere
            near = [number for number, span in enumerate(self._spans) if span[0] < end and span[1] > first]
            table = pa.Table.from_batches([self._pieces.read(number) for number in near], schema=self._pieces.schema)
        except (FatalError, pa.ArrowInvalid, IndexError):
            self._damaged()
            return None, nowhere
        held = table["content"].combine_chunks()
        rows = np.flatnonzero(held.is_valid().to_numpy(zero_copy_only=False))
        if not len(rows) or not len(contents):
            return None, nowhere
        known, asked = _words(held.drop_null()), np.ascontiguousarray(contents).view(np.uint64).reshape(-1, 2)
        order = np.argsort(known[:, 0])
        places = order[np.minimum(np.searchsorted(known[order, 0], asked[:, 0]), len(order) - 1)]
        same = (known[places] == asked).all(axis=1)
        return table, np.where(same, rows[places], -1)


def spanned(schema: pa.Schema, spans: Iterable[tuple[int, int]]) -> pa.Schema:
    """The schema with the parts of the file's pieces."""
    return schema.with_metadata({SPANS: json.dumps(list(spans)).encode()})


def _words(column: pa.Array) -> NDArray[np.uint64]:
    found: NDArray[np.uint64] = np.frombuffer(
        column.buffers()[1], np.uint64, count=2 * len(column), offset=WIDTH * column.offset
    ).reshape(-1, 2)
    return found


def _program() -> str:
    """What decides how contacts become identifiers: this program's own text, and the versions of the libraries it asks."""
    here = Path(__file__).parent
    own = [*sorted(Path(normalise.__file__).parent.glob("*.py")), *(here / f"{one}.py" for one in OF_IDENTITY)]
    digest = hashlib.blake2b(digest_size=16)
    for path in own:
        digest.update(path.read_bytes())
    return f"{digest.hexdigest()} {[version(one) for one in LIBRARIES]}"
