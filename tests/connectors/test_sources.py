"""Sources: one row per person, ids as text, nobody's consent widened."""

from __future__ import annotations

import gzip
import json
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest

from connectors import sources
from connectors.config.sources import TableSource
from connectors.errors import ConfigurationError


def contacts(folder: Path, name: str, text: str, **columns: str) -> dict[str, dict[str, Any]]:
    (folder / name).write_text(text)
    rows = sources.contacts(TableSource(path=name, columns=columns), folder).to_pylist()
    return {row["customer_id"]: row for row in rows}


def test_repeated_rows_are_one_person_with_all_identifiers(tmp_path: Path) -> None:
    found = contacts(
        tmp_path, "c.csv", "customer_id,email,phone,city\n007,a@x.org,1,\n007,b@x.org|c@x.org,,Oslo\n7,d@x.org,,\n"
    )
    assert sorted(found) == ["007", "7"]
    assert sorted(found["007"]["email"]) == ["a@x.org", "b@x.org", "c@x.org"]
    assert found["007"]["city"] == "Oslo"


def test_lists_come_as_json_too(tmp_path: Path) -> None:
    line = json.dumps({"customer_id": 1, "email": ["a@x.org", "b@x.org"], "country": "NO"})
    found = contacts(tmp_path, "c.jsonl", line + "\n")
    assert sorted(found["1"]["email"]) == ["a@x.org", "b@x.org"]
    assert found["1"]["country"] == "NO"
    found = contacts(tmp_path, "d.csv", 'customer_id,email\n1,"[""a@x.org"",""b@x.org""]"\n')
    assert sorted(found["1"]["email"]) == ["a@x.org", "b@x.org"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["granted", "granted"], "granted"),
        (["granted", "denied"], "denied"),
        (["granted", ""], None),
        (["", "false"], "false"),
        (["true"], "true"),
    ],
)
def test_the_least_consent_of_several_rows_counts(tmp_path: Path, values: list[str], expected: str | None) -> None:
    rows = "".join(f"1,{value}\n" for value in values)
    found = contacts(tmp_path, "c.csv", "customer_id,consent_ad_user_data\n" + rows)
    assert found["1"]["consent_ad_user_data"] == expected


def test_click_ids_of_all_columns_are_kept_with_their_names(tmp_path: Path) -> None:
    text = "customer_id,gclid,FBCLID,click_id\n1,Abc,IwAR,\n1,Later,,\n2,,,ttclid=E.C\n3,,,\n"
    found = contacts(tmp_path, "c.csv", text)
    assert [found[one]["click_id"] for one in "123"] == ["gclid=Abc fbclid=IwAR", "ttclid=E.C", None]
    mapped = contacts(tmp_path, "d.csv", "customer_id,gclid\n1,Abc\n", click_id="gclid")
    assert mapped["1"]["click_id"] == "gclid=Abc"


def test_do_not_sell_in_any_row_counts(tmp_path: Path) -> None:
    found = contacts(tmp_path, "c.csv", "customer_id,do_not_sell\n1,\n1,yes\n2,false\n")
    assert found["1"]["do_not_sell"] == "yes"
    assert found["2"]["do_not_sell"] is None


def test_a_missing_column_is_named_with_what_is_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"c\.csv: column 'customer_id' is missing; the table has: kunde, email"):
        contacts(tmp_path, "c.csv", "kunde,email\n1,a@x.org\n")
    found = contacts(tmp_path, "c.csv", "kunde,email\n1,a@x.org\n", customer_id="kunde")
    assert found["1"]["email"] == ["a@x.org"]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="there is no file"):
        sources.contacts(TableSource(path="none.csv"), tmp_path)


