"""The platforms' recipes, small helpers to judge one value, and a table of contacts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from connectors import registry
from connectors.engine.identity import RULES, IdentityReport, IdentityRules, hash_file
from connectors.protocol import Recipe

PLATFORMS = ("meta", "google", "tiktok")
COLUMNS = (
    *("email", "phone", "first_name", "last_name", "gender", "birth_year", "birth_month", "birth_day"),
    *("city", "region", "postal_code", "country", "mobile_ad_id"),
)


def recipe(platform: str) -> Recipe:
    """The platform's recipe, as its connector names it."""
    found: Recipe = registry.platform(platform).capabilities.recipe
    return found


def settle(
    rule: str, text: str | None, country: str | None = None, *, hashed: bool = True, **switches: Any
) -> tuple[str | None, str | None]:
    """(normalised, reason) of one value; a digest that was given counts as its own normalised form."""
    values, countries = pl.Series(values=[text], dtype=pl.String), pl.Series(values=[country], dtype=pl.String)
    found = RULES[rule](values, countries, IdentityRules(**switches), hashed=hashed)
    digest = None if found.digests is None else found.digests[0]
    return digest or found.values[0], found.reasons[0]


def hashed(
    path: Path, platform: str, *, show_normalised: bool = True, **switches: Any
) -> tuple[list[dict[str, list[dict[str, str]]]], IdentityReport]:
    """The `fields` of every row as `clvsync hash` writes them, and the report."""
    lines: list[str] = []
    rules = IdentityRules(**switches)
    report = hash_file(path, recipe(platform), rules, show_normalised=show_normalised, write=lines.append)
    rows = [json.loads(line) for line in "".join(lines).split("\n")[:-1]]
    assert [row["row"] for row in rows] == list(range(1, len(rows) + 1))
    return [row["fields"] for row in rows], report


def contacts(**columns: list[Any]) -> pa.Table:
    """Contacts in the engine's form: e-mail and phone as lists, the rest text; ids c1, c2 ..."""
    rows = max(len(values) for values in columns.values())
    made: dict[str, Any] = {"customer_id": pa.array([f"c{n}" for n in range(1, rows + 1)])}
    for name, values in columns.items():
        several = name in ("email", "phone")
        listed = [one if one is None or isinstance(one, list) else [one] for one in values] if several else values
        made[name] = pa.array(listed, pa.list_(pa.string()) if several else pa.string())
    return pa.table(made)
