"""Signing in: by password, by a link that works once, and for programs by token.

What a browser or program holds is random and signed; the store has digests only. Who fails is made to wait longer
each time, by name and by address, so that guessing is slow and nobody is locked out for long.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Sequence

from itsdangerous import BadSignature, URLSafeSerializer

from hub.app.context import Hub
from hub.app.listings import Dict, iso
from hub.app.own_secrets import own_secret
from hub.app.people import ROLES, Person, Right
from hub.app.transact import commit
from hub.errors import NotAllowed, NotFound, RecordRejected, RetryLater
from hub.runtime.passwords import matches
from hub.store import Tx
from hub.store.rows import ApiTokenRow, SessionRow, UserRow

SESSION_S = 12 * 3600.0  # a working day; then one signs in again
REST_S = 2 * 3600.0  # without a page being asked for
LINK_S = 900.0
TOKEN_S = 365 * 86_400.0
SEEN_EVERY_S = 60.0  # how exactly a session knows when it was used
FREE_FAILURES = 5  # then every further one doubles the wait …
LONGEST_WAIT_S = 900.0  # … up to this
KEY = "console:key"
TOKEN_MARK = "hub_"  # how tokens of programs begin, so that scanners of repositories know one


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


# Passwords


def sign_in(hub: Hub, name: str, password: str, *, address: str) -> str:
    """A session for somebody who knows their password; gives what the cookie holds.

    Raises:
        RetryLater: AUTH-SLOW, too many failures; `after_s` says how long. NotAllowed: AUTH-SIGN-IN, without telling
        whether the name or the password was wrong.
    """
    marks, now = [f"user:{name[:80]}", f"address:{address[:80]}"], hub.clock.now()
    with hub.store.reading() as tx:
        user, failures = tx.users().get(name), tx.failures(marks)
    wait = max((at + _wait(count) - now for count, at in failures.values()), default=0.0)
    if wait > 0:
        raise RetryLater("too many failures to sign in", code="AUTH-SLOW", after_s=wait, fix=f"wait {wait:.0f} s")
    if not matches(user.password_hash if user else "", password[:400]) or user is None or not user.active:

        def count(tx: Tx) -> None:
            for mark in marks:
                tx.count_failure(mark, now)

        commit(hub, count)
        raise NotAllowed("the name or the password is wrong", code="AUTH-SIGN-IN", fix="try again, or ask for a link")
    return _begin(hub, user, how="password", forgive=marks)


def _wait(failures: int) -> float:
    return 0.0 if failures < FREE_FAILURES else min(LONGEST_WAIT_S, 2.0 ** (failures - FREE_FAILURES + 1))


def _begin(hub: Hub, user: UserRow, *, how: str, forgive: Sequence[str] = ()) -> str:
    token, now = secrets.token_urlsafe(32), hub.clock.now()
    row = SessionRow(id=_digest(token), user=user.name, created_at=now, seen_at=now, expires_at=now + SESSION_S)

    def keep(tx: Tx) -> None:
        tx.forget_sign_ins(now, now - 86_400.0)
        tx.forgive(forgive)
        tx.add_session(row)
        tx.audit(user.name, "signed in", user.name, None, how, now)

    commit(hub, keep)
    return str(_signer(hub).dumps(token))


def _signer(hub: Hub) -> URLSafeSerializer:
    return URLSafeSerializer(own_secret(hub, KEY, where="console"), salt="session")


# Sessions


def who(hub: Hub, cookie: str) -> Person | None:
    """Whose session this is; None if it is none, or has run out, or its person may not sign in any more."""
    id_, now = _session_id(hub, cookie), hub.clock.now()
    if id_ is None:
        return None
    with hub.store.reading() as tx:
        session = tx.session(id_)
        user = tx.users().get(session.user) if session else None
    if session is None or user is None or not user.active:
        return None
    if now > session.expires_at or now > session.seen_at + REST_S:
        return None
    if now > session.seen_at + SEEN_EVERY_S:
        commit(hub, lambda tx: tx.touch_session(id_, now))
    return Person(name=user.name, role=user.role)


def sign_out(hub: Hub, cookie: str) -> None:
    id_ = _session_id(hub, cookie)
    if id_ is not None:
        commit(hub, lambda tx: tx.end_session(id_))


def _session_id(hub: Hub, cookie: str) -> str | None:
    if not cookie or len(cookie) > 400:
        return None
    try:
        return _digest(str(_signer(hub).loads(cookie)))
    except BadSignature:
        return None


# Links


def make_link(hub: Hub, name: str, *, by: str) -> str:
    """The path of a link that signs somebody in, once, within a quarter of an hour.

    Raises:
        NotFound: nobody has this name. NotAllowed: AUTH-OUT, they are shut out.
    """
    token, now = secrets.token_urlsafe(32), hub.clock.now()

    def keep(tx: Tx) -> None:
        user = tx.users().get(name)
        if user is None:
            raise NotFound(f"there is no user {name}", where=name, fix="hub user list")
        if not user.active:
            raise NotAllowed(f"{name} is shut out", code="AUTH-OUT", where=name, fix="let them in again first")
        tx.add_sign_in_link(_digest(token), name, now + LINK_S)
        tx.audit(by, "sign-in link made", name, None, None, now)

    commit(hub, keep)
    return f"/sign-in/{token}"


def sign_in_by_link(hub: Hub, token: str) -> str:
    """A session for whoever follows a link; it works no second time. Raises NotAllowed AUTH-LINK."""
    now = hub.clock.now()

    def take(tx: Tx) -> UserRow | None:
        found = tx.take_sign_in_link(_digest(token[:200]))
        user = tx.users().get(found[0]) if found and found[1] >= now else None
        return user if user is not None and user.active else None

    user = commit(hub, take)
    if user is None:
        raise NotAllowed("this link was used, or is too old", code="AUTH-LINK", fix="ask for another: hub user link")
    return _begin(hub, user, how="link")


# Programs


def make_token(hub: Hub, name: str, scopes: Iterable[str], *, person: Person) -> Dict:
    """A token for a program that acts in this person's name, within these rights. Shown once, never again.

    Raises:
        RecordRejected: AUTH-SCOPE, no such scope, or none at all. NotAllowed AUTH-BEYOND: whoever asks has not these
        rights himself, or asks with a token that has not.
    """
    wanted = tuple(dict.fromkeys(scopes))
    unknown = [each for each in wanted if each not in set(Right)]
    if unknown or not wanted or not name.strip():
        raise RecordRejected(
            "a token needs a name and at least one scope that there is", code="AUTH-SCOPE",
            fix=f"scopes are: {', '.join(Right)}",
        )  # fmt: skip
    person.require_all([Right(each) for each in wanted], where="scopes")
    token, now = TOKEN_MARK + secrets.token_urlsafe(32), hub.clock.now()
    row = ApiTokenRow(
        id=_digest(token), name=name.strip()[:80], user=person.name, scopes=wanted, created_at=now,
        expires_at=now + TOKEN_S,
    )  # fmt: skip

    def keep(tx: Tx) -> None:
        tx.add_api_token(row)
        tx.audit(person.name, "token made", row.name, None, list(wanted), now)

    commit(hub, keep)
    return {"token": token, "name": row.name, "scopes": list(wanted), "expires_at": iso(row.expires_at)}


def tokens(hub: Hub) -> list[Dict]:
    """Every token, by what it may do and when it was used; never the token itself."""
    with hub.store.reading() as tx:
        found = tx.api_tokens()
    return [
        {
            "id": row.id[:16], "name": row.name, "user": row.user, "scopes": list(row.scopes),
            "created_at": iso(row.created_at), "expires_at": iso(row.expires_at), "used_at": iso(row.used_at),
        }
        for row in found
    ]  # fmt: skip


def drop_token(hub: Hub, short: str, *, by: str) -> None:
    """From now on this token opens nothing. Raises NotFound."""

    def drop(tx: Tx) -> None:
        found = [row for row in tx.api_tokens() if row.id.startswith(short) and len(short) >= 16]
        if not found:
            raise NotFound("there is no such token", where="tokens")
        tx.drop_api_token(found[0].id)
        tx.audit(by, "token dropped", found[0].name, None, None, hub.clock.now())

    commit(hub, drop)


def who_by_token(hub: Hub, token: str) -> Person | None:
    """In whose name a program acts; None if the token is none, or has run out, or its person is shut out."""
    if not token.startswith(TOKEN_MARK) or len(token) > 200:
        return None
    now = hub.clock.now()
    with hub.store.reading() as tx:
        row = tx.api_token(_digest(token))
        user = tx.users().get(row.user) if row else None
    if row is None or user is None or not user.active or now > row.expires_at or user.role not in ROLES:
        return None
    if row.used_at is None or now > row.used_at + SEEN_EVERY_S:
        commit(hub, lambda tx: tx.use_api_token(row.id, now))
    return Person(name=user.name, role=user.role, scopes=frozenset(map(Right, row.scopes)))
