"""The config folder -> checked settings; every mistake of every file is told at once."""

from __future__ import annotations

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
    shared, platforms = _platforms(document, mistakes) if document else (Shared(), {})
    if parts["audiences"] is not None and document:
        named = [key for key in document.data if key not in Shared.model_fields]
        mistakes += _wrong_platforms(Document(folder / "audiences.yaml"), parts["audiences"], named)
    if mistakes:
        raise mistakes[0] if len(mistakes) == 1 else ConfigurationErrors(mistakes)
    placed = {name: block.within(folder) for name, block in platforms.items()}
    return Settings(folder, **parts, consent=shared.consent, identity=shared.identity, platforms=placed)


def _collect(read: Callable[[], Any], mistakes: list[ConfigurationError]) -> Any:
    try:
        return read()
    except ConfigurationErrors as several:
        mistakes += several.errors
    except ConfigurationError as one:
        mistakes.append(one)
    return None


def _platforms(document: Document, mistakes: list[ConfigurationError]) -> tuple[Shared, dict[str, PlatformSettings]]:
    from connectors import registry

    shared = {key: value for key, value in document.data.items() if key in Shared.model_fields}
    blocks = {key: value for key, value in document.data.items() if key not in Shared.model_fields}
    found: dict[str, PlatformSettings] = {}
    for name, block in blocks.items():
        if name not in registry.names():
            mistakes.append(
                document.mistake((name,), f"unknown platform {name!r}", f"installed: {', '.join(registry.names())}")
            )
            continue
        model = registry.platform(name).settings
        checked = _collect(lambda model=model, name=name, block=block: document.check(model, block or {}, (name,)), mistakes)  # type: ignore[misc]
        if checked is not None:
            found[name] = checked
    return _collect(lambda: document.check(Shared, shared), mistakes) or Shared(), found


def _wrong_platforms(document: Document, audiences: Audiences, platforms: list[str]) -> list[ConfigurationError]:
    wrong = []
    for row, audience in enumerate(audiences.audiences):
        for column, name in enumerate(audience.platforms):
            if name not in platforms:
                remedy = f"platforms.yaml has: {', '.join(platforms)}"
                steps = ("audiences", row, "platforms", column)
                wrong.append(document.mistake(steps, f"platform {name!r} is not set up", remedy))
        twins = [other.name for other in audiences.audiences[:row] if other.name == audience.name]
        if twins:
            wrong.append(document.mistake(("audiences", row, "name"), f"the name {audience.name!r} is taken twice"))
        if any(other.title == audience.title and other.name != audience.name for other in audiences.audiences[:row]):
            remedy = "platforms find audiences by it: give each its own"
            wrong.append(document.mistake(("audiences", row, "title"), f"the title {audience.title!r} is taken twice", remedy))
    return wrong


def shared_platform_schema() -> dict[str, Any]:
    """The JSON schema of what platforms.yaml holds beside the platforms' own blocks."""
    return Shared.model_json_schema()
