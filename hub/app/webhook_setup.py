"""Webhooks as people set them up: whether they come, the address to enter, the secret to check them by."""

from __future__ import annotations

from hub.app.connection_setup import change_section, keep_secret
from hub.app.context import Hub
from hub.app.listings import Dict, iso
from hub.app.runs import connection_of
from hub.app.transact import commit
from hub.app.webhooks import HEARD, REFUSED, hook_url, public_url, subscribe, takes_webhooks
from hub.errors import ConfigFault, Fault, NeedsReview

SUBSCRIBED = "subscribed:"  # setting: when the hub told a system where to send, who had it do so, and what it answered
SHOWN = ("endpoint", "subscription", "events", "made", "refused", "forms")  # of that answer; the address is a secret


def webhook_state(hub: Hub, name: str) -> Dict:
    """Whether webhooks of a connection can come, and whether they do. Nothing secret. Raises NotFound."""
    connection = connection_of(hub, name)
    with hub.store.reading() as tx:
        heard, refused = tx.setting(HEARD + name) or {}, tx.setting(REFUSED + name) or {}
        told = tx.setting(SUBSCRIBED + name) or {}
    takes = takes_webhooks(connection)
    return {
        "takes": takes, "public_url": public_url(hub), "signed": takes and connection.connector.verify is not None,
        "secret_set": bool(_given(hub, name)), "can_subscribe": takes and connection.connector.subscribe is not None,
        "heard_at": iso(heard.get("at")), "refused_at": iso(refused.get("at")), "refused_code": refused.get("code", ""),
        "subscribed_at": told.get("at"), "subscribed_by": told.get("by", ""), "subscription": told.get("answer", {}),
        "docs": connection.connector.docs,
    }  # fmt: skip


def _given(hub: Hub, name: str) -> dict[str, str]:
    """References under `webhooks:` of the connection; a hub that is not spoken to resolves none of them."""
    settings = hub.projects.settings.connections.get(name) if hub.projects is not None else None
    return dict(settings.webhooks) if settings is not None else {}


def webhook_address(hub: Hub, name: str, *, by: str) -> str:
    """The address to enter at the vendor, which is a secret: that somebody looked at it is noted.

    Raises:
        NotFound: no such connection. NeedsReview: it sends none. ConfigFault: hub.yaml has no public_url.
    """
    _require(hub, name)
    address = hook_url(hub, name)
    commit(hub, lambda tx: tx.audit(by, "webhook address shown", name, None, None, hub.clock.now()))
    return address


def subscribe_here(hub: Hub, name: str, *, by: str) -> Dict:
    """Have a system send its webhooks here, or do so once more, which renews what ran out or was dropped.

    A secret that it gives is kept, and hub.yaml refers to it: that takes effect when the project is taken in anew.

    Raises:
        As `webhooks.subscribe`, and what the system answers.
    """
    _require(hub, name)
    made = subscribe(hub, name)
    if made.pop("next", None):
        change_section(hub, name, {"webhooks": {**_given(hub, name), "secret": f"secret:{name}_webhook"}})
    answer, now = {key: made[key] for key in SHOWN if made.get(key)}, hub.clock.now()
    with hub.store.transaction() as tx:
        tx.set_setting(SUBSCRIBED + name, {"at": iso(now), "by": by, "answer": answer})
        tx.audit(by, "webhooks subscribed", name, None, answer, now)
    return {"connection": name, **answer}


def set_webhook_secret(hub: Hub, name: str, secret: str, *, by: str) -> None:
    """Keep what the vendor signs with, sealed, and have hub.yaml refer to it. Raises NotFound, ConfigFault."""
    _require(hub, name)
    if not secret.strip():
        raise _fault("SEC-EMPTY", name, "an empty secret", "copy it from the vendor's page of the webhook")
    keep_secret(hub, f"{name}_webhook", secret.strip(), by=by)
    change_section(hub, name, {"webhooks": {**_given(hub, name), "secret": f"secret:{name}_webhook"}})


def _require(hub: Hub, name: str) -> None:
    if not takes_webhooks(connection_of(hub, name)):
        raise NeedsReview(f"{name} sends no webhooks", where=name, code="HOOK-NONE", fix="changes are found by reading")
    if not public_url(hub):
        raise _fault("CFG-054", "hub.yaml", "no public_url", "hub: {public_url: https://…}")


def _fault(code: str, where: str, message: str, fix: str) -> ConfigFault:
    return ConfigFault([Fault(code=code, where=where, message=message, fix=fix)])
