"""Chromium for the browser tests: an installed one, else Debian's package, else one line saying what to install.

`python -m tests.browser.chromium` prints the path and exits 0, or explains itself on stderr and exits 1.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PACKAGES = ("chromium", "fonts-liberation")
# Without the background flags a headless Chromium looks up its maker's hosts at every start.
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
REMEDY = "the browser tests need Chromium: install it (Debian: sudo apt-get install chromium) or set CHROMIUM to its path"


def find() -> str | None:
    """The path of an installed Chromium or Chrome, or None. The variable CHROMIUM wins."""
    named = os.environ.get("CHROMIUM", "")
    if named:
        return shutil.which(named)
    return next((path for path in map(shutil.which, NAMES) if path), None)


def _as_root() -> list[str] | None:
    """The prefix that makes a command run as root without a password; None where there is none."""
    if os.geteuid() == 0:
        return []
    sudo = shutil.which("sudo")
    if sudo and subprocess.run([sudo, "-n", "true"], capture_output=True, check=False).returncode == 0:
        return [sudo, "-n"]
    return None


def install() -> bool:
    """Whether Debian's package could be installed."""
    prefix, apt = _as_root(), shutil.which("apt-get")
    if prefix is None or apt is None:
        return False
    command = [*prefix, "env", "DEBIAN_FRONTEND=noninteractive", apt]
    subprocess.run([*command, "update", "-qq"], capture_output=True, check=False)  # an old list may still do
    wanted = [*command, "install", "-y", "-qq", "--no-install-recommends", *PACKAGES]
    done = subprocess.run(wanted, capture_output=True, check=False, text=True)
    if done.returncode:
        print(done.stderr.strip()[-500:], file=sys.stderr)
    return done.returncode == 0


def main() -> int:
    """0 when Chromium is there (its path is printed), 1 when it can't be had."""
    path = find() or (find() if install() else None)
    if path is None:
        print(REMEDY, file=sys.stderr)
        return 1
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
