"""Arrow tables to and from files, by the file's ending."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connectors.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

ENDINGS = (".parquet", ".csv")


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
    spare.replace(path)


def read(path: Path) -> pa.Table:
    """The table of a Parquet file."""
    import pyarrow.parquet as parquet

    return parquet.read_table(path)
