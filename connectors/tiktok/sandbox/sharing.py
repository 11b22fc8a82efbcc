"""Audiences shared with other advertisers of the same Business Center: up to ten, with up to ten at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from connectors.tiktok.sandbox.wire import RefusalError, identifier, texts, wrong

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connectors.tiktok.sandbox.audiences import Audiences

MOST = 10


def share(audiences: Audiences, body: Mapping[str, Any], owner: str, centers: Mapping[str, str]) -> list[str]:
    """The audiences that the advertisers may use now. `centers`: advertiser -> Business Center; those not named are of one."""
    wanted = [audiences.own(one, owner) for one in texts(body, "custom_audience_ids", most=MOST)]
    others = texts(body, "shared_advertiser_ids", most=MOST)
    strangers = [one for one in others if centers.get(one, "") != centers.get(owner, "")]
    if strangers:
        raise RefusalError(40001, f"No permission: {', '.join(strangers)} is of another Business Center.")
    for audience in wanted:
        audiences.usable(audience)
    for audience in wanted:
        audience.shared_with += [one for one in others if one not in (*audience.shared_with, owner)]
    return [one.id for one in wanted]


def unshare(audiences: Audiences, body: Mapping[str, Any], owner: str) -> str:
    """The audience that an advertiser may no longer use."""
    audience, other = audiences.own(identifier(body, "custom_audience_id"), owner), identifier(body, "shared_advertiser_id")
    if other not in audience.shared_with:
        raise wrong("shared_advertiser_id", "The audience is not shared with it.")
    audience.shared_with.remove(other)
    return audience.id
