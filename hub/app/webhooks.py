"""Webhooks: verified byte for byte, stored once, answered, and only then worked on.

A delivery leaves hints ("this record changed, read it") in the transaction that stores it; values are never taken
from it. So a forged, repeated or reordered call can at most cause a read. Where a system has nothing to read, the
delivery is the record: it is stored first, and its hint leads back to it (hub.app.deliveries). The path of a
connection holds a random token, for vendors that sign nothing, and because a path nobody knows is nobody's target.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from hub.app.context import Connection, Hub
from hub.app.deliveries import as_document
from hub.app.listings import Dict
from hub.app.own_secrets import own_secret
from hub.app.reward_arrivals import arrivals_stream
from hub.app.runs import connection_of
from hub.app.transact import commit
from hub.connector import WebhookEvent, WebhookRequest
from hub.errors import ConfigFault, Fault, HubError, NeedsReview, NotFound
from hub.model import Json, QuarantineRow
from hub.runtime.log import logger
from hub.store import Tx

TOKEN_BYTES = 32  # 256 bits
BODY_LIMIT_BYTES = 4 * 1024 * 1024  # Stripe and Shopify stay below 1 MB; HubSpot sends at most 100 events a call
KEEP_S = 30 * 86_400.0  # deliveries are kept this long, to drop repeats
HEARD, REFUSED = "heard:", "refused:"  # settings: when a system was heard last; when and why it was refused last
NOTED_S = 60.0  # not noted more often than this


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """What one delivery was."""

    events: int  # that it told of
    fresh: int  # that nobody had told before
    hints: int  # records to be read for them


# Where webhooks go


def hook_token(hub: Hub, connection: str) -> str:
    """The token in a connection's path; made at the first call, kept encrypted."""
    return own_secret(hub, f"webhook:{connection}", where=connection)


def hook_path(hub: Hub, connection: str) -> str:
    """`/hooks/{connection}/{token}`."""
    return f"/hooks/{connection}/{hook_token(hub, connection)}"


def hook_url(hub: Hub, connection: str) -> str:
    """Where the vendor must send its webhooks; `public_url` of hub.yaml says how the world reaches the hub."""
    return f"{public_url(hub)}{hook_path(hub, connection)}"


def public_url(hub: Hub) -> str:
    return str(hub.projects.settings.hub.public_url) if hub.projects is not None else ""


def takes_webhooks(connection: Connection) -> bool:
    return connection.connector.parse is not None


def hooks(hub: Hub) -> list[Dict]:
    """Connections whose systems send webhooks, with the address to send them to. The address is a secret."""
    return [
        {"connection": name, "connector": each.connector.name, "url": hook_url(hub, name)} | _library(hub, name, each)
        for name, each in hub.connections.items()
        if takes_webhooks(each)
    ]


def _library(hub: Hub, name: str, connection: Connection) -> Dict:
    """What a Segment library is given."""
    if not connection.connector.tracking:
        return {}
    return {"library": f"host {public_url(hub)}, write key {hook_token(hub, name)}"}


def subscribe(hub: Hub, name: str) -> Dict:
    """Have a system send its webhooks here; gives what was set up. A secret that it gave is kept as `NAME_webhook`.

    Raises:
        NeedsReview: this system is told by a person, in its own settings.
        ConfigFault: hub.yaml has no public_url.
    """
    connection = connection_of(hub, name)
    connection.require()
    if connection.connector.subscribe is None:
        where = connection.connector.docs or connection.connector.title
        raise NeedsReview(f"{name} cannot be told by the hub", where=name, fix=f"enter the address there: {where}")
    if not public_url(hub):
        fault = Fault(code="CFG-054", where="hub.yaml", message="no public_url", fix="hub: {public_url: https://…}")
        raise ConfigFault([fault])
    made = dict(connection.connector.subscribe(connection.api, hook_url(hub, name)))
    given = made.pop("secret", None)
    if given and hub.vault is not None:
        kept = f"{name}_webhook"
        sealed = hub.vault.seal(str(given), kept)
        commit(hub, lambda tx: tx.set_secret(kept, sealed))
        made["next"] = f"webhooks: {{secret: secret:{kept}}} at {name} in hub.yaml"
    return made


# What arrives


