"""Campaign results: the first pull, the trailing window, restatements, and what an error leaves behind."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pyarrow as pa

from connectors.engine.pull import pull, read_restatements, read_results
from connectors.engine.results import Results
from connectors.errors import RetriableError
from connectors.protocol import CampaignDay
from tests.connectors.engine.platform import LIMITS, Client, Shelf
from tests.connectors.engine.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def day(when: date, spend: str, ad: str = "a") -> CampaignDay:
    return CampaignDay(
        platform="shelf",
        account_id="1",
        date=when,
        campaign_id="c",
        campaign_name="Campaign",
        adset_id="s",
        ad_id=ad,
        spend=Decimal(spend),
        impressions=10,
        clicks=2,
        conversions=Decimal("1"),
        conversion_value=Decimal("30.5"),
        currency="USD",
        pulled_at=datetime(2026, 11, 22, tzinfo=UTC),
    )


TODAY = date(2026, 11, 21)


def test_results_are_a_table_with_exact_money(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.shelf.campaigns = [day(date(2026, 11, 20), "12.34"), day(date(2026, 1, 5), "0.1")]
    outcome = pull(world.ledger, [world.shelf.connect()], date(2026, 1, 1), TODAY, now=world.clock)
    assert (outcome.exit_code, outcome.summary()["rows"]) == (0, 2)
    table = read_results(world.ledger)
    assert table.column("spend").to_pylist() == [Decimal("0.100000"), Decimal("12.340000")]
    assert table.schema.field("spend").type == pa.decimal128(18, 6)
    assert table.schema.field("date").type == pa.date32()


def test_a_manager_accounts_rows_belong_to_its_clients(tmp_path: Path) -> None:
    """They replace what an earlier pull kept of the same clients, and what vanished is gone."""
    world = World(tmp_path)
    rows = [replace(day(date(2026, 11, 20), "1", ad), account_id="client") for ad in ("a", "b")]
    results = Results(world.ledger)
    for held in (rows, [replace(rows[0], spend=Decimal(7))]):
        results.keep(("shelf", "manager"), date(2026, 11, 1), TODAY, held, world.clock())
    results.close()
    assert [(one["account_id"], one["spend"]) for one in read_results(world.ledger).to_pylist()] == [("client", Decimal(7))]


def test_a_later_pull_reads_the_trailing_window_and_keeps_what_was_restated(tmp_path: Path) -> None:
    world = World(tmp_path, Shelf(replace(LIMITS, report_restatement_days=10)))
    asked: list[tuple[date, date]] = []

    class Watched(Client):
        def campaign_days(self, since: date, until: date) -> Iterator[CampaignDay]:
            asked.append((since, until))
            return super().campaign_days(since, until)

    world.shelf.campaigns = [day(TODAY - timedelta(days=age), "5") for age in (0, 3, 40)]
    client = Watched(world.shelf, "1")
    pull(world.ledger, [client], date(2026, 9, 1), TODAY, now=world.clock)
    assert asked[0][0] == date(2026, 9, 1)
    asked.clear()
    world.shelf.campaigns = [day(TODAY, "6"), day(TODAY - timedelta(days=40), "99")]
    outcome = pull(world.ledger, [client], date(2026, 9, 1), TODAY + timedelta(days=1), now=world.clock)
    assert asked == [(TODAY - timedelta(days=10), TODAY + timedelta(days=1))]
    assert outcome.summary()["restated"] == 2
    assert read_results(world.ledger).column("spend").to_pylist() == [Decimal(5), Decimal(6)]
    assert read_restatements(world.ledger).column("date").to_pylist() == [TODAY - timedelta(days=3), TODAY]


def test_parts_of_one_ad_and_day_are_added_up(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.shelf.campaigns = [day(TODAY, "1.5"), day(TODAY, "2.5")]
    pull(world.ledger, [world.shelf.connect()], TODAY, TODAY, now=world.clock)
    table = read_results(world.ledger)
    assert (table.column("spend").to_pylist(), table.column("impressions").to_pylist()) == ([Decimal(4)], [20])


def test_one_accounts_error_leaves_the_others_and_what_was_there(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.shelf.campaigns = [day(TODAY, "1.5")]
    pull(world.ledger, [world.shelf.connect()], TODAY, TODAY, now=world.clock)

    class Broken(Client):
        def campaign_days(self, since: date, until: date) -> Iterator[CampaignDay]:
            yield from super().campaign_days(since, until)
            raise RetriableError("report is not ready")

    world.shelf.campaigns = [day(TODAY, "9")]
    outcome = pull(world.ledger, [Broken(world.shelf, "1"), world.shelf.connect("2")], TODAY, TODAY, now=world.clock)
    assert outcome.exit_code == 4
    assert [one["rows"] for one in outcome.accounts] == [0, 1]
    found = {one["account_id"]: one["spend"] for one in read_results(world.ledger).to_pylist()}
    assert found == {"1": Decimal("1.5"), "2": Decimal(9)}
