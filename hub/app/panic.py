"""One switch for the moment when somebody else may be inside: nothing runs by itself, nobody is signed in."""

from __future__ import annotations

from hub.app.context import Hub
from hub.app.leases import connection_lease
from hub.app.pausing import pause
from hub.app.transact import commit
from hub.store import Tx


def panic(hub: Hub, *, by: str) -> dict[str, int]:
    """Pause every connection, end runs under way at their next page, end every session and link, drop every token.

    What is due stays due: the console's Resume lets a connection go on. Tokens at the systems are theirs to revoke.

    Returns:
        How many connections, sessions and tokens.
    """
    for name in hub.connections:
        pause(hub, name, by=by)

    def close(tx: Tx) -> dict[str, int]:
        for name in hub.connections:
            holder = tx.lease_holder(connection_lease(name))
            if holder is not None:
                tx.release(connection_lease(name), holder.owner)
        sessions = sum(tx.shut_out(name) for name in tx.users())
        tokens = tx.api_tokens()
        for token in tokens:
            tx.drop_api_token(token.id)
        tx.audit(by, "panic", "hub", None, {"sessions": sessions, "tokens": len(tokens)}, hub.clock.now())
        return {"connections": len(hub.connections), "sessions": sessions, "tokens": len(tokens)}

    return commit(hub, close)
