"""Who speaks for an entity: what a decision must know of its links."""

from __future__ import annotations

from hub.app.context import Hub
from hub.core.canonical import EntityType
from hub.core.first import Standing
from hub.core.merge import Voice
from hub.model import LinkRow, LinkState

SPEAKING = frozenset({LinkState.LIVE, LinkState.DUPLICATE, LinkState.OUT_OF_SCOPE})


def connector_name(hub: Hub, connection: str) -> str:
    """The connector behind a connection; "" when it is gone from the configuration."""
    found = hub.connections.get(connection)
    return found.connector.name if found else ""


def voice_of(hub: Hub, link: LinkRow, ranks: dict[str, tuple[str, int]] | None = None) -> Voice:
    """What a decision must know of a link; `ranks` remembers connector and rank of its connection."""
    known = None if ranks is None else ranks.get(link.connection)
    if known is None:
        known = connector_name(hub, link.connection), hub.rank(link.connection)
        if ranks is not None:
            ranks[link.connection] = known
    return Voice(
        link=link.id, connection=link.connection, connector=known[0], rank=known[1], speaks=link.state in SPEAKING
    )


def standing_of(hub: Hub, entity: EntityType, old: LinkRow, new: LinkRow) -> Standing:
    """Whether older claims of the same values stay, for two links of these connections."""
    return Standing.between(entity.fields, voice_of(hub, old), voice_of(hub, new))


def source_name(hub: Hub, connection: str) -> str:
    """How `sources` calls a connection: itself, or its connector."""
    known = hub.connections.get(connection)
    if connection in hub.canonical.sources or known is None:
        return connection
    return known.connector.name
