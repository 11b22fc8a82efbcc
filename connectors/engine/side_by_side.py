"""Accounts side by side, a thread each; Ctrl-C lets what is under way end, a second one ends the wait."""

from __future__ import annotations

from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence

Item = TypeVar("Item")
Result = TypeVar("Result")


def side_by_side(
    work: Callable[[Item], Result],
    items: Sequence[Item],
    *,
    name: str,
    stop: threading.Event,
    stopping: Callable[[], object] = lambda: None,
) -> list[Result]:
    """What `work` returns for each item, in their order; raises what it raises, after the others have ended too.

    At the first error, and at Ctrl-C (after which `stopping` is called), `stop` is set: work that looks at it ends early. A
    second Ctrl-C is raised at once, with threads left behind.
    """
    pool = ThreadPoolExecutor(max(1, len(items)), thread_name_prefix=name)
    under_way = [pool.submit(work, one) for one in items]
    try:
        try:
            wait(under_way, return_when=FIRST_EXCEPTION)
        except KeyboardInterrupt:
            stop.set()
            stopping()
        if any(one.done() and one.exception() for one in under_way):
            stop.set()
        wait(under_way)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    return [one.result() for one in under_way]
