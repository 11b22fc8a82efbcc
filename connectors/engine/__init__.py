"""The engine: members, identity, plan, push, pull, report. It knows `connectors.protocol` and no platform."""
