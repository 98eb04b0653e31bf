"""Rewards on a website's own pages: the site's server asks for one person, signed, and is told what he has to hand.

A call is signed by a secret that only the site's server and the hub know, over its time and its bytes; so it names
whom it likes, and a browser that reads the page can ask for nobody. The answer holds that person's open rewards that
are to be shown on a screen, and nothing of anybody else; of somebody unknown, the same as of somebody without any.
What was shown can be put away; what was used, as far as its shop told, is put away by itself.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock

import orjson

from hub.app.context import Connection, Hub
from hub.app.listings import Dict, iso
from hub.app.own_secrets import own_secret
from hub.app.reward_moves import kinds_of, locked, note
from hub.app.reward_orders import shown_code
from hub.app.reward_uses import uses_of
from hub.app.transact import commit
from hub.app.webhooks import public_url
from hub.connector import WebhookRequest
from hub.core.formats import email_key
from hub.core.rewards import SCREEN, Entry, GrantState, Rewards
from hub.errors import HubError, NotFound, SignatureError
from hub.kit.signing import require_dated_signature, signature_parts
from hub.model import Grant, Json
from hub.store import Tx

PATH = "/screen/{connection}/rewards"
SIGNATURE = "hub-signature"  # "t=<epoch seconds>,v1=<hex of HMAC-SHA256 over "<t>.<body>">"
TOLERANCE_S = 300.0
MOST_BYTES = 16 * 1024
MOST = 50  # rewards of an answer
PER_SITE, PER_PERSON, WINDOW_S = 600, 20, 60.0  # calls within so many seconds
REMEMBERED = 10_000  # people whose calls are counted
PERSON = "contact"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the site is told."""

    status: int
    body: Json
    after_s: int = 0


@dataclass(slots=True)
class Window:
    """How many calls each name made lately; only so many names are remembered."""

    most: int
    _calls: OrderedDict[str, deque[float]] = field(default_factory=OrderedDict)

    def wait_s(self, name: str, now: float) -> float:
        """0: go on, it is counted. Else how long to wait."""
        calls = self._calls.setdefault(name, deque())
        self._calls.move_to_end(name)
        while len(self._calls) > REMEMBERED:
            self._calls.popitem(last=False)
        while calls and calls[0] <= now - WINDOW_S:
            calls.popleft()
        if len(calls) >= self.most:
            return calls[0] + WINDOW_S - now
        calls.append(now)
        return 0.0


class Screen:
    """Answers sites. Made once for a process; its limits are those of this process."""

    def __init__(self, hub: Hub) -> None:
        self._hub, self._lock = hub, Lock()
        self._sites, self._people = Window(PER_SITE), Window(PER_PERSON)

    def answer(self, connection: str, *, headers: Mapping[str, str], body: bytes) -> Answer:
        """One call: {"person": {"userId": …} or {"email": …}, "seen": [ids to put away]}.

        Args:
            headers: lower-case names.
            body: at most `MOST_BYTES` and one.
        """
        try:
            self._require_signed(connection, headers, body)
        except HubError:
            return Answer(status=401, body={"error": "the signature is missing, wrong or too old"})
        asked = _parsed(body)
        if asked is None:
            return Answer(status=400, body={"error": 'send {"person": {"userId": "…"}} or {"person": {"email": "…"}}'})
        name, value, seen = asked
        wait = self._wait_s(connection, f"{connection}/{name}/{value}")
        if wait:
            return Answer(status=429, body={"error": "too many calls"}, after_s=int(wait) + 1)
        site = self._hub.connections[connection]
        if seen:
            commit(self._hub, lambda tx: _put_away(self._hub, tx, _person(tx, site, name, value), seen))
        with self._hub.store.reading() as tx:
            rows = _open(self._hub, tx, _person(tx, site, name, value))
        return Answer(status=200, body={"rewards": rows})

    def _require_signed(self, name: str, headers: Mapping[str, str], body: bytes) -> None:
        """Raises SignatureError; for a connection that is none, too, as slowly."""
        known = self._hub.connections.get(name)
        is_site = known is not None and known.connector.tracking
        secret = screen_secret(self._hub, name) if is_site else "there is no such site"
        stamp, given = signature_parts(headers.get(SIGNATURE, ""))
        request = WebhookRequest(method="POST", url="", headers=headers, body=body, received_at=self._hub.clock.now())
        require_dated_signature(stamp, given, request, [secret], tolerance_s=TOLERANCE_S, where=name)
        if not is_site or len(body) > MOST_BYTES:
            raise SignatureError("no such site", where=name)

    def _wait_s(self, site: str, person: str) -> float:
        now = self._hub.clock.now()
        with self._lock:
            return self._sites.wait_s(site, now) or self._people.wait_s(person, now)


