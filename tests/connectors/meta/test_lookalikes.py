"""Lookalikes: made when the seed is ready, found instead of made twice, all of Meta's shapes."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from connectors.errors import ConfigurationError, FatalError, NotReadyError, OutcomeUnknownError, SeedInUseError
from connectors.meta.lookalikes import lookalike_spec
from connectors.protocol import AudienceHandle, AudienceSpec, LookalikeSpec, Operation
from tests.connectors.meta.conftest import SEED, batch_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from connectors.meta.connector import MetaConnector
    from connectors.meta.sandbox import MetaSandbox

LOOK = LookalikeSpec("look", "Look A", ("US",), value_based=True)
EDGE = "POST /v26.0/act_111/customaudiences"


@pytest.fixture
def ready(connector: MetaConnector, box: MetaSandbox, seed: AudienceHandle) -> AudienceHandle:
    """A seed of 1,000 that Meta has counted."""
    connector.send(seed, batch_of(connector, Operation.ADD, range(1_000)))
    box.clock.advance(hours=2)
    return seed


@pytest.mark.parametrize(
    ("spec", "wanted"),
    [
        (LOOK, {"type": "custom_ratio", "ratio": 0.01, "country": "US"}),
        (replace(LOOK, value_based=False, size="balanced"), {"ratio": 0.05, "country": "US"}),
        (replace(LOOK, value_based=False, size="broad"), {"ratio": 0.1, "country": "US"}),
        (
            replace(LOOK, ratio=0.2, starting_ratio=0.1),
            {"type": "custom_ratio", "ratio": 0.2, "starting_ratio": 0.1, "country": "US"},
        ),
        (
            replace(LOOK, countries=("us", "CA")),
            {"type": "custom_ratio", "ratio": 0.01, "location_spec": {"geo_locations": {"countries": ["CA", "US"]}}},
        ),
    ],
)  # fmt: skip
def test_specs_have_metas_shape(spec: LookalikeSpec, wanted: dict[str, object]) -> None:
    assert lookalike_spec(spec) == wanted


@pytest.mark.parametrize(
    "spec",
    [
        replace(LOOK, ratio=0.015),
        replace(LOOK, ratio=0.0),
        replace(LOOK, ratio=0.21),
        replace(LOOK, size="huge"),
        replace(LOOK, ratio=0.02, starting_ratio=0.02),
        replace(LOOK, countries=()),
    ],
)
def test_specs_off_the_grid_are_refused_here(spec: LookalikeSpec) -> None:
    with pytest.raises(ConfigurationError, match="Look A"):
        lookalike_spec(spec)


def test_a_seed_without_people_is_not_ready(connector: MetaConnector, box: MetaSandbox, seed: AudienceHandle) -> None:
    with pytest.raises(NotReadyError, match="needed 100") as caught:
        connector.find_or_create_lookalike(seed, LOOK)
    assert caught.value.exit_code == 0
    connector.send(seed, batch_of(connector, Operation.ADD, range(110)))
    box.clock.advance(hours=2)
    with pytest.raises(NotReadyError):  # 88 matched
        connector.find_or_create_lookalike(seed, LOOK)
    assert box.state()["lookalikes"] == {}


def test_a_seed_under_replace_is_not_ready(connector: MetaConnector, box: MetaSandbox, ready: AudienceHandle) -> None:
    connector.send(ready, batch_of(connector, Operation.REPLACE, range(500), delivery=9))
    with pytest.raises(NotReadyError, match="replace in progress"):
        connector.find_or_create_lookalike(ready, LOOK)


def test_a_blocked_seed_is_fatal(connector: MetaConnector, box: MetaSandbox, ready: AudienceHandle) -> None:
    box.audiences[ready.remote_id].flagged = ["name"]
    with pytest.raises(FatalError, match="blocked"):
        connector.find_or_create_lookalike(ready, LOOK)


def test_it_is_made_once_whatever_its_name(connector: MetaConnector, box: MetaSandbox, ready: AudienceHandle) -> None:
    made = connector.find_or_create_lookalike(ready, LOOK)
    assert connector.find_or_create_lookalike(ready, LOOK) == made
    assert connector.find_or_create_lookalike(ready, replace(LOOK, name="Another name")).remote_id == made.remote_id
    assert len(box.state()["lookalikes"]) == 1


def test_ratios_bands_and_countries_are_lookalikes_of_their_own(
    connector: MetaConnector, box: MetaSandbox, ready: AudienceHandle
) -> None:
    specs = [
        LOOK,
        replace(LOOK, name="Look B", ratio=0.02),
        replace(LOOK, name="Look C", ratio=0.02, starting_ratio=0.01),
        replace(LOOK, name="Look D", countries=("DE",)),
        replace(LOOK, name="Look E", countries=("DE", "FR")),
    ]
    first = [connector.find_or_create_lookalike(ready, spec).remote_id for spec in specs]
    again = [connector.find_or_create_lookalike(ready, spec).remote_id for spec in reversed(specs)]
    assert len(set(first)) == 5
    assert again == first[::-1]


def test_a_lookalike_whose_origin_is_not_told_is_known_by_its_name(
    connector: MetaConnector, box: MetaSandbox, ready: AudienceHandle
) -> None:
    made = connector.find_or_create_lookalike(ready, LOOK)
    del box.audiences[made.remote_id].spec["origin"]
    assert connector.find_or_create_lookalike(ready, LOOK).remote_id == made.remote_id


def test_a_name_that_means_something_else_is_not_taken_over(connector: MetaConnector, ready: AudienceHandle) -> None:
    connector.find_or_create_lookalike(ready, LOOK)
    with pytest.raises(ConfigurationError, match="other countries or another ratio"):
        connector.find_or_create_lookalike(ready, replace(LOOK, ratio=0.05))


def test_a_flagged_name_is_refused_before_anything_is_made(
    connector: MetaConnector, box: MetaSandbox, ready: AudienceHandle
) -> None:
    with pytest.raises(ConfigurationError, match="neutrally"):
        connector.find_or_create_lookalike(ready, replace(LOOK, name="Like our wealthy"))
    assert box.state()["lookalikes"] == {}


def test_a_lost_reply_is_cleared_up(connector: MetaConnector, box: MetaSandbox, ready: AudienceHandle) -> None:
    box.faults.add(match=EDGE, kind="lost_reply")
    made = connector.find_or_create_lookalike(ready, LOOK)
    assert list(box.state()["lookalikes"]) == [made.remote_id]


def test_a_call_that_never_arrived_stays_unknown(connector: MetaConnector, box: MetaSandbox, ready: AudienceHandle) -> None:
    box.faults.add(match=EDGE, kind="reset")
    with pytest.raises(OutcomeUnknownError):
        connector.find_or_create_lookalike(ready, LOOK)
    assert connector.find_or_create_lookalike(ready, LOOK).remote_id


def test_a_duplicate_made_by_somebody_else_meanwhile_is_taken(
    connector: MetaConnector, box: MetaSandbox, ready: AudienceHandle
) -> None:
    """Meta answers 2654 'duplicate lookalike'; the next look finds it."""
    listing = connector._audiences.listed
    state = {"looks": 0}

    def blind_once(fields: str) -> object:
        state["looks"] += 1
        return iter(()) if state["looks"] == 2 else listing(fields)

    made = connector.find_or_create_lookalike(ready, LOOK)
    state["looks"] = 1
    connector._audiences.listed = blind_once  # type: ignore[assignment, method-assign]
    assert connector.find_or_create_lookalike(ready, LOOK).remote_id == made.remote_id
    assert any(entry["code"] == 2654 for entry in box.requests if "code" in entry)


def test_another_2654_is_no_duplicate(connector: MetaConnector, box: MetaSandbox, ready: AudienceHandle) -> None:
    box.faults.add(match=EDGE, detail={"code": 2654, "subcode": 1713089, "message": "invalid country"})
    with pytest.raises(FatalError, match="ISO country"):
        connector.find_or_create_lookalike(ready, LOOK)


def test_a_seed_with_lookalikes_is_not_deleted_and_says_which(connector: MetaConnector, ready: AudienceHandle) -> None:
    first = connector.find_or_create_lookalike(ready, LOOK)
    second = connector.find_or_create_lookalike(ready, replace(LOOK, name="Look B", ratio=0.02))
    with pytest.raises(SeedInUseError, match="lookalikes first") as caught:
        connector.delete(ready)
    assert caught.value.code == "2656"
    assert set(caught.value.lookalikes) == {first.remote_id, second.remote_id}
    connector.delete(first)
    connector.delete(second)
    connector.delete(ready)


def test_a_seed_in_use_is_said_to_be_so_also_when_its_lookalikes_are_not_told(
    connector: MetaConnector, box: MetaSandbox, ready: AudienceHandle
) -> None:
    connector.find_or_create_lookalike(ready, LOOK)
    box.faults.add(match=f"GET /v26.0/{ready.remote_id}", detail={"code": 10})
    with pytest.raises(SeedInUseError) as caught:
        connector.delete(ready)
    assert caught.value.lookalikes == ()


def test_a_new_seed_gets_a_lookalike_of_its_own_beside_the_old_ones(
    connector: MetaConnector, box: MetaSandbox, ready: AudienceHandle
) -> None:
    old = connector.find_or_create_lookalike(ready, LOOK)
    seed = connector.find_or_create(replace(SEED, name="Seed B"))
    connector.send(seed, batch_of(connector, Operation.ADD, range(1_000), delivery=8))
    box.clock.advance(hours=2)
    made = connector.find_or_create_lookalike(seed, LOOK)
    assert made.remote_id != old.remote_id
    assert box.audiences[made.remote_id].name == f"Look A ({seed.remote_id})"
    assert connector.find_or_create_lookalike(seed, LOOK).remote_id == made.remote_id
    assert connector.find_or_create_lookalike(ready, LOOK).remote_id == old.remote_id


@pytest.mark.parametrize(
    ("code", "made"), [(100, True), (400, True), (411, True), (412, True), (441, True), (415, False), (0, False)]
)
def test_a_seed_that_delivers_with_a_warning_gets_its_lookalike(
    connector: MetaConnector, box: MetaSandbox, ready: AudienceHandle, code: int, made: bool
) -> None:
    """A low match rate may last for ever; a replace that failed, or a status not told, is another matter."""
    box.faults.add(
        match=f"GET /v26.0/{ready.remote_id}",
        kind="http",
        detail={
            "status": 200,
            "headers": {"Content-Type": "application/json"},
            "body": json.dumps(
                {
                    "id": ready.remote_id,
                    "operation_status": {"code": code, "description": "as told"},
                    "delivery_status": {"code": 200},
                    "approximate_count_lower_bound": 700,
                    "approximate_count_upper_bound": 900,
                }
            ),
        },
    )
    if made:
        assert connector.find_or_create_lookalike(ready, LOOK).remote_id in box.audiences
    else:
        with pytest.raises(NotReadyError):
            connector.find_or_create_lookalike(ready, LOOK)


def test_a_lookalike_has_a_status_like_any_audience(connector: MetaConnector, box: MetaSandbox, ready: AudienceHandle) -> None:
    made = connector.find_or_create_lookalike(ready, LOOK)
    fresh = connector.status(made)
    assert (fresh.state.value, fresh.lower, "populating" in fresh.detail) == ("ready", None, True)
    box.clock.advance(hours=7)
    grown = connector.status(made)
    assert (grown.lower, grown.updated is not None) == (2_000_000, True)
    box.audiences[made.remote_id].forced_status = 450
    assert connector.status(made).state.value == "blocked"
    connector.delete(made)
    assert connector.status(made).state.value == "missing"


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (LOOK, ""),
        (replace(LOOK, name="Like our wealthy"), "neutrally"),
        (replace(LOOK, ratio=0.015), "steps of 0.01"),
        (replace(LOOK, countries=()), "names no country"),
        (SEED, ""),
        (replace(SEED, name="High income people"), "'income'"),
        (replace(SEED, description="with diabetes"), "'diabetes'"),
    ],
)
def test_what_meta_would_refuse_is_foreseen(
    connector: MetaConnector, box: MetaSandbox, spec: LookalikeSpec | AudienceSpec, words: str
) -> None:
    said = connector.objection(spec)
    assert words in said
    assert bool(said) is bool(words)
    assert box.requests == []


def test_international_seeds_are_a_setting(
    connect: Callable[..., MetaConnector], ready: AudienceHandle, box: MetaSandbox
) -> None:
    connector = connect(account={"allow_international_seeds": True})
    made = connector.find_or_create_lookalike(ready, LOOK)
    assert box.state()["lookalikes"][made.remote_id]["lookalike_spec"]["allow_international_seeds"] is True
