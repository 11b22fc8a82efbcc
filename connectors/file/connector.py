"""One folder of lists, as the engine's protocol asks for a platform: nothing is pending, nothing is throttled."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from connectors.errors import ConfigurationError, FatalError, RetriableError
from connectors.file.formats import FORMATS
from connectors.file.lists import MemberList
from connectors.file.parts import cut
from connectors.file.shelf import Entry, Shelf
from connectors.file.uploads import FOLDER, Uploads
from connectors.protocol import AudienceHandle, AudienceState, AudienceStatus, Check, Receipt, utc_now

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import date, datetime

    from connectors.file.settings import FileAccount, FileSettings
    from connectors.file.uploads import Difference
    from connectors.protocol import AudienceSpec, Batch, CampaignDay, Capabilities, LookalikeSpec


class FileConnector:
    """Lists of one account; every list holds the whole audience as it should be now."""

    def __init__(
        self,
        settings: FileSettings,
        account: FileAccount,
        capabilities: Capabilities,
        *,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self.capabilities, self.account_id, self._now = capabilities, account.account_id, now
        self._format = FORMATS[account.format]
        wanted = account.largest_file_mb
        self._largest = self._format.largest if wanted is None else int(wanted * 1_000_000)
        self._shelf = Shelf(Path(settings.folder).expanduser() / account.account_id)
        self._lock = threading.Lock()

    def check(self) -> Sequence[Check]:
        """Whether the folder can be written; makes nothing."""
        folder = next(one for one in (self._shelf.folder, *self._shelf.folder.parents) if one.exists())
        ok = folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)
        remedy = "" if ok else f"let this user write {folder}, or change folder in platforms.yaml"
        return [Check(f"file {self.account_id} folder", ok, "" if ok else f"{folder} cannot be written", remedy)]

    def find_or_create(self, spec: AudienceSpec, remote_id: str = "") -> AudienceHandle:
        """The audience's list, made with its header alone when there is none."""
        with self._lock:
            entry = self._shelf.entries().get(remote_id) or self._shelf.named(spec.name)
            if entry is None:
                entry = self._make(spec)
        return AudienceHandle("file", self.account_id, spec, remote_id=entry.id, path=entry.file)

    def status(self, handle: AudienceHandle) -> AudienceStatus:
        """Ready, with the exact number of rows, and what is left to upload; or missing."""
        with self._lock:
            entry = self._shelf.entries().get(handle.remote_id)
            if entry is None:
                return AudienceStatus(AudienceState.MISSING)
            uploads = Uploads(self._list(entry, handle.spec))
            if uploads.stamp() != entry.uploaded:  # somebody uploaded the list meanwhile
                entry = replace(entry, **_counted(uploads.compare()))
                self._shelf.keep(entry)
            detail = f"{entry.file}: {_left(entry, self._parts(entry), self._format.smallest)}"
        return AudienceStatus(AudienceState.READY, entry.rows, entry.rows, detail=detail)

    def send(self, handle: AudienceHandle, batch: Batch) -> Receipt:
        """Everything accepted but rows without an identifier; the file is on disk, whole, when this returns."""
        with self._lock:
            entry = self._shelf.entries().get(handle.remote_id)
            if entry is None:
                raise FatalError(f"the list {handle.path} is gone", remedy="the next run writes it anew", platform="file")
            try:
                members = self._list(entry, handle.spec)
                written = members.apply(batch)
                stamp = self._now().isoformat(timespec="seconds")
                changed = Uploads(members).compare()
                self._shelf.keep(replace(entry, rows=written.rows, written_at=stamp, **_counted(changed)))
                self._parts(entry)
            except OSError as error:
                raise RetriableError(f"{entry.file} cannot be written: {error.strerror}", platform="file") from error
        rejected = {"no identifier": written.empty} if written.empty else {}
        return Receipt(accepted=batch.rows - written.empty, rejected=rejected, remote_id=entry.id)

    def settle(self, handle: AudienceHandle, reference: str, rows: int) -> Receipt:
        """Accepted: nothing is ever pending."""
        return Receipt(accepted=rows, remote_id=handle.remote_id)

    def find_or_create_lookalike(self, seed: AudienceHandle, spec: LookalikeSpec) -> AudienceHandle:
        """Raises ConfigurationError: lookalikes are made at the platform."""
        raise ConfigurationError(
            f"{spec.name!r}: a file makes no lookalike", remedy="make it at the platform, of the uploaded list", platform="file"
        )

    def delete(self, handle: AudienceHandle) -> None:
        """Nothing: the list is gone from the folder. At the platform only a person can delete it: whoever was uploaded is
        left in the list of removals."""
        with self._lock:
            entry = self._shelf.entries().get(handle.remote_id)
            if entry is not None:
                Uploads(self._list(entry, handle.spec)).retire()
                self._shelf.drop(entry)
                self._parts(entry)

    def campaign_days(self, since: date, until: date) -> Iterator[CampaignDay]:
        """Nothing: a folder has no campaigns."""
        return iter(())

    def close(self) -> None:
        """Nothing: no file is open."""

    def _make(self, spec: AudienceSpec) -> Entry:
        try:
            self._shelf.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            entry = self._shelf.new(spec.name)
            self._list(entry, spec).create()
            self._shelf.keep(entry)
        except OSError as error:
            raise ConfigurationError(
                f"{self._shelf.folder} cannot be written: {error.strerror}",
                remedy="change folder in platforms.yaml",
                platform="file",
            ) from error
        return entry

    def _parts(self, entry: Entry) -> dict[str, int]:
        """How many parts each of the list's files has now that is too large for one upload: "" (the list), "add", "remove"."""
        path = self._shelf.path(entry)
        kinds = {"": path, "add": path.with_suffix(".add.csv"), "remove": path.with_suffix(".remove.csv")}
        return {kind: count for kind, file in kinds.items() if (count := cut(file, self._largest))}

    def _list(self, entry: Entry, spec: AudienceSpec) -> MemberList:
        return MemberList(self._shelf.path(entry), self._format, weighted=spec.value_weighted)


