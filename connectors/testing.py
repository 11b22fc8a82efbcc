"""The contract that every connector earns, its author's own too: subclass a suite, give it a `Rig`, run pytest.

```
class TestMine(ConnectorSuite):
    @pytest.fixture
    def rig(self) -> Iterator[Rig]:
        sandbox = platform.sandbox()
        address = sandbox.start()["address"]
        settings = platform.settings(api_base=address, credentials="anonymous", accounts=[{"account_id": "1"}])
        waits: list[float] = []
        connector = platform.connect(settings, settings.accounts[0], now=sandbox.clock.now, sleep=waits.append)
        yield Rig(connector, sandbox, writes="/users", creates="POST /customaudiences", waits=waits,
                  throttle={"code": 80003}, refusal={"code": 190})
        connector.close()
        sandbox.stop()
```
`ConnectorSuite` is made of four parts; take only those that fit: `AudienceSuite` (no faults, also for platforms without a
network), `FaultSuite`, `LookalikeSuite`, `ResultSuite`. A connector that takes predicted values earns `ValueSuite` too. Needs
pytest (extra `test`).
"""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, cast

import pytest

from connectors.audience_suites import AudienceSuite, FaultSuite, Suite
from connectors.errors import (
    NotReadyError,
    OutcomeUnknownError,
    RetriableError,
    SeedInUseError,
)
from connectors.protocol import AudienceState, LookalikeSpec
from connectors.rig import Rig, digest

if TYPE_CHECKING:
    from datetime import date

    from connectors.powers import RefreshingConnector
    from connectors.protocol import EventConnector, ValueBatch

__all__ = ["AudienceSuite", "ConnectorSuite", "FaultSuite", "LookalikeSuite", "ResultSuite", "Rig", "ValueSuite"]


class LookalikeSuite(Suite):
    """Lookalikes of a seed."""

    LOOK = LookalikeSpec("look", "Suite look", ("US",))

    def test_a_lookalike_waits_for_its_seed_and_is_made_once(self, rig: Rig) -> None:
        """Not ready, then made, then found."""
        look = replace(self.LOOK, value_based=rig.limits.value_weighted)
        empty = rig.connector.find_or_create(rig.spec("Suite small"))
        if empty.remote_id:
            with pytest.raises(NotReadyError):
                rig.connector.find_or_create_lookalike(empty, look)
        seed = rig.filled(range(2 * rig.floor))
        rig.ready(seed)
        made = rig.connector.find_or_create_lookalike(seed, look)
        assert made.remote_id not in ("", seed.remote_id)
        assert rig.connector.find_or_create_lookalike(seed, look).remote_id == made.remote_id
        assert list(rig.sandbox.state()["lookalikes"]) == [made.remote_id]

    def test_a_seed_in_use_is_gone_or_says_which_lookalikes_hold_it(self, rig: Rig) -> None:
        """Deleted, or refused with the ids; a lookalike has a status and can be deleted, then the seed can."""
        seed = rig.filled(range(2 * rig.floor))
        rig.ready(seed)
        made = rig.connector.find_or_create_lookalike(seed, replace(self.LOOK, value_based=rig.limits.value_weighted))
        assert rig.connector.status(made).state is not AudienceState.MISSING
        try:
            rig.connector.delete(seed)
        except SeedInUseError as error:
            assert made.remote_id in error.lookalikes  # noqa: PT017 - refusing by name is one of two allowed answers
            assert rig.connector.status(seed).state is not AudienceState.MISSING
        rig.connector.delete(made)
        rig.connector.delete(seed)
        assert rig.connector.status(made).state is AudienceState.MISSING
        assert rig.connector.status(seed).state is AudienceState.MISSING

    def test_a_lookalike_is_refreshed_where_that_must_be_asked_for(self, rig: Rig) -> None:
        """It stays what it is, and usable."""
        if not rig.limits.lookalike_refresh_days:
            return
        seed = rig.filled(range(2 * rig.floor))
        rig.ready(seed)
        made = rig.connector.find_or_create_lookalike(seed, replace(self.LOOK, value_based=rig.limits.value_weighted))
        rig.ready(made)
        cast("RefreshingConnector", rig.connector).refresh_lookalike(made)
        assert rig.connector.status(made).state is AudienceState.READY
        assert rig.connector.find_or_create_lookalike(seed, self.LOOK).remote_id == made.remote_id


