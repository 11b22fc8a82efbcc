"""Identifiers kept from night to night: whatever changes in the contacts, they are what they would be if made anew."""

from __future__ import annotations

import hashlib
import logging
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.engine.content import content_digests
from connectors.engine.identified import Identified, identify_members
from connectors.engine.identity import IdentityRules
from connectors.engine.known import known_folder
from connectors.engine.ledger import open_ledger
from connectors.engine.members import build_members
from connectors.engine.pieces import Pieces
from tests.connectors.engine.identity.recipes import PLATFORMS, recipe
from tests.connectors.engine.world import Person, World, contacts, person, scores

if TYPE_CHECKING:
    from connectors.engine.members import Members

RULES = IdentityRules(shared_limit=2)
EMAILS = [(), ("own",), ("own",), ("own", "second"), ("shop@x.com",), ("own", "shop@x.com"), ("not one",), ("",), ("own\x1fa",)]
EMAILS += [(hashlib.sha256(b"somebody").hexdigest(),), ("other",)]
PHONES = [(), (), ("+1650253{0:04}",), ("650253{0:04}",), ("12",), ("+16502530000",), ("0043 1 {0:07}", "+1650254{0:04}")]
COUNTRIES, CONSENTS = ["US", "US", "GB", None, "nowhere"], ["granted", "granted", "denied", None]


@st.composite
def contacts_of(draw: st.DrawFn) -> dict[str, Any]:
    """What a person's contacts may be."""
    place = {name: draw(st.sampled_from(["Ann", "Oslo", None])) for name in ("city", "region")}
    consents = {name: draw(st.sampled_from(CONSENTS)) for name in ("consent_ad_user_data", "consent_ad_personalization")}
    return {
        "emails": draw(st.sampled_from(EMAILS)),
        "phones": draw(st.sampled_from(PHONES)),
        "contact": {"country": draw(st.sampled_from(COUNTRIES)), **place, **consents},
    }


NIGHTS = st.lists(st.dictionaries(st.integers(0, 11), contacts_of() | st.none(), max_size=6), min_size=2, max_size=3)


def one(number: int, known: dict[str, Any]) -> Person:
    """Person `number` with these contacts."""
    own = {"own": f"p{number}@example.com", "second": f"q{number}@example.com", "other": f"r{number}@example.com"}
    emails = tuple(own.get(text, text) for text in known["emails"])
    phones = tuple(text.format(number) for text in known["phones"])
    return person(number, emails=emails, phones=phones, contact=known["contact"])


def rows(made: Identified) -> list[str]:
    """All rows, in any order."""
    return sorted(repr(row) for piece in made.pieces() for row in piece.to_pylist())


def both(members: Members, platform: str, rules: IdentityRules = RULES) -> tuple[Identified, Identified]:
    """The members' identifiers with those kept from the night before, and made anew."""
    return (
        identify_members(members, recipe(platform), rules),
        identify_members(replace(members, known=None), recipe(platform), rules),
    )


@pytest.mark.parametrize("platform", PLATFORMS)
@settings(max_examples=3, deadline=None)
@given(nights=NIGHTS)
def test_kept_identifiers_are_those_that_would_be_made(platform: str, nights: list[dict[int, dict[str, Any] | None]]) -> None:
    plain = {"emails": ("own",), "phones": (), "contact": {"country": "US"}}
    people: dict[int, dict[str, Any]] = dict.fromkeys(range(8), plain)
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder))
        for night in [{}, *nights]:
            people = {number: known for number, known in {**people, **night}.items() if known is not None}
            members = world.members([one(*each) for each in people.items()])
            kept, fresh = both(members, platform)
            assert rows(kept) == rows(fresh)
            assert kept.report.to_dict() == fresh.report.to_dict()
            members.close()
        world.ledger.close()


CROWD = [person(number, phones=(f"+1650253{number:04}",)) for number in range(60)]


def night(world: World, people: list[Person] = CROWD, **rules: Any) -> int:
    """For how many people what was kept serves again; it is what would be made."""
    members = world.members(people)
    kept, fresh = both(members, "meta", IdentityRules(**rules))
    assert rows(kept) == rows(fresh)
    assert kept.report.to_dict() == fresh.report.to_dict()
    members.close()
    return kept.again