def test_queries_on_duckdb_and_sqlite_files(tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as connection:
        connection.execute("CREATE TABLE people AS SELECT '01' AS customer_id, 'a@x.org' AS email")
    with sqlite3.connect(tmp_path / "shop.sqlite") as lite:
        lite.execute("CREATE TABLE people (customer_id TEXT, email TEXT)")
        lite.execute("INSERT INTO people VALUES ('01', 'a@x.org')")
    lite.close()
    for database in ("shop.duckdb", "shop.sqlite"):
        table = sources.contacts(TableSource(sql="SELECT * FROM people", database=database), tmp_path)
        assert table.to_pylist()[0]["customer_id"] == "01"
        assert table.to_pylist()[0]["email"] == ["a@x.org"]


def test_a_failing_query_says_so_without_the_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAREHOUSE_URL", "postgres://someone:hunter2@127.0.0.1:1/shop")
    with pytest.raises(ConfigurationError) as caught:
        sources.contacts(TableSource(sql="SELECT 1", database="env:WAREHOUSE_URL"), tmp_path)
    assert "hunter2" not in str(caught.value)


def test_rates_must_be_readable(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("date,currency,rate\n2026-01-02,EUR,1.10\n")
    table = sources.rates(TableSource(path="r.csv"), tmp_path)
    assert str(table.to_pylist()[0]["rate"]) == "1.100000000"
    (tmp_path / "r.csv").write_text("date,currency,rate\n02.01.2026,EUR,1.10\n")
    with pytest.raises(ConfigurationError, match="rates are not readable"):
        sources.rates(TableSource(path="r.csv"), tmp_path)


@pytest.mark.parametrize("kind", ["duckdb", "sqlite"])
def test_a_warehouse_is_read_by_its_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    path = tmp_path / f"shop.{kind}"
    connection = duckdb.connect(str(path)) if kind == "duckdb" else sqlite3.connect(path)
    connection.execute("CREATE TABLE people AS SELECT '7' AS customer_id, 'jane@example.com' AS email")
    connection.close()
    monkeypatch.setenv("WAREHOUSE_URL", f"{kind}://{path}")
    source = TableSource(sql="SELECT * FROM people", database="env:WAREHOUSE_URL")
    assert sources.contacts(source, tmp_path)["email"].to_pylist() == [["jane@example.com"]]


def test_a_query_runs_as_written_and_whatever_its_types(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is made in the database (a replica would refuse it), and mixed columns are text."""
    path = tmp_path / "shop.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE orders (customer_id, amount)")
        rows = [(number, "12.50" if number % 2 else 3) for number in range(120_001)]
        connection.executemany("INSERT INTO orders VALUES (?, ?)", rows)
        connection.commit()
    path.chmod(0o400)
    monkeypatch.setenv("WAREHOUSE_URL", f"sqlite://{path}")
    source = TableSource(sql="SELECT * FROM orders ORDER BY customer_id", database="env:WAREHOUSE_URL")
    found = sources.orders(source, tmp_path)
    assert not isinstance(found, Path)
    assert found.num_rows == 120_001
    assert found["amount"].slice(0, 2).to_pylist() == ["3", "12.50"]
    none = TableSource(sql="SELECT * FROM orders WHERE customer_id < 0", database="env:WAREHOUSE_URL")
    assert sources.orders(none, tmp_path).column_names == ["customer_id", "amount"]  # type: ignore[union-attr]


def test_a_missing_driver_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    monkeypatch.setenv("WAREHOUSE_URL", "postgresql://shop:secretpw@127.0.0.1:1/shop")
    with pytest.raises(ConfigurationError, match="driver for postgresql is not installed") as caught:
        sources.orders(TableSource(sql="SELECT 1", database="env:WAREHOUSE_URL"), tmp_path)
    assert caught.value.remedy == "pip install 'ibis-framework[postgres]'"
    assert "secretpw" not in str(caught.value)


def test_a_bad_row_never_becomes_the_header_nor_part_of_a_message(tmp_path: Path) -> None:
    broken = 'customer_id,email,first_name\n1,a@x.org,Ada\n2,"bad "quote" x,Leakname,extra,cols\n3,c@x.org,Cy\n'
    assert contacts(tmp_path, "c.csv", broken)["1"]["email"] == ["a@x.org"]
    longer = "customer_id,email,first_name\n1,a@x.org,Ada\n2,b@x.org,Ben,extra,cols\n3,c@x.org,Cy\n"
    assert sorted(contacts(tmp_path, "e.csv", longer)) == ["1", "2", "3"]
    with pytest.raises(ConfigurationError, match="is the first line a header") as caught:
        contacts(tmp_path, "d.csv", "17,mary@example.com,Leakname\n18,ben@example.com,Ben\n")
    assert "Leakname" not in str(caught.value)


def test_other_delimiters_and_byte_order_marks(tmp_path: Path) -> None:
    found = contacts(tmp_path, "c.csv", "\ufeffcustomer_id;email;city\n007;a@x.org;Oslo, Norge\n")
    assert found["007"]["city"] == "Oslo, Norge"
    assert found["007"]["email"] == ["a@x.org"]


def test_rows_without_a_customer_id_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "c.csv").write_text("customer_id,email\n1,a@x.org\n,b@x.org\n  ,c@x.org\n")
    found = sources.contacts(TableSource(path="c.csv"), tmp_path)
    assert (found.num_rows, sources.nameless(found)) == (1, 2)
    assert "2 rows of the contacts have no customer_id" in caplog.text
    assert "x.org" not in caplog.text


@pytest.mark.parametrize("name", ["e.csv", "e.csv.gz", "e.jsonl.gz"])
def test_engagement_comes_packed_too(tmp_path: Path, name: str) -> None:
    text = (
        "customer_id;at;kind\n007;2024-01-01;email_open\n"
        if "csv" in name
        else '{"customer_id": "007", "kind": "email_open", "at": 1}\n'
    )
    content = text.encode()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    found = sources.engagement(TableSource(path=name), tmp_path)
    assert (found["customer_id"].to_pylist(), found["kind"].to_pylist()) == (["007"], ["email_open"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("customer_id,at,kind\nM\u00fcller,1,x\n".encode("latin-1"), "UTF-8"),
        ("customer_id,at,kind,\u00fc\na,1,x,y\n".encode("latin-1"), "UTF-8"),
        ("customer_id,at,kind\na,1,x\n".encode("utf-16"), "UTF-16"),
        (b"customer_id,at,at,kind\na,1,2,x\n", "two columns are called at"),
        (b"\n\n", "no header line"),
    ],
)
def test_what_is_wrong_with_a_csv_is_said_plainly(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "e.csv").write_bytes(content)
    with pytest.raises(ConfigurationError, match=message) as caught:
        sources.engagement(TableSource(path="e.csv"), tmp_path)
    assert caught.value.remedy
    assert "ller" not in str(caught.value)


def test_contacts_of_several_files_must_have_their_columns_in_one_order(tmp_path: Path) -> None:
    """By position, a first name would be read as an e-mail address."""
    (tmp_path / "c-1.csv").write_text("customer_id,email,first_name\n1,a@example.com,Ada\n")
    (tmp_path / "c-2.csv").write_text("customer_id,email,first_name\n2,b@example.com,Bob\n")
    source = TableSource(path="c-*.csv")
    assert sources.contacts(source, tmp_path)["email"].to_pylist() == [["a@example.com"], ["b@example.com"]]
    (tmp_path / "c-2.csv").write_text("customer_id,first_name,email\n2,Bob,b@example.com\n")
    with pytest.raises(ConfigurationError, match=r"the first line of c-2.csv is unlike that of c-1.csv \(export both"):
        sources.contacts(source, tmp_path)


def test_whole_numbers_of_sqlite_stay_whole_where_other_rows_have_none(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "shop.sqlite")) as connection, connection:
        connection.execute("CREATE TABLE people (customer_id INTEGER, postal_code INTEGER)")
        connection.executemany("INSERT INTO people VALUES (?, ?)", [(1, 94043), (2, None)])
    found = sources.contacts(TableSource(database="shop.sqlite", sql="SELECT * FROM people"), tmp_path).to_pylist()
    assert [(row["customer_id"], row["postal_code"]) for row in found] == [("1", "94043"), ("2", None)]


def test_a_query_that_fails_among_the_rows_says_so(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "shop.sqlite")) as connection, connection:
        connection.execute("CREATE TABLE people (customer_id INTEGER)")
        connection.executemany("INSERT INTO people VALUES (?)", [(1,), (-9223372036854775808,)])
    with pytest.raises(ConfigurationError, match="the query failed: integer overflow"):
        sources.contacts(
            TableSource(database="shop.sqlite", sql="SELECT abs(customer_id) AS customer_id FROM people"), tmp_path
        )