class Receiver:
    """Takes inbound calls. Made once; keeps the tokens' digests, so that a stranger's call costs no query."""

    def __init__(self, hub: Hub) -> None:
        self._hub, self._log = hub, logger("webhooks")
        self._digests = {
            name: _digest(hook_token(hub, name)) for name, each in hub.connections.items() if takes_webhooks(each)
        }
        self._none = _digest(secrets.token_urlsafe(TOKEN_BYTES))
        self._noted: dict[str, float] = {}

    def knows(self, connection: str, token: str) -> bool:
        """Whether this path exists; takes as long for a wrong name as for a wrong token."""
        known = self._digests.get(connection, self._none)
        return hmac.compare_digest(known, _digest(token)) and connection in self._digests

    def greet(self, connection: str, token: str, query: Mapping[str, str]) -> str:
        """What a vendor is answered that asks by GET whether the address is ours.

        Raises:
            NotFound: no such path, or this vendor does not ask.
            SignatureError: it does not know what it must.
        """
        known = self._hub.connections[connection] if self.knows(connection, token) else None
        if known is None or known.connector.greet is None:
            raise NotFound("no such path", where="hooks")
        return known.connector.greet(known.settings, query)

    def receive(
        self, connection: str, token: str, *, headers: Mapping[str, str], body: bytes, query: str = ""
    ) -> Accepted:
        """Verify and store one delivery.

        Args:
            headers: lower-case names.
            query: of the address as it was called, without "?"; some vendors sign it.

        Raises:
            NotFound: no such path.
            SignatureError: it is not what it says it is; nothing was stored.
            RetryLater: the store is busy; the vendor will send it again.
        """
        if not self.knows(connection, token):
            raise NotFound("no such path", where="hooks")
        path = f"/hooks/{connection}/{token}" + (f"?{query}" if query else "")
        return self.take(connection, path, headers=headers, body=body)

    def tracker(self, write_key: str) -> str:
        """The connection of a write key, of those that the tracking API feeds; "" if there is none."""
        digest, found = _digest(write_key), ""
        for name, known in self._digests.items():
            if hmac.compare_digest(known, digest) and self._hub.connections[name].connector.tracking:
                found = name
        return found

    def take(self, connection: str, path: str, *, headers: Mapping[str, str], body: bytes) -> Accepted:
        """Verify and store one delivery that came to a path which was found to be this connection's.

        Raises as `receive`.
        """
        request = WebhookRequest(
            method="POST", url=f"{public_url(self._hub)}{path}", headers=headers, body=body,
            received_at=self._hub.clock.now(),
        )  # fmt: skip
        try:
            found = accept_webhook(self._hub, self._hub.connections[connection], request)
        except HubError as error:  # told to the log and to whoever looks, not to the caller
            self._log.warning("webhook refused", connection=connection, code=error.code, error=str(error))
            self._note(f"{REFUSED}{connection}", {"at": request.received_at, "code": error.code}, request.received_at)
            raise
        self._note(f"{HEARD}{connection}", {"at": request.received_at}, request.received_at)
        return found

    def _note(self, name: str, said: Json, at: float) -> None:
        """For people who look whether webhooks come at all; not worth a delivery that the store is too busy for."""
        if at - self._noted.get(name, 0.0) >= NOTED_S:
            self._noted[name] = at
            try:
                commit(self._hub, lambda tx: tx.set_setting(name, said))
            except HubError as error:
                self._log.warning("not noted", setting=name, code=error.code)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


def accept_webhook(hub: Hub, connection: Connection, request: WebhookRequest) -> Accepted:
    """Verify the bytes, then parse them, then store delivery and hints in one transaction.

    Raises:
        SignatureError: wrong, old or missing signature, or no secret to check it by.
        HubError: the connection cannot be used now.
    """
    connector = connection.connector
    if connector.parse is None:
        raise NotFound("this system sends no webhooks", where=connection.name)
    connection.require()
    if connector.verify is not None:
        connector.verify(connection.settings, request)
    events = list(connector.parse(connection.settings, request))
    return commit(hub, lambda tx: _store(tx, connection, events, request))


def _store(tx: Tx, connection: Connection, events: list[WebhookEvent], request: WebhookRequest) -> Accepted:
    """The body is kept once, under the first event's key; an event told before leaves nothing.

    An event that is a record is kept under its key as that record, and its hint names the key. One that is unfit waits
    in quarantine, for a person.
    """
    told = {event.key: event for event in reversed(events)}  # the first of a key counts
    known = tx.known_deliveries(connection.name, told)
    fresh = [event for event in events if told[event.key] is event and event.key not in known]
    kept = [(event.key, b"" if event.record is None else as_document(event.record)) for event in fresh]
    if kept and not kept[0][1]:
        kept[0] = (kept[0][0], request.body)
    tx.add_deliveries(connection.name, kept, request.received_at)
    tx.add_quarantine([_unfit(connection, event, request.received_at) for event in fresh if event.fault is not None])
    told_of_messages = arrivals_stream(connection)
    hints = [
        (
            connection.name,
            event.stream,
            event.external_id if event.record is None else event.key,
            event.at,
            request.received_at,
            f"webhook:{event.kind}",
        )
        for event in fresh
        if event.fault is None and (connection.mappings_from(event.stream) or event.stream == told_of_messages)
    ]
    tx.add_hints(hints)
    return Accepted(events=len(events), fresh=len(fresh), hints=len(hints))


def _unfit(connection: Connection, event: WebhookEvent, at: float) -> QuarantineRow:
    said = event.fault or {}
    return QuarantineRow(
        connection=connection.name, stream=event.stream, external_id=event.external_id, field="", direction="in",
        code=said["code"], message=said["message"], fix=said["fix"], value=said.get("value"), at=at, run_id=None,
    )  # fmt: skip


def forget_old(hub: Hub) -> int:
    """Drop deliveries that no vendor will repeat any more."""
    before = hub.clock.now() - KEEP_S
    return commit(hub, lambda tx: tx.prune_deliveries(before))
