"""`clvsync hash`: what the lines of a file become, in every form a file may have."""

from __future__ import annotations

import hashlib
import json
from csv import DictWriter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from connectors.engine import csv_rows
from connectors.errors import ConfigurationError
from tests.connectors.engine.identity.recipes import hashed


def hexdigest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def csv(tmp_path: Path, content: str, name: str = "contacts.csv", encoding: str = "utf-8") -> Path:
    path = tmp_path / name
    path.write_bytes(content.encode(encoding))
    return path


def test_line_as_the_design_shows_it(tmp_path: Path) -> None:
    path = csv(tmp_path, "customer_id,email,phone,country\n7, Mary@Example.com ,12,us\n")
    rows, _ = hashed(path, "google", show_normalised=False)
    assert rows == [
        {
            "email": [{"sha256": hexdigest("mary@example.com")}],
            "phone": [{"invalid": "too short"}],
            "country": [{"value": "US"}],
        }
    ]


def test_normalised_only_when_asked_for(tmp_path: Path) -> None:
    path = csv(tmp_path, "email,country\nMary@Example.com,us\n")
    rows, _ = hashed(path, "google", show_normalised=True)
    assert rows == [
        {
            "email": [{"sha256": hexdigest("mary@example.com"), "normalised": "mary@example.com"}],
            "country": [{"value": "US", "normalised": "US"}],
        }
    ]


def test_each_field_is_judged_alone(tmp_path: Path) -> None:
    rows, _ = hashed(csv(tmp_path, "first_name\nJane\n"), "google", show_normalised=False)
    assert rows == [{"first_name": [{"sha256": hexdigest("jane")}]}]  # though an address needs four parts
    rows, _ = hashed(csv(tmp_path, "external_id\nCust-9A\n"), "meta", show_normalised=False)
    assert rows == [{"external_id": [{"value": "Cust-9A"}]}]  # though it is opt-in


def test_columns_the_platform_does_not_take_are_left_out(tmp_path: Path) -> None:
    rows, _ = hashed(csv(tmp_path, "email,city,shoe_size\na@x.com,Graz,44\n"), "tiktok", show_normalised=False)
    assert rows == [{"email": [{"sha256": hexdigest("a@x.com")}]}]


def test_several_values_are_joined_by_bars_in_csv_alone_and_never_in_names(tmp_path: Path) -> None:
    path = csv(tmp_path, 'email,phone,first_name\na@x.com|B@X.com|,"[""+16502530000"", ""12""]",Jo|Ann\n')
    rows, _ = hashed(path, "meta")
    assert [one.get("normalised") for one in rows[0]["email"]] == ["a@x.com", "b@x.com"]
    assert [one.get("normalised", one.get("invalid")) for one in rows[0]["phone"]] == ["16502530000", "too short"]
    assert rows[0]["first_name"][0]["normalised"] == "joann"
    lines = tmp_path / "contacts.jsonl"
    lines.write_text(json.dumps({"email": ["a@x.com", "b|c@x.com", None]}) + "\n")
    rows, _ = hashed(lines, "meta")
    assert [one.get("normalised") for one in rows[0]["email"]] == ["a@x.com", "b|c@x.com"]


def test_empty_cells_have_no_entry_unless_the_row_has_no_value(tmp_path: Path) -> None:
    path = csv(tmp_path, 'email,phone,country\na@x.com,,US\n,,\n,,US\n"  ",+16502530000,\n')
    rows, report = hashed(path, "meta")
    assert list(rows[0]) == ["email", "country"]
    assert rows[1] == {name: [{"invalid": "empty"}] for name in ("email", "phone", "country")}
    assert (rows[2]["email"], rows[2]["phone"]) == ([{"invalid": "empty"}], [{"invalid": "empty"}])
    assert rows[3]["email"] == [{"invalid": "empty"}]  # blanks were given
    assert report.fields["email"].empty == 3
    assert report.fields["email"].invalid == {}