def test_only_people_whose_contacts_changed_are_made_anew(tmp_path: Path) -> None:
    world = World(tmp_path)
    assert night(world) == 0
    assert night(world) == 60
    edits: list[dict[str, Any]] = [
        {"emails": ("new@example.com",)},
        {"emails": ("p0@example.com ",)},
        {"phones": ()},
        {"contact": {"country": "GB"}},
        {"contact": {"country": "US", "city": "Oslo"}},
        {"contact": {"country": "US", "consent_ad_user_data": "granted"}},  # decides nothing at Meta
        {"value": 99.0},
    ]
    moved = [person(0, **{"phones": CROWD[0].phones, **edit}) for edit in edits]
    assert [night(world, [one, *CROWD[1:]]) for one in moved] == [59, 59, 59, 59, 59, 59, 60]
    assert night(world, [*CROWD[10:], person(70)]) == 50
    assert night(world) == 50


def test_other_rules_find_nothing_kept(tmp_path: Path) -> None:
    world = World(tmp_path)
    night(world)
    for changed in ({"default_country": "DE"}, {"latest_year": 2027}):
        assert night(world, **changed) == 0, changed
    assert night(world) == 60


def test_the_program_and_the_state_folder_decide_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world, other = World(tmp_path / "a"), World(tmp_path / "b")
    night(world)
    night(other)
    (file,) = known_folder(world.ledger).files()
    file.write_bytes(known_folder(other.ledger).files()[0].read_bytes())
    assert night(world) == 0
    monkeypatch.setattr("connectors.engine.known.version", lambda name: "another")
    assert night(world) == 0


def test_people_of_whom_there_is_more_to_say_are_not_kept(tmp_path: Path) -> None:
    """So that the report of a night is the same, whatever was kept."""
    world = World(tmp_path)
    odd = [
        person(90, phones=("12",)),
        person(91, emails=("a@x.com", "b@x.com")),
        person(92, emails=(hashlib.sha256(b"x").hexdigest(),)),
        person(93, contact={"country": "US", "city": "O\x1fslo"}),
    ]
    nobody = person(95, emails=())
    assert [night(world, [*CROWD, *odd, nobody]) for _ in range(2)] == [0, 61]


def test_device_ids_which_travel_unhashed_are_not_kept(tmp_path: Path) -> None:
    world, device = World(tmp_path), "6d92078a-8246-4ba4-ae5b-76104861e7dc"
    known = contacts([person(1), person(2)]).append_column("mobile_ad_id", pa.array([device, None], pa.string()))
    for again in (0, 1):
        work = tmp_path / f"night{again}"
        members = build_members(scores([person(1), person(2)]), known, ledger=world.ledger, work=work)
        kept, fresh = both(members, "meta")
        assert (kept.again, rows(kept)) == (again, rows(fresh))
        assert device in "".join(rows(kept))
        members.close()


