"""Another way for a word that did not arrive: a message about the same reward, with the same claim link.

It is a grant of no money, like every message about a reward, so nobody is given anything twice.
"""

from __future__ import annotations

from collections.abc import Mapping

from hub.app.context import Hub
from hub.app.listings import Dict
from hub.app.reward_messages import owe_another
from hub.app.reward_moves import locked, move
from hub.app.reward_providers import giving_stream
from hub.app.transact import commit
from hub.core.rewards import Entry, GrantState
from hub.errors import NeedsReview
from hub.store import Tx


def ways(hub: Hub) -> list[str]:
    """Ways in which a word can be sent: "connection/template", of connections that send messages and may write."""
    found = []
    for name, connection in hub.connections.items():
        templates = connection.settings.values.get("templates")
        sends = "templates" in connection.streams and giving_stream(connection) is not None
        if sends and connection.writes and isinstance(templates, Mapping):
            found += [f"{name}/{template}" for template in templates]
    return found


def resend(hub: Hub, grant_id: int, way: str, *, by: str) -> Dict:
    """Tell the receiver another way of a reward whose message did not arrive. The same way twice is once.

    Raises:
        NotFound: there is no such grant.
        NeedsReview RWD-STATE: it did arrive, for all we know. DLV-WAY: there is no such way.
    """
    if way not in ways(hub):
        known = ", ".join(ways(hub)) or "none: connect mail, twilio or whatsapp"
        raise NeedsReview(f"{way} is no way to send anything", code="DLV-WAY", where="rewards", fix=f"known: {known}")

    def send(tx: Tx) -> Dict:
        grant, at = locked(tx, grant_id), hub.clock.now()
        if grant.state != GrantState.UNDELIVERED:
            raise NeedsReview(
                f"the grant is {grant.state}; only what is undelivered is sent another way", code="RWD-STATE",
                where=f"grant {grant.id}", fix=f"hub rewards show {grant.id}",
            )  # fmt: skip
        message = owe_another(hub, tx, grant, way, at)
        move(tx, grant, GrantState.ISSUED, Entry.RESENT, at=at, detail=f"by {way}: grant {message.id}, by {by}")
        tx.audit(by, "reward.resend", f"grant {grant_id}", {"state": GrantState.UNDELIVERED}, {"way": way}, at)
        return {"grant": grant.id, "message": message.id, "way": way}

    return commit(hub, send)
