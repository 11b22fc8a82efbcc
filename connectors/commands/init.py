"""`clvsync init`: a starter config."""

from __future__ import annotations

from pathlib import Path

import click

from connectors.commands.output import emit, json_option


@click.command("init", short_help="A commented starter config.")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--demo", is_flag=True, help="Also the demo's orders and contacts, pointed at the sandboxes' default addresses.")
@json_option
def init_command(folder: Path, demo: bool, as_json: bool) -> None:
    """Write a commented starter config to FOLDER (which must be new or empty).

    Example: clvsync init config
    """
    from connectors.demo import starter
    from connectors.errors import ConfigurationError

    if folder.exists() and any(folder.iterdir()):
        raise ConfigurationError(f"{folder} is not empty", remedy="name a new folder: nothing is ever overwritten")
    if demo:
        from connectors.demo import world
        from connectors.protocol import utc_now

        world.write(folder, world.build(utc_now().date()))
        world.write_config(folder)
    else:
        starter.write(folder)
    files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    if as_json:
        emit({"folder": folder, "files": files})
        return
    click.echo(f"Wrote {len(files)} files to {folder}: {', '.join(files)}")
    follow = (
        f"clvsync sandbox   (in another terminal), then: clvsync run --config {folder}"
        if demo
        else f"clvsync check --config {folder}"
    )
    click.echo(f"Next: {follow}")
