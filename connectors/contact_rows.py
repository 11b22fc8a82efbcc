"""The rows of the contacts' source: what is read of each cell, and how several rows of a customer become one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from connectors.columns import CLICKS, CONSENTS, CONTACTS, SEVERAL

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pyarrow as pa

CLICK = "click_{}"


@dataclass(frozen=True)
class ContactRows:
    """SQL: `cells` of the source's row, by the name of the column that holds them; `names`: the columns of contacts."""

    cells: Mapping[str, str]
    names: tuple[str, ...]

    @classmethod
    def of(cls, types: Mapping[str, str], names: Mapping[str, str], *, csv_lists: bool) -> ContactRows:
        """`types`: the source's columns and their types; `names`: its columns by ours. In CSV "|" divides lists."""
        cells = {"customer_id": f'CAST("{names["customer_id"]}" AS VARCHAR)'}
        for ours, theirs in names.items():
            if ours in SEVERAL:
                cells[ours] = _listed(theirs, types[theirs], csv_lists=csv_lists)
            elif ours not in ("customer_id", "click_id"):
                cells[ours] = _text(theirs)
        clicks = _clicks(types, names)
        cells |= {CLICK.format(number): text for number, text in enumerate(clicks)}
        held = [one for one in CONTACTS if one in cells or (one == "click_id" and clicks)]
        return cls(cells, tuple(held))

    def raw(self, relation: str) -> str:
        """SQL: the rows as they come."""
        return f"SELECT {', '.join(f'{text} AS {name}' for name, text in self.cells.items())} FROM {relation}"

    def gathered(self, relation: str) -> str:
        """SQL: one row per customer of raw rows with a column source_row.

        Identifiers are gathered, the first text that is there wins, and consent is the least that any of the rows grants.
        """
        from connectors.engine.consent import least

        def one(name: str) -> str:
            if name in SEVERAL:
                return f"list_sort(list_distinct(flatten(list({name}))))"
            if name in CONSENTS:
                return least(name, name)
            return self._joined(_first) if name == "click_id" else _first(name)

        columns = ", ".join(f"{one(name)} AS {name}" for name in self.names if name != "customer_id")
        return f"SELECT {', '.join(filter(None, ('customer_id', columns)))} FROM {relation} GROUP BY customer_id"

    def alone(self, relation: str) -> str:
        """SQL: the same for rows of which each is a customer's only one."""
        from connectors.engine.consent import readable

        def one(name: str) -> str:
            if name in SEVERAL:
                return f"list_sort(list_distinct(coalesce({name}, CAST([] AS VARCHAR[]))))"
            if name in CONSENTS:
                return readable(name, name)
            return self._joined(str) if name == "click_id" else name

        return f"SELECT {', '.join(f'{one(name)} AS {name}' for name in self.names)} FROM {relation}"

    def _joined(self, of: Callable[[str], str]) -> str:
        """All click ids that a person has, divided by spaces."""
        clicks = [name for name in self.cells if name.startswith(CLICK.format("")) and name[-1].isdigit()]
        return f"nullif(concat_ws(' ', {', '.join(map(of, clicks))}), '')"


def completed(table: pa.Table) -> pa.Table:
    """The table with all columns of contacts: those that the source doesn't have are null."""
    import pyarrow as pa

    for missing in (name for name in CONTACTS if name not in table.column_names):
        table = table.append_column(missing, pa.nulls(len(table), pa.list_(pa.string()) if missing in SEVERAL else pa.string()))
    return table.select(list(CONTACTS))


def _text(column: str) -> str:
    return f"nullif(trim(CAST(\"{column}\" AS VARCHAR)), '')"


def _first(column: str) -> str:
    return f"arg_min({column}, source_row) FILTER ({column} IS NOT NULL)"


def _listed(column: str, kind: str, *, csv_lists: bool) -> str:
    if kind.endswith("[]"):
        return f'CAST("{column}" AS VARCHAR[])'
    text = _text(column)
    plain = f"string_split({text}, '|')" if csv_lists else f"[{text}]"
    return f"CASE WHEN {text} LIKE '[%' AND json_valid({text}) THEN from_json({text}, '[\"VARCHAR\"]') ELSE {plain} END"


def _clicks(types: Mapping[str, str], names: Mapping[str, str]) -> list[str]:
    """SQL of the click ids: those of named columns as `gclid=...`."""
    named, mapped = {name.lower().strip(): name for name in types}, names.get("click_id")
    parts = [_text(mapped)] if mapped and mapped.lower() not in CLICKS else []
    return parts + [f"'{one}=' || {_text(named[one])}" for one in CLICKS if one in named]
