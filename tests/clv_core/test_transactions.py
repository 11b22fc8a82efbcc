"""The orders contract: what is read, what counts, what is refused and how plainly."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clv_core.summary import summarise
from clv_core.transactions import InputError, OrderRules, Transactions, check_orders

HEADER = "customer_id,order_id,ordered_at,amount\n"


def orders(folder: Path, text: str, name: str = "orders.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def days(t: Transactions, columns: str = "customer_id, day, amount, orders") -> list[tuple[Any, ...]]:
    return t.connection.execute(f"SELECT {columns} FROM {t.relation} ORDER BY customer_id, day").fetchall()


def table(**columns: Sequence[Any]) -> pa.Table:
    return pa.table(columns)


def refused(source: Path | pa.Table, rules: OrderRules | None = None, **more: Any) -> InputError:
    with pytest.raises(InputError) as caught:
        check_orders(source, rules, **more)
    assert "\n" not in str(caught.value)
    return caught.value


def test_ids_are_text_also_when_they_look_like_numbers(tmp_path: Path) -> None:
    path = orders(tmp_path, HEADER + "001,7,2024-01-01,5\n1,8,2024-01-01,6\n1.0,9,2024-01-01,7\n")
    assert [row[0] for row in days(check_orders(path))] == ["001", "1", "1.0"]


def test_whole_floating_point_ids_lose_their_fraction() -> None:
    found = check_orders(table(customer_id=[1.0, 2.5], date=[date(2024, 1, 1)] * 2, amount=[1.0, 2.0]))
    assert [row[0] for row in days(found)] == ["1", "2.5"]


@pytest.mark.parametrize("kind", ["csv", "semicolons", "tsv", "gz", "jsonl", "parquet", "arrow", "stream"])
def test_every_form_of_input_reads_the_same(tmp_path: Path, kind: str) -> None:
    rows = [("001", "a", "2024-01-01", "10.10"), ("001", "b", "2024-01-05", "0.20"), ("2", "c", "2024-01-02", "-3.00")]
    lines = [("customer", "order", "date", "spend"), *rows, ("2", "d", "2024-01-01", "9")]
    source: Path | pa.Table | pa.RecordBatchReader = tmp_path / "x"
    if kind in ("csv", "semicolons", "tsv"):
        mark = {"csv": ",", "semicolons": ";", "tsv": "\t"}[kind]
        source = orders(tmp_path, "".join(mark.join(line) + "\n" for line in lines), "o.tsv" if kind == "tsv" else "o.csv")
    elif kind == "gz":
        source = tmp_path / "o.csv.gz"
        source.write_bytes(gzip.compress("".join(",".join(line) + "\n" for line in lines).encode()))
    elif kind == "jsonl":
        text = "".join(f'{{"customer": "{c}", "order": "{o}", "date": "{d}", "spend": {s}}}\n' for c, o, d, s in lines[1:])
        source = orders(tmp_path, text, "o.jsonl")
    else:
        made = pa.table({name: [line[i] for line in lines[1:]] for i, name in enumerate(lines[0])})
        source = made if kind == "arrow" else made.to_reader()
        if kind == "parquet":
            source = tmp_path / "o.parquet"
            pq.write_table(made, source)
    expected = [("001", date(2024, 1, 1), 10.1, 1), ("001", date(2024, 1, 5), 0.2, 1)]
    expected += [("2", date(2024, 1, 1), 9.0, 1), ("2", date(2024, 1, 2), -3.0, 0)]
    assert days(check_orders(source)) == expected


def test_amounts_are_summed_exactly() -> None:
    one_day = table(customer_id=["a"] * 10, date=["2024-01-01"] * 10, amount=[0.1] * 10)
    assert days(check_orders(one_day))[0][2] == 1.0


def test_days_are_cut_in_the_time_zone_of_the_business(tmp_path: Path) -> None:
    text = "customer_id,ordered_at,amount\n"
    text += "zoned,2024-01-01T23:30:00Z,1\noffset,2024-01-01 20:00:00-05:00,1\ncompact,2024-01-01T23:30:00.5+0000,1\n"
    text += "local,2024-01-01 23:30:00,1\nplain,2024-01-01,1\nnumber,20240101,1\n"
    found = {row[0]: row[1] for row in days(check_orders(orders(tmp_path, text), OrderRules(timezone="Europe/Berlin")))}
    second, first = date(2024, 1, 2), date(2024, 1, 1)
    assert found == {"zoned": second, "offset": second, "compact": second, "local": first, "plain": first, "number": first}


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_typed_times_are_cut_too(unit: str) -> None:
    at = pa.array([datetime(2024, 1, 1, 23, 30, tzinfo=UTC)], pa.timestamp(unit, "UTC"))
    source = pa.table({"customer_id": ["a"], "ordered_at": at, "amount": [1]})
    assert days(check_orders(source, OrderRules(timezone="Asia/Tokyo")))[0][1] == date(2024, 1, 2)
    assert days(check_orders(source))[0][1] == date(2024, 1, 1)


def test_unknown_time_zone_is_refused() -> None:
    assert "Mars/Olympus" in str(
        refused(table(customer_id=["a"], date=["2024-01-01"], amount=[1]), OrderRules(timezone="Mars/Olympus"))
    )


def test_a_refund_lowers_the_value_and_makes_no_purchase(tmp_path: Path) -> None:
    text = HEADER + "a,1,2024-01-01,50\na,1,2024-01-09,-20\na,2,2024-02-01,0\nb,3,2024-01-01,-5\n"
    found = check_orders(orders(tmp_path, text))
    assert days(found)[:3] == [
        ("a", date(2024, 1, 1), 50.0, 1), ("a", date(2024, 1, 9), -20.0, 0), ("a", date(2024, 2, 1), 0.0, 1),
    ]  # fmt: skip
    assert (found.customers, found.orders) == (1, 2)
    assert {one.kind: one.count for one in found.findings} == {"refunds": 2, "free_orders": 1}


def test_copies_are_dropped_lines_are_summed_and_conflicts_are_told(tmp_path: Path) -> None:
    text = "customer_id,order_id,line,ordered_at,amount\n"
    text += "a,1,1,2024-01-01,10\na,1,1,2024-01-01,10\na,1,2,2024-01-01,10\na,1,3,2024-01-01,-4\n"  # a copy, a line, a discount
    text += "b,2,1,2024-01-01,7\nc,2,1,2024-01-01,8\n"  # one id, two customers
    text += "d,3,1,2024-01-01,5\nd,3,1,2024-01-04,5\nd,3,2,2024-01-09,-5\n"  # one id, two days and a refund
    text += "e,,1,2024-01-01,1\ne,,1,2024-01-01,1\n"  # no order id: nothing to go by
    found = check_orders(orders(tmp_path, text))
    assert days(found)[0] == ("a", date(2024, 1, 1), 16.0, 1)
    assert [row[0] for row in days(found)] == ["a", "b", "c", "d", "d", "d", "e"]
    assert days(found)[-1] == ("e", date(2024, 1, 1), 2.0, 2)
    told = {one.kind: one.count for one in found.findings}
    rows = {one.kind: one.row for one in found.findings}
    assert (rows["duplicate_orders"], rows["order_id_of_several_customers"], rows["order_id_on_several_days"]) == (4, 6, 9)
    assert "(see row 4)" in str(found.findings[0])
    assert told == {"duplicate_orders": 1, "order_id_of_several_customers": 1, "order_id_on_several_days": 1, "refunds": 1}


def test_margin_or_cost_instead_of_revenue() -> None:
    base: dict[str, Sequence[Any]] = {"customer_id": ["a", "a"], "date": ["2024-01-01"] * 2, "amount": [100, -10]}
    rules = OrderRules(value="margin")
    assert days(check_orders(table(**base, margin=[30, -3]), rules))[0][2:] == (27.0, 1)
    assert days(check_orders(table(**base, cost=[60, 0]), rules))[0][2:] == (30.0, 1)
    assert "margin or a cost" in str(refused(table(**base), rules))
    hole = refused(table(**base, cost=[60, None]), rules)
    assert (hole.row, hole.column) == (2, "cost")


def rates(*rows: tuple[str, str, float]) -> pa.Table:
    return pa.table({"date": [r[0] for r in rows], "currency": [r[1] for r in rows], "rate": [r[2] for r in rows]})


MIXED: dict[str, Sequence[Any]] = {
    "customer_id": ["a", "b", "c"], "date": ["2024-01-05", "2024-01-05", "2024-02-05"],
    "amount": [10, 10, 10], "currency": ["USD", "eur ", "EUR"],
}  # fmt: skip


def test_currencies_convert_by_the_latest_rate_on_or_before_the_day() -> None:
    given = rates(("2024-01-01", "EUR", 1.1), ("2024-02-05", "EUR", 1.2), ("2024-02-06", "EUR", 9))
    found = check_orders(table(**MIXED), OrderRules(currency="USD", rates=given))
    assert [row[2] for row in days(found)] == [10.0, 11.0, 12.0]
    assert found.currency == "USD"


def test_currencies_without_rates_are_refused() -> None:
    assert "2 currencies (EUR, USD)" in str(refused(table(**MIXED)))
    assert "wanted in USD" in str(refused(table(**MIXED), OrderRules(currency="USD")))
    late = rates(("2024-01-20", "EUR", 1.1))
    assert "no rate for EUR on or before 2024-01-05" in str(refused(table(**MIXED), OrderRules(currency="USD", rates=late)))
    for bad in (
        rates(("2024-01-01", "EUR", -1)),
        rates(("soon", "EUR", 1)),
        rates(("2024-01-01", "EUR", 1), ("2024-01-01", "EUR", 2)),
    ):
        assert refused(table(**MIXED), OrderRules(currency="USD", rates=bad)).file == "rates"
    strange = {**MIXED, "currency": ["USD", "Euro", "EUR"]}
    assert (refused(table(**strange)).row, refused(table(**strange)).column) == (2, "currency")


def test_one_currency_is_taken_from_the_orders_or_the_rules() -> None:
    one = {**MIXED, "currency": ["EUR"] * 3}
    assert check_orders(table(**one)).currency == "EUR"
    assert check_orders(table(**{**MIXED, "currency": [None] * 3}), OrderRules(currency="gbp")).currency == "GBP"
    assert "three-letter" in str(refused(table(**one), OrderRules(currency="euros")))


@pytest.mark.parametrize(
    ("line", "row", "column"),
    [
        (",1,2024-01-01,5", 2, "customer_id"),
        ("   ,1,2024-01-01,5", 2, "customer_id"),
        ("a,1,01/02/2024,5", 2, "ordered_at"),
        ("a,1,2024-02-30,5", 2, "ordered_at"),
        ("a,1,infinity,5", 2, "ordered_at"),
        ("a,1,0024-01-01,5", 2, "ordered_at"),
        ("a,1,,5", 2, "ordered_at"),
        ("a,1,2024-01-01,nan", 2, "amount"),
        ("a,1,2024-01-01,inf", 2, "amount"),
        ("a,1,2024-01-01,1e300", 2, "amount"),
        ('a,1,2024-01-01,"12,50"', 2, "amount"),
        ("a,1,2024-01-01,", 2, "amount"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, line: str, row: int, column: str) -> None:
    path = orders(tmp_path, f"{HEADER}a,1,2024-01-01,5\n{line}\n{line}\n")
    error = refused(path)
    assert (error.file, error.row, error.column, error.others) == ("orders.csv", row, column, 1)
    assert error.remedy
    assert [problem.row for problem in error.problems] == [2, 3]


@pytest.mark.parametrize(
    ("date_text", "amount", "column"), [("2024-01-01", "x", "amount"), ("soon", "5", "date"), ("", "5", "date")]
)
@pytest.mark.parametrize("name", ["orders.csv", "orders.jsonl"])
def test_a_bad_row_is_named_in_the_plainest_file_too(
    tmp_path: Path, name: str, date_text: str, amount: str, column: str
) -> None:
    rows = [("a", "2024-01-01", "5")] * 3 + [("b", date_text, amount)]
    text = "customer_id,date,amount\n" + "".join(",".join(row) + "\n" for row in rows)
    if name == "orders.jsonl":
        text = "".join(f'{{"customer_id": "{c}", "date": "{d}", "amount": "{a}"}}\n' for c, d, a in rows)
    error = refused(orders(tmp_path, text, name))
    assert (error.row, error.column) == (4, column)


def test_quoted_line_breaks_are_read(tmp_path: Path) -> None:
    text = 'customer_id,date,amount,note\n1,2024-01-01,5,"a, b\nc"\n2,2024-01-01,6,"a"\n'
    assert [row[2] for row in days(check_orders(orders(tmp_path, text)))] == [5.0, 6.0]


def test_non_finite_numbers_in_typed_columns_are_refused() -> None:
    source = table(customer_id=["a", "b"], date=["2024-01-01"] * 2, amount=[1.0, float("nan")])
    assert (refused(source).row, refused(source).value) == (2, "nan")


def test_values_are_redacted(tmp_path: Path) -> None:
    error = refused(orders(tmp_path, f"{HEADER}a,1,ann.smith@example.com,5\n"))
    assert "ann" not in str(error)
    assert error.value == "aaa.aaaaa@aaaaaaa.aaa"
    assert "2024-02-30" in str(refused(orders(tmp_path, f"{HEADER}a,1,2024-02-30,5\n")))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        (HEADER, "no orders in it"),
        ("customer_id,ordered_at\na,2024-01-01\n", "no column for amount"),
        ("who,when,what\na,2024-01-01,5\n", "no column for customer_id or ordered_at or amount"),
        ("customer_id,date,spend,revenue\na,2024-01-01,5,5\n", "several columns may be amount: spend, revenue"),
        (HEADER + "a,1,2024-01-01,-5\n", "refunds but no purchases"),
    ],
)
def test_a_useless_file_gives_one_clear_message(tmp_path: Path, text: str, message: str) -> None:
    error = refused(orders(tmp_path, text))
    assert message in str(error)
    assert error.remedy


def test_a_broken_file_tells_nothing_of_its_content(tmp_path: Path) -> None:
    ragged = refused(orders(tmp_path, HEADER + "a,1,2024-01-01,5\n" * 3 + "ann@example.com,1,2024-01-01,5,6,7\n"))
    assert "ann" not in str(ragged)
    assert ragged.__cause__ is None
    latin = tmp_path / "latin.csv"
    latin.write_bytes(HEADER.encode() + b"M\xfcller,1,2024-01-01,5\n" * 5)
    assert "UTF-8" in str(refused(latin))
    torn = tmp_path / "torn.parquet"
    torn.write_bytes(b"PAR1 nothing else")
    assert "can't be read" in str(refused(torn))
    assert "no such file" in str(refused(tmp_path / "absent.csv"))


def test_columns_can_be_mapped(tmp_path: Path) -> None:
    path = orders(tmp_path, "who,when,net,gross\na,2024-01-01,5,6\n")
    names = {"customer_id": "who", "ordered_at": "when", "amount": "gross"}
    assert days(check_orders(path, columns=names))[0][2] == 6.0
    assert "isn't there" in str(refused(path, columns={**names, "amount": "total"}))
    assert "no column 'price'" in str(refused(path, columns={**names, "price": "net"}))


def test_blanks_around_ids_are_cut_in_every_form(tmp_path: Path) -> None:
    text = "customer_id,date,amount\n a ,2024-01-01,1\na,2024-01-02,1\n"
    assert {row[0] for row in days(check_orders(orders(tmp_path, text)))} == {"a"}
    assert {row[0] for row in days(check_orders(table(customer_id=["a ", "a"], date=["2024-01-01"] * 2, amount=[1, 1])))} == {
        "a"
    }
    refund = check_orders(table(customer_id=["a", "a "], date=["2024-01-01"] * 2, amount=[5, -2]))
    assert days(refund) == [("a", date(2024, 1, 1), 3.0, 1)]
    assert refused(table(customer_id=["a", "  "], date=["2024-01-01"] * 2, amount=[1, 1])).row == 2


def test_the_first_category_and_channel_of_the_day() -> None:
    source = table(
        customer_id=["a"] * 4, order_id=["3", "1", "2", "4"], amount=[1, 2, -1, 5],
        ordered_at=["2024-01-01 12:00", "2024-01-01 09:00", "2024-01-01 08:00", "2024-01-02"],
        product_category=["late", "early", "returned", None], channel=["web", None, "web", "shop"],
    )  # fmt: skip
    assert days(check_orders(source), "product_category, channel") == [("early", "web"), (None, "shop")]


def test_what_is_known_of_the_whole() -> None:
    source = table(customer_id=["a", "a", "b"], date=["2024-01-03", "2024-01-01", "2024-01-09"], amount=[1, 2, 3])
    found = check_orders(source, threads=1)
    assert (found.first_day, found.last_day) == (date(2024, 1, 1), date(2024, 1, 9))
    assert (found.customers, found.orders, found.currency, found.findings) == (2, 3, "", ())
    assert summarise(found, found.last_day).num_rows == 2


@pytest.mark.parametrize("ids", [["1.23E+11", "7"], ["1E+5", "7"], [1.5e17, 7.0]])
def test_ids_that_lost_their_digits_are_refused(ids: list[str] | list[float]) -> None:
    with pytest.raises(InputError, match="cut to a few digits") as caught:
        check_orders(pa.table({"customer_id": ids, "date": [date(2024, 1, 1)] * 2, "amount": [1, 2]}))
    assert (caught.value.column, "as text" in (caught.value.remedy or "")) == ("customer_id", True)


def test_ids_that_only_look_like_numbers_are_taken() -> None:
    ids = ["E+", "a1E+5", "1E5", "1.2.3E+4", "+E+1"]
    assert check_orders(pa.table({"customer_id": ids, "date": [date(2024, 1, 1)] * 5, "amount": [1] * 5})).customers == 5
