"""Whether the hub works: the question that a load balancer asks."""

from __future__ import annotations

from hub.app.context import Hub
from hub.errors import HubError


def health(hub: Hub) -> bool:
    """True if the store answers. Systems that are down are their own affair: the hub waits for them."""
    try:
        with hub.store.reading() as tx:
            tx.setting("instance_id")
    except HubError:
        return False
    return True
