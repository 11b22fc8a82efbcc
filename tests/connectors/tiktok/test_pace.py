"""The token bucket: a burst, then the rate; never above what is documented; a suspension that ends by itself."""

from __future__ import annotations

import pytest

from connectors.errors import RetriableError
from connectors.tiktok.connector import burst
from connectors.tiktok.pace import Pacer


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.mark.parametrize(("rate", "level"), [(1, 10), (5, 10), (9.5, 10), (10, 20), (15, 20), (30, 50), (50, 51)])
def test_no_second_passes_the_level_that_the_rate_belongs_to(rate: float, level: int) -> None:
    time = Time()
    pacer = Pacer(rate, burst(rate), clock=time, sleep=time.sleep)
    sent = []
    for _ in range(200):
        pacer.take()
        sent.append(time.now)
    for start in sent:
        assert sum(start <= one < start + 1 - 1e-9 for one in sent) <= level
    assert sent[-1] == pytest.approx((200 - burst(rate)) / rate)


def test_amounts_count() -> None:
    time = Time()
    pacer = Pacer(8000, 8000, clock=time, sleep=time.sleep)
    for _ in range(10):
        pacer.take(4000)
    assert time.now == pytest.approx(4.0)


def test_a_suspension_ends() -> None:
    time = Time()
    pacer = Pacer(5, 5, clock=time, sleep=time.sleep)
    pacer.suspend(300)
    time.now = 299
    with pytest.raises(RetriableError) as caught:
        pacer.take()
    assert caught.value.retry_after == pytest.approx(1.0)
    time.now = 300
    pacer.take()
