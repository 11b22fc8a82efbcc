"""Lists: found by exact name, made once, seen, deleted; customer types and value rules of tier lists."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from connectors.engine.audience import AudienceRequest, specs
from connectors.errors import ConfigurationError, FatalError
from connectors.protocol import AudienceSpec, AudienceState
from tests.connectors.google.conftest import ACCOUNT, TOP

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.connectors.google.conftest import World

MANAGER = "9999999999"


def test_a_list_is_made_with_description_and_540_days(world: World, transport: str) -> None:
    handle = world.connect(transport).find_or_create(TOP)
    held = world.sandbox.state()["audiences"][handle.remote_id]
    assert (held["name"], held["membership_days"], bool(held["description"])) == ("Top customers", 540, True)


def test_names_are_compared_whole_and_exactly(world: World, transport: str) -> None:
    """Also names with quotes, backslashes and other case, and beyond the first page."""
    connector = world.connect(transport)
    names = ["A", "a", 'A "quoted" \\ name', "A AND B", "Überkunden"]
    made = {name: connector.find_or_create(AudienceSpec(name, name)).remote_id for name in names}
    assert len(set(made.values())) == len(names)
    assert {name: connector.find_or_create(AudienceSpec(name, name)).remote_id for name in names} == made


def test_lists_on_later_pages_are_found(world: World) -> None:
    connector = world.connect("ads")
    for number in range(60):
        connector.find_or_create(AudienceSpec(str(number), f"List {number}"))
    world.sandbox.data_manager.methods["ListUserLists"] = _deaf_to_filters(world)
    assert connector.find_or_create(AudienceSpec("59", "List 59")).remote_id == str(8_000_000_060)
    assert len(world.sandbox.store.lists) == 60
    assert connector.find_or_create(AudienceSpec("x", "list 59")).remote_id == str(8_000_000_061)


def _deaf_to_filters(world: World) -> Callable[[Any, Mapping[str, str]], Any]:
    honest = world.sandbox.data_manager.list

    def answer(request: Any, headers: Mapping[str, str]) -> Any:
        request.filter, request.page_size = "", 25
        return honest(request, headers)

    return answer


def test_the_remembered_id_wins_over_the_name(world: World) -> None:
    connector = world.connect()
    handle = connector.find_or_create(TOP)
    world.sandbox.store.lists[int(handle.remote_id)].name = "Renamed by hand"
    assert connector.find_or_create(TOP, handle.remote_id).remote_id == handle.remote_id


def test_a_name_taken_by_a_lookalike_is_said(world: World) -> None:
    """The name is used but no list that takes members has it: nothing is guessed."""
    connector = world.connect()
    handle = connector.find_or_create(TOP)
    world.sandbox.store.lists[int(handle.remote_id)].kind = "lookalike"
    with pytest.raises(FatalError, match="another name"):
        connector.find_or_create(TOP)


def test_status_follows_matching(world: World, transport: str) -> None:
    connector = world.connect(transport)
    handle = connector.find_or_create(TOP)
    assert connector.status(handle).state is AudienceState.PROCESSING
    small = world.filled(connector, range(50), AudienceSpec("s", "Small"))
    assert connector.status(small).state is AudienceState.TOO_SMALL
    large = world.filled(connector, range(1234), AudienceSpec("l", "Large"))
    status = connector.status(large)
    assert (status.state, status.lower, status.upper, status.match_rate) == (AudienceState.READY, 980, 980, "80%")
    assert connector.status(replace(large, remote_id="1")).state is AudienceState.MISSING


def test_only_the_top_tier_is_marked_as_high_value(world: World) -> None:
    connector = world.connect()
    top = connector.find_or_create(TOP)
    middle = connector.find_or_create(AudienceSpec("m", "Middle", tier="middle"))
    excluded = connector.find_or_create(AudienceSpec("x", "Excluded", tier="high", exclusion=True))
    connector.find_or_create(TOP)
    held = world.sandbox.state()["audiences"]
    assert held[top.remote_id]["customer_types"] == ["HIGH_VALUE_CUSTOMERS"]
    assert held[middle.remote_id]["customer_types"] == held[excluded.remote_id]["customer_types"] == []
    assert len(world.calls("MutateUserListCustomerTypes")) == 1


def test_an_account_that_allows_no_customer_type_still_gets_its_list(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.sandbox.accounts[ACCOUNT] = {"conversion_tracking": False}
    with caplog.at_level(logging.WARNING):
        assert world.connect().find_or_create(TOP).remote_id
    assert "mark_high_value: false" in caplog.text


def test_marking_can_be_switched_off(world: World) -> None:
    world.connect(mark_high_value=False).find_or_create(TOP)
    assert world.calls("MutateUserListCustomerTypes") == []


def test_value_rules_follow_the_tiers(world: World) -> None:
    """One rule per tier list in the account's one rule set; a changed multiplier changes the rule."""
    connector = world.connect(value_multipliers={"high": "1.5", "middle": "1.2"})
    top = connector.find_or_create(TOP)
    connector.find_or_create(AudienceSpec("m", "Middle", tier="middle"))
    connector.find_or_create(AudienceSpec("w", "Winback"))
    rules = list(world.sandbox.store.rules.values())
    assert [(one["operation"], one["value"]) for one in rules] == [("MULTIPLY", 1.5), ("MULTIPLY", 1.2)]
    assert rules[0]["lists"] == [f"customers/{ACCOUNT}/userLists/{top.remote_id}"]
    assert [len(one["rules"]) for one in world.sandbox.store.rule_sets.values()] == [2]
    connector.find_or_create(TOP)
    assert len(world.sandbox.store.rules) == 2
    world.connect(value_multipliers={"high": "2"}).find_or_create(TOP)
    assert [one["value"] for one in world.sandbox.store.rules.values()] == [2.0, 1.2]


