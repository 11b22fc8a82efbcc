"""Orders' files as shops export them: what is read, what is refused, and that no row is lost to a guess."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clv_core.transactions import InputError, OrderRules, check_orders

HEADER = "customer_id,order_id,ordered_at,amount\n"
ROWS = "".join(f"c{n},{n},2024-01-{n % 28 + 1:02d},{n}.50\n" for n in range(1, 30))
SHORT = "customer_id,ordered_at,amount\n"


def read(folder: Path, content: str | bytes, name: str = "o.csv") -> list[tuple[str, date, Decimal]]:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return days(path)


def days(source: Path | pa.Table, rules: OrderRules | None = None) -> list[tuple[str, date, Decimal]]:
    t = check_orders(source, rules)
    return t.connection.execute(f"SELECT customer_id, day, exact_amount FROM {t.relation} ORDER BY ALL").fetchall()


def refused(folder: Path, content: str | bytes, name: str = "o.csv") -> InputError:
    with pytest.raises(InputError) as caught:
        read(folder, content, name)
    assert caught.value.remedy
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ((HEADER + ROWS).replace(",", ";"), "o.csv"),
        ((HEADER + ROWS).replace(",", "\t"), "o.tsv"),
        ((HEADER + ROWS).replace(",", "|"), "o.txt"),
        ("\ufeff" + HEADER + ROWS, "o.csv"),
        ((HEADER + ROWS).replace("\n", "\r\n"), "o.csv"),
        ("\n\n" + HEADER + ROWS + "\n\n", "o.csv"),
        (gzip.compress((HEADER + ROWS).encode()), "o.csv.gz"),
    ],
)
def test_dialects_read_the_same(tmp_path: Path, content: str | bytes, name: str) -> None:
    assert read(tmp_path, content, name) == read(tmp_path, HEADER + ROWS)


def test_no_row_is_taken_for_a_header_a_comment_or_a_quote(tmp_path: Path) -> None:
    text = SHORT.replace("\n", ",note\n") + "#1,2024-01-01,5,it's\n'b',2024-01-02,6,'x\n# c,2024-01-03,7,\n"
    assert [row[0] for row in read(tmp_path, text)] == ["# c", "#1", "'b'"]
    assert refused(tmp_path, HEADER + "customer,order,date,amount\n" + ROWS).row == 1
    words = SHORT + "ann,2024-01-01,5\nbob,2024-01-02,6\n"
    assert [row[0] for row in read(tmp_path, words)] == ["ann", "bob"]


def test_the_first_line_is_never_repeated_when_it_may_be_a_customers(tmp_path: Path) -> None:
    error = refused(tmp_path, "ann,2024-01-01,5\nbob,2024-01-02,6\n")
    assert "is the first line a header?" in str(error)
    assert "ann" not in str(error)
    (tmp_path / "o.csv").write_text("ann,2024-01-01,5\n")
    with pytest.raises(InputError) as caught:
        check_orders(tmp_path / "o.csv", columns={"amount": "price"})
    assert "ann" not in str(caught.value)


def test_the_delimiter_is_the_one_that_gives_known_names(tmp_path: Path) -> None:
    text = "customer_id;ordered_at;amount;a,b,c,d,e\na;2024-01-01;5;x\n"
    assert read(tmp_path, text) == [("a", date(2024, 1, 1), Decimal(5))]


def test_line_breaks_in_quotes_also_far_down(tmp_path: Path) -> None:
    many = "".join(f"c{n},2024-01-01,5,plain\n" for n in range(30000))
    found = read(tmp_path, SHORT.replace("\n", ",note\n") + many + 'z,2024-01-02,7,"a\n""b"", c"\n')
    assert (len(found), found[-1]) == (30001, ("z", date(2024, 1, 2), Decimal(7)))


@pytest.mark.parametrize("ragged", ["c9,99,2024-01-01,5,6,7\n", "c9,99,2024-01-01\n", 'c9,99,2024-01-01,"5\n'])
def test_ragged_rows_are_named(tmp_path: Path, ragged: str) -> None:
    error = refused(tmp_path, HEADER + ROWS + ragged + ROWS.replace("c", "d"))
    assert (error.row, error.file) == (30, "o.csv")
    assert "c9" not in str(error)


@pytest.mark.parametrize(("name", "pack"), [("o.csv", bytes), ("o.csv.gz", gzip.compress)])
def test_other_encodings_are_named_with_their_row(tmp_path: Path, name: str, pack: Callable[[bytes], bytes]) -> None:
    error = refused(tmp_path, pack((HEADER + ROWS + "M\u00fcller,77,2024-01-01,5\n").encode("latin-1")), name)
    assert error.row == 30
    assert "Latin-1" in error.remedy
    assert "UTF-16" in str(refused(tmp_path, pack((HEADER + ROWS).encode("utf-16")), name))


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        ("", "o.csv", "the file is empty"),
        ("\n \n", "o.csv", "no header line"),
        (HEADER, "o.csv", "no orders in it"),
        (HEADER.strip(), "o.csv", "no orders in it"),
        ("customer_id,ordered_at,amount,amount\na,2024-01-01,5,6\n", "o.csv", "two columns are called amount"),
        ("customer_id,ordered_at,amount,Amount\na,2024-01-01,5,6\n", "o.csv", "two columns are called Amount"),
        (HEADER + ROWS, "o.csv.gz", "can't be unpacked"),
        ('{"customer_id": 1, "ordered_at": "2024-01-01", "amount": 5}\n{"customer_id": 2, "ord', "o.jsonl", "can't be read"),
    ],
)
def test_useless_files(tmp_path: Path, content: str, name: str, message: str) -> None:
    assert message in str(refused(tmp_path, content, name))


def test_other_columns_may_share_a_name_or_have_none(tmp_path: Path) -> None:
    text = "customer_id,ordered_at,amount,note,note,\na,2024-01-01,5,6,7,\n"
    assert read(tmp_path, text) == [("a", date(2024, 1, 1), Decimal(5))]


@pytest.mark.parametrize("amount", ["1.234,50", "7,00", "1 234", "1'234.5", "$5", "(5.00)", "5.00-", "0x10", "true", "5%"])
def test_amounts_in_other_notations_are_refused(tmp_path: Path, amount: str) -> None:
    error = refused(tmp_path, f"customer_id;ordered_at;amount\na;2024-01-01;5\nb;2024-01-01;{amount}\n")
    assert (error.row, error.column) == (2, "amount")


def test_a_thousands_separator_is_refused_in_quotes(tmp_path: Path) -> None:
    assert refused(tmp_path, HEADER + 'a,1,2024-01-01,"1,234.50"\n').column == "amount"


@pytest.mark.parametrize(("amount", "value"), [("1e2", 100), ("+5", 5), (" 5.00 ", 5), (".5", Decimal("0.5")), ("5.", 5)])
def test_plain_amounts(tmp_path: Path, amount: str, value: Decimal) -> None:
    assert read(tmp_path, f"{SHORT}a,2024-01-01,{amount}\n")[0][2] == value


@pytest.mark.parametrize(
    "text",
    ["31/01/2024", "01/02/2024", "31.01.2024", "01-02-2024", "24-01-31", "2024-01", "31012024", "1706659200", "1706659200000",
     "Jan 31 2024"],
)  # fmt: skip
def test_ambiguous_dates_are_refused(tmp_path: Path, text: str) -> None:
    error = refused(tmp_path, f"{SHORT}a,2024-01-01,1\na,{text},5\n")
    assert (error.row, error.column) == (2, "ordered_at")
    assert "YYYY-MM-DD" in error.remedy


@pytest.mark.parametrize(
    "text",
    ["20240131", "2024/01/31", "2024-1-31", "2024-01-31T23:30:00Z", "2024-02-01T01:30:00+02:00", "2024-01-31 11:30",
     "2024-01-31 23:30:00 UTC", "2024-01-31T11:30+02"],
)  # fmt: skip
def test_plain_dates(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, f"{SHORT}a,{text},5\n") == [("a", date(2024, 1, 31), Decimal(5))]


BASE = {"customer_id": pa.array(["1", "2"]), "ordered_at": pa.array([date(2024, 1, 31)] * 2), "amount": pa.array([1.5, 2.5])}
AT = [datetime(2024, 1, 31, 23, 30)] * 2
TYPES = {
    "customer_id": [pa.array([1, 2]), pa.array([1, 2], pa.uint8()), pa.array(["1", "2"]).dictionary_encode(),
                    pa.array(["1", "2"], pa.large_string()), pa.array([1.0, 2.0])],
    "amount": [pa.array([Decimal("1.5"), Decimal("2.5")], pa.decimal128(20, 9)), pa.array([1.5, 2.5], pa.float32()),
               pa.array([1.5, 2.5]).dictionary_encode(), pa.array(["1.5", "2.5"])],
    "ordered_at": [*(pa.array(AT, pa.timestamp(unit)) for unit in ("s", "ms", "us", "ns")), pa.array([20240131] * 2),
                   *(pa.array(AT, pa.timestamp(unit, "Asia/Tokyo")) for unit in ("s", "ns")),
                   pa.array(["2024-01-31"] * 2).dictionary_encode(), pa.array([date(2024, 1, 31)] * 2, pa.date64())],
}  # fmt: skip


@pytest.mark.parametrize(("name", "values"), [(name, one) for name, several in TYPES.items() for one in several], ids=str)
@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_types_of_columnar_files(tmp_path: Path, name: str, values: pa.Array, kind: str) -> None:
    made = pa.table({**BASE, name: values})
    source: Path | pa.Table = made
    if kind == "parquet":
        source = tmp_path / "o.parquet"
        pq.write_table(made, source)
    last = date(2024, 2, 1) if getattr(values.type, "tz", None) else date(2024, 1, 31)
    assert days(source, OrderRules(timezone="Asia/Tokyo")) == [("1", last, Decimal("1.5")), ("2", last, Decimal("2.5"))]


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("customer_id", pa.array([["a"], ["b"]]), "holds lists"),
        ("customer_id", pa.array([{"x": 1}, {"x": 2}]), "holds lists"),
        ("amount", pa.array([[1.0], [2.0]]), "holds lists"),
        ("amount", pa.array([True, False]), "yes and no"),
        ("ordered_at", pa.array([1706659200] * 2), "is not a date"),
        ("amount", pa.array([Decimal(1), Decimal(2)], pa.decimal256(40, 10)), "can't be read"),
    ],
    ids=str,
)
def test_types_that_mean_nothing_are_refused(name: str, values: pa.Array, message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_orders(pa.table({**BASE, name: values}))


def test_names_that_come_twice_in_columnar_files(tmp_path: Path) -> None:
    made = pa.table([*BASE.values(), BASE["amount"]], names=[*BASE, "Amount"])
    pq.write_table(made, tmp_path / "o.parquet")
    for source in (made, made.to_reader(), tmp_path / "o.parquet"):
        with pytest.raises(InputError, match="two columns are called Amount"):
            check_orders(source)


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("2026-01-31 23:30:00 -0500", date(2026, 2, 1)),  # as Shopify writes it
        ("2026-01-31 23:30:00 -05:00", date(2026, 2, 1)),
        ("2026-01-31T23:30:00-05", date(2026, 2, 1)),
        ("2026-01-31 23:30:00 America/Argentina/Buenos_Aires", date(2026, 2, 1)),
        ("2026-01-31 23:30:00 UTC", date(2026, 1, 31)),
        ("2026-01-31 11:30 PM", date(2026, 1, 31)),
        ("2026/01/31 12:30:00 am", date(2026, 1, 31)),
        ("2026-01-31T23:30:00.123456", date(2026, 1, 31)),
    ],
)
def test_times_are_read_with_their_zone(tmp_path: Path, written: str, found: date) -> None:
    assert read(tmp_path, SHORT + f"a,{written},5\n") == [("a", found, Decimal(5))]


@pytest.mark.parametrize("tail", [" EST", " CST", " PST", " 5", " blah", " PM -05:00", "+01:00[Europe/Berlin]"])
def test_a_zone_that_can_not_be_told_is_refused_not_dropped(tmp_path: Path, tail: str) -> None:
    assert refused(tmp_path, SHORT + f"a,2026-01-31 11:30:00{tail},5\n").row == 1


@pytest.mark.parametrize(
    ("ordered_at", "amount", "words"),
    [
        ("31.01.2026", "5", "day and month can be mistaken"),
        ("01/31/2026 10:00", "5", "day and month can be mistaken"),
        ("1767261600", "5", "seconds since 1970"),
        ("1767261600123", "5", "milliseconds since 1970"),
        ("46053", "5", "Excel's number of a day"),
        ("2026-01-31 10:00:00 PST", "5", "write the time zone as an offset"),
        ("2026-01-31", '"1.234,56 €"', "a point before the cents and nothing between thousands"),
        ("2026-01-31", '"12,50"', "12.50: a point before the cents, not a comma"),
        ("2026-01-31", '"1,234"', "nothing between thousands"),
        ("2026-01-31", "$13.00", "the number alone"),
        ("2026-01-31", "(13.00)", "with a minus sign"),
        ("2026-01-31", "soon", "plain numbers such as 12.50"),
    ],
)
def test_what_a_spreadsheet_writes_is_refused_with_what_to_write(
    tmp_path: Path, ordered_at: str, amount: str, words: str
) -> None:
    assert words in refused(tmp_path, SHORT + f"a,{ordered_at},{amount}\n").remedy


@pytest.mark.parametrize("kind", [pa.float64(), pa.float32()])
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize(("column", "rules"), [("amount", OrderRules()), ("margin", OrderRules(value="margin"))])
def test_a_number_that_is_none_is_refused_in_parquet_too(
    tmp_path: Path, kind: pa.DataType, bad: float, column: str, rules: OrderRules
) -> None:
    """A Parquet file's least and largest value leave NaN out, and DuckDB trusts them."""
    money = {"amount": pa.array([1.0, 2.0, 3.0], kind), "margin": pa.array([1.0, 2.0, 3.0], kind)}
    money[column] = pa.array([10.0, bad, 3.0], kind)
    path = tmp_path / "o.parquet"
    pq.write_table(pa.table({"customer_id": ["a", "b", "c"], "ordered_at": ["2026-01-31"] * 3, **money}), path)
    with pytest.raises(InputError, match="not a finite number") as caught:
        check_orders(path, rules)
    assert (caught.value.row, caught.value.column) == (2, column)