@pytest.mark.parametrize("where", [4, 30, 0.5, -4, "cut"])
def test_a_damaged_file_is_told_and_made_anew(tmp_path: Path, where: float | str, caplog: pytest.LogCaptureFixture) -> None:
    world = World(tmp_path)
    night(world)
    (file,) = known_folder(world.ledger).files()
    content = bytearray(file.read_bytes())
    if isinstance(where, str):
        content = content[: len(content) // 2] if where == "cut" else bytearray()
    else:
        content[int(where * len(content)) if isinstance(where, float) else where] ^= 0xFF
    file.write_bytes(content)
    with caplog.at_level(logging.WARNING, "clvsync.identity"):
        assert night(world) == 0
    assert "made anew" in caplog.text
    assert night(world) == 60


def test_nothing_raw_is_kept_and_files_are_the_owners(tmp_path: Path) -> None:
    world = World(tmp_path, key=b"k" * 32)
    named = [replace(one, contact={"country": "US", "city": "Springfield"}) for one in CROWD]
    night(world, named)
    kept = known_folder(world.ledger)
    (file,) = kept.files()
    assert file.stat().st_mode & 0o077 == 0
    assert kept.folder.stat().st_mode & 0o077 == 0
    assert kept.seal == b"k" * 32
    opened = b"".join(column.to_string().encode() for piece in Pieces(file, kept.seal) for column in piece.columns)
    opened += repr([piece.to_pylist() for piece in Pieces(file, kept.seal)]).encode()
    for raw in (b"example.com", b"1650253", b"pringfield"):
        assert raw not in opened
        assert raw not in file.read_bytes()


@pytest.mark.parametrize("key", [None, b"k" * 32])
def test_who_is_erased_is_taken_out_of_what_is_kept(tmp_path: Path, key: bytes | None) -> None:
    from connectors.engine.audience import Account
    from connectors.engine.forget import forget

    world = World(tmp_path, key=key)
    world.push(CROWD)
    kept = known_folder(world.ledger)
    (file,) = kept.files()
    traces = [world.ledger.member_key("7"), hashlib.sha256(b"p7@example.com").digest()]

    def opened() -> bytes:
        pieces = Pieces(file, kept.seal)
        return b"".join(bytes(buffer) for piece in pieces for column in piece.columns for buffer in column.buffers() if buffer)

    assert all(trace in opened() for trace in traces)
    account = Account(world.shelf.connect(), world.rules)
    forget(world.ledger, ["7"], [account], work=tmp_path / "forgetting", now=world.clock)
    assert not any(trace in opened() for trace in traces)
    everybody = b"".join(path.read_bytes() for path in (tmp_path / "state").rglob("*") if path.is_file())
    assert traces[1] not in everybody
    assert Pieces(file, kept.seal).rows == 59
    file.write_bytes(b"damaged")
    forget(world.ledger, ["8"], [account], work=tmp_path / "again", now=world.clock)
    assert kept.files() == []


def test_another_key_drops_what_was_kept(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.push(CROWD)
    assert known_folder(world.ledger).files()
    world.ledger.close()
    ledger = open_ledger(tmp_path / "state", b"n" * 32)
    with ledger.run("job", world.clock()):
        assert known_folder(ledger).files() == []
    ledger.close()


def test_what_a_killed_plan_left_is_swept(tmp_path: Path) -> None:
    world = World(tmp_path)
    night(world)
    spare = world.ledger.identities / ".x.pieces.tmp"
    spare.write_bytes(b"half")
    with world.ledger.run("job", world.clock()):
        assert not spare.exists()
    assert night(world) == 60


TEXTS = st.none() | st.text(st.sampled_from("ab\x1d\x1e\x1f1"), max_size=3)
LISTS = st.none() | st.lists(TEXTS, max_size=3)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(TEXTS, TEXTS, LISTS), min_size=1, max_size=12))
def test_digests_tell_all_rows_that_differ(found: list[tuple[str | None, str | None, list[str | None] | None]]) -> None:
    first, second, third = (list(column) for column in zip(*found, strict=True))
    columns = [pa.array(first, pa.string()), pa.array(second, pa.string()), pa.array(third, pa.list_(pa.string()))]
    digests, able = content_digests(pa.RecordBatch.from_arrays(columns, names=["a", "b", "c"]), b"key")
    told = {bytes(digest): repr(row) for digest, row, fine in zip(digests, found, able, strict=True) if fine}
    assert len(set(told.values())) == len(told)
    assert len(told) == len({repr(row) for row, fine in zip(found, able, strict=True) if fine})
    plain = [not any(mark in repr(row) for mark in ("\\x1d", "\\x1e", "\\x1f")) and None not in (row[2] or ()) for row in found]
    assert all(fine for fine, simple in zip(able, plain, strict=True) if simple)


def test_digests_depend_on_the_key_and_on_nothing_else() -> None:
    batch = pa.RecordBatch.from_pydict({"a": ["x", "y", None], "b": ["1", "2", "3"]})
    whole, _ = content_digests(batch, b"key")
    alone, _ = content_digests(batch.slice(1, 1), b"key")
    assert alone.tobytes() == whole[1].tobytes()
    assert content_digests(batch, b"other")[0][0].tobytes() != whole[0].tobytes()
    assert content_digests(batch.rename_columns(["a", "c"]), b"key")[0][0].tobytes() != whole[0].tobytes()


def test_another_process_finds_the_same_file(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from connectors.engine.identity import IdentityRules; "
        "from connectors.engine.known import KnownFolder; from connectors.protocol import Recipe; "
        "rules = IdentityRules(opt_in=frozenset(map(str, range(9)))); "
        "print(KnownFolder(Path(sys.argv[1]), b'', b'').path(Recipe('1', ()), rules))"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code, str(tmp_path)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1
