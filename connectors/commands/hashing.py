"""`clvsync hash`: identifiers as a platform would hash them."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from connectors.commands.output import say


@click.command("hash")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--platform", required=True, help="Whose rules: meta, google or tiktok.")
@click.option("--country", help="Country of rows that name none (ISO code), such as US.")
@click.option("--show-normalised", is_flag=True, help="Also what was hashed (raw personal data: mind where you send it).")
def hash_command(file: Path, platform: str, country: str | None, show_normalised: bool) -> None:
    """Normalise and hash the identifiers of FILE (CSV, JSON lines or Parquet) as PLATFORM would.

    JSON lines on stdout in file order; a summary on stderr says why values are invalid.

    Example: clvsync hash contacts.csv --platform meta --country US
    """
    from connectors import registry
    from connectors.engine.identity import IdentityRules, hash_file
    from connectors.protocol import utc_now

    recipe = registry.platform(platform).capabilities.recipe
    out = sys.stdout
    rules = IdentityRules(default_country=country, latest_year=utc_now().year)
    report = hash_file(file, recipe, rules, show_normalised=show_normalised, write=out.write)
    out.flush()
    say(report.summary())
