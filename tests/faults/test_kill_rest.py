"""What else writes, killed (SIGKILL) before its commits and begun again: forget, lookalikes, holdouts, results, values.

Every few commits, and each with SOAK_EXAMPLES set.
"""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from datetime import date, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from connectors.engine.audience import Account, AudienceRequest
from connectors.engine.forget import forget
from connectors.engine.holdout import held_out, holdouts, salt_of
from connectors.engine.identity import IdentityRules
from connectors.engine.members import build_members
from connectors.engine.plan import make_plan
from connectors.engine.pull import pull, read_restatements, read_results
from connectors.engine.push import push
from connectors.engine.values import send_values
from connectors.protocol import LookalikeSpec, utc_now
from connectors.registry import platform as platform_of
from tests.connectors.engine.world import LOOSE, Person, contacts, digest, person, scores
from tests.faults import victim
from tests.faults.stage import Stage, connect, people_of, settings_of, stage
from tests.faults.test_kill import FORKS
from tests.faults.test_lifecycle import nights, traces

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from connectors.engine.ledger import Ledger
    from connectors.protocol import Connector

MOST, SOAKED = 90, "SOAK_EXAMPLES" in os.environ
COUNTRIES = "US CA GB FR DE IT ES PT NL BE AT SE DK FI NO PL CZ IE JP BR".split()

Action = Any  # what a process does with ledger, connector and work folder


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Stage]:
    with stage("meta", tmp_path) as made:
        yield made


def places(here: Stage, action: Callable[[int], Action], step: int = 6) -> Iterator[int]:
    """Numbers of rounds, after a process was killed in each before a later commit; the last one got through."""
    for place, commit in enumerate(range(1, MOST, 1 if SOAKED else step)):
        process = FORKS.Process(target=victim.act, args=(action(place), here.addresses, str(here.folder), commit))
        process.start()
        process.join(60)
        assert process.exitcode in (0, -signal.SIGKILL)
        yield place
        if process.exitcode == 0:
            return
    pytest.fail("the run never got through")


def again(here: Stage, action: Action) -> None:
    """Nothing: the same was done by a process that lives."""
    here.count += 1
    connector = connect("meta", here.addresses)
    try:
        action(here.ledger, connector, here.folder / f"again{here.count}")
    finally:
        connector.close()


def forgetting(ids: Sequence[str], ledger: Ledger, connector: Connector, work: Path) -> None:
    forget(ledger, ids, [Account(connector, IdentityRules())], work=work)


def test_forget_killed_anywhere_forgets_all_the_same(here: Stage) -> None:
    crowd = [replace(one, id=f"customer-{one.id}") for one in people_of("meta", start=0) + people_of("meta", start=6000)]
    nights(here, crowd)
    gone: list[Person] = []
    for place in places(here, lambda place: partial(forgetting, [crowd[place].id]), 11):
        gone.append(crowd[place])
        again(here, partial(forgetting, [crowd[place].id]))
        assert here.held() == {digest(one.emails[0]).hex() for one in crowd if one not in gone}
    assert traces(here, *gone) == []
    nights(here, crowd)
    assert here.held() == {digest(one.emails[0]).hex() for one in crowd if one not in gone}


def pushing(people: Sequence[Person], request: AudienceRequest, ledger: Ledger, connector: Connector, work: Path) -> None:
    members = build_members(scores(people), contacts(people), ledger=ledger, work=work)
    plan = make_plan(ledger, members, [request], [Account(connector, IdentityRules())], now=utc_now())
    push(plan, ledger)
    members.close()


def test_lookalikes_and_holdouts_killed_anywhere_are_made_once(here: Stage) -> None:
    """Each round asks for one lookalike more and for a larger holdout; no holdout's draw leaves the seed below 100 matched."""
    crowd = people_of("meta") + people_of("meta", start=6000)
    here.settle(crowd)
    specs = [LookalikeSpec(one, f"Like {one}", (one,)) for one in COUNTRIES]

    def action(place: int) -> Action:
        share = 0.01 * (place + 1)
        request = replace(here.requests[0], holdout=share, lookalikes=tuple(specs[: place + 1]), guardrails=LOOSE)
        return partial(pushing, crowd, request)

    for place in places(here, action):
        again(here, action(place))
        here.rest(2)  # a lookalike is made by the first run that finds its seed ready
        again(here, action(place))
        made = [one["name"] for one in here.sandbox.state()["lookalikes"].values()]
        assert sorted(made) == sorted(one.name for one in specs[: place + 1])
        (known,) = holdouts(here.ledger)
        assert known["share"] == 0.01 * (place + 1)
        out = held_out([one.id for one in crowd], salt_of(here.ledger, "all"), known["share"])
        stays = [one for one, kept in zip(crowd, out, strict=True) if not kept]
        assert here.held() == {digest(one.emails[0]).hex() for one in stays}


def pulling(since: date, until: date, ledger: Ledger, connector: Connector, work: Path) -> None:
    pull(ledger, [connector], since, until, again=True)


def test_results_killed_anywhere_are_whole_and_single(here: Stage) -> None:
    until = date.fromisoformat(max(one["date"] for one in here.sandbox.campaigns))
    action = partial(pulling, until - timedelta(days=70), until)
    for _ in places(here, lambda place: action):
        again(here, action)
        table = read_results(here.ledger)
        wanted = sorted((one["ad_id"], one["date"], float(one["spend"])) for one in here.sandbox.campaigns)
        found = zip(*(table[name].to_pylist() for name in ("ad_id", "date", "spend")), strict=True)
        assert sorted((ad, day.isoformat(), float(spend)) for ad, day, spend in found) == wanted
        assert read_restatements(here.ledger).num_rows == 0


def signalling(
    numbers: range, at: datetime, addresses: dict[str, str], ledger: Ledger, connector: Connector, work: Path
) -> None:
    plain = settings_of("meta", addresses).model_dump()
    plain["accounts"][0] |= {"predicted_value": {"dataset_id": "900100"}, "currency": "USD"}
    settings = platform_of("meta").settings.model_validate(plain)
    made: Any = platform_of("meta").connect(settings, settings.accounts[0])
    made.capabilities = replace(made.capabilities, value_batch_rows=3)
    people = [person(number) for number in numbers]
    members = build_members(scores(people), contacts(people), ledger=ledger, work=work)
    columns = {"customer_id": [one.id for one in people], "order_id": [f"o{one.id}" for one in people]}
    days = {
        "at": pa.array([at] * len(people), pa.timestamp("us", "UTC")),
        "day": pa.array([at.date()] * len(people), pa.date32()),
    }
    (line,) = send_values(ledger, members, pa.table(columns | days), [Account(made, IdentityRules())])
    assert line["exit_code"] == 0, json.dumps(line, default=str)
    members.close()
    made.close()


def test_predicted_values_killed_anywhere_are_counted_once(here: Stage) -> None:
    at = utc_now() - timedelta(days=1)

    def action(place: int) -> Action:
        return partial(signalling, range(8 * place, 8 * place + 8), at, here.addresses)

    for place in places(here, action):
        again(here, action(place))
        events = here.sandbox.events
        assert len(events) == len({one["event_id"] for one in events}) == 8 * (place + 1)
