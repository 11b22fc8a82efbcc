"""A YAML file read with the place of every value, checked against a pydantic model, all mistakes at once.

ruamel.yaml (YAML 1.2) is used because PyYAML reads the country code NO as False and hides duplicate keys.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from connectors.errors import ConfigurationError, ConfigurationErrors, Place

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
            found = [self._mistake(steps, error, model) for steps, error in errors if not _outdone(steps, errors)]
            raise ConfigurationErrors(found) from None

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
            elif position < len(path) - 1 or (isinstance(step, str) and "[" in step):
                continue
            steps = (*steps, step)
        return steps

    def _mistake(self, steps: Steps, error: Any, model: type[BaseModel]) -> ConfigurationError:
        message = str(error["msg"]).removeprefix("Value error, ").removeprefix("Assertion failed, ")
        remedy = ""
        if error["type"] == "extra_forbidden":
            known = _keys_at(model, error["loc"][:-1])
            near = difflib.get_close_matches(str(error["loc"][-1]), known, n=1)
            message = "no such setting"
            remedy = f"did you mean {near[0]}?" if near else f"known here: {', '.join(known)}" if known else "remove it"
        elif error["type"] == "missing":
            message = "this setting is needed and missing"
        return self.mistake(steps, message, remedy, of_key=error["type"] == "extra_forbidden")


def _parse(path: Path) -> CommentedMap:
    try:
        tree = YAML(typ="rt").load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigurationError(
            "the file is missing", remedy="make a starter config with: clvsync init DIR", place=Place(str(path))
        ) from None
    except UnicodeDecodeError:
        raise ConfigurationError("the file is not UTF-8 text", place=Place(str(path))) from None
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = Place(str(path), mark.line + 1, mark.column + 1) if mark else Place(str(path))
        raise ConfigurationError(f"not readable as YAML: {error.problem}", place=where) from None
    except YAMLError:
        raise ConfigurationError("not readable as YAML", place=Place(str(path))) from None
    if tree is None:
        return CommentedMap()
    if not isinstance(tree, CommentedMap):
        raise ConfigurationError("the file must hold settings as `name: value`", place=Place(str(path), 1, 1))
    return tree


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
