"""Sending rows to an API that refuses a whole request for one bad row: leave out the named ones, else halve until found."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from connectors.errors import FatalError
from connectors.google.faults import RefusedMembersError
from connectors.protocol import Receipt

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

BLIND_REFUSALS = 60  # without one acceptance: then the request as a whole is wrong, not its rows
MOST_REFUSALS = 1_000


@dataclass
class Delivery:
    """What became of one batch's rows: accepted requests with their row counts, and rows refused by reason."""

    requests: list[tuple[str, int]] = field(default_factory=list)
    refused: dict[int, str] = field(default_factory=dict)
    refusals: int = 0

    @property
    def sent(self) -> int:
        """Rows in accepted requests."""
        return sum(count for _, count in self.requests)

    def receipt(self, reference: str, remote_id: str = "") -> Receipt:
        """All that was taken is pending; all that was refused is named."""
        reasons = dict(Counter(self.refused.values()))
        return Receipt(0, reasons, self.refused, pending=self.sent, reference=reference, remote_id=remote_id)

    def run(self, rows: Sequence[int], most: int, submit: Callable[[list[int]], str]) -> None:
        """Nothing: every row is in an accepted request of at most `most` rows, or refused. `submit` gives a request's id."""
        parts = [list(rows[start : start + most]) for start in range(0, len(rows), most)][::-1]
        while parts:
            part = parts.pop()
            try:
                self.requests.append((submit(part), len(part)))
            except RefusedMembersError as refused:
                self.refusals += 1
                self._guard(refused)
                parts.extend(self._rest(part, refused))

    def _guard(self, refused: RefusedMembersError) -> None:
        blind = not self.requests and not refused.members and self.refusals > BLIND_REFUSALS
        if blind or self.refusals > MOST_REFUSALS:
            raise FatalError(
                f"Google refuses every part of the batch: {refused.message}",
                remedy="report this as a defect",
                platform="google",
                code=refused.code,
            )

    def _rest(self, part: list[int], refused: RefusedMembersError) -> list[list[int]]:
        """What is left to send of a refused part: without the named rows, else its halves."""
        named = {part[index]: reason for index, reason in refused.members.items() if index < len(part)}
        if not named and len(part) == 1:
            named = {part[0]: refused.code}
        if named:
            self.refused.update(named)
            rest = [row for row in part if row not in named]
            return [rest] if rest else []
        middle = len(part) // 2
        return [part[middle:], part[:middle]]