@pytest.mark.parametrize("who", ['{"id": 7, "orders": 3}', '["7"]'])
@pytest.mark.parametrize("name", ["o.jsonl", "o.json"])
def test_a_customer_that_is_an_object_or_a_list_is_refused(tmp_path: Path, who: str, name: str) -> None:
    """Taken as text, an object with the number of orders in it would be another customer with each order."""
    rows = '{"customer": "5", "order_id": "0", "ordered_at": "2026-01-30", "amount": 1}\n'
    rows += f'{{"customer": {who}, "order_id": "1", "ordered_at": "2026-01-31", "amount": 10.5}}\n'
    found = refused(tmp_path, rows, name)
    assert found.column == "customer"
    assert "lists or objects" in found.message


@pytest.mark.parametrize(
    ("content", "name", "words"),
    [
        (b"PK\x03\x04....", "o.xlsx", "Excel workbook"),
        (b"\xd0\xcf\x11\xe0....", "o.xls", "Excel workbook"),
        (gzip.compress((HEADER + ROWS).encode()), "o.csv", "name it .csv.gz"),
        ((HEADER + ROWS).encode("utf-16"), "o.csv", "UTF-16"),
        (b'{"orders": [{"customer_id": 1, "ordered_at": "2026-01-31", "amount": 1}]}', "o.json", "one object per order"),
    ],
)
def test_files_of_another_kind_are_told_as_such(tmp_path: Path, content: bytes, name: str, words: str) -> None:
    assert words in str(refused(tmp_path, content, name))