def _counted(changed: Difference) -> dict[str, Any]:
    return {"uploaded": changed.stamp, "add": changed.add, "remove": changed.remove, "unread": changed.unread}


def _left(entry: Entry, parts: dict[str, int], smallest: int) -> str:
    """What a person has to do at the platform. `parts`: of the files that are too large; `smallest`: rows it takes at least."""
    stem, done = entry.file.removesuffix(".csv"), f"then copy {entry.file} into {FOLDER}/"
    few = f" (the platform takes lists of {smallest:,} rows and more)" if smallest and entry.rows < smallest else ""
    whole = f"upload {_named(stem, parts.get('', 0), first='replaces')}" if parts.get("") else "upload it"
    if not entry.uploaded:
        return f"{whole} at the platform as a new or replaced list{few}, {done}"
    if entry.unread:
        again = _named(stem, parts.get("", 0), first="replaces")
        return f"what lies in {FOLDER}/ is not the list as it was written: upload {again} as a replacement, {done}"
    if not (entry.add or entry.remove):
        return "uploaded as it is"
    steps = [f"remove the {entry.remove:,} of {_named(f'{stem}.remove', parts.get('remove', 0))}"] if entry.remove else []
    steps += [f"add the {entry.add:,} of {_named(f'{stem}.add', parts.get('add', 0))}"] if entry.add else []
    return f"changed since its upload: at the platform {', then '.join(steps)} (or upload it all as a replacement){few}, {done}"


def _named(stem: str, parts: int, *, first: str = "") -> str:
    """A file as a person finds it: itself, or its parts."""
    if not parts:
        return f"{stem}.csv"
    return f"{stem}.part-1.csv to -{parts}.csv" + (f" (the first {first}, the others are added)" if first else "")
