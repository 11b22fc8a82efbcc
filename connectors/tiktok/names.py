"""What TikTok's audience names may be: up to 128 characters (70 on the streaming path), and no sensitive words.

TikTok says that names are screened and gives no list (fact sheet 5): the words for which Meta blocks audiences are avoided.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from connectors.errors import ConfigurationError
from connectors.neutral import flagged_words
from connectors.protocol import LookalikeSpec
from connectors.tiktok.locations import location_ids

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connectors.protocol import AudienceSpec

LONGEST, LONGEST_STREAM = 128, 70


def objection(spec: AudienceSpec | LookalikeSpec, places: Mapping[str, str]) -> str:
    """Why TikTok would refuse an audience or lookalike of this spec, or "". `places`: location ids that config adds."""
    longest = LONGEST if isinstance(spec, LookalikeSpec) or not spec.exclusion else LONGEST_STREAM
    if len(spec.name) > longest:
        return f"TikTok takes names of up to {longest} characters here, {spec.name!r} has {len(spec.name)}"
    if words := flagged_words(spec.name):
        return f"the name {spec.name!r} holds {', '.join(map(repr, words))}, and TikTok screens names: choose a neutral one"
    if isinstance(spec, LookalikeSpec):
        try:
            location_ids(spec.countries, places)
        except ConfigurationError as error:
            return str(error)
    return ""
