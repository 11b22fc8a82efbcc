"""What is wrong with a value in config, in words of somebody who edits YAML, and what to write instead."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Any

from connectors.logs import redact

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Words = tuple[str, str]
"""What is wrong, and the remedy."""

PATTERNS = {
    r"^[a-z][a-z0-9_]*$": "small letters, digits and _, beginning with a letter, such as value_seed",
    r"^[a-z][a-z0-9_]*(:(high|middle|low))?$": "an audience's name, or one tier of it, such as value_seed:high",
    r"^[A-Z]{2}$": "a country's two capital letters, such as US or DE",
    r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)?$": "a table's name, or schema.table",
    r"^[0-9]{1,20}$": "digits alone",
    r"^[0-9]+$": "digits alone",
    r"^[0-9]*$": "digits alone",
    r"^$|^https?://[^\s]+$": "an address such as https://shop.example/leave",
    r"^https?://[^\s]+$": "an address such as https://shop.example/",
    r"^[A-Z0-9]{5,40}$": "capital letters and digits, as TikTok shows it",
    r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$": "letters, digits, - and _, such as meta-upload",
}
"""Every pattern of a setting, in words."""

_SECRET = re.compile(r"(?i)token|secret|key|password|webhook|credential|database")
_OPAQUE = re.compile(r"(?=[\w-]*\d)(?=[\w-]*[A-Za-z])[\w-]{20,}")
_WIDEST = 40


def shown(value: Any, field: str) -> str:
    """The value as written, shortened; without it where the field or the value looks like a secret or a person's."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "nothing"
    if not isinstance(value, str | int | float):
        return "a list" if isinstance(value, list | tuple) else "a block of settings" if isinstance(value, dict) else str(value)
    text = str(value)
    if _SECRET.search(field) or _OPAQUE.search(text) or redact(text) != text:
        return "what is written here"
    text = text if len(text) <= _WIDEST else text[: _WIDEST - 1] + "…"
    return repr(text) if isinstance(value, str) else text


def worded(error: Mapping[str, Any], field: str) -> Words:
    """What is wrong and what to do, of one of pydantic's errors at `field` (dotted name)."""
    kind, given, limits = str(error["type"]), error["input"], error.get("ctx", {})
    value = shown(given, field)
    if kind in ("value_error", "assertion_error"):
        said = str(error["msg"]).removeprefix("Value error, ").removeprefix("Assertion failed, ")
        named = isinstance(given, str | int | float) and value.startswith(("'", *"-0123456789")) and value not in said
        return (f"{value}: {said}" if named else said), ""
    for family, say in _FAMILIES.items():
        if kind.startswith(family):
            return say(value, given, limits, field)
    return f"{value}: {error['msg']}", ""


def choice(value: str, given: Any, options: Sequence[str]) -> Words:
    """Not one of the options; the nearest is named first."""
    if isinstance(given, str):
        plain = given.strip().lower().replace("-", "_").replace(" ", "_")
        near = plain if plain in options else next(iter(difflib.get_close_matches(plain, options, n=1)), "")
        if near:
            return f"{value} is not among the choices", f"did you mean {near}? Choose of: {', '.join(options)}"
    return f"{value} is not among the choices", f"choose of: {', '.join(options)}"


def unreadable(problem: str, context: str = "") -> Words:
    """What keeps a file from being YAML, in words; `problem` and `context` as the parser says them."""
    for words, said in _YAML:
        if words in problem or words in context:
            return said
    return f"not readable as YAML: {problem}", "compare the lines around it with a file of: clvsync init DIR"


def _number(value: str, given: Any, _: Any, field: str) -> Words:
    text = given.strip() if isinstance(given, str) and not value.startswith("what") else ""
    if (found := re.fullmatch(r"(-?\d+(?:\.\d+)?)\s*%", text)) is not None:
        return f"{value} is not a number", f"write {float(found[1]) / 100:g}"
    if (found := re.fullmatch(r"(-?\d+),(\d+)", text)) is not None:
        return f"{value} is not a number", f"write {found[1]}.{found[2]}, with a point"
    return f"{value} is not a number", "write digits alone, without a unit or thousands separators"


def _whole(value: str, given: Any, limits: Any, field: str) -> Words:
    return f"{value} is not a whole number", "write digits alone, such as 30"


