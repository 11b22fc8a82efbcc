"""Mobile advertising ids and the advertiser's own ids."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import polars as pl

from connectors.engine.normalise.phone_library import is_number
from connectors.engine.normalise.rule import INVISIBLE, Rule, Settled, each, lowered

if TYPE_CHECKING:
    from connectors.engine.normalise.switches import IdentityRules

UUID = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
UUID_BARE = r"^([0-9a-f]{8})([0-9a-f]{4})(4[0-9a-f]{3})([89ab][0-9a-f]{3})([0-9a-f]{12})$"
PHONE_LIKE = re.compile(r"(?:\+|00)[\d\s().\-/]{7,}|\(?\d{2,4}\)?[\s.\-/]+\d{2,4}[\s.\-/]+\d{2,}[\d\s.\-/]*|\d{10,15}")
CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def fast_uuid(values: pl.Series, _countries: pl.Series | None, _rules: IdentityRules) -> pl.Series:
    """The lower-cased id where it is a UUID that isn't blank, else null."""
    frame = pl.DataFrame({"v": values.str.to_lowercase()})
    good = pl.col("v").str.contains(UUID) & pl.col("v").str.contains("[1-9a-f]")
    return frame.select(pl.when(good).then("v"))["v"]


def settle_mobile_ad_id(values: pl.Series, _countries: pl.Series, _rules: IdentityRules) -> Settled:
    """Ids in lower case with their hyphens; a version 4 UUID without hyphens gets them; blank ids and digests are refused."""
    frame = pl.DataFrame({"v": lowered(values)}).with_columns(v=pl.col("v").str.replace_all(INVISIBLE, ""))
    frame = frame.with_columns(v=pl.col("v").str.strip_chars("{} ").str.replace(UUID_BARE, "${1}-${2}-${3}-${4}-${5}"))
    frame = frame.with_columns(
        reason=pl.when(~pl.col("v").str.contains(r"^[0-9a-z_\-]+$"))
        .then(pl.lit("not an ad id"))
        .when(~pl.col("v").str.contains("[1-9a-z]"))
        .then(pl.lit("blank id"))
        .when(pl.col("v").str.contains(r"^[0-9a-f]{40}$"))
        .then(pl.lit("SHA-1 digest"))
        .when(pl.col("v").str.contains(r"^[0-9a-f]{32}$"))
        .then(pl.lit("MD5 digest"))
    )
    return Settled(frame.select(pl.when(pl.col("reason").is_null()).then("v"))["v"], frame["reason"])


def _external(text: str, country: str | None, _rules: IdentityRules) -> tuple[str | None, str | None, str | None]:
    if "@" in text or "＠" in text:
        return None, "looks like an e-mail", None
    if CONTROL.search(text):
        return None, "control characters", None
    bare = text.strip()
    if PHONE_LIKE.fullmatch(bare) and sum(c.isdigit() for c in bare) > 8 and (not bare.isdigit() or is_number(bare, country)):
        return None, "looks like a phone", None
    return text, None, None


MOBILE_AD_ID = Rule(
    "mobile_ad_id",
    "2026-11",
    "Meta Help Centre 2082575038703844: lower case, hyphens kept; TikTok: one case per file; all zeros = opted out",
    settle_mobile_ad_id,
    fast_uuid,
    uuids=True,
)
EXTERNAL_ID = Rule(
    "external_id",
    "2026-11",
    "Meta custom-audiences guide: EXTERN_ID travels as it is; design section 6: refused when it looks like an e-mail or phone",
    each(_external),
    by_country=True,
    verbatim=True,
)