def test_a_manager_account_is_named_in_header_and_destination(world: World, transport: str) -> None:
    """Google refuses an account behind a manager unless each call says so."""
    world.sandbox.accounts[ACCOUNT] = {"parent": MANAGER}
    connector = world.connect(transport, account={"login_account_id": MANAGER})
    assert world.filled(connector, range(3)).remote_id
    with pytest.raises(ConfigurationError, match="login_account_id"):
        world.connect(transport).find_or_create(TOP)
    checks = world.connect(transport).check()
    assert [one.ok for one in checks] == [True, False, False]
    assert all("login_account_id" in one.remedy for one in checks[1:])


def test_a_closed_list_is_opened_and_its_duration_follows_the_spec(world: World, transport: str) -> None:
    connector = world.connect(transport)
    handle = connector.find_or_create(TOP)
    held = world.sandbox.store.lists[int(handle.remote_id)]
    held.open = False
    connector.find_or_create(TOP)
    assert (held.open, held.days) == (True, 540)
    connector.find_or_create(replace(TOP, membership_days=90), handle.remote_id)
    assert held.days == 90
    writes = len(world.calls("UpdateUserList"))
    connector.find_or_create(replace(TOP, membership_days=90))
    connector.find_or_create(TOP)
    assert (held.days, len(world.calls("UpdateUserList"))) == (90, writes) == (90, 2)


@pytest.mark.parametrize("api", ["data_manager", "ads_jobs"])
def test_the_engine_knows_for_how_long_lists_keep_people(world: World, api: str) -> None:
    """Else those who don't change would be sent again only after a list has forgotten them."""
    connector = world.connect(membership_days=30, members_api=api)
    assert connector.capabilities.membership_days == 30
    request = AudienceRequest("top", "Top", platforms=("google",))
    [spec] = specs(request, connector.capabilities, "USD")
    handle = connector.find_or_create(spec)
    assert world.sandbox.store.lists[int(handle.remote_id)].days == 30


def test_a_check_holds_config_against_the_account(world: World) -> None:
    world.sandbox.accounts[ACCOUNT] = {"currency": "EUR", "time_zone": "Europe/Berlin"}
    right = world.connect(account={"currency": "EUR", "timezone": "Europe/Berlin"}).check()
    assert [one.ok for one in right] == [True, True, True]
    assert right[-1].detail.endswith("EUR, Europe/Berlin")
    for wrong in ({"currency": "USD"}, {"timezone": "UTC"}):
        check = world.connect(account=wrong).check()[-1]
        assert (check.ok, check.remedy.startswith("set the account's")) == (False, True)


def test_deleting_twice_is_no_error(world: World, transport: str) -> None:
    connector = world.connect(transport)
    handle = connector.find_or_create(TOP)
    connector.delete(handle)
    connector.delete(handle)
    assert world.sandbox.state()["audiences"] == {}
