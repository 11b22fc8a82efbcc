"""Long arrays worked on in pieces that stay in the cache, on every core (numpy lets go of the interpreter in each piece).

The linear-algebra library underneath numpy starts threads of its own for long products; on a busy machine they spin and cost
20 times what they save. So pieces stay below its limits (10,000 for a product of vectors) and longer products go by einsum.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from clv_core.models.base import Floats

Result = TypeVar("Result")

ROWS = 1 << 13
FEW = 8 * ROWS  # below this, threads cost more than they save


def each_chunk(size: int, work: Callable[[slice], Result]) -> list[Result]:
    """What `work` returns for each piece of `range(size)`, in order, so that sums don't depend on the timing of threads."""
    pieces = [slice(start, min(start + ROWS, size)) for start in range(0, size, ROWS)]
    if size < FEW:
        return [work(piece) for piece in pieces]
    return list(_workers().map(work, pieces))


def dot(left: Floats, right: Floats) -> float:
    """The sum of the products of two long vectors, on this thread alone."""
    return float(np.einsum("i,i->", left, right))


@cache
def _workers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=os.cpu_count() or 1, thread_name_prefix="clv")
