"""Values that are digests already: recognised, put in lower case, never hashed twice; digests of the wrong kind are refused."""

from __future__ import annotations

import base64

import polars as pl

EMPTY_DIGEST = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
SHA256_HEX = r"^[0-9A-Fa-f]{64}$"
SHA256_BASE64 = r"^[A-Za-z0-9+/]{43}=$"
ALREADY_HASHED = "already hashed"


def recognise(text: pl.Series, *, hashed: bool, uuids: bool = False) -> pl.DataFrame:
    """Per trimmed value: `digest` (64 hex, lower case) where it is one, `reason` where it is one that cannot be used.

    SHA-256 in base64 is taken too, for Google's exports use it. Where a field travels unhashed, a digest is refused.
    `uuids`: 32 hex characters may be an id without its hyphens, which the field's rule decides.
    """
    size = pl.col("v").str.len_bytes()
    hexadecimal = pl.col("v").str.contains(r"^[0-9A-Fa-f]+$")
    frame = pl.DataFrame({"v": text}).with_columns(
        digest=pl.when((size == 64) & hexadecimal).then(pl.col("v").str.to_lowercase()),
        base64=(size == 44) & pl.col("v").str.contains(SHA256_BASE64),
        kind=pl.when((size == 32) & hexadecimal & (not uuids))
        .then(pl.lit("MD5 digest"))
        .when((size == 40) & hexadecimal)
        .then(pl.lit("SHA-1 digest")),
    )
    if not hashed:
        return frame.select(
            digest=pl.lit(None, dtype=pl.String), reason=pl.when(pl.col("digest").is_not_null()).then(pl.lit(ALREADY_HASHED))
        )
    if frame["base64"].any():
        decoded = pl.col("v").map_elements(_hex, return_dtype=pl.String)
        frame = frame.with_columns(digest=pl.when("base64").then(decoded).otherwise("digest"))
    empty = pl.col("digest") == EMPTY_DIGEST
    return frame.select(
        digest=pl.when(~empty).then("digest"),
        reason=pl.when(empty).then(pl.lit("digest of empty text")).otherwise("kind"),
    )


def _hex(text: str) -> str | None:
    return base64.b64decode(text).hex() if len(text) == 44 and text.endswith("=") else None
