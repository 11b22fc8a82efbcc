"""The starter config: the YAML files of `config/`, copied with their JSON schemas."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

NAMES = ("sources", "model", "audiences", "platforms", "labels")


def folder() -> Path:
    """The folder of the starter config: in the package when installed, beside it in a checkout."""
    packaged = Path(str(files("connectors"))) / "_config"
    return packaged if packaged.is_dir() else Path(str(files("connectors"))).parent / "config"


def write(target: Path, names: tuple[str, ...] = NAMES) -> None:
    """Nothing: the files are in `target`, and the schemas that editors use beside them in `schema/`."""
    from connectors.schema import write_schemas

    target.mkdir(parents=True, exist_ok=True)
    for name in names:
        text = (folder() / f"{name}.yaml").read_text()
        (target / f"{name}.yaml").write_text(text.replace("../docs/schema/", "schema/"))
    write_schemas(target / "schema")
