"""The smallest build backend, so that the package installs without a network; yours would name hatchling or setuptools."""

from __future__ import annotations

import tomllib
import zipfile
from pathlib import Path
from typing import Any


def build_wheel(wheel_directory: str, config_settings: Any = None, metadata_directory: str | None = None) -> str:
    """The file name of the wheel: the package and its entry point."""
    here = Path(__file__).parent
    project = tomllib.loads((here / "pyproject.toml").read_text())["project"]
    stem = f"{project['name'].replace('-', '_')}-{project['version']}"
    points = [
        f"[{group}]\n" + "\n".join(f"{k} = {v}" for k, v in one.items()) for group, one in project["entry-points"].items()
    ]
    info = {
        "METADATA": f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: pigeon\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "entry_points.txt": "\n".join(points) + "\n",
    }
    name = f"{stem}-py3-none-any.whl"
    sources = sorted((here / "pigeon").glob("*.py"))
    with zipfile.ZipFile(Path(wheel_directory) / name, "w") as wheel:
        for path in sources:
            wheel.write(path, f"pigeon/{path.name}")
        for file, text in info.items():
            wheel.writestr(f"{stem}.dist-info/{file}", text)
        names = [f"pigeon/{path.name}" for path in sources] + [f"{stem}.dist-info/{file}" for file in (*info, "RECORD")]
        wheel.writestr(f"{stem}.dist-info/RECORD", "".join(f"{one},,\n" for one in names))
    return name