def test_json_distinguishes_what_is_empty_from_what_is_not_given(tmp_path: Path) -> None:
    path = tmp_path / "contacts.jsonl"
    path.write_text('{"email": "", "phone": "+16502530000"}\n\n{"email": null, "phone": "+16502530000"}\n')
    rows, _ = hashed(path, "meta")
    assert rows[0]["email"] == [{"invalid": "empty"}]
    assert "email" not in rows[1]


@pytest.mark.parametrize(
    ("header", "source"),
    [
        ("state", "region"),
        ("zip", "postal_code"),
        ("madid", "mobile_ad_id"),
        ("dob_month", "birth_month"),
        ("fn", "first_name"),
    ],
)
def test_usual_names_are_known_and_kept_as_keys(header: str, source: str, tmp_path: Path) -> None:
    value = {"region": "Texas", "postal_code": "94043", "mobile_ad_id": "some-id", "birth_month": "2", "first_name": "Ann"}[
        source
    ]
    rows, report = hashed(csv(tmp_path, f"{header}\n{value}\n"), "meta")
    assert list(rows[0]) == [header]
    assert report.fields[source].valid == 1


def test_headers_are_read_without_regard_to_case_and_spelling(tmp_path: Path) -> None:
    rows, _ = hashed(csv(tmp_path, "E-Mail;First Name;ZIP Code\na@x.com;Ann;94043\n"), "meta", show_normalised=False)
    assert list(rows[0]) == ["e_mail", "first_name", "zip_code"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_encodings_and_delimiters(encoding: str, delimiter: str, tmp_path: Path) -> None:
    path = csv(tmp_path, f"email{delimiter}first_name\na@x.com{delimiter}Zoë\n", encoding=encoding)
    rows, _ = hashed(path, "meta")
    assert rows[0]["first_name"] == [{"sha256": hexdigest("zoë"), "normalised": "zoë"}]


def test_bytes_that_are_no_text_are_one_bad_value(tmp_path: Path) -> None:
    path = tmp_path / "contacts.csv"
    path.write_bytes(b"email,first_name\na@x.com,Zo\xeb\n")
    rows, _ = hashed(path, "meta")
    assert rows[0]["first_name"] == [{"invalid": "broken text"}]
    assert "sha256" in rows[0]["email"][0]


def test_ragged_rows_quotes_and_long_cells(tmp_path: Path) -> None:
    path = csv(tmp_path, 'email,phone\na@x.com\n"b@x.com",+16502530000,surplus\n' + "x" * 300_000 + ",\n")
    rows, _ = hashed(path, "meta", show_normalised=False)
    assert list(rows[0]) == ["email"]
    assert list(rows[1]) == ["email", "phone"]
    assert rows[2]["email"] == [{"invalid": "too long"}]


def test_birth_date_is_taken_apart(tmp_path: Path) -> None:
    rows, _ = hashed(csv(tmp_path, "email,birth_date\na@x.com,1990-02-03\nb@x.com,3.2.90\n"), "meta")
    assert [rows[0][part][0]["normalised"] for part in ("birth_year", "birth_month", "birth_day")] == ["1990", "02", "03"]
    assert rows[1]["birth_year"] == [{"invalid": "not a year of four digits"}]


def test_parquet_lists_numbers_and_nulls(tmp_path: Path) -> None:
    path = tmp_path / "contacts.parquet"
    table = pa.table(
        {"email": pa.array([["a@x.com", "b@x.com"], None]), "phone": pa.array([16502530000.0, None]), "gender": ["f", None]}
    )
    pq.write_table(table, path)
    rows, _ = hashed(path, "meta")
    assert [one["normalised"] for one in rows[0]["email"]] == ["a@x.com", "b@x.com"]
    assert rows[0]["phone"][0]["normalised"] == "16502530000"
    assert {name for name in rows[1] if rows[1][name] == [{"invalid": "empty"}]} == {"email", "phone", "gender"}


def test_a_json_array_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "contacts.json"
    path.write_text(json.dumps([{"email": "a@x.com"}, {"phone": 16502530000}]))
    rows, _ = hashed(path, "meta", show_normalised=False)
    assert [list(row) for row in rows] == [["email"], ["phone"]]


def test_default_country_is_for_rows_that_name_none(tmp_path: Path) -> None:
    path = csv(tmp_path, "phone,country\n020 7946 0958,\n(650) 253-0000,US\n")
    rows, _ = hashed(path, "tiktok", default_country="GB")
    assert [row["phone"][0]["normalised"] for row in rows] == ["+442079460958", "+16502530000"]


def test_file_order_is_kept_over_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_rows, "BLOCK", 4_000)
    people = 2_000
    path = csv(tmp_path, "email\n" + "".join(f"c{n}@x.com\n" for n in range(people)))
    rows, report = hashed(path, "tiktok")
    assert [row["email"][0]["normalised"] for row in rows] == [f"c{n}@x.com" for n in range(people)]
    assert report.people == people


