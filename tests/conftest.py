"""Generated examples are the same in every run, so that a red run can be repeated; `make soak` draws anew."""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("repeatable", derandomize="SOAK_EXAMPLES" not in os.environ, print_blob=True)
settings.load_profile("repeatable")
