"""A YAML file read with the place of every value, checked against a pydantic model, all mistakes at once.

ruamel.yaml (YAML 1.2) is used because PyYAML reads the country code NO as False and hides duplicate keys.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.reader import ReaderError

from connectors.errors import ConfigurationError, ConfigurationErrors, Place
from connectors.mistakes import unreadable, worded

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

Checked = TypeVar("Checked", bound=BaseModel)
Steps = tuple[str | int, ...]


class Document:
    """One YAML file: its plain data, and the place of each value."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._tree = _parse(path)
        self.data: dict[str, Any] = _plain(self._tree)

    def place(self, steps: Steps, *, of_key: bool = False) -> Place:
        """File, line and column of the value (or its key, or the nearest thing around it) that `steps` lead to."""
        node: Any = self._tree
        line, column = 0, 0
        for step in steps:
            if isinstance(node, CommentedMap) and step in node:
                line, column = node.lc.value(step) if _is_scalar(node[step]) and not of_key else node.lc.key(step)
            elif isinstance(node, CommentedSeq) and isinstance(step, int) and step < len(node):
                line, column = node.lc.item(step)
            else:
                break
            node = node[step]
        return Place(str(self.path), line + 1, column + 1, ".".join(str(step) for step in steps))

    def check(self, model: type[Checked], data: Any = None, at: Steps = ()) -> Checked:
        """The data as the model; raises ConfigurationErrors naming every mistake."""
        try:
            return model.model_validate(self.data if data is None else data)
        except ValidationError as invalid:
            errors = [(self._steps(at, error["loc"]), error) for error in invalid.errors()]
            kept = [(steps, error) for steps, error in errors if not _outdone(steps, errors)]
            raise ConfigurationErrors([self._mistake(*one, model) for one in _one_each(kept)]) from None

    def mistake(self, steps: Steps, message: str, remedy: str = "", *, of_key: bool = False) -> ConfigurationError:
        """An error placed at `steps`."""
        return ConfigurationError(message, remedy=remedy, place=self.place(steps, of_key=of_key))

    def _steps(self, at: Steps, location: Sequence[str | int]) -> Steps:
        """The place in the file: pydantic's location without the names of the branches of a union it tried."""
        node: Any = self._tree
        steps: Steps = ()
        path = (*at, *location)
        for position, step in enumerate(path):
            inside = (isinstance(node, CommentedMap) and step in node) or (
                isinstance(node, CommentedSeq) and isinstance(step, int)
            )
            if inside:
                node = node[step]
            elif position < len(path) - 1 or not isinstance(node, CommentedMap) or (isinstance(step, str) and "[" in step):
                continue
            steps = (*steps, step)
        return steps

    def _mistake(self, steps: Steps, error: Any, model: type[BaseModel]) -> ConfigurationError:
        if error["type"] == "extra_forbidden":
            known = _keys_at(model, error["loc"][:-1])
            near = difflib.get_close_matches(str(error["loc"][-1]), known, n=1)
            remedy = f"did you mean {near[0]}?" if near else f"known here: {', '.join(known)}" if known else "remove it"
            return self.mistake(steps, "no such setting", remedy, of_key=True)
        if error["type"] == "missing":
            return self.mistake(steps, "this setting is needed and missing", f"add a line: {steps[-1]}: ...")
        message, remedy = worded(error, ".".join(str(step) for step in steps))
        return self.mistake(steps, message, remedy)


def _parse(path: Path) -> CommentedMap:
    try:
        tree = YAML(typ="rt").load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigurationError(
            "the file is missing", remedy="make a starter config with: clvsync init DIR", place=Place(str(path))
        ) from None
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            "the file is not UTF-8 text", remedy="save it as UTF-8", place=_spot(path, path.read_bytes()[: error.start])
        ) from None
    except DuplicateKeyError as error:
        raise ConfigurationError(
            "duplicate key: this setting stands here a second time", remedy="keep one of the two", place=_marked(path, error)
        ) from None
    except MarkedYAMLError as error:
        message, remedy = unreadable(error.problem or "", error.context or "")
        raise ConfigurationError(message, remedy=remedy, place=_marked(path, error)) from None
    except ReaderError as error:
        remedy = "take it out: it can't be seen in most editors"
        before = path.read_text(encoding="utf-8")[: error.position].encode()
        raise ConfigurationError("a control character stands here", remedy=remedy, place=_spot(path, before)) from None
    except YAMLError:
        raise ConfigurationError("not readable as YAML", place=Place(str(path))) from None
    if tree is None:
        return CommentedMap()
    if not isinstance(tree, CommentedMap):
        remedy = "begin with a setting's name and a colon, as in a file of: clvsync init DIR"
        raise ConfigurationError("the file must hold settings as `name: value`", remedy=remedy, place=Place(str(path), 1, 1))
    return tree


def _marked(path: Path, error: MarkedYAMLError) -> Place:
    mark = error.problem_mark or error.context_mark
    return Place(str(path), mark.line + 1, mark.column + 1) if mark else Place(str(path))


def _spot(path: Path, before: bytes) -> Place:
    """The place right after the bytes `before`."""
    last = before.rpartition(b"\n")[2].decode("utf-8", "replace")
    return Place(str(path), before.count(b"\n") + 1, len(last) + 1)


def _plain(node: Any) -> Any:
    if isinstance(node, CommentedMap):
        return {str(key): _plain(value) for key, value in node.items()}
    if isinstance(node, CommentedSeq):
        return [_plain(value) for value in node]
    for kind in (bool, int, float, str):
        if isinstance(node, kind):
            return kind(node)
    return node


def _is_scalar(node: Any) -> bool:
    return not isinstance(node, CommentedMap | CommentedSeq)


def _outdone(steps: Steps, errors: Sequence[tuple[Steps, Any]]) -> bool:
    # of the branches of a union, the one that got further into the file is the one that was meant
    return any(len(other) > len(steps) and other[: len(steps)] == steps for other, _ in errors)


def _one_each(errors: Sequence[tuple[Steps, Any]]) -> list[tuple[Steps, Any]]:
    """One error per place: of a union's branches that judged the same value the one with choices, with the other's hint."""
    found: dict[Steps, Any] = {}
    for steps, error in errors:
        kept = found.setdefault(steps, error)
        if "literal_error" in (kept["type"], error["type"]) and kept is not error:
            choices, other = (kept, error) if kept["type"] == "literal_error" else (error, kept)
            hint = "a date such as 2026-11-21" if other["type"].startswith("date") else "settings below it"
            found[steps] = {**choices, "ctx": {"expected": f"{choices['ctx']['expected']} or '{hint}'"}}
    return list(found.items())


def _keys_at(model: type[BaseModel], steps: Sequence[str | int]) -> list[str]:
    current: Any = model
    for step in steps:
        if isinstance(step, int):
            continue
        field = getattr(current, "model_fields", {}).get(step)
        current = _model_in(field.annotation) if field else current
    return sorted(getattr(current, "model_fields", {}))


def _model_in(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in getattr(annotation, "__args__", ()) if (found := _model_in(part))), None)