ODD = (
    *(
        "",
        " ",
        "a@x.com",
        "A@X.com ",
        "b@y.org|c@z.net",
        "|",
        '["q@r.s", "t@u.v"]',
        "[broken",
        "+16502530000",
        "12",
        "n/a",
        "Zo\u00eb",
    ),
    *(
        "1985-02-03",
        "19850203",
        "2/1985",
        "f",
        "US",
        "xx",
        "SW1A 1AA",
        "94043-1234",
        'q"u\\o',
        "a" * 64,
        "\ufffd",
        "\u0130",
        "b@y.org",
    ),
)


def odd_rows() -> list[dict[str, str]]:
    """Every odd value in every column, and rows of nothing."""
    names = ("email", "E-mail", "phone", "first_name", "birth_date", "birth_year", "zip", "country", "shoe_size")
    rows = [{name: ODD[(n + 3 * place * (n % 4)) % len(ODD)] for place, name in enumerate(names)} for n in range(len(ODD))]
    return [*rows, dict.fromkeys(names, ""), {**dict.fromkeys(names, ""), "country": "US"}]


@pytest.mark.parametrize(("ending", "platform"), [("csv", "meta"), ("jsonl", "google"), ("parquet", "meta")])
def test_a_rows_line_does_not_depend_on_the_rows_beside_it(ending: str, platform: str, tmp_path: Path) -> None:
    """A file of all rows says of each what a file of that row alone says: columns are only the way it is worked out."""

    def write(name: str, rows: list[dict[str, str]]) -> Path:
        path = tmp_path / f"{name}.{ending}"
        if ending == "parquet":
            pq.write_table(pa.Table.from_pylist(rows), path)
        elif ending == "jsonl":
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        else:
            with path.open("w", newline="", encoding="utf-8") as out:
                writer = DictWriter(out, list(rows[0]))
                writer.writeheader()
                writer.writerows(rows)
        return path

    rows = odd_rows()
    together, _ = hashed(write("all", rows), platform)
    alone = [hashed(write(f"row{n}", [row]), platform)[0][0] for n, row in enumerate(rows)]
    assert together == alone
    assert len({json.dumps(one, sort_keys=True) for one in alone}) > len(rows) // 2


def test_the_report_says_why_and_what_is_shared(tmp_path: Path) -> None:
    path = csv(tmp_path, "email,phone\n" + "".join(f"shop@x.com,+1650253{n:04}\n" for n in range(12)) + "bad,12\n")
    _, report = hashed(path, "tiktok")
    shown = report.to_dict()
    assert shown["fields"]["email"]["shared"] == 12
    assert shown["fields"]["email"]["invalid"] == {"no @": 1}
    assert shown["people_by_identifiers"] == {"1": 0, "2": 12, "3+": 0}
    assert shown["expected_match"] == "strong"
    assert "12 shared by too many people" in report.summary()
    assert "1 too short" in report.summary() or "1 no country" in report.summary()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "shoe_size\n44\n", "no contact column"),
        ("a.csv", "", "no contact column"),
        ("a.jsonl", '{"email": "secret.person@x.com"\n', "a.jsonl:1: not a JSON object"),
        ("a.json", '[{"email": "secret.person@x.com"', "not JSON"),
        ("a.parquet", "not a parquet file", "not a Parquet file"),
    ],
)
def test_unreadable_files_say_what_to_change_and_show_no_value(name: str, content: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        hashed(csv(tmp_path, content, name), "meta")
    assert caught.value.remedy
    assert "secret" not in str(caught.value)
