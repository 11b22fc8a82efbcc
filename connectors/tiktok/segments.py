"""The streaming path, for audiences that only exclude: rows of digests mapped to an audience, taken at once.

`/segment/mapping/` takes one value per kind in a row, so a person with three e-mails is three rows. The largest call is not
documented: 1,000 rows and 1 MB, as others send. Whether a mobile id is an IDFA or an AAID cannot be told from its digest, so
it is sent as both.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from connectors.errors import ConfigurationError, RemovalRefusedError
from connectors.protocol import Operation, Receipt
from connectors.tiktok.codes import PARTIAL
from connectors.tiktok.files import hexadecimal, kind_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

    from connectors.protocol import AudienceHandle, Batch
    from connectors.tiktok.audiences import Directory
    from connectors.tiktok.client import Answer

NAME_LIMIT = 70  # longer names are cut by TikTok, and two could become one
ROWS, BYTES = 1_000, 1_000_000
SCHEMAS = {"EMAIL": ("EMAIL_SHA256",), "PHONE": ("PHONE_SHA256",), "MAID": ("IDFA_SHA256", "AAID_SHA256")}
Row = tuple[str | None, ...]


class Segments:
    """Makes streaming audiences and keeps their members."""

    def __init__(self, directory: Directory, columns: Sequence[str]) -> None:
        self.directory = directory
        self.kinds = list(dict.fromkeys(kind_of(name) for name in columns))
        self.columns = {kind: [name for name in columns if kind_of(name) == kind] for kind in self.kinds}

    def create(self, name: str) -> str:
        """The id of a new streaming audience, made once even when the reply is lost."""
        if len(name) > NAME_LIMIT:
            raise ConfigurationError(
                f"TikTok cuts names of exclusion audiences at {NAME_LIMIT} characters: {name!r}",
                remedy="shorten the name in audiences.yaml",
                platform="tiktok",
            )
        body = {"advertiser_id": self.directory.advertiser_id, "action": "create", "custom_audience_name": name}
        return self.directory.make(
            lambda: str(self.directory.client.post_once("/segment/audience/", body).data["audience_id"]),
            lambda: next((one.id for one in self.directory.named(name, "stream")), ""),
        )

    def send(self, handle: AudienceHandle, batch: Batch) -> Receipt:
        """A receipt with every row accepted, since TikTok names no row; those of a call done in part are unknown."""
        if batch.operation is Operation.REPLACE:
            raise RemovalRefusedError(
                f"{handle.spec.name!r} is a streaming audience, which TikTok cannot replace",
                remedy="remove and add instead, or delete the audience and make it anew",
                platform="tiktok",
            )
        action = "delete" if batch.operation is Operation.REMOVE else "add"
        seen: Counter[str] = Counter()
        partly: list[str] = []
        for schema, rows in _calls(batch, self.kinds, self.columns, seen):
            answer = self._map(handle.remote_id, action, schema, rows)
            if answer.code == PARTIAL:
                partly.append(f"a call was done in part: {self.directory.client.redact(answer.message)}")
                seen["unknown"] += len(rows)
        empty = {"no identifier": seen["empty"]} if seen["empty"] else {}
        unknown = min(seen["unknown"], batch.rows - seen["empty"])  # a person with several e-mails is several rows there
        accepted = batch.rows - seen["empty"] - unknown
        return Receipt(accepted, empty, unknown=unknown, remote_id=handle.remote_id, detail="; ".join(partly[:1]))

    def _map(self, audience_id: str, action: str, kinds: Sequence[str], rows: list[Row]) -> Answer:
        schema = [name for kind in kinds for name in SCHEMAS[kind]]
        owners = [audience_id]
        data = [
            [
                {"id": cell, "audience_ids": owners} if cell else {}
                for kind, cell in zip(kinds, row, strict=True)
                for _ in SCHEMAS[kind]
            ]
            for row in rows
        ]
        body = {
            "advertiser_ids": [self.directory.advertiser_id],
            "action": action,
            "id_schema": schema,
            "batch_data": data,
        }
        return self.directory.client.post_stream("/segment/mapping/", body, sum(bool(cell) for row in data for cell in row))


def _calls(
    batch: Batch, kinds: Sequence[str], columns: dict[str, list[str]], seen: Counter[str]
) -> Iterator[tuple[Sequence[str], list[Row]]]:
    """Rows in groups that fit one call, with the kinds that the group has at all."""
    cells = sum(len(SCHEMAS[kind]) for kind in kinds)
    width = cells * len(json.dumps({"id": "0" * 64, "audience_ids": ["0" * 20]}))
    size = max(1, min(ROWS, (BYTES - 1_000) // width))
    waiting: list[Row] = []
    for chunk in batch.chunks():
        for row in _rows(chunk, kinds, columns, seen):
            waiting.append(row)
            if len(waiting) == size:
                yield _narrow(kinds, waiting)
                waiting = []
    if waiting:
        yield _narrow(kinds, waiting)


def _rows(chunk: pa.RecordBatch, kinds: Sequence[str], columns: dict[str, list[str]], seen: Counter[str]) -> Iterator[Row]:
    """A person's first values of each kind together, then second values, then third."""
    values: dict[str, list[Any]] = {
        name: hexadecimal(chunk.column(name)).to_pylist() for kind in kinds for name in columns[kind]
    }
    depth = max((len(columns[kind]) for kind in kinds), default=0)
    by_depth = [[values[columns[kind][n]] if n < len(columns[kind]) else None for kind in kinds] for n in range(depth)]
    for number in range(chunk.num_rows):
        levels = [tuple(column[number] if column is not None else None for column in level) for level in by_depth]
        filled = [row for row in levels if any(row)]
        seen["empty"] += not filled
        yield from filled


def _narrow(kinds: Sequence[str], rows: list[Row]) -> tuple[Sequence[str], list[Row]]:
    used = [n for n in range(len(kinds)) if any(row[n] for row in rows)]
    return [kinds[n] for n in used], [tuple(row[n] for n in used) for row in rows]
