"""The config folder -> checked settings; every mistake of every file is told at once."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from connectors.config.audiences import Audiences
from connectors.config.labels import Labels
from connectors.config.model import ModelSettings
from connectors.config.platforms import Consent, Identity, Shared
from connectors.config.sources import Notify, Sources
from connectors.document import Document
from connectors.errors import ConfigurationError, ConfigurationErrors

if TYPE_CHECKING:
    from collections.abc import Callable

    from connectors.document import Steps
    from connectors.settings import Model, PlatformSettings


@dataclass(frozen=True)
class Settings:
    """Everything in a config folder, checked."""

    folder: Path
    sources: Sources
    model: ModelSettings
    audiences: Audiences
    labels: Labels
    consent: Consent
    identity: Identity
    platforms: dict[str, PlatformSettings] = field(default_factory=dict)
    broken: dict[str, ConfigurationError] = field(default_factory=dict)
    """Platforms in config whose installed package can't serve them, with the reason: the others go on."""
    beyond: frozenset[tuple[str, str]] = frozenset()
    """Platform and account of each account of those."""

    def path(self, text: str) -> Path:
        """A path written in config: absolute, or relative to the config folder."""
        return (self.folder / Path(text).expanduser()).resolve()

    @property
    def notify(self) -> Notify:
        """Whom to tell; nobody unless configured."""
        return self.sources.notify or Notify()

    @property
    def state(self) -> Path:
        """The state folder."""
        return self.path(self.sources.state)


FILES: dict[str, type[Model]] = {"sources": Sources, "model": ModelSettings, "audiences": Audiences, "labels": Labels}


def load(folder: Path) -> Settings:
    """The settings of a config folder; raises ConfigurationErrors with every mistake of every file."""
    if not folder.is_dir():
        raise ConfigurationError(f"there is no config folder {folder}", remedy="make one with: clvsync init DIR")
    mistakes: list[ConfigurationError] = []
    parts: dict[str, Any] = {}
    for name, model in FILES.items():
        optional = name in ("labels", "model") and not (folder / f"{name}.yaml").exists()
        read: Callable[[], Any] = (
            model if optional else (lambda name=name, model=model: Document(folder / f"{name}.yaml").check(model))  # type: ignore[misc]
        )
        parts[name] = _collect(read, mistakes)
    document = _collect(lambda: Document(folder / "platforms.yaml"), mistakes)
    broken: dict[str, ConfigurationError] = {}
    shared, platforms = _platforms(document, mistakes, broken) if document else (Shared(), {})
    mistakes += _across(folder, document)
    if mistakes:
        raise mistakes[0] if len(mistakes) == 1 else ConfigurationErrors(sorted(mistakes, key=_reading_order))
    placed = {name: block.within(folder) for name, block in platforms.items()}
    beyond = frozenset((name, one) for name in broken for one in _account_ids(document.data[name])) if document else frozenset()
    return Settings(
        folder,
        **parts,
        consent=shared.consent,
        identity=shared.identity,
        platforms=placed,
        broken=broken,
        beyond=beyond,
    )


def _account_ids(block: Any) -> list[str]:
    """The accounts of a block whose model can't be had."""
    rows = block.get("accounts") if isinstance(block, dict) else None
    return [str(one["account_id"]) for one in rows or () if isinstance(one, dict) and "account_id" in one]


def _collect(read: Callable[[], Any], mistakes: list[ConfigurationError]) -> Any:
    try:
        return read()
    except ConfigurationErrors as several:
        mistakes += several.errors
    except ConfigurationError as one:
        mistakes.append(one)
    return None


def _platforms(
    document: Document, mistakes: list[ConfigurationError], broken: dict[str, ConfigurationError]
) -> tuple[Shared, dict[str, PlatformSettings]]:
    from connectors import registry

    shared = {key: value for key, value in document.data.items() if key in Shared.model_fields}
    blocks = {key: value for key, value in document.data.items() if key not in Shared.model_fields}
    found: dict[str, PlatformSettings] = {}
    for name, block in blocks.items():
        if name not in registry.names():
            near = difflib.get_close_matches(name, registry.names(), n=1)
            remedy = f"did you mean {near[0]}? " if near else ""
            remedy += f"installed: {', '.join(registry.names())}"
            mistakes.append(document.mistake((name,), f"unknown platform {name!r}", remedy, of_key=True))
            continue
        try:
            model = registry.platform(name).settings
        except registry.PackageError as error:
            broken[name] = error
            continue
        checked = _collect(lambda model=model, name=name, block=block: document.check(model, block or {}, (name,)), mistakes)  # type: ignore[misc]
        if checked is not None:
            found[name] = checked
    return _collect(lambda: document.check(Shared, shared), mistakes) or Shared(), found


def _reading_order(mistake: ConfigurationError) -> tuple[str, int, int]:
    place = mistake.place
    return (place.file, place.line, place.column) if place else ("", 0, 0)


def _across(folder: Path, platforms: Document | None) -> list[ConfigurationError]:
    """What only shows beside other settings: platforms that aren't set up, names and titles taken twice. Judged on what is
    written, so that another mistake in the file hides none of these."""
    try:
        document = Document(folder / "audiences.yaml")
    except ConfigurationError:
        return []  # told already
    rows = document.data.get("audiences")
    rows = [one if isinstance(one, dict) else {} for one in rows] if isinstance(rows, list) else []
    wrong = _taken_twice(document, rows)
    if platforms is not None:
        named = [key for key in platforms.data if key not in Shared.model_fields]
        wrong += _not_set_up(document, rows, named)
    return wrong


def _not_set_up(document: Document, rows: list[dict[str, Any]], platforms: list[str]) -> list[ConfigurationError]:
    wrong = []
    for row, audience in enumerate(rows):
        lookalikes = audience.get("lookalikes")
        places: list[tuple[Steps, Any]] = [(("audiences", row, "platforms"), audience.get("platforms"))]
        if isinstance(lookalikes, list):
            places += [
                (("audiences", row, "lookalikes", at, "platforms"), one.get("platforms"))
                for at, one in enumerate(lookalikes)
                if isinstance(one, dict)
            ]
        for steps, names in places:
            for column, name in enumerate(names if isinstance(names, list) else []):
                if name not in platforms:
                    near = difflib.get_close_matches(str(name), platforms, n=1)
                    remedy = f"did you mean {near[0]}? " if near else ""
                    remedy += f"platforms.yaml has: {', '.join(platforms)}"
                    wrong.append(document.mistake((*steps, column), f"platform {name!r} is not set up", remedy))
    return wrong


def _taken_twice(document: Document, rows: list[dict[str, Any]]) -> list[ConfigurationError]:
    wrong = []
    for key, remedy in (("name", "give each its own"), ("title", "platforms find audiences by it: give each its own")):
        first: dict[str, int] = {}
        for row, audience in enumerate(rows):
            value = audience.get(key)
            if not isinstance(value, str):
                continue
            if value in first:
                line = document.place(("audiences", first[value], key)).line
                message = f"the {key} {value!r} is taken twice, first in line {line}"
                wrong.append(document.mistake(("audiences", row, key), message, remedy))
            first.setdefault(value, row)
    return wrong


def shared_platform_schema() -> dict[str, Any]:
    """The JSON schema of what platforms.yaml holds beside the platforms' own blocks."""
    return Shared.model_json_schema()