def test_excels_line_about_its_delimiter_is_no_header(tmp_path: Path) -> None:
    text = (SHORT + "a,2026-01-31,10.50\n").replace(",", ";")
    assert read(tmp_path, "sep=;\r\n" + text.replace("\n", "\r\n")) == read(tmp_path, text)


def test_names_in_camel_case_are_known(tmp_path: Path) -> None:
    assert read(tmp_path, "customerId,orderId,createdAt,totalPrice\na,1,2026-01-31,5\n") == [
        ("a", date(2026, 1, 31), Decimal(5))
    ]


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "jsonl", "parquet"])
def test_a_pattern_is_all_its_files(tmp_path: Path, ending: str) -> None:
    for month in (1, 2):
        table = pa.table({"customer_id": ["a"], "ordered_at": [f"2026-0{month}-05"], "amount": [f"{month}.50"]})
        path = tmp_path / f"o-{month}.{ending}"
        if ending == "parquet":
            pq.write_table(table, path)
            continue
        row = ",".join(table.to_pylist()[0].values())
        text = SHORT + row + "\n" if "csv" in ending else json.dumps(table.to_pylist()[0]) + "\n"
        path.write_bytes(gzip.compress(text.encode()) if ending.endswith("gz") else text.encode())
    assert days(tmp_path / f"o-*.{ending}") == [
        ("a", date(2026, 1, 5), Decimal("1.5")),
        ("a", date(2026, 2, 5), Decimal("2.5")),
    ]
    with pytest.raises(InputError, match="no such file"):
        check_orders(tmp_path / f"p-*.{ending}")


def test_files_of_a_pattern_with_columns_in_another_order_are_refused(tmp_path: Path) -> None:
    """DuckDB would read them by position: an amount for a date, or what is worse, a cost for an amount."""
    (tmp_path / "o-1.csv").write_text("customer_id,ordered_at,amount,cost\na,2026-01-31,10,4\n")
    (tmp_path / "o-2.csv").write_text("customer_id,ordered_at,cost,amount\na,2026-02-01,4,10\n")
    with pytest.raises(InputError, match=r"the first line of o-2.csv is unlike that of o-1.csv; export both with the same col"):
        check_orders(tmp_path / "o-*.csv")
