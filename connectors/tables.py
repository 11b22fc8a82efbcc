"""Arrow tables to and from files, by the file's ending."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from connectors.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

ENDINGS = (".parquet", ".csv")
KEPT_ENDINGS = ("sealed", "parquet")
SEALED_ROWS = 65_536


def check_name(path: Path) -> None:
    """Nothing; raises ConfigurationError when the ending says no format or the folder is missing."""
    if path.suffix not in ENDINGS:
        raise ConfigurationError(f"{path.name}: what format?", remedy=f"end the name with {' or '.join(ENDINGS)}")
    if not path.absolute().parent.is_dir():
        raise ConfigurationError(f"there is no folder {path.parent}", remedy="make it first")


def write(table: pa.Table, path: Path) -> None:
    """Nothing: the table is in the file, whole or not at all."""
    spare = path.with_name(f".{path.name}.part")
    if path.suffix == ".csv":
        import pyarrow.csv as csv

        csv.write_csv(table, spare)
    else:
        import pyarrow.parquet as parquet

        parquet.write_table(table, spare, compression="zstd")
    with spare.open("rb") as file:
        os.fsync(file.fileno())  # a name that survives a power cut must not lead to an empty file
    spare.replace(path)


def read(path: Path) -> pa.Table:
    """The table of a Parquet file."""
    import pyarrow.parquet as parquet

    return parquet.read_table(path)


def keep(table: pa.Table, path: Path, key: bytes | None) -> None:
    """Nothing: the table is kept in the state folder under `path` (no ending), owner-only, sealed when a key is given."""
    sealed, plain = path.with_name(f"{path.name}.sealed"), path.with_name(f"{path.name}.parquet")
    if key is None:
        write(table, plain)
        plain.chmod(0o600)
        sealed.unlink(missing_ok=True)
        return
    from connectors.engine.pieces import PieceWriter

    with PieceWriter(sealed, table.schema, key) as writer:
        for batch in table.to_batches(SEALED_ROWS):
            writer.write(batch)
    plain.unlink(missing_ok=True)


def kept(path: Path, key: bytes | None, columns: list[str] | None = None) -> pa.Table | None:
    """The table kept under `path` (no ending), or these columns of it; None when there is none."""
    sealed, plain = path.with_name(f"{path.name}.sealed"), path.with_name(f"{path.name}.parquet")
    if sealed.is_file():
        import pyarrow as pa

        from connectors.engine.pieces import Pieces

        pieces = Pieces(sealed, key)
        table = pa.Table.from_batches(list(pieces), schema=pieces.schema)
        return table.select(columns) if columns else table
    if not plain.is_file():
        return None
    import pyarrow.parquet as parquet

    return parquet.read_table(plain, columns=columns)


def is_kept(path: Path) -> bool:
    """Whether a table is kept under `path` (no ending)."""
    return any(path.with_name(f"{path.name}.{ending}").is_file() for ending in KEPT_ENDINGS)


def reseal(path: Path, old: bytes | None, key: bytes | None) -> None:
    """Nothing: the table kept in the file `path` is kept under `key` now, if it was kept under `old` or under no key."""
    from connectors.engine.pieces import Pieces
    from connectors.errors import FatalError

    if path.suffix == ".sealed" and key is not None:
        try:
            Pieces(path, key)
        except FatalError:
            pass
        else:
            return
    bare = path.with_suffix("")
    table = kept(bare, old)
    if table is not None:
        keep(table, bare, key)
