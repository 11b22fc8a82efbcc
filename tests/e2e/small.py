"""A shop of 150 customers with one audience on one platform, and `clvsync` in a process that has its imports already."""

from __future__ import annotations

import csv
import multiprocessing
import os
import sys
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from tests.connectors.engine.world import digest

if TYPE_CHECKING:
    from pathlib import Path

ACCOUNT = "1111111111111111"
CUSTOMERS = 150
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["connectors.cli", "connectors.job", "connectors.meta.connector", "clv_core.validation"])
YAML = {
    "sources": (
        "currency: USD\nas_of: last_order\nmax_age_days: 30000\norders: {path: orders.csv}\ncontacts: {path: contacts.csv}\n"
        "state: state\n"
    ),
    "model": "horizon_days: 90\ncandidates: [bg_nbd]\ngate: {enabled: false}\n",
    "audiences": "guardrails: {min_size: 0}\naudiences:\n  - {name: all, title: Customers, platforms: [meta]}\n",
    "labels": "{}\n",
}


def shop(folder: Path, address: str) -> Path:
    """The config folder, with its data in it."""
    folder.mkdir(parents=True)
    for name, text in YAML.items():
        (folder / f"{name}.yaml").write_text(text)
    (folder / "platforms.yaml").write_text(
        "identity: {default_country: US}\n"
        f'meta:\n  api_base: {address}\n  credentials: anonymous\n  accounts: [{{account_id: "{ACCOUNT}"}}]\n'
    )
    start, orders = date(2025, 6, 1), []
    for one in range(CUSTOMERS):
        for place in range(1 + one % 4):
            day = start + timedelta(days=(37 * one + 61 * place * (1 + one % 3)) % 500)
            orders.append((one, f"{one}-{place}", day.isoformat(), f"{10 + (7 * one + 3 * place) % 40}.50"))
    _write(folder / "orders.csv", ("customer_id", "order_id", "ordered_at", "amount"), orders)
    people(folder, range(CUSTOMERS))
    return folder


def people(folder: Path, numbers: Any) -> None:
    """Nothing: these customers have contacts."""
    _write(folder / "contacts.csv", ("customer_id", "email", "country"), [(n, f"p{n}@example.com", "US") for n in numbers])


def digests(numbers: Any) -> set[str]:
    """The e-mail digests of these customers."""
    return {digest(f"p{n}@example.com").hex() for n in numbers}


def _write(path: Path, head: tuple[str, ...], rows: list[Any]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([head, *rows])


def begin(*arguments: str, out: Path, terminal: str = "", before: Any = None) -> Any:
    """The process of a command: stdout in `out`, stderr on the terminal of that name (else in `out` with the ending .err).

    `before` is called in the process first.
    """
    process = FORKS.Process(target=_run, args=(list(arguments), str(out), terminal, before))
    process.start()
    return process


def clvsync(*arguments: str, out: Path, **options: Any) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command."""
    process = begin(*arguments, out=out, **options)
    process.join(120)
    assert process.exitcode is not None, "the command hangs"
    return int(process.exitcode), out.read_text(), out.with_suffix(".err").read_text()


def _run(arguments: list[str], out: str, terminal: str, before: Any) -> None:
    from connectors.cli import main

    error = os.path.splitext(out)[0] + ".err"
    for number, path in ((1, out), (2, terminal or error)):
        flags = os.O_RDWR if path == terminal else os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        os.dup2(os.open(path, flags | os.O_NOCTTY, 0o600), number)
    sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
    os.environ["TERM"] = "xterm"
    sys.argv = ["clvsync", *arguments]
    if before is not None:
        before()
    try:
        main()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


__all__ = ["ACCOUNT", "CUSTOMERS", "begin", "clvsync", "digests", "people", "shop"]
