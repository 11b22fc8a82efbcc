"""Long arrays worked on in pieces that stay in the cache, on every core (numpy lets go of the interpreter in each piece)."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Result = TypeVar("Result")

ROWS = 1 << 14
FEW = 4 * ROWS  # below this, threads cost more than they save


def each_chunk(size: int, work: Callable[[slice], Result]) -> list[Result]:
    """What `work` returns for each piece of `range(size)`, in order, so that sums don't depend on the timing of threads."""
    pieces = [slice(start, min(start + ROWS, size)) for start in range(0, size, ROWS)]
    if size < FEW:
        return [work(piece) for piece in pieces]
    return list(_workers().map(work, pieces))


@cache
def _workers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=os.cpu_count() or 1, thread_name_prefix="clv")
