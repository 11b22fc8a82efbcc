"""The JSON schemas that let editors complete and check the YAML files, made from the models that check them for real."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from connectors import registry
from connectors.config.folder import FILES, shared_platform_schema

if TYPE_CHECKING:
    from pathlib import Path


def schemas() -> dict[str, dict[str, Any]]:
    """Schema by file name (without .yaml)."""
    found = {name: model.model_json_schema() for name, model in FILES.items()}
    platforms = shared_platform_schema()
    definitions = platforms.setdefault("$defs", {})
    for name in registry.names():
        try:
            settings = registry.platform(name).settings
        except registry.PackageError:  # `clvsync connectors` says why
            continue
        block = settings.model_json_schema(ref_template=f"#/$defs/{name}.{{model}}")
        definitions.update({f"{name}.{key}": value for key, value in block.pop("$defs", {}).items()})
        platforms["properties"][name] = block
    found["platforms"] = platforms
    return found


def write_schemas(folder: Path) -> None:
    """Nothing: one file per schema is in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, schema in schemas().items():
        (folder / f"{name}.json").write_text(json.dumps(schema, indent=1, sort_keys=True) + "\n")