class ResultSuite(Suite):
    """Campaign results."""

    def test_results_add_up_to_the_platforms_own(self, rig: Rig) -> None:
        """Days at both ends are in; money is exact; nothing is counted twice."""
        today = rig.sandbox.clock.now().date()
        rig.sandbox.campaigns = _campaigns(today)  # type: ignore[attr-defined]
        since, until = today - timedelta(days=9), today - timedelta(days=2)
        wanted = [row for row in _campaigns(today) if since.isoformat() <= row["date"] <= until.isoformat()]
        found = list(rig.connector.campaign_days(since, until))
        assert len(found) == len({(one.date, one.campaign_id, one.adset_id, one.ad_id) for one in found})
        for name in ("spend", "impressions", "clicks", "conversions", "conversion_value"):
            assert sum(Decimal(getattr(one, name)) for one in found) == sum(Decimal(row[name]) for row in wanted), name
        assert {one.date.isoformat() for one in found} == {row["date"] for row in wanted}
        assert {one.campaign_id for one in found} == {row["campaign_id"] for row in wanted}
        assert all(isinstance(one.spend, Decimal) and one.currency and one.pulled_at.tzinfo for one in found)
        assert {one.account_id for one in found} == {rig.connector.account_id}

    def test_a_time_without_results_is_empty(self, rig: Rig) -> None:
        """No rows, no error."""
        today = rig.sandbox.clock.now().date()
        rig.sandbox.campaigns = _campaigns(today)  # type: ignore[attr-defined]
        before = today - timedelta(days=30)
        assert list(rig.connector.campaign_days(before, before + timedelta(days=3))) == []


class ValueSuite(Suite):
    """Predicted values as events of their own; the rig's account has them switched on, and `state()` tells `events`."""

    def test_events_count_once_and_numbers_add_up(self, rig: Rig) -> None:
        """Sent again, an event is there once; what is pending is settled."""
        assert _valued(rig, rig.values(range(12))) == Counter(accepted=12, rejected=0)
        again = _valued(rig, rig.values(range(10, 15)))
        assert again["accepted"] in (3, 5), "doubles are taken in silence, or rejected by name"
        assert sum(again.values()) == 5
        assert len(rig.sandbox.state()["events"]) == 15

    def test_a_row_without_value_costs_nobody_else(self, rig: Rig) -> None:
        """It is rejected and counted."""
        assert _valued(rig, rig.values(range(9), without=[4])) == Counter(accepted=8, rejected=1)
        assert len(rig.sandbox.state()["events"]) == 8

    def test_predictions_are_no_purchases(self, rig: Rig) -> None:
        """They have a target, and a name that no platform counts as a purchase."""
        signal = _events(rig).signal
        assert signal is not None
        assert signal.target
        assert signal.event.lower() not in ("", "purchase", "completepayment", "placeanorder", "order")
        assert rig.limits.predicted_values
        assert rig.limits.value_batch_rows > 0

    def test_a_lost_reply_counts_nobody_twice(self, rig: Rig) -> None:
        """It is tried again, or said to be unknown; in the end everyone is there once."""
        rig.sandbox.faults.add(match=rig.events, kind="lost_reply")
        try:
            _valued(rig, rig.values(range(6)))
        except (OutcomeUnknownError, RetriableError):
            rig.sandbox.faults.clear()
            _valued(rig, rig.values(range(6)))
        assert len(rig.sandbox.state()["events"]) == 6

    def test_no_digest_of_an_event_is_logged(self, rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
        """Neither digests nor tokens reach any log, at any level."""
        caplog.set_level(logging.DEBUG)
        _valued(rig, rig.values(range(3)))
        text = "\n".join(record.getMessage() for record in caplog.records)
        assert not [one for one in (*rig.secrets, digest(1).hex()) if one in text]


class ConnectorSuite(AudienceSuite, FaultSuite, LookalikeSuite, ResultSuite):
    """The whole contract, for a platform with a network, lookalikes and results."""


def _campaigns(today: date) -> list[dict[str, str]]:
    """Two campaigns on each of the last ten days, in the form that sandboxes take."""
    return [
        {
            "campaign_id": f"12000000000{campaign}",
            "campaign_name": f"Campaign {campaign}",
            "adset_id": f"13000000000{campaign}",
            "ad_id": f"14000000000{campaign}",
            "date": (today - timedelta(days=back)).isoformat(),
            "spend": f"{10 * campaign + back}.37",
            "impressions": str(1000 * campaign + back),
            "clicks": str(20 * campaign + back),
            "conversions": str(campaign + back),
            "conversion_value": f"{100 * campaign + back}.25",
        }
        for campaign in (1, 2)
        for back in range(1, 11)
    ]


def _events(rig: Rig) -> EventConnector:
    return cast("EventConnector", rig.connector)


def _valued(rig: Rig, batch: ValueBatch) -> Counter[str]:
    """Final numbers of a batch of predicted values."""
    receipt = _events(rig).send_values(batch)
    totals = Counter(accepted=receipt.accepted, rejected=sum(receipt.rejected.values()))
    assert sum(totals.values()) + receipt.pending + receipt.unknown == batch.rows, "a receipt's numbers add up to the rows sent"
    for _ in range(48):
        if not receipt.pending:
            break
        rig.advance(1)
        reference, rows = receipt.reference, receipt.pending
        receipt = _events(rig).settle_values(reference, rows)
        totals.update(accepted=receipt.accepted, rejected=sum(receipt.rejected.values()))
        receipt = replace(receipt, reference=receipt.reference or reference)
    assert receipt.pending == 0
    return totals
