"""Uploads: each file of a batch goes out while the next one is built. At most two are on disk, none is left behind."""

from __future__ import annotations

import hashlib
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from connectors.errors import FatalError
from connectors.tiktok.codes import BAD_SIGNATURE
from connectors.tiktok.files import LIMIT, MemberFile, rows_each, write_files

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Future

    from connectors.protocol import Batch
    from connectors.tiktok.client import Client

UPLOAD = "/dmp/custom_audience/file/upload/"


@dataclass(frozen=True, slots=True)
class Uploaded:
    """The paths that TikTok gave, and the rows they hold."""

    file_paths: list[str]
    rows: int


@contextmanager
def private_folder() -> Iterator[Path]:
    """An owner-only folder that is gone afterwards, whatever happens."""
    with tempfile.TemporaryDirectory(prefix="clvsync-tiktok-") as name:
        yield Path(name)


def upload_members(
    client: Client, advertiser_id: str, batch: Batch, columns: Sequence[str], calculate_type: str, *, limit: int = LIMIT
) -> Uploaded:
    """What a create or update call needs: the paths of the batch's files, in order.

    One file is under way while the next is built, never more; each leaves the disk once TikTok has it. The first error of
    either side ends both: files that no call names have no effect at TikTok.
    """
    paths: list[str] = []
    rows = 0
    sending: Future[str] | None = None
    with private_folder() as folder, ThreadPoolExecutor(1, thread_name_prefix="tiktok-upload") as uploader:
        each = rows_each(batch.rows)
        for file in write_files(batch.chunks, columns, calculate_type, folder, limit=limit, rows=each):
            paths += [sending.result()] if sending else []
            sending = uploader.submit(_upload, client, advertiser_id, file, calculate_type)
            rows += file.rows
        paths += [sending.result()] if sending else []
    return Uploaded(paths, rows)


def _upload(client: Client, advertiser_id: str, file: MemberFile, calculate_type: str) -> str:
    fields: dict[str, Any] = {"advertiser_id": advertiser_id, "calculate_type": calculate_type}
    try:
        answer = client.upload(UPLOAD, {**fields, "file_signature": file.signature}, file.path)
    except FatalError as error:
        if error.code != str(BAD_SIGNATURE):
            raise
        with file.path.open("rb") as content:
            signature = hashlib.file_digest(content, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
        answer = client.upload(UPLOAD, {**fields, "file_signature": signature}, file.path)
    file.path.unlink()
    return str(answer.data["file_path"])
