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

    def place(self, steps: Steps) -> Place:
        """File, line and column of the value (or of the nearest one around it) that `steps` lead to."""
        node: Any = self._tree
        line, column = 0, 0
        for step in steps:
            if isinstance(node, CommentedMap) and step in node:
                line, column = node.lc.value(step) if _is_scalar(node[step]) else node.lc.key(step)
            elif isinstance(node, CommentedSeq) and isinstance(step, int) and step < len(node):
                line, column = node.lc.item(step)
            elif isinstance(node, CommentedMap) and _misspelt(node, step):
                line, column = node.lc.key(_misspelt(node, step))
                break
            else:
                break
            node = node[step]
        return Place(str(self.path), line + 1, column + 1, ".".join(str(step) for step in steps))

    def check(self, model: type[Checked], data: Any = None, at: Steps = ()) -> Checked:
        """The data as the model; raises ConfigurationErrors naming every mistake."""
        try:
            return model.model_validate(self.data if data is None else data)
        except ValidationError as invalid:
            found = [self._mistake(error, at, model) for error in invalid.errors()]
            raise ConfigurationErrors(found) from None

    def mistake(self, steps: Steps, message: str, remedy: str = "") -> ConfigurationError:
        """An error placed at `steps`."""
        return ConfigurationError(message, remedy=remedy, place=self.place(steps))

    def _mistake(self, error: Any, at: Steps, model: type[BaseModel]) -> ConfigurationError:
        steps: Steps = (*at, *(step for step in error["loc"] if not _is_branch(step)))
        message = str(error["msg"]).removeprefix("Value error, ").removeprefix("Assertion failed, ")
        remedy = ""
        if error["type"] == "extra_forbidden":
            known = _keys_at(model, error["loc"][:-1])
            near = difflib.get_close_matches(str(error["loc"][-1]), known, n=1)
            message = "no such setting"
            remedy = f"did you mean {near[0]}?" if near else f"known here: {', '.join(known)}" if known else "remove it"
        elif error["type"] == "missing":
            message = "this setting is needed and missing"
        return self.mistake(steps, message, remedy)


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


def _is_branch(step: str | int) -> bool:
    # pydantic names the branch of a union it tried; that is no place in the file
    return isinstance(step, str) and (step.startswith(("function-", "tagged-union", "lax-or", "is-instance")) or "[" in step)


def _misspelt(node: CommentedMap, step: str | int) -> Any:
    return next((key for key in node if str(key) == str(step)), None)


def _keys_at(model: type[BaseModel], steps: Sequence[str | int]) -> list[str]:
    current: Any = model
    for step in steps:
        if isinstance(step, int):
            continue
        field = getattr(current, "model_fields", {}).get(step)
        current = _model_in(field.annotation) if field else None
    return sorted(getattr(current, "model_fields", {}))


def _model_in(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in getattr(annotation, "__args__", ()) if (found := _model_in(part))), None)
