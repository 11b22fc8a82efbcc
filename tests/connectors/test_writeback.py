"""Write-back: every kind of place, whole or not at all, membership as the engine selects it, the erased never again."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as parquet
import pytest

from connectors import config, writeback
from connectors.demo import starter
from connectors.engine.audience import AudienceRequest
from connectors.engine.forget import forget
from connectors.engine.selection import memberships
from connectors.errors import ConfigurationError
from tests.connectors.engine.world import LOOSE, World, digest, person, scores

AUDIENCES = """
audiences:
  - {name: best, title: Best, who: {tiers: [high]}, platforms: [meta]}
  - {name: american, title: American, who: {where: "country = 'US'"}, platforms: [google]}
  - {name: off, title: Off, enabled: false, platforms: [google]}
"""
GERMAN = {"country": "DE"}
PEOPLE = [
    person(1),
    person(2, tier="low"),
    person(3, contact=GERMAN),  # without consent: scored, in no audience
    person(4, tier="low", contact={"country": "CA"}),
    person(5, emails=(), contact={"country": "US", "do_not_sell": "yes"}),
]
EXPECTED = {"1": ["best", "american"], "2": ["american"], "3": [], "4": [], "5": []}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    one = World(tmp_path)
    yield one
    one.ledger.close()


Back = Callable[..., dict[str, Any]]


@pytest.fixture
def settings(tmp_path: Path) -> Callable[[str], config.Settings]:
    def made(block: str) -> config.Settings:
        folder = tmp_path / "config"
        if not folder.exists():
            starter.write(folder)
            (folder / "audiences.yaml").write_text(AUDIENCES)
            (folder / "sources.clean").write_text((folder / "sources.yaml").read_text())
        (folder / "sources.yaml").write_text((folder / "sources.clean").read_text() + f"\nwrite_back: {block}\n")
        return config.load(folder)

    return made


@pytest.fixture
def back(world: World, settings: Callable[[str], config.Settings]) -> Back:
    def run(block: str, people: list[Any] = PEOPLE) -> dict[str, Any]:
        members = world.members(people)
        try:
            return writeback.write(settings(block), scores(people), members, world.ledger)
        finally:
            members.close()

    return run


def joined(expected: dict[str, list[str]]) -> dict[str, str]:
    return {one: "|".join(names) for one, names in expected.items()}


def in_sqlite(path: Path, query: str = "SELECT customer_id, audiences FROM clv_scores") -> dict[Any, Any]:
    with sqlite3.connect(path) as connection:
        return dict(connection.execute(query).fetchall())


def in_duckdb(path: Path, table: str = "clv_scores") -> dict[str, Any]:
    with duckdb.connect(str(path)) as connection:
        return dict(connection.sql(f"SELECT customer_id, audiences FROM {table}").fetchall())


def in_file(path: Path) -> dict[str, Any]:
    types = csv.ConvertOptions(column_types={"customer_id": pa.string(), "audiences": pa.string()})
    table = parquet.read_table(path) if path.suffix == ".parquet" else csv.read_csv(path, convert_options=types)
    return dict(zip(table["customer_id"].to_pylist(), table["audiences"].to_pylist(), strict=True))


def test_parquet_holds_all_columns_and_a_list(tmp_path: Path, back: Back) -> None:
    assert back("{path: ../scores.parquet}") == {"place": "../scores.parquet", "rows": 5, "exit_code": 0, "detail": ""}
    table = parquet.read_table(tmp_path / "scores.parquet")
    assert table.column_names == [*scores(PEOPLE).column_names, "audiences"]
    assert table.schema.field("audiences").type == pa.list_(pa.string())
    assert in_file(tmp_path / "scores.parquet") == EXPECTED


def test_csv_holds_text(tmp_path: Path, back: Back) -> None:
    back("{path: ../scores.csv}")
    assert in_file(tmp_path / "scores.csv") == joined(EXPECTED)
    assert (tmp_path / "scores.csv").stat().st_mode & 0o777 == 0o600


def test_a_file_stays_as_open_as_it_was_made(tmp_path: Path, back: Back) -> None:
    back("{path: ../scores.csv}")
    (tmp_path / "scores.csv").chmod(0o644)
    back("{path: ../scores.csv}")
    assert (tmp_path / "scores.csv").stat().st_mode & 0o777 == 0o644


def test_databases_hold_typed_tables(tmp_path: Path, back: Back) -> None:
    back("{database: ../crm.sqlite}")
    back("{database: ../crm.duckdb, table: best_table}")
    assert in_sqlite(tmp_path / "crm.sqlite") == joined(EXPECTED)
    assert in_sqlite(tmp_path / "crm.sqlite", "SELECT typeof(clv), typeof(as_of) FROM clv_scores LIMIT 1") == {"real": "text"}
    assert in_duckdb(tmp_path / "crm.duckdb", "best_table") == joined(EXPECTED)


def test_a_warehouse_by_its_url(tmp_path: Path, back: Back, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRM_URL", f"duckdb://{tmp_path}/warehouse.duckdb")
    for _ in range(2):
        assert back("{database: 'env:CRM_URL'}")["rows"] == 5
    assert in_duckdb(tmp_path / "warehouse.duckdb") == joined(EXPECTED)
    monkeypatch.setenv("CRM_URL", "duckdb:///no/such/folder/secret-word.duckdb")
    told = back("{database: 'env:CRM_URL'}")
    assert told["exit_code"] == 2
    assert "secret-word" not in told["detail"]


PLACES = ["{path: ../s.parquet}", "{path: ../s.csv}", "{database: ../s.sqlite}", "{database: ../s.duckdb}"]


def held(tmp_path: Path) -> dict[str, Any]:
    (path,) = [one for one in tmp_path.iterdir() if one.stem == "s"]
    return {".sqlite": in_sqlite, ".duckdb": in_duckdb}.get(path.suffix, in_file)(path)


@pytest.mark.parametrize("place", PLACES)
def test_the_next_run_replaces_everything(tmp_path: Path, back: Back, place: str) -> None:
    back(place)
    back(place, [person(2, tier="high"), person(9)])
    assert set(held(tmp_path)) == {"2", "9"}


@pytest.mark.parametrize("place", PLACES)
def test_the_erased_leave_at_once_and_never_come_back(
    tmp_path: Path, world: World, back: Back, settings: Callable[[str], config.Settings], place: str
) -> None:
    back(place)
    forget(world.ledger, ["2"], [], work=tmp_path / "erasing", now=world.clock)
    said = f"1 rows were taken out of {place.split()[1].rstrip('},')}{table(place)}"
    assert writeback.forget(settings(place), ["2"]) == ([said], True)
    assert set(held(tmp_path)) == {"1", "3", "4", "5"}
    assert back(place)["rows"] == 4
    assert set(held(tmp_path)) == {"1", "3", "4", "5"}


def table(place: str) -> str:
    return " clv_scores" if "database" in place else ""


def test_a_warehouse_replaces_in_one_transaction(tmp_path: Path, back: Back, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRM_URL", f"sqlite://{tmp_path}/warehouse.sqlite")
    path = tmp_path / "warehouse.sqlite"
    sqlite3.connect(path).close()
    assert back("{database: 'env:CRM_URL'}")["detail"] == ""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE clv_scores_new (left_behind TEXT)")
        connection.execute("CREATE INDEX by_customer ON clv_scores (customer_id)")
        connection.execute("CREATE TABLE customers (customer_id TEXT)")
    assert back("{database: 'env:CRM_URL'}", [person(1), person(9)])["rows"] == 2
    assert in_sqlite(path) == joined({"1": ["best", "american"], "9": ["best", "american"]})
    assert [row[0] for row in sqlite3.connect(path).execute("SELECT name FROM sqlite_master ORDER BY name")] == [
        "by_customer",  # what others made on the table (indexes, grants, views) stays
        "clv_scores",
        "customers",
    ]
    assert "something else" in back("{database: 'env:CRM_URL', table: customers}")["detail"]


@pytest.mark.parametrize("kind", ["duckdb", "sqlite"])
def test_forgetting_in_a_warehouse(
    tmp_path: Path, back: Back, settings: Callable[[str], config.Settings], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setenv("CRM_URL", f"{kind}://{tmp_path}/warehouse.{kind}")
    if kind == "sqlite":
        sqlite3.connect(tmp_path / "warehouse.sqlite").close()
    assert writeback.forget(settings("{database: 'env:CRM_URL'}"), ["1"]) == (
        ["0 rows were taken out of env:CRM_URL clv_scores"],
        True,
    )
    back("{database: 'env:CRM_URL'}")
    notes, done = writeback.forget(settings("{database: 'env:CRM_URL'}"), ["1"])
    assert (notes, done) == (["1 rows were taken out of env:CRM_URL clv_scores"], True)
    held = in_duckdb if kind == "duckdb" else in_sqlite
    assert set(held(tmp_path / f"warehouse.{kind}")) == {"2", "3", "4", "5"}


def test_what_is_something_else_is_left_as_it_is(tmp_path: Path, back: Back) -> None:
    (tmp_path / "orders.csv").write_text("customer_id,amount\n1,2\n")
    with sqlite3.connect(tmp_path / "shop.sqlite") as connection:
        connection.execute("CREATE TABLE customers (customer_id TEXT)")
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as other:
        other.execute("CREATE TABLE customers (customer_id TEXT)")
    for place in (
        "{path: ../orders.csv}",
        "{database: ../shop.sqlite, table: customers}",
        "{database: ../shop.duckdb, table: customers}",
    ):
        told = back(place)
        assert (told["exit_code"], told["rows"]) == (2, 0)
        assert "something else" in told["detail"]
    assert (tmp_path / "orders.csv").read_text() == "customer_id,amount\n1,2\n"
    assert in_sqlite(tmp_path / "shop.sqlite", "SELECT count(*), 0 FROM customers") == {0: 0}


def test_a_write_that_fails_in_the_middle_leaves_the_old_table(tmp_path: Path, back: Back) -> None:
    back("{database: ../crm.sqlite}")
    table = scores([person(7), person(8)]).append_column("audiences", pa.array(["x", "x"]))
    broken = table.append_column("nested", pa.array([None, {"a": 1}]))  # the second row can't be stored
    with closing(sqlite3.connect(tmp_path / "crm.sqlite", isolation_level=None)) as connection, pytest.raises(sqlite3.Error):
        writeback._put_sqlite(connection, "clv_scores", broken)
    assert in_sqlite(tmp_path / "crm.sqlite") == joined(EXPECTED)


def test_a_database_that_somebody_holds_is_said_and_costs_nothing(tmp_path: Path, back: Back) -> None:
    (tmp_path / "crm.duckdb").write_text("this is no database")
    told = back("{database: ../crm.duckdb}")
    assert told["exit_code"] == 2
    assert "can't be written" in told["detail"]
    assert "no folder" in back("{database: ../nowhere/crm.duckdb}")["detail"]


def test_membership_is_what_a_push_sends(world: World) -> None:
    """Holdout, consent and conditions: the very people whom a push adds."""
    people = [
        person(number, tier="high" if number % 3 else "low", contact={"country": "US" if number % 5 else "DE"})
        for number in range(200)
    ]
    world.requests = (AudienceRequest("some", "Some", tiers=("high",), holdout=0.3, guardrails=LOOSE),)
    members = world.members(people)
    belonging = memberships(members, world.requests, world.ledger)
    told = {
        key for key, names in zip(belonging["member_key"].to_pylist(), belonging["audiences"].to_pylist(), strict=True) if names
    }
    world.push(people)
    emails = {row[0] for row in world.shelf.members("Some")}
    wanted = {world.ledger.member_key(one.id) for one in people if digest(one.emails[0]) in emails}
    assert {one.bytes for one in told} == wanted
    assert 30 < len(wanted) < 107
    assert belonging.num_rows == 160  # who may not be sent has no row
    members.close()


@pytest.mark.parametrize(
    ("block", "said"),
    [
        ("{}", "give either path"),
        ("{path: a.csv, database: b.db}", "give either path"),
        ("{path: a.xlsx}", ".parquet or .csv"),
        ("{database: b.db, table: 'a; drop'}", "table"),
    ],
)
def test_mistakes_in_config(settings: Callable[[str], config.Settings], block: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        settings(block)
