"""What marketing ops edit: a module per YAML file, and `folder`, which reads them all into `Settings`."""

from connectors.config.folder import Settings, load

__all__ = ["Settings", "load"]
