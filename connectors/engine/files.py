"""Files that only their owner can read, written whole or not at all."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_STEP = 1 << 22


def private_folder(path: Path) -> Path:
    """The folder, made if need be, open to its owner alone (0700)."""
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.chmod(0o700)
    return path


def spare_name(path: Path) -> Path:
    """The temporary neighbour under which a file is written before it takes its name."""
    return path.with_name(f".{path.name}.tmp")


def settle_file(spare: Path, path: Path) -> None:
    """Nothing: `spare` is on disk (fsync) under the name `path`, and so is the folder's entry."""
    spare.chmod(0o600)
    with spare.open("rb") as handle:
        os.fsync(handle.fileno())
    spare.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Nothing: the folder's entries survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_private(path: Path, content: bytes) -> None:
    """Nothing: `content` is at `path`, whole, owner-only and synced."""
    spare = spare_name(path)
    with open(os.open(spare, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as handle:
        handle.write(content)
    settle_file(spare, path)


def file_digest(path: Path) -> str:
    """BLAKE2b-128 of a file's bytes, as hex."""
    digest = hashlib.blake2b(digest_size=16)
    with path.open("rb") as handle:
        while chunk := handle.read(_STEP):
            digest.update(chunk)
    return digest.hexdigest()
