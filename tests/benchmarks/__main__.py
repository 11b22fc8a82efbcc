"""`make bench [ONLY=noun]`: every benchmark of this folder, each in a process of its own; ratios against a peer or a limit."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
import sys
from pathlib import Path


def main() -> int:
    """The worst exit code of the benchmarks."""
    folder = Path(__file__).parent
    wanted = os.environ.get("ONLY", "").split(",") if os.environ.get("ONLY") else None
    names = sorted(path.stem for path in folder.glob("*.py") if not path.stem.startswith("_"))
    print(
        f"{datetime.date.today()} {platform.machine()} {os.cpu_count()} cores, Python {platform.python_version()}", flush=True
    )
    worst = 0
    for name in names:
        if wanted and name not in wanted:
            continue
        print(f"\n=== {name}", flush=True)
        code = f"from tests.benchmarks.{name} import main; main()"
        worst = max(worst, subprocess.run([sys.executable, "-c", code], check=False).returncode)
    return worst


if __name__ == "__main__":
    sys.exit(main())
