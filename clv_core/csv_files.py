"""How a CSV file is read: by its first line alone, never by a guess from its rows.

A guess could take a row for the header, a comment or another quote; whoever's row that is would be lost without a word.
"""

from __future__ import annotations

import csv
import io
import re
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING

from clv_core.findings import InputError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

HEAD = 1 << 18  # bytes that hold the header line
DELIMITERS = ",;\t|"
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SEPARATOR = re.compile(r'"?sep=.?"?', re.IGNORECASE)  # the line by which Excel is told the delimiter
_BINARY = (
    (b"PK\x03\x04", "is an Excel workbook or a zip file, not a CSV", "save it as `CSV UTF-8`, or unpack it"),
    (b"\xd0\xcf\x11\xe0", "is an old Excel workbook, not a CSV", "save it as `CSV UTF-8`"),
    (b"\x1f\x8b", "is packed", "name it .csv.gz"),
    (b"\x28\xb5\x2f\xfd", "is packed", "name it .csv.zst"),
    (b"PAR1", "is a Parquet file", "name it .parquet"),
    (b"\xff\xfe", "is not UTF-8 text but UTF-16", "export it as UTF-8"),
    (b"\xfe\xff", "is not UTF-8 text but UTF-16", "export it as UTF-8"),
)


def plain(name: str) -> str:
    """A column's name as names are compared: lower case, underscores (also for orderDate), no blanks around it."""
    return _HUMP.sub("_", name.strip().lstrip("\ufeff")).lower().replace(" ", "_").replace("-", "_")


def data_suffix(path: Path) -> str:
    """The suffix that tells the format, lower case: that before .gz or .zst, if the file is packed."""
    return next((one for one in reversed([one.lower() for one in path.suffixes]) if one not in (".gz", ".zst")), "")


def matching(path: Path) -> list[Path]:
    """The files of a path that may be a pattern such as `orders-*.csv`, by name; empty when there is none."""
    return [path] if path.is_file() else sorted(Path(one) for one in glob(str(path), recursive=True) if Path(one).is_file())


def listed(files: Sequence[Path]) -> str:
    """The files as DuckDB takes them."""
    return "[" + ", ".join("'" + str(one).replace("'", "''") + "'" for one in files) + "]"


def csv_sql(files: Sequence[Path], known: Collection[str], *, lenient: bool = False) -> str:
    """The DuckDB call that reads the files, all columns as text. Raises InputError when a first line can't be a header, or
    isn't that of the first file: columns in another order would be read as each other.

    `known`: names, as `plain` makes them, by which the delimiter is told (comma, semicolon, tab or bar) and which must not
    come twice. `lenient`: short rows are filled up.
    """
    first = files[0]
    names, delimiter, skip = _header(first, known)
    for other in files[1:]:
        if _header(other, known) != (names, delimiter, skip):
            remedy = "export both with the same columns in the same order"
            raise InputError(f"the first line of {other.name} is unlike that of {first.name}", remedy=remedy)
    quoted = ", ".join("'" + name.replace("'", "''") + "': 'VARCHAR'" for name in _distinct(names, known, first.name))
    rows = ", strict_mode=false, null_padding=true" if lenient else ""
    return (
        f"read_csv({listed(files)}, header=true, auto_detect=false, skip={skip}, delim='{delimiter}', quote='\"', escape='\"', "
        f"comment='', columns={{{quoted}}}{rows})"
    )


def _header(path: Path, known: Collection[str]) -> tuple[list[str], str, int]:
    """The names of the first line that isn't blank (or `sep=;`), what divides them and how many lines come before."""
    text = _head(path)
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    skip = next((number for number, line in enumerate(lines) if line.strip() and not _SEPARATOR.fullmatch(line.strip())), None)
    if skip is None:
        raise InputError("there is no header line", file=path.name, remedy="export it again, with a header line")
    head = "\n".join(lines[skip:])
    found = {mark: next(csv.reader(io.StringIO(head), delimiter=mark)) for mark in DELIMITERS}
    best = max(DELIMITERS, key=lambda mark: (sum(plain(name) in known for name in found[mark]), len(found[mark])))
    return found[best], best, skip


def _head(path: Path) -> str:
    import pyarrow as pa

    try:
        with pa.input_stream(str(path), compression="detect") as stream:
            head: bytes = stream.read(HEAD)
    except OSError:
        raise InputError(
            "can't be unpacked", file=path.name, remedy="pack it again (.gz or .zst), or name it .csv if it isn't packed"
        ) from None
    for mark, message, remedy in _BINARY:
        if head.startswith(mark):
            raise InputError(message, file=path.name, remedy=remedy)
    try:
        return head.decode("utf-8-sig") if len(head) < HEAD else head.rpartition(b"\n")[0].decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise not_text(path.name, head[: error.start].count(b"\n") or None) from None


def not_text(file: str, row: int | None) -> InputError:
    """The InputError for bytes that are no UTF-8."""
    remedy = "export it as UTF-8 (it may be Latin-1 or Windows-1252, in which Excel saves `CSV`; choose `CSV UTF-8`)"
    return InputError("is not UTF-8 text", file=file, row=row, remedy=remedy)


def _distinct(names: list[str], known: Collection[str], file: str) -> list[str]:
    """The names, made distinct; raises InputError when one that is known comes twice."""
    out: list[str] = []
    taken: set[str] = set()
    for number, name in enumerate(name.strip() for name in names):
        if plain(name) in known and name.lower() in taken:
            raise twice(name, file)
        fresh = name or f"column{number}"
        while fresh.lower() in taken:
            fresh += "_"
        taken.add(fresh.lower())
        out.append(fresh)
    return out


def twice(name: str, file: str) -> InputError:
    """The InputError for two columns of one name."""
    return InputError(f"two columns are called {name}", file=file, column=name, remedy="rename or leave out one of them")
