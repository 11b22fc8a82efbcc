"""What the state folder and write-back targets keep of customers besides audiences, and how the erased are taken out of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connectors import clicks, experiments, paperwork, sources, tables, writeback
from connectors.errors import SyncError

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from connectors.archive import Archive
    from connectors.config import Settings
    from connectors.engine.ledger import Ledger

ELSEWHERE = (
    "not known here: pages and tables that `report --out` or `score --out` wrote elsewhere, backups of the state folder, and "
    "the sources themselves: erase them there too"
)


def forget(settings: Settings, ids: Collection[str], archive: Archive, ledger: Ledger) -> tuple[list[str], bool]:
    """Notes on what was taken out of scores of all kept runs, experiments, clicks, the page and the write-back target, and
    whether all of it was done."""
    rows = archive.forget(ids)
    experiments.forget(settings.state, ledger)
    page = paperwork.forget(settings)
    notes = [f"{rows} rows were taken out of the kept scores" + ("; the page of the last run was removed" if page else "")]
    notes += _clicks(settings, ids, ledger)
    back, done = writeback.forget(settings, ids)
    return [*notes, *back, ELSEWHERE], done


def _clicks(settings: Settings, ids: Collection[str], ledger: Ledger) -> list[str]:
    """Their clicks are found by the click ids of their contacts, as long as the source has those."""
    import pyarrow as pa
    import pyarrow.compute as pc

    source = settings.sources.contacts
    if source is None or clicks.read(settings.state, ledger.key) is None:
        return []
    try:
        known = sources.contacts(source, settings.folder)
    except SyncError as error:
        return [f"their clicks were not looked for, since the contacts can't be read: {error}"]
    mine = known.filter(pc.is_in(known["customer_id"], pa.array(sorted(ids), pa.string())))
    gone = clicks.forget(settings.state, mine["click_id"].drop_null().to_pylist(), ledger.key)
    return [f"{gone} clicks of theirs were taken out of what is remembered"] if gone else []


def reseal(state: Path, old: bytes | None, key: bytes | None) -> None:
    """Nothing: tables beside the ledger that were kept under `old` are kept under `key`."""
    folders = [state, *(path for path in (state / "runs").glob("*") if path.is_dir())]
    for folder in folders:
        for path in sorted(one for ending in tables.KEPT_ENDINGS for one in folder.glob(f"*.{ending}")):
            tables.reseal(path, old, key)
