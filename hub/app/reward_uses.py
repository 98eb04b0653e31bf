"""Which codes were used, as far as shops told: they count uses, and a list of codes is read like any other stream."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from hub.app.context import Hub
from hub.app.reward_providers import giving_stream
from hub.model import Grant
from hub.store import Tx

USES = "uses"  # the field of canonical.yaml that a mapping fills


def telling(hub: Hub) -> list[str]:
    """Connections whose systems may tell of uses: what they give is read as well."""
    streams = {name: giving_stream(each) for name, each in hub.connections.items()}
    return [name for name, it in streams.items() if it is not None and hub.connections[name].mappings_from(it.name)]


def uses_of(hub: Hub, tx: Tx, grants: Iterable[Grant]) -> dict[int, int]:
    """Grant -> how often what was given was used; those of which nobody tells are left out."""
    ordered: dict[str, dict[str, int]] = defaultdict(dict)
    for grant in grants:
        if grant.order_id is not None:
            ordered[grant.connection][grant.order_id] = grant.id
    found: dict[int, int] = {}
    for name, orders in ordered.items():
        connection = hub.connections.get(name)
        stream = giving_stream(connection) if connection is not None else None
        for mapping in connection.mappings_from(stream.name) if connection is not None and stream is not None else ():
            links = tx.links_by_keys(name, mapping.name, orders, raw=False)
            rows = tx.entities({link.entity_id for link in links.values()})
            for external_id, link in links.items():
                uses = rows[link.entity_id].values.get(USES) if link.entity_id in rows else None
                if isinstance(uses, int):
                    found[orders[external_id]] = uses
    return found
