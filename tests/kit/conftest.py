"""The made-up platform's own tests run as its author runs them, from its own folder (`test_pigeon.py`)."""

collect_ignore = ["pigeon"]
