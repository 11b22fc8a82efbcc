"""The table of Google's error codes (`codes.tsv`): meaning, class in `connectors.errors`, remedy.

Sources: the ErrorReason and ProcessingErrorReason enums of the Data Manager API v1, the error enums of the Google Ads API
v26, the gRPC statuses, and what the platform's fact sheet says each must be treated as. A code that isn't in the table is
fatal with Google's own text, never a success.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

from connectors import errors

DATA_MANAGER, PROCESSING, GRPC = "data_manager", "processing", "grpc"


@dataclass(frozen=True, slots=True)
class Code:
    """One code: `source` is data_manager, processing, grpc, or the field of Google Ads' ErrorCode (`user_list_error`)."""

    source: str
    code: str
    number: int
    error: type[errors.SyncError]
    meaning: str
    remedy: str


@lru_cache(maxsize=1)
def table() -> dict[tuple[str, str], Code]:
    """Every known code by (source, code)."""
    text = files(__package__).joinpath("codes.tsv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(text.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE))
    return {
        (row["source"], row["code"]): Code(
            row["source"],
            row["code"],
            int(row["number"]),
            getattr(errors, row["error"]),
            row["meaning"],
            row["remedy"],
        )
        for row in rows
    }


def lookup(source: str, code: str) -> Code:
    """The code's row; unknown codes are fatal."""
    known = table().get((source, code))
    return known or Code(source, code, 0, errors.FatalError, "", "Google uses a code that this version does not know")
