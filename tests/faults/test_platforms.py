"""The engine over the real clients against the three sandboxes: nights without and with changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.connectors.engine.world import person
from tests.faults.stage import SIZES, people_of, stage

if TYPE_CHECKING:
    from pathlib import Path

PLATFORMS = ("meta", "google", "tiktok")


@pytest.mark.parametrize("name", PLATFORMS)
def test_nights_of_change_end_with_exactly_the_wanted_members(tmp_path: Path, name: str) -> None:
    with stage(name, tmp_path) as here:
        crowd = people_of(name)
        first = here.push(crowd)
        assert first.exit_code == 0
        here.settle(crowd)
        here.assert_exact(crowd)
        moved = [
            person(3, emails=("new3@example.com",), phones=crowd[3].phones),
            *crowd[20:],
            *[person(5000 + n) for n in range(25)],
        ]
        outcome = here.push(moved)
        assert (outcome.audiences[0]["add"], outcome.audiences[0]["change"], outcome.audiences[0]["remove"]) == (25, 1, 19)
        here.settle(moved)
        here.assert_exact(moved)


@pytest.mark.parametrize("name", PLATFORMS)
def test_a_refresh_puts_right_what_drifted(tmp_path: Path, name: str) -> None:
    with stage(name, tmp_path) as here:
        crowd = people_of(name)
        here.settle(crowd)
        here.ledger.journal.write("UPDATE audiences SET snapshot = '', snapshot_digest = '', rows = 0")
        fewer = crowd[: SIZES[name] - 5]
        here.rest()
        here.push(fewer, refresh=True)
        here.settle(fewer)
        here.assert_exact(fewer)
