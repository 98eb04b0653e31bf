"""Secrets that the hub makes for itself, each once: tokens in webhook addresses, what cookies are signed with."""

from __future__ import annotations

import secrets

from hub.app.context import Hub
from hub.app.transact import commit
from hub.errors import ConfigFault, Fault
from hub.store import Tx

BYTES = 32  # 256 bits


def own_secret(hub: Hub, name: str, *, where: str) -> str:
    """The secret of that name; made at the first call, kept encrypted. Raises ConfigFault SEC-KEY without a vault."""
    if hub.vault is None:
        fault = Fault(code="SEC-KEY", where=where, message="this hub keeps no secrets", fix="open a project")
        raise ConfigFault([fault])
    with hub.store.reading() as tx:
        sealed = tx.secrets().get(name)
    if sealed is None:
        fresh = hub.vault.seal(secrets.token_urlsafe(BYTES), name)

        def keep(tx: Tx) -> bytes:
            """Two processes may have made one: the first that was kept counts."""
            known = tx.secrets().get(name)
            if known is None:
                tx.set_secret(name, fresh)
            return known or fresh

        sealed = commit(hub, keep)
    return hub.vault.unseal(sealed, name)
