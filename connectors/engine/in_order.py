"""Work on chunks by several threads at a time, with the results in the chunks' order."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

In = TypeVar("In")
Out = TypeVar("Out")


def in_order(chunks: Iterable[In], work: Callable[[In], Out], threads: int) -> Iterator[Out]:
    """The results in the chunks' order; a few chunks at a time are under way when several threads may work."""
    if threads <= 1:
        yield from map(work, chunks)
        return
    with ThreadPoolExecutor(threads) as pool:
        running: deque[Future[Out]] = deque()
        for chunk in chunks:
            running.append(pool.submit(work, chunk))
            if len(running) > threads:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()