def _yes_no(value: str, *_: Any) -> Words:
    return f"{value} is neither yes nor no", "write true or false"


def _text(value: str, given: Any, *_: Any) -> Words:
    if isinstance(given, bool | int | float):
        return f"{value} must be text", f'put it in quotes: "{value}"'
    return f"{value} where one text is needed", "write the text alone"


def _list(value: str, given: Any, *_: Any) -> Words:
    simple = isinstance(given, str) and value.startswith("'")
    return (
        f"{value} where a list is needed",
        f"write [{given}]" if simple else "begin each entry with a hyphen, or write [one, two]",
    )


def _block(value: str, given: Any, limits: Any, field: str) -> Words:
    if isinstance(given, str) and field.rpartition(".")[2] in _TABLES and value.startswith("'"):
        return f"{value} where settings are needed", f"write it on a line of its own below: path: {given}"
    return f"{value} where settings are needed", "write them as `name: value` on lines of their own below, further to the right"


def _bound(words: str) -> Callable[[str, Any, Any, str], Words]:
    def say(value: str, given: Any, limits: Any, field: str) -> Words:
        edge = next(iter(limits.values()), "")
        edge = f"{edge:g}" if isinstance(edge, float) else str(edge)
        remedy = words.format(edge)
        if "share" in field or "holdout" in field or "discount" in field:
            number = given if isinstance(given, int | float) else float(str(given)) if str(given).isdigit() else 0
            remedy += f"; for {number:g}% write {number / 100:g}" if 1 <= number <= 100 else ""
        return f"{value} is out of range", remedy

    return say


def _literal(value: str, given: Any, limits: Any, field: str) -> Words:
    return choice(value, given, re.findall(r"'([^']*)'", str(limits.get("expected", ""))))


def _pattern(value: str, given: Any, limits: Any, field: str) -> Words:
    return f"{value} is not in the form this needs", f"write {PATTERNS[limits['pattern']]}"


def _short(value: str, *_: Any) -> Words:
    return "this must not be empty", "write a value, or take the line out where there is a default"


def _long(value: str, given: Any, limits: Any, field: str) -> Words:
    return f"{value} is too long", f"at most {limits['max_length']} characters"


def _day(value: str, *_: Any) -> Words:
    return f"{value} is not a date", "write a date such as 2026-11-21"


_TABLES = ("orders", "contacts", "engagement", "suppression", "rates", "platform_orders", "write_back")
_FAMILIES: dict[str, Callable[[str, Any, Any, str], Words]] = {
    "int": _whole,
    "float": _number,
    "decimal": _number,
    "bool": _yes_no,
    "string_type": _text,
    "string_pattern": _pattern,
    "string_too_short": _short,
    "string_too_long": _long,
    "too_short": _short,
    "list": _list,
    "tuple": _list,
    "dict": _block,
    "model": _block,
    "literal": _literal,
    "date": _day,
    "greater_than_equal": _bound("write {} or more"),
    "greater_than": _bound("write more than {}"),
    "less_than_equal": _bound("write {} or less"),
    "less_than": _bound("write less than {}"),
}
_SECOND = (
    "a second `name: value` begins in the middle of a value",
    "put each on a line of its own, entries of one block exactly below each other, and text with a colon in quotes",
)
_YAML: tuple[tuple[str, Words], ...] = (
    ("character '\\t'", ("a tab stands here", "indent with spaces: YAML takes no tabs")),
    ("mapping values are not allowed", _SECOND),
    (
        "could not find expected ':'",
        ("a name without its colon ends here", "write `name: value`, with a space after the colon"),
    ),
    (
        "expected <block end>",
        ("the line is indented unlike those it belongs to", "put entries exactly below each other, with spaces"),
    ),
    ("unknown escape", ("a backslash stands in double quotes", "write the text in single quotes, paths with /")),
    ("undefined alias", ("a value begins with *", "put it in quotes")),
    ("unexpected end of stream", ("a quote that was opened is never closed", "close it with the same quote")),
    ("flow sequence", ("a list [ is not closed, or a comma is missing in it", "write [one, two]")),
    ("flow mapping", ("a block { is not closed, or a comma is missing in it", "write {name: value, other: value}")),
    ("cannot start any token", ("a value begins with a character that YAML keeps for itself", "put the value in quotes")),
    ("another document", ("a second document begins here (---)", "keep one document per file")),
)