def screen_secret(hub: Hub, connection: str) -> str:
    """What a site signs with; made at the first call, kept encrypted."""
    return own_secret(hub, f"screen:{connection}", where=connection)


def screen_of(hub: Hub, connection: str) -> Dict:
    """What a site's server is given: {"url", "secret", "header"}. Raises NotFound: that is no website connection."""
    found = hub.connections.get(connection)
    if found is None or not found.connector.tracking:
        raise NotFound(
            f"{connection[:80]} is no website", where="hub.yaml", fix="add a connection: {connector: website}"
        )
    url = f"{public_url(hub)}{PATH.format(connection=connection)}"
    return {"url": url, "secret": screen_secret(hub, connection), "header": SIGNATURE}


# One call


def _parsed(body: bytes) -> tuple[str, str, list[str]] | None:
    """(userId or email, its value, what to put away); None for what is no such call."""
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    person = told.get("person") if isinstance(told, dict) else None
    seen = told.get("seen", []) if isinstance(told, dict) else None
    if not isinstance(person, dict) or len(person) != 1 or not isinstance(seen, list):
        return None
    ((name, value),) = person.items()
    texts = isinstance(value, str) and 0 < len(value) <= 320 and all(isinstance(each, str) for each in seen)
    return (name, value, seen[:MOST]) if name in ("userId", "email") and texts else None


def _person(tx: Tx, site: Connection, name: str, value: str) -> list[int]:
    """All names of whom a site means; none if that is nobody, or not for certain one."""
    if name == "email":
        key = ("email", email_key(value.strip()))
        ids = set(tx.find_by_keys(PERSON, [key], keep=False).get(key, ()))
    else:
        streams = [each.name for each in site.mappings.values() if each.entity == PERSON]
        links = [tx.links_by_keys(site.name, stream, [value], raw=False).get(value) for stream in streams]
        ids = {link.entity_id for link in links if link is not None and link.entity_id is not None}
    roots = set(tx.roots(ids).values())
    return tx.alias_closure(roots)[roots.pop()] if len(roots) == 1 else []


def _grants(tx: Tx, people: list[int]) -> list[Grant]:
    """What these have to hand, on a screen: issued, and not put away."""
    found = [grant for each in people for grant in tx.grants(subject_id=each)]
    shown = (each for each in found if each.deliver == SCREEN and each.state == GrantState.ISSUED)
    return [each for each in shown if Entry.SEEN not in kinds_of(tx, each)]


def _open(hub: Hub, tx: Tx, people: list[int]) -> list[Dict]:
    grants = _grants(tx, people)
    uses = uses_of(hub, tx, grants)
    return [_row(hub, tx, each) for each in grants if not uses.get(each.id)][-MOST:]


def _row(hub: Hub, tx: Tx, grant: Grant) -> Dict:
    return {
        "id": grant.reference, "text": _text(hub, grant.rule), "amount": grant.amount,
        "currency": grant.currency, "code": shown_code(hub, tx, grant) or None, "since": iso(grant.created_at),
    }  # fmt: skip


def _text(hub: Hub, name: str) -> str:
    rewards = hub.rewards or Rewards()
    made = rewards.rules.get(name) or rewards.milestones.get(name)
    return made.text if made is not None else ""


def _put_away(hub: Hub, tx: Tx, people: list[int], seen: list[str]) -> None:
    """Said twice is said once; what is not his own stays."""
    for each in _grants(tx, people):
        if each.reference in seen:
            grant = locked(tx, each.id)
            if Entry.SEEN not in kinds_of(tx, grant):
                note(tx, grant, Entry.SEEN, at=hub.clock.now(), detail=grant.detail)
